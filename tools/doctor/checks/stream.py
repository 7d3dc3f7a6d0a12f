"""Doctor: is the stream sent, can it be read, and does its current model fit it."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from typing import Any

from rtdecode.tools.doctor.check import Figures, Finding, Problems, Verdict, quantiles_ms

SEARCH_S = 3.0

#: A second source of the same name may answer a little later than the first.
OTHERS_AFTER_S = 0.7

SEARCH_EVERY_S = 0.02
OPEN_S = 2.0

#: Samples that were queued before are older than live ones, so they are skipped.
SKIP_S = 0.2
MEASURE_S = 1.0
PULL_S = 0.05

#: Longest wait of `--grace auto`; and delays beyond which the daemon assumes another clock than LSL's.
LATE_MS = 10.0
FUTURE_MS = -5.0
OTHER_CLOCK_MS = 250.0


def measure_stream(
    array: Mapping[str, Any], model: str | None, streams: Sequence[str], features: str | None, *, power: bool
) -> Figures:
    """Sources and layout of a stream; with one source also its rate, its delay and the model for it.

    Args:
        array: of the stream: its name, the flag that names it, and source_id, layout, columns, channel_map
            as in `serve`.
        model: as in `serve`.
        streams: names of the streams of spikes, all decoded by that model.
        features: name of the stream of features beside them, or None.
        power: whether power is computed of voltage.
    """
    from rtdecode.ingest.connection.lsl_config import silence_liblsl

    silence_liblsl()
    from rtdecode.errors import RtdecodeError
    from rtdecode.ingest.connection.inlet import LslInlet, StreamLost
    from rtdecode.ingest.connection.streams import Descriptions, describe
    from rtdecode.ingest.signals.channel_map import read_channel_map
    from rtdecode.ingest.signals.event_columns import read_columns
    from rtdecode.ingest.signals.layouts import Layout, needs_labels
    from rtdecode.ingest.signals.raster import settled_layout
    from rtdecode.serve.array_settings import ArraySettings
    from rtdecode.serve.fits_model import array_sizes
    from rtdecode.serve.flags import joined

    name, source_id = array["name"], array["source_id"]
    figures: Figures = {"stream": name, "looked_s": SEARCH_S, "sources": [], "refusal": None, "lost": False}
    figures |= {"wanted": source_id, "named": model, "flag": array["flag"], "kept_as": joined(streams)}
    settings = ArraySettings(
        stream=name,
        flag=array["flag"],
        layout=None if array["layout"] is None else Layout(array["layout"]),
        columns=None if array["columns"] is None else read_columns(array["columns"]),
        channel_map=None if array["channel_map"] is None else read_channel_map(array["channel_map"]),
    )
    artifact, about_model = _model(model, streams, features, power=power)
    sizes = {} if artifact is None else dict(zip(streams, array_sizes(artifact), strict=True))
    n_channels = 0 if name == features else sizes.get(name)
    infos = [info for info in _find(name) if source_id in (None, info.source_id())]
    for info in infos:
        stream = describe(info)
        if needs_labels(stream):
            stream = Descriptions().full(info)
        source: Figures = {"source_id": stream.source_id, "hostname": stream.hostname, "stream": str(stream)}
        try:
            source["layout"] = str(settings.classify(stream, features=n_channels == 0)[0])
        except RtdecodeError as error:
            source["layout"] = None
            figures["refusal"] = str(error)
        figures["sources"].append(source)
    readable = [i for i, source in zip(infos, figures["sources"], strict=True) if source["layout"]]
    if len(readable) != 1:
        return figures
    try:
        inlet = LslInlet(readable[0], timeout_s=OPEN_S)
        chosen, _ = settings.classify(inlet.stream, features=n_channels == 0)
        chosen = settled_layout(inlet, chosen, settings.layout)
        figures |= _rate_and_delay(inlet, counts=chosen is Layout.COUNTS)
    except StreamLost:
        return figures | {"lost": True}
    except RtdecodeError as error:
        readable_source = next(source for source in figures["sources"] if source["layout"])
        readable_source["layout"] = None
        return figures | {"refusal": str(error)}
    return figures | about_model | _fit(inlet.stream, chosen, artifact, n_channels, settings.channel_map)


def _find(name: str) -> list[Any]:
    """All outlets of that name, one per source."""
    from rtdecode.ingest.connection.streams import StreamFinder

    finder = StreamFinder(name)
    deadline = time.monotonic() + SEARCH_S
    found_at: float | None = None
    while time.monotonic() < deadline:
        infos = finder.found()
        if infos and found_at is None:
            found_at = time.monotonic()
            deadline = min(deadline, found_at + OTHERS_AFTER_S)
        time.sleep(SEARCH_EVERY_S)
    newest: dict[str, Any] = {}
    # After a restart of an outlet, the dead one is announced too for a while.
    for info in sorted(finder.found(), key=lambda info: float(info.created_at())):
        newest[info.source_id() or info.uid()] = info
    return list(newest.values())


def _rate_and_delay(inlet: Any, *, counts: bool) -> Figures:
    """Samples per second, the age of each pull's newest sample on arrival, and which values are no counts."""
    import numpy as np
    import pylsl

    from rtdecode.ingest.signals.fitness import Fitness, as_whole

    samples, ages = 0, []
    fitness = Fitness(1.0 / inlet.stream.rate_hz if counts else 1.0)
    skip_until = time.monotonic() + SKIP_S
    while time.monotonic() < skip_until:
        inlet.pull(PULL_S)
    started = time.monotonic()
    while time.monotonic() - started < MEASURE_S:
        n = inlet.pull(PULL_S)
        if n:
            samples += n
            ages.append(pylsl.local_clock() - float(inlet.time[n - 1]))
        if n and counts:
            rows = np.zeros(inlet.samples[:n].shape, np.int32)
            as_whole(inlet.samples[:n], rows)
            fitness.values(rows)
    return {
        "no_counts": fitness.wrong or None,
        "send": fitness.advice,
        "unfit": bool(fitness.unfit),
        "rate_hz": round(samples / (time.monotonic() - started), 1),
        "correction_ms": round(inlet.correction_s * 1e3, 3),
        "delay_ms": quantiles_ms(ages) if ages else None,
    }


