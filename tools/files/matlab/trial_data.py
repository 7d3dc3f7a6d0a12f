"""TrialData and PyalData: a struct array of trials, spikes and behaviour in bins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rtdecode.kernels.arrays import F8
from rtdecode.tools.files.matlab.lazy import Lazy
from rtdecode.tools.files.matlab.parts import (
    Bins,
    all_different,
    attrs_of,
    binned,
    one_after_another,
    scalar_columns,
    series,
    unit_table,
)
from rtdecode.tools.files.matlab.values import number, numbers, structs, vector
from rtdecode.tools.files.recording import BinnedSpikes, MarkerList, Recording, TrialTable, UnitTable

SPIKES, GUIDE, INDEX = "_spikes", "_unit_guide", "idx_"

#: Bins of sessions that do not state them.
BIN_S = 0.01

ATTRS = {"monkey": "subject", "animal": "subject", "date": "date", "date_time": "date", "task": "task"}


def trial_data(top: Lazy) -> Recording | None:
    """Every trial begins at 0: they are put one after another, apart from each other."""
    for name in top.nested:
        trials = structs(top[name])
        arrays = [field for field in trials[0] if field.endswith(SPIKES)] if trials else []
        if arrays:
            return _recording(trials, arrays)
    return None


def _recording(trials: Sequence[Mapping[str, Any]], arrays: Sequence[str]) -> Recording:
    first = trials[0]
    lengths = [_n_bins(trial, arrays) for trial in trials]
    stated = number(first.get("bin_size"))
    width_s = stated or BIN_S
    start = one_after_another(lengths, width_s)
    stamp = np.concatenate([at + np.arange(n) * width_s for at, n in zip(start, lengths, strict=True)])
    stop = start + np.array(lengths) * width_s
    observed = np.stack((start, stop), axis=1)
    spikes = _spikes(trials, arrays, Bins(stamp, np.zeros((0, 0)), width_s, observed=observed))
    behaviour, scalars = [], []
    for field in first:
        if field in arrays or field.endswith(GUIDE) or field.startswith(INDEX):
            continue
        if (values := _joined(trials, field, lengths)) is not None:
            behaviour.append(series(field, stamp, values))
        else:
            scalars.append(field)
    columns = scalar_columns(trials, scalars)
    notes = [
        f"its {len(trials)} trials have no absolute times: they are put one after another, "
        f"{start[1] - stop[0]:g} s apart, and what is between is not observed"
        if len(trials) > 1
        else "its trial has no absolute time: it starts at 0"
    ]
    if stated is None:
        notes.append(f"it does not state its bins (bin_size): they are taken to be {width_s * 1e3:g} ms")
    return Recording(
        Path(),
        "TrialData",
        (spikes,),
        tuple(behaviour),
        (TrialTable("trials", start, stop, columns),),
        _markers(trials, start, width_s),
        observed,
        attrs_of(first, ATTRS),
        tuple(notes),
        tuple(
            (field, "it has no row for each bin of each trial") for field in scalars if field not in columns
        ),
    )


def _n_bins(trial: Mapping[str, Any], arrays: Sequence[str]) -> int:
    found = [numbers(trial[array]) for array in arrays]
    return max((len(values) for values in found if values is not None and values.size), default=0)


def _spikes(trials: Sequence[Mapping[str, Any]], arrays: Sequence[str], bins: Bins) -> BinnedSpikes:
    """All arrays side by side."""
    tables, values = [], []
    lengths = [_n_bins(trial, arrays) for trial in trials]
    for field in arrays:
        joined = _joined(trials, field, lengths)
        if joined is None:
            raise ValueError(f"{field} has another number of units or bins in some trials")
        name = field.removesuffix(SPIKES)
        guide_field = f"{name}{GUIDE}"
        guide = numbers(trials[0][guide_field]) if guide_field in trials[0] else None
        if guide is None or guide.shape != (joined.shape[1], 2):
            guide = np.stack((np.arange(1, joined.shape[1] + 1), np.zeros(joined.shape[1])), axis=1)
        tables.append(unit_table(guide, name))
        values.append(joined)
    table = UnitTable(
        all_different([each for table in tables for each in table.ids]),
        tuple(each for table in tables for each in table.electrodes),
        np.concatenate([np.zeros(len(t.ids), np.int64) if t.numbers is None else t.numbers for t in tables]),
        tuple(each for table in tables for each in table.arrays) if len(arrays) > 1 else (),
    )
    return binned("+".join(arrays), table, bins._replace(values=np.concatenate(values, axis=1)))


def _joined(trials: Sequence[Mapping[str, Any]], field: str, lengths: Sequence[int]) -> F8 | None:
    """A field that has a row for each bin of each trial; None where it has not."""
    parts, d = [], 0
    for trial, n in zip(trials, lengths, strict=True):
        values = numbers(trial.get(field))
        if values is None or values.ndim != 2 or (n and len(values) != n):
            return None
        if n:
            parts.append(values)
            d = d or values.shape[1]
            if values.shape[1] != d:
                return None
    # One number in every trial is a fact about it.
    return np.concatenate(parts) if parts and d and max(lengths) > 1 else None


def _markers(trials: Sequence[Mapping[str, Any]], start: F8, width_s: float) -> tuple[MarkerList, ...]:
    """What happened in which bin, counted from 1; NaN and nothing where it did not."""
    happened: list[tuple[float, str]] = []
    for field in [name for name in trials[0] if name.startswith(INDEX)]:
        for trial, at in zip(trials, start.tolist(), strict=True):
            bins = vector(trial.get(field))
            if bins is not None:
                event = field.removeprefix(INDEX)
                happened += [(at + (b - 1) * width_s, event) for b in bins.tolist() if b >= 1]
    happened.sort(key=lambda each: each[0])
    time, text = [at for at, _ in happened], tuple(event for _, event in happened)
    return (MarkerList("idx", np.array(time, np.float64), text),) if happened else ()
