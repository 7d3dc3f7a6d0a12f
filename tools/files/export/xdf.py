"""`rtdecode export --to xdf`: a session as the streams that a replay would send, recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.ingest.signals.layouts import StreamDescription
from rtdecode.kernels.arrays import F8
from rtdecode.session.arrays import session_arrays, session_labels
from rtdecode.session.layout import Counts, Decoded, Events, Session, Trials
from rtdecode.tools.files.xdf.streams import OBSERVED
from rtdecode.tools.files.xdf.write import WrittenStream, write_streams

Columns = NDArray[Any]


def write_xdf(path: Path, session: Session) -> None:
    """Write a session as an XDF file: every spike, stamp and value of it.

    A stream of `events` for each array, and one of `counts`; `features`; `behavior`; `markers`; `trials`, a
    marker of JSON, `trial_start` and `trial_stop`, at each end; and what was decoded, `decoded` and
    `decoded-flags`, as `rtdecode serve --lsl-out` sends it; and `observed`, a sample from the start of each
    interval with its stop.

    Args:
        path: of the file to write; one that exists is replaced.
        session: any.

    Raises:
        RtdecodeError: it cannot be written, or its arrays do not fit its channels.
    """
    write_streams(path, _streams(session), session.attrs.get("date", ""))


def _streams(session: Session) -> Iterator[WrittenStream]:
    name = session.attrs.get("stream") or session.name
    facts = {key: text for key, text in session.attrs.items() if key.isidentifier() and key.isascii()}
    if session.events is not None:
        yield from _arrays(name, session, session.events, facts)
    if session.counts is not None:
        yield _counts(name if session.events is None else f"{name}-counts", session, session.counts, facts)
    if (features := session.features) is not None:
        rate_hz = 1.0 / features.nominal_period_s
        described = ("features", "Features", rate_hz, features.names, features.units, features.kinds)
        yield _numbers(described, features.time, features.values)
    if (behavior := session.behavior) is not None:
        described = ("behavior", "Behavior", 0.0, behavior.names, behavior.units, ())
        yield _numbers(described, behavior.time, behavior.values)
    if (markers := session.markers) is not None:
        yield _texts("markers", markers.time, markers.text)
    if session.trials is not None:
        yield _trials(session.trials)
    if (observed := session.observed) is not None:
        stream = StreamDescription("observed", OBSERVED, 1, 0.0, "double64", "observed", labels=("stop",))
        yield WrittenStream(stream, observed[:, 0], observed[:, 1:])
    if session.decoded is not None:
        yield from _decoded(session.decoded)


def _arrays(name: str, session: Session, events: Events, facts: dict[str, str]) -> Iterator[WrittenStream]:
    """The spikes of each array, [channel, unit, running number]."""
    unit = np.zeros(len(events.time), np.uint8) if events.unit is None else events.unit
    arrays = [(each.name, each.n_channels) for each in session_arrays(session)]
    first = 0
    for stream, n_channels in arrays or [(name, session.n_channels)]:
        own = (events.channel >= first) & (events.channel < first + n_channels)
        rows = np.stack((events.channel[own].astype("i8") - first, unit[own], np.arange(own.sum())), axis=1)
        described = StreamDescription(
            stream,
            "Spikes",
            3,
            0.0,
            "int32",
            stream,
            n_channels=n_channels,
            labels=("channel", "unit", "seq"),
        )
        yield WrittenStream(described, events.time[own], rows, facts)
        first += n_channels


def _counts(name: str, session: Session, counts: Counts, facts: dict[str, str]) -> WrittenStream:
    form = "int16" if counts.values.dtype == np.uint8 else "int32"
    labels = session_labels(session)
    rate_hz = 1.0 / counts.nominal_width_s
    described = StreamDescription(
        name, "SpikeCounts", counts.values.shape[1], rate_hz, form, name, labels=labels
    )
    return WrittenStream(described, counts.edges[1:], counts.values, facts)


def _numbers(
    described: tuple[str, str, float, tuple[str, ...], tuple[str, ...], tuple[str, ...]],
    time: F8,
    values: Columns,
    form: str = "float32",
) -> WrittenStream:
    name, kind, rate_hz, labels, units, kinds = described
    stream = StreamDescription(
        name, kind, values.shape[1], rate_hz, form, name, labels=labels, units=units, kinds=kinds
    )
    return WrittenStream(stream, time, values)


def _texts(name: str, time: F8, texts: Sequence[str]) -> WrittenStream:
    return WrittenStream(StreamDescription(name, "Markers", 1, 0.0, "string", name), time, texts)


def _trials(trials: Trials) -> WrittenStream:
    """A marker at each end, as a task sends it: success with the stop, all other columns with the start."""
    ends: list[tuple[float, str]] = []
    for row, (start, stop) in enumerate(zip(trials.start.tolist(), trials.stop.tolist(), strict=True)):
        facts = {name: _plain(column[row]) for name, column in trials.columns.items()}
        success = {name: facts.pop(name) for name in ("success",) if name in facts}
        ends.append((start, json.dumps({"event": "trial_start", **facts})))
        ends.append((stop, json.dumps({"event": "trial_stop", **success})))
    ends.sort(key=lambda end: end[0])
    return _texts("trials", np.array([time for time, _ in ends]), [text for _, text in ends])


def _plain(value: Any) -> Any:
    """As JSON takes it: lists, numbers, text; NaN is null."""
    if isinstance(value, np.ndarray):
        return [_plain(each) for each in value]
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return None if value != value else value


def _decoded(decoded: Decoded) -> Iterator[WrittenStream]:
    names = decoded.names or tuple(f"b{i}" for i in range(decoded.values.shape[1]))
    values, units = decoded.values, ("",) * len(names)
    if decoded.out is not None:
        values = np.concatenate((values, decoded.out.values), axis=1)
        names, units = (*names, *(f"out_{axis}" for axis in decoded.out.names)), (*units, *decoded.out.units)
    steps = np.diff(decoded.t_bin)
    rate_hz = 1.0 / float(np.median(steps)) if len(steps) and np.median(steps) > 0 else 0.0
    yield _numbers(("decoded", "Cursor", rate_hz, names, units, ()), decoded.t_bin, values)
    labels = ("bin", "flags", "model", "late", "lost")
    columns = (decoded.bin, decoded.flags, decoded.model, decoded.late, decoded.lost)
    described = ("decoded-flags", "CursorFlags", 0.0, labels, ("",) * 5, ())
    flags = _numbers(described, decoded.t_bin, np.stack(columns, axis=1).astype(np.int64), "int64")
    yield WrittenStream(flags.stream, flags.time, flags.values, {"models": json.dumps(list(decoded.models))})