def _model(
    model: str | None, streams: Sequence[str], features: str | None, *, power: bool
) -> tuple[Any, Figures]:
    """The model that `serve` would take, None without one, and what it is, or why it cannot be taken."""
    from rtdecode.artifact import read_artifact
    from rtdecode.errors import RtdecodeError
    from rtdecode.model_store import CURRENT, current_model, find_model
    from rtdecode.serve.fits_model import check_streams
    from rtdecode.serve.flags import joined

    figures: Figures = {"model": None, "misfit": None, "advice": None}
    name = joined(streams)
    if model in (None, CURRENT) and not current_model(name).is_file():
        return None, figures
    try:
        artifact = read_artifact(find_model(model, name), train=False)
    except RtdecodeError as error:
        return None, figures | {"misfit": error.what}
    described = f"{artifact.model_id} ({artifact.kind}, {artifact.reads}, {artifact.bin_width_s * 1e3:g} ms)"
    figures["model"] = described
    try:
        check_streams(artifact, streams, features, power=power)
    except RtdecodeError as error:
        return None, figures | {"misfit": error.what, "advice": error.fix}
    return artifact, figures


def _fit(stream: Any, layout: Any, artifact: Any, n_channels: int | None, channel_map: Any) -> Figures:
    """The channels of an opened stream, and why it does not fit a model's array of `n_channels`."""
    from rtdecode.errors import RtdecodeError
    from rtdecode.ingest.signals.features import check_columns
    from rtdecode.ingest.signals.layouts import Layout, array_channels, check_against_model

    figures: Figures = {"n_channels": array_channels(stream, layout), "n_columns": stream.n_columns}
    if artifact is None or n_channels is None:
        return figures
    try:
        check_against_model(
            stream,
            layout,
            n_channels=n_channels,
            bin_width_s=artifact.bin_width_s,
            channel_map=channel_map,
        )
        if layout is Layout.FEATURES:
            check_columns(stream, [feature.column for feature in artifact.features])
    except RtdecodeError as error:
        return figures | {"misfit": error.what}
    return figures


