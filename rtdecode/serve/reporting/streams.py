"""The part of the status map that describes streams: the one of the daemon, or each of several arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rtdecode.ingest.connection.identity import named
from rtdecode.ingest.signals.layouts import array_channels
from rtdecode.kernels.binning import DISCARDED
from rtdecode.serve.loop.pump import Pump
from rtdecode.serve.loop.states import Judging, Outage, Running
from rtdecode.serve.reporting.losses import (
    decoded_line,
    effective_rate_hz,
    loss_warnings,
    of_source,
    stream_counters,
)
from rtdecode.serve.reporting.signal import signal_warnings

QUANTILES = {"p50": 0.5, "p99": 0.99, "p999": 0.999}


def totals_of(pumps: Sequence[Pump]) -> dict[str, int]:
    """Counters of all streams together, by kind."""
    of_each = [stream_counters(pump.counters, pump.core) for pump in pumps]
    return {kind: sum(each[kind] for each in of_each) for kind in of_each[0]}


def ending_lines(pumps: Sequence[Pump]) -> list[str]:
    """What became of the samples of a daemon: a line about spikes, and one about features."""
    lines = []
    for what, of in by_kind(pumps).items():
        totals = totals_of(of) | {"broken_off": sum(pump.core.ring.broken_off for pump in of)}
        lines.append(f"{what}: {decoded_line(totals)}")
    return lines


def by_kind(pumps: Sequence[Pump]) -> dict[str, list[Pump]]:
    """The pumps of the streams of spikes, and those of features, which have no channels; no empty ones."""
    found: dict[str, list[Pump]] = {}
    for pump in pumps:
        found.setdefault("spikes" if pump.core.ring.n_channels else "features", []).append(pump)
    return found


def stream_map(pump: Pump) -> dict[str, Any]:
    """What is known of a stream and its source."""
    feed, core, last = pump.feed, pump.core, pump.sink.source.source
    described: dict[str, Any] = {"name": pump.connector.name, "attached": feed is not None}
    # While it is gone, who is waited for.
    described |= {"source_id": last and last.source_id, "hostname": last and last.hostname}
    if feed is None:
        return described
    stream, delay = feed.inlet.stream, core.delay
    delivery = {name: delay.quantile_s(q) * 1e3 for name, q in QUANTILES.items()}
    return described | {
        "layout": str(feed.layout),
        "type": stream.type,
        "rate_hz": stream.rate_hz,
        "effective_rate_hz": effective_rate_hz(feed),
        "n_channels": array_channels(stream, feed.layout),
        "clock_correction_ms": round((feed.inlet.correction_s + feed.inlet.offset_s) * 1e3, 4),
        "delivery_ms": {k: None if v != v else round(v, 3) for k, v in delivery.items()},
        "grace_ms": round(core.grace.seconds * 1e3, 3),
    }


def array_maps(pumps: Sequence[Pump]) -> list[dict[str, Any]]:
    """Of each of several arrays: its stream, why it is away, and its counters; empty for one stream."""
    if len(pumps) == 1:
        return []
    return [
        stream_map(pump)
        | {
            "channels": pump.core.ring.n_channels,
            "reason": reason_of(pump),
            "reconnects": pump.core.reconnects,
            "counters": stream_counters(pump.counters, pump.core),
        }
        for pump in pumps
    ]


def joint_map(name: str, pumps: Sequence[Pump]) -> dict[str, Any]:
    """The daemon's stream; for several arrays only whether all are attached, under their joint name."""
    if len(pumps) == 1:
        return stream_map(pumps[0])
    return {"name": name, "attached": all(pump.feed is not None for pump in pumps)}


def reason_of(pump: Pump) -> str:
    """Why nothing of a stream is decoded although it was found, "" where it is."""
    match pump.core.state:
        case Outage():
            source = pump.sink.source
            return f"{source.reason} (source {source.name})"
        case Judging(link):
            judged = "no sample yet" if link.judge.trusted else "its clock is being judged"
            return f"connected to {named(link.feed.inlet.stream)}, {link.feed.unfit or judged}"
        case Running(link) if pump.core.closing.silence.too_long:
            return f"connected to {named(link.feed.inlet.stream)}, which sends nothing"
    return ""


def stream_warnings(pumps: Sequence[Pump]) -> list[str]:
    """A line for each loss that makes output wrong, and for each signal that is hardly what it seems."""
    lines = []
    for pump in pumps:
        totals = stream_counters(pump.counters, pump.core)
        if len(pumps) > 1:
            # Arrays that share their bins have no backlog.
            totals["discarded"] -= int(pump.core.ring.time_counters[DISCARDED])
        found = [*loss_warnings(totals, pump.core.closing.spikes, pump.last_feed)]
        found += signal_warnings(pump.feed, pump.core)
        lines += of_source(found, pump.last_feed)
    return lines
