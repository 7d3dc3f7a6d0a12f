"""xds and binnedData of the Miller lab, and other structs of which one field is the time of all others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rtdecode.kernels.arrays import F8
from rtdecode.tools.files.matlab.lazy import Lazy
from rtdecode.tools.files.matlab.parts import (
    Bins,
    attrs_of,
    binned,
    plain_table,
    series,
    spike_times,
    unit_table,
)
from rtdecode.tools.files.matlab.values import number, numbers, structs, texts, vector
from rtdecode.tools.files.recording import BinnedSpikes, Recording, Series, SpikeTimes, TrialTable, UnitTable

#: Names of the field that holds the start of each bin, seconds; of those of spikes in bins, counts first.
FRAMES = ("time_frame", "timeframe", "time", "t", "timestamps")
COUNTS = ("spike_counts", "spikes", "counts", "spikeratedata", "rates", "firing_rates")

#: Fields of spikes that are rates, in Hz.
RATES = ("spikeratedata", "rates", "firing_rates")

#: Names of the columns of a field, in another one.
LABELS = {
    "EMG": "EMG_names",
    "emgdatabin": "emgguide",
    "cursorposbin": "cursorposlabels",
    "forcedatabin": "forcelabels",
    "kin_p": "joint_names",
    "kin_v": "joint_names",
}

#: Fields beside the behaviour by their beginnings: large ones are not even read.
OF_ANOTHER_CLOCK, NOT_BEHAVIOR = "raw_", ("raw_", "trialtable", "smoothed_", "spike")

ATTRS = {"monkey": "subject", "dateTime": "date", "datetime": "date", "task": "task", "taskName": "task"}


def framed(top: Lazy) -> Recording | None:
    """A struct, or a file, with the time of its bins and spikes beside it."""
    candidates = [(name, fields) for name in top.nested for fields in structs(top[name])[:1]]
    for name, fields in [*candidates, ("", top)]:
        frame = next((each for each in FRAMES if each in fields), None)
        time = None if frame is None else vector(fields[frame])
        if time is None or len(time) < 2:
            continue
        spikes, others = _spikes(fields, time)
        if spikes is not None:
            return _recording(name, fields, time, frame or "", spikes, others)
    return None


def _recording(
    name: str,
    fields: Mapping[str, Any],
    time: F8,
    frame: str,
    spikes: SpikeTimes | BinnedSpikes,
    others: list[tuple[str, str]],
) -> Recording:
    found = [
        made
        for field in fields
        if field not in (frame, *COUNTS)
        and not field.startswith(NOT_BEHAVIOR)
        and (made := _series(fields, field, time)) is not None
    ]
    others += [(field, "it has another clock") for field in fields if field.startswith(OF_ANOTHER_CLOCK)]
    others += [(field, "its columns differ from task to task") for field in fields if field == "trialtable"]
    meta = structs(fields.get("meta"))[:1]
    attrs = attrs_of(meta[0], ATTRS) if meta else {}
    return Recording(
        Path(), name or "arrays", (spikes,), tuple(found), _trials(fields), attrs=attrs, others=tuple(others)
    )


def _spikes(
    fields: Mapping[str, Any], time: F8
) -> tuple[SpikeTimes | BinnedSpikes | None, list[tuple[str, str]]]:
    """Times of spikes before counts, counts before rates: they are the same spikes."""
    found: SpikeTimes | BinnedSpikes | None = None
    others = []
    cells = fields.get("spikes")
    if isinstance(cells, np.ndarray) and cells.dtype == object:
        times = [vector(each) for each in cells.ravel("F")]
        if times and all(each is not None for each in times):
            known = [each for each in times if each is not None]
            found = spike_times("spikes", _units(fields, len(times)), known)
    for field in COUNTS:
        values = numbers(fields.get(field))
        if values is None or values.ndim != 2 or len(values) != len(time) or values.shape[1] < 2:
            continue
        if found is not None:
            others.append((field, f"the same spikes as {found.name}, in bins"))
            continue
        width_s = next(
            (w for name in ("bin_width", "bin_size") if name in fields and (w := number(fields[name]))), None
        )
        rates = field in RATES
        bins = Bins(time, values, width_s, "Hz" if rates else "")
        found = binned(field, _units(fields, values.shape[1]), bins)
    return found, others


def _units(fields: Mapping[str, Any], n: int) -> UnitTable:
    """Units by what names them: numbers of electrode and unit, or texts."""
    for name in ("neuronIDs", "unit_guide", "spikeguide_numbers"):
        guide = numbers(fields.get(name))
        if guide is not None and guide.shape == (n, 2):
            return unit_table(guide)
    for name in ("unit_names", "spikeguide", "unit_labels", "chan_names"):
        names = texts(fields.get(name))
        if names is not None and len(names) == n:
            return plain_table(names)
    return plain_table([str(i) for i in range(1, n + 1)])


def _series(fields: Mapping[str, Any], field: str, time: F8) -> Series | None:
    values = numbers(fields[field])
    if values is None or values.ndim != 2 or not values.size:
        return None
    if values.shape[0] != len(time) and values.shape[1] == len(time):
        values = values.T
    if values.shape[0] != len(time):
        return None
    own = f"{field}_names" if f"{field}_names" in fields else LABELS.get(field, "")
    columns = texts(fields.get(own)) or []
    if len(set(columns)) == len(columns) == values.shape[1]:
        return series(field, time, values, columns)
    return series(field, time, values)


def _trials(fields: Mapping[str, Any]) -> tuple[TrialTable, ...]:
    """The trials of xds."""
    ends = [vector(fields.get(name)) for name in ("trial_start_time", "trial_end_time")]
    start, stop = ends
    if start is None or stop is None or len(start) != len(stop):
        return ()
    columns: dict[str, Any] = {}
    for field in fields:
        if not field.startswith("trial_") or field in ("trial_start_time", "trial_end_time"):
            continue
        value = fields[field]
        found, lines = vector(value), texts(value)
        if found is not None and len(found) == len(start):
            columns[field.removeprefix("trial_")] = found
        elif lines is not None and len("".join(lines)) == len(start):
            # One letter a trial: R, A, F, I.
            columns[field.removeprefix("trial_")] = np.array(list("".join(lines)))
        elif lines is not None and len(lines) == len(start):
            columns[field.removeprefix("trial_")] = np.array(lines)
    return (TrialTable("trials", start, stop, columns),)