def judge_stream(figures: Figures) -> Finding:
    """Fail where `serve` would not start with this stream: not one source, no layout, no fitting model."""
    name, sources = figures["stream"], figures["sources"]
    readable = [source for source in sources if source["layout"]]
    if not sources:
        source = f" from source {figures['wanted']}" if figures.get("wanted") else ""
        return Finding(
            Verdict.FAIL,
            f"{name}{source} was not found in {figures['looked_s']:g} s",
            "start the acquisition, check the name, and the SessionID in lsl_api.cfg on both machines",
        )
    if not readable:
        return Finding(
            Verdict.FAIL,
            figures["refusal"],
            "correct the name that --features has"
            if figures.get("flag") == "--features"
            else "send one of the layouts of serve, or give serve --layout",
        )
    if len(readable) > 1:
        option = "--features-source-id" if figures.get("flag") == "--features" else "--source-id"
        listed = ", ".join(f"{s['source_id'] or 'unnamed'} on {s['hostname']}" for s in readable)
        return Finding(
            Verdict.FAIL,
            f"{len(readable)} sources send {name}: {listed}",
            f"stop all but one, or choose one with serve {option}",
        )
    if figures["lost"]:
        return Finding(
            Verdict.FAIL,
            f"{readable[0]['stream']} on {readable[0]['hostname']} is announced but cannot be opened",
            "open TCP and UDP 16572–16604 in both machines' firewalls, or restart the acquisition",
        )
    return _judge_open(figures, readable[0])


def _judge_open(figures: Figures, source: Figures) -> Finding:
    delay, model, name = figures["delay_ms"], figures["model"], figures["stream"]
    channels = f"{figures['n_channels'] or 'unstated'} channels"
    if source["layout"] == "features":
        channels = f"{figures['n_columns']} columns"
    found = f"{source['stream']} as {source['layout']}, {channels}, "
    found += f"source {source['source_id'] or 'unnamed'} on {source['hostname']}, "
    found += f"{figures['rate_hz']:.0f} samples/s, clock offset {figures['correction_ms']:.2f} ms"
    found += f", delivery delay {delay['p50']:.2f} ms (p99 {delay['p99']:.2f})" if delay else ""
    named, kept_as = figures.get("named"), figures.get("kept_as") or name
    current = f"--current {shlex.quote(kept_as)}"
    found += f"; {f'model {named}:' if named else 'current model'} {model}" if model else ""
    problems = Problems()
    if figures["misfit"]:
        found += f": {figures['misfit']}"
        besides = ', and write model = "current" in rig.toml' if named else ""
        fit = f"fit a model for this array: rtdecode fit SESSION.h5 {current}{besides}"
        problems.add(figures.get("advice") or fit, fail=True)
    elif not model:
        found += "; it has no current model"
        problems.add(f"rtdecode fit SESSION.h5 --kind wiener {current}, or give serve --model", fail=True)
    if figures.get("no_counts"):
        found += f"; values are no counts, {figures['no_counts']}"
        problems.add(figures["send"], fail=figures["unfit"])
    if delay is None:
        problems.add(
            f"no sample was received in {MEASURE_S:g} s: check that the array is plugged in and recording"
        )
    elif not FUTURE_MS <= delay["p50"] <= OTHER_CLOCK_MS:
        problems.add(
            "set the source to LSL timestamps: the daemon can only estimate the offset of another clock"
        )
    elif delay["p50"] > LATE_MS:
        problems.add("let the source push more often, or give serve a larger --grace")
    return problems.finding(found)
