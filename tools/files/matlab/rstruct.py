"""The R struct of the Shenoy lab: a struct array of trials, rasters and behaviour at 1 kHz."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.kernels.arrays import F8
from rtdecode.tools.files.matlab.lazy import Lazy
from rtdecode.tools.files.matlab.parts import one_after_another, scalar_columns, series, spike_times
from rtdecode.tools.files.matlab.values import numbers, structs, vector
from rtdecode.tools.files.recording import Recording, Series, SpikeTimes, TrialTable, UnitTable

#: One sample, s.
MS = 1e-3

#: More of either are no raster.
MOST_CHANNELS, MOST_COUNT = 65_535, 20

RASTER = re.compile(r"spikeRaster(\d*)$")


def r_struct(top: Lazy) -> Recording | None:
    """`spikeRaster` [channels, ms], often sparse, and `counter`, the time of each column in ms."""
    for name in top.nested:
        trials = structs(top[name])
        rasters = [field for field in trials[0] if RASTER.match(field)] if trials else []
        if rasters:
            return _recording(name, trials, rasters)
    return None


def _recording(name: str, trials: Sequence[Mapping[str, Any]], rasters: Sequence[str]) -> Recording:
    sparse = [[_sparse(trial[field]) for field in rasters] for trial in trials]
    lengths = [each[0].shape[1] for each in sparse]
    counters = [vector(trial.get("counter")) for trial in trials]
    absolute = all(
        counter is not None and len(counter) == n for counter, n in zip(counters, lengths, strict=True)
    )
    if absolute:
        times = [counter * MS for counter in counters if counter is not None]
    else:
        times = [
            at + np.arange(n) * MS for at, n in zip(one_after_another(lengths, MS), lengths, strict=True)
        ]
    start = np.array([time[0] if len(time) else np.nan for time in times])
    stop = np.array([time[-1] + MS if len(time) else np.nan for time in times])
    observed = _joined(np.stack((start, stop), axis=1))
    notes = (
        ()
        if absolute
        else (
            f"its {len(trials)} trials have no absolute times (counter): they are put one after another, "
            "and what is between is not observed",
        )
    )
    return Recording(
        Path(),
        f"R struct {name}",
        (_spikes(rasters, sparse, times, observed),),
        tuple(_behavior(trials, rasters, times)),
        (_trials(trials, start, stop),),
        observed=observed,
        notes=notes,
    )


def _sparse(value: Any) -> Any:
    from scipy.sparse import csc_array

    if not hasattr(value, "tocsc") and numbers(value) is None:
        raise ValueError("spikeRaster holds no numbers")
    raster = csc_array(value)
    if raster.shape[0] > MOST_CHANNELS or not np.isin(raster.data, np.arange(MOST_COUNT + 1)).all():
        raise ValueError("spikeRaster holds no numbers of spikes in a millisecond")
    return raster


def _joined(intervals: F8) -> F8:
    """Intervals of trials but empty ones; one that follows without a pause is one with that before."""
    intervals = intervals[np.isfinite(intervals[:, 0])]
    if not len(intervals):
        return intervals
    apart = np.flatnonzero(np.abs(intervals[1:, 0] - intervals[:-1, 1]) > MS / 2) + 1
    first, last = np.concatenate(([0], apart)), np.concatenate((apart - 1, [len(intervals) - 1]))
    return np.stack((intervals[first, 0], intervals[last, 1]), axis=1)


def _spikes(rasters: Sequence[str], sparse: Any, times: Sequence[F8], observed: F8) -> SpikeTimes:
    """A row for each channel of each array; a count above 1 is as many spikes."""
    ids: list[str] = []
    arrays: list[str] = []
    rows: list[F8] = []
    several = len(rasters) > 1
    for k in range(len(rasters)):
        n_channels = max(each[k].shape[0] for each in sparse)
        # Columns of a sparse array are in order, and so are the times of a channel.
        found = [each[k].tocoo() for each in sparse]
        n = [raster.data.astype(int) for raster in found]
        channel = np.concatenate([np.repeat(raster.coords[0], m) for raster, m in zip(found, n, strict=True)])
        at = [np.repeat(raster.coords[1], m) for raster, m in zip(found, n, strict=True)]
        time = np.concatenate([of_trial[i] for of_trial, i in zip(times, at, strict=True)])
        order = np.argsort(channel, kind="stable")
        rows += np.split(time[order], np.searchsorted(channel[order], np.arange(1, n_channels)))
        name = f"array {k + 1}"
        arrays += [name] * n_channels if several else []
        ids += [f"{name} {c}" if several else str(c) for c in range(1, n_channels + 1)]
    table = UnitTable(tuple(ids), tuple(ids), arrays=tuple(arrays))
    return spike_times("+".join(rasters), table, rows, observed)


def _behavior(
    trials: Sequence[Mapping[str, Any]], rasters: Sequence[str], times: Sequence[F8]
) -> list[Series]:
    """Fields of up to 16 rows and a column for each millisecond."""
    found = []
    time = np.concatenate(times)
    for field in trials[0]:
        if field in rasters or field == "counter":
            continue
        parts: list[NDArray[np.float64]] = []
        for trial, of_trial in zip(trials, times, strict=True):
            values = numbers(trial.get(field))
            if values is None or values.ndim != 2 or values.shape[1] != len(of_trial) or len(values) > 16:
                break
            parts.append(values.T)
        if (
            len(parts) == len(trials)
            and len({part.shape[1] for part in parts}) == 1
            and len(time) > len(trials)
        ):
            found.append(series(field, time, np.concatenate(parts)))
    return found


def _trials(trials: Sequence[Mapping[str, Any]], start: F8, stop: F8) -> TrialTable:
    names = [name for name in trials[0] if not RASTER.match(name) and name != "counter"]
    columns = scalar_columns(trials, names)
    if "isSuccessful" in columns:
        columns["success"] = columns.pop("isSuccessful")
    targets = [_target(trial) for trial in trials]
    if any(target is not None for target in targets):
        columns["target"] = np.array([target or (np.nan, np.nan) for target in targets])
    return TrialTable("trials", start, stop, columns)


def _target(trial: Mapping[str, Any]) -> tuple[float, float] | None:
    """`posTarget` of the trial or of its parameters."""
    for fields in [trial, *(structs(trial.get("startTrialParams")))]:
        place = vector(fields.get("posTarget"))
        if place is not None and len(place) >= 2:
            return float(place[0]), float(place[1])
    return None
