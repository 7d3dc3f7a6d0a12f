"""The parts of a session as containers of pynwb."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.messages import Flag
from rtdecode.session.layout import Behavior, Counts, Decoded, Events, Features, Markers, Trials
from rtdecode.tools.files.nwb.marks import mark

#: Axes by which a column is a place, and the most that a place has.
_AXES, _MOST_AXES = "xyz", 3

#: How NWB's inspector wants the units of places.
_LONG_UNITS = {"mm": "millimeters", "cm": "centimeters", "m": "meters", "px": "pixels", "um": "micrometers"}

#: Names that NWB's table of trials has for itself.
_TAKEN = ("id", "start_time", "stop_time", "tags", "timeseries")

#: An array from this size on is compressed.
_LARGE = 1 << 16


def units(
    pynwb: Any,
    file: Any,
    events: Events,
    electrodes: NDArray[np.int64],
    observed: NDArray[np.float64] | None,
) -> Any:
    """The events: a row for each channel, or for each unit of a channel, those without spikes too.

    Args:
        pynwb: the module.
        file: with the table of electrodes.
        events: of the session.
        electrodes: i8[n_channels], the row of each channel's electrode.
        observed: f8[k, 2], intervals in which all were recorded; None for all time.
    """
    numbers = np.zeros(len(events.time), np.int64) if events.unit is None else events.unit.astype(np.int64)
    silent = np.setdiff1d(np.arange(len(electrodes)), events.channel)
    key = events.channel.astype(np.int64) << 16 | numbers
    rows = np.unique(np.concatenate((key, silent << 16)))
    order = np.argsort(key, kind="stable")
    stops = np.searchsorted(key[order], rows, side="right")
    channel, core = rows >> 16, pynwb.core
    times = core.VectorData(
        name="spike_times", description="seconds", data=_stored(pynwb, events.time[order])
    )
    electrode = core.DynamicTableRegion(
        name="electrodes", description="of the channel", data=electrodes[channel], table=file.electrodes
    )
    columns = [
        core.VectorIndex(name="spike_times_index", data=stops, target=times),
        times,
        core.VectorIndex(name="electrodes_index", data=np.arange(1, len(rows) + 1), target=electrode),
        electrode,
        core.VectorData(name="channel", description="of the session, from 0", data=channel),
    ]
    if observed is not None:
        seen = core.VectorData(
            name="obs_intervals", description="of the array", data=np.tile(observed, (len(rows), 1))
        )
        stop = np.arange(1, len(rows) + 1) * len(observed)
        columns += [core.VectorIndex(name="obs_intervals_index", data=stop, target=seen), seen]
    if events.unit is not None:
        columns.append(
            core.VectorData(name="unit", description="on its channel, 0 for unsorted", data=rows & 0xFFFF)
        )
    return pynwb.misc.Units(
        name="units", description="spikes by channel and unit", columns=columns, id=np.arange(len(rows))
    )


def counts(pynwb: Any, recorded: Counts, electrodes: NDArray[np.int64]) -> Any:
    """The counts, marked so that they are found again as they were; `electrodes` as of `units`."""
    regular = recorded.end is None
    stamps = "start" if regular else "end"
    return pynwb.TimeSeries(
        name="binned_spikes",
        description=f"spikes in bins of {recorded.bin_width_s:g} s by channel, stamps are bin {stamps}s",
        comments=mark(
            "counts",
            bin_width_s=recorded.bin_width_s,
            t0_s=recorded.t0_s,
            stamps=stamps,
            announced_width_s=recorded.announced_width_s,
            electrodes=electrodes.tolist(),
        ),
        data=_stored(pynwb, recorded.values),
        unit="count",
        **(
            {"starting_time": recorded.t0_s, "rate": 1 / recorded.bin_width_s}
            if regular
            else {"timestamps": recorded.end}
        ),
    )


def behavior(pynwb: Any, moved: Behavior) -> list[Any]:
    """A series for each stretch of columns of one unit: places in a Position, all others together."""
    position, others = pynwb.behavior.Position(), pynwb.behavior.BehavioralTimeSeries()
    first = None
    for unit, columns in groupby(range(len(moved.names)), key=moved.units.__getitem__):
        at = list(columns)
        names = [moved.names[each] for each in at]
        values = moved.values[:, at] if len(at) > 1 else moved.values[:, at[0]]
        series = {
            "name": _series_name(names, at),
            "description": f"columns=[{', '.join(names)}]",
            "comments": mark("behavior", names=names, units=[unit] * len(at), at=at),
            "data": _stored(pynwb, values),
            "unit": unit or "unknown",
            "timestamps": first or _stored(pynwb, moved.time),
        }
        if len(at) <= _MOST_AXES and "/" not in unit and all(_axis(name) for name in names):
            series["unit"] = _LONG_UNITS.get(unit, series["unit"])
            made = pynwb.behavior.SpatialSeries(reference_frame="unknown", **series)
            position.add_spatial_series(made)
        else:
            made = pynwb.TimeSeries(**series)
            others.add_timeseries(made)
        first = first or made
    return [
        each for each, held in ((position, position.spatial_series), (others, others.time_series)) if held
    ]


def features(pynwb: Any, recorded: Features) -> Any:
    """The features, all columns in one series."""
    unit = set(recorded.units)
    return pynwb.TimeSeries(
        name="features",
        description=f"columns=[{', '.join(recorded.names)}] over {recorded.period_s:g} s before each time",
        comments=mark(
            "features",
            names=recorded.names,
            units=recorded.units,
            kinds=recorded.kinds,
            at=list(range(len(recorded.names))),
            period_s=recorded.period_s,
            announced_period_s=recorded.announced_period_s,
        ),
        data=_stored(pynwb, recorded.values),
        unit=unit.pop() or "unknown" if len(unit) == 1 else "see comments",
        timestamps=_stored(pynwb, recorded.time),
    )


def intervals(pynwb: Any, name: str, recorded: Trials) -> Any:
    """A table of intervals, as trials are, with all of their columns."""
    core, others = pynwb.core, dict(recorded.columns)
    columns = [
        core.VectorData(name="start_time", description="seconds", data=recorded.start),
        core.VectorData(name="stop_time", description="seconds", data=recorded.stop),
    ]
    own = others.get("id")
    ids = others.pop("id") if own is not None and own.dtype.kind in "iu" else np.arange(len(recorded.start))
    for column, values in others.items():
        data = values.tolist() if values.dtype.kind == "U" else values
        place = nwb_name(f"{column}_" if column in _TAKEN else column)
        columns.append(core.VectorData(name=place, description=f"{column} of the interval", data=data))
    return pynwb.epoch.TimeIntervals(name=name, description=f"{name} of the session", columns=columns, id=ids)


def markers(pynwb: Any, recorded: Markers) -> Any:
    """The markers with the text of each."""
    return pynwb.misc.AnnotationSeries(
        name="markers",
        description="events of the task",
        data=list(recorded.text),
        timestamps=recorded.time,
    )


def decoded(pynwb: Any, done: Decoded) -> Iterator[Any]:
    """What was decoded, its flags, and the model of each bin; times are those of the bins' ends."""
    names = done.names or tuple(f"value_{column}" for column in range(done.values.shape[1]))
    flags = ", ".join(f"{flag.value} {flag.name}" for flag in Flag)
    models = ", ".join(f"{number} {model}" for number, model in enumerate(done.models))
    parts: list[tuple[str, str, Sequence[str], NDArray[Any]]] = [
        ("decoded", f"columns=[{', '.join(names)}], as published", names, done.values),
        ("flags", f"sum of {flags}", ("flags",), done.flags),
        ("model", f"by which a bin was decoded: {models}", ("model",), done.model),
        ("bin", "number of the bin since the stream began", ("bin",), done.bin),
        ("late", "events that came too late for their bin", ("late",), done.late),
        ("lost", "events that never came", ("lost",), done.lost),
    ]
    if done.out is not None:
        axes = tuple(f"out_{name}" for name in done.out.names)
        parts.append(("out", f"columns=[{', '.join(axes)}] of the output stage", axes, done.out.values))
    first, at = None, 0
    for name, description, columns, values in parts:
        series = pynwb.TimeSeries(
            name=name,
            description=description,
            comments=mark(
                "decoded",
                names=columns,
                at=list(range(at, at + len(columns))),
                **({"models": done.models, "origin_s": done.origin_s} if name == "model" else {}),
            ),
            data=_stored(pynwb, values),
            unit="unknown" if name in ("decoded", "out") else "n/a",
            timestamps=first or _stored(pynwb, done.t_bin),
        )
        first, at = first or series, at + len(columns)
        yield series


def _axis(name: str) -> bool:
    return name in _AXES or (len(name) > 2 and name[-2] == "_" and name[-1] in _AXES)


def _series_name(names: Sequence[str], at: Sequence[int]) -> str:
    name = "_".join(names) if len(names) <= _MOST_AXES else f"{names[0]}_to_{names[-1]}"
    # What NWB cannot name as it is has the number of its first column, so that no two are called alike.
    return name if name and name == nwb_name(name) else f"{nwb_name(name)}_{at[0]}"


def nwb_name(name: str) -> str:
    """A name without the characters that NWB has for paths."""
    return name.replace("/", "_").replace(":", "_")


def _stored(pynwb: Any, values: NDArray[Any]) -> Any:
    """Compressed, if that is worth it."""
    if values.nbytes < _LARGE:
        return values
    return pynwb.H5DataIO(values, compression="gzip", compression_opts=1, shuffle=True)
