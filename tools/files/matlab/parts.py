"""Parts of a `Recording` from arrays in memory, and trials without absolute times one after another."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtdecode.kernels.arrays import F8
from rtdecode.tools.files.matlab.values import number, numbers, texts
from rtdecode.tools.files.recording import BinnedSpikes, Rows, Series, SpikeTimes, UnitTable

#: Trials are this far apart, s, or so many bins: no label is interpolated, and no history reaches, across it.
APART_S, APART_BINS = 1.0, 20

#: Names of up to three columns of a position and of a velocity, and names of fields that are one, or the
#: signals of electrodes.
AXES = ("x", "y", "z")
POSITION, VELOCITY = re.compile(r"pos|_p$", re.I), re.compile(r"vel|_v$", re.I)
SIGNAL = re.compile(r"lfp|ecog|sbp", re.I)


def spike_times(name: str, units: UnitTable, times: Sequence[F8], observed: F8 | None = None) -> SpikeTimes:
    """Spikes of units, times f8[n] of each."""

    def read(rows: Rows) -> tuple[F8, NDArray[np.uint32]]:
        kept = [np.zeros(0), *(times[row] for row in rows.tolist())]
        row = np.repeat(rows.astype(np.uint32), [len(each) for each in kept[1:]])
        return np.concatenate(kept), row

    return SpikeTimes(name, units, sum(map(len, times)), read, observed)


class Bins(NamedTuple):
    """Spikes in bins.

    Attributes:
        stamp: f8[T], start of each, seconds.
        values: [T, n].
        width_s: None where only the stamps tell.
        unit: "Hz" where the values are rates.
        observed: f8[k, 2] or None.
    """

    stamp: F8
    values: NDArray[Any]
    width_s: float | None
    unit: str = ""
    observed: F8 | None = None


def binned(name: str, units: UnitTable, bins: Bins) -> BinnedSpikes:
    """Spikes in bins, stamped at their start."""

    def read(columns: Rows) -> tuple[F8, F8]:
        return bins.stamp, bins.values[:, columns].astype(np.float64)

    n_bins = len(bins.stamp)
    return BinnedSpikes(name, units, n_bins, bins.width_s, "start", read, bins.observed, bins.unit)


def series(
    name: str, time: F8, values: F8, columns: Sequence[str] = (), units: Sequence[str] = (), clock: str = "t"
) -> Series:
    """Samples f8[T, d] at these times; columns without names are called by what the series' name says."""
    d = values.shape[1]
    note = "" if len(time) and np.isfinite(values).any() else "every sample is NaN"
    step_s = float(np.median(np.diff(time))) if len(time) > 1 else math.nan
    return Series(
        name,
        tuple(columns) if len(columns) == d else _column_names(name, d),
        tuple(units) if len(units) == d else ("",) * d,
        len(time),
        1.0 / step_s if step_s > 0 else None,
        "signal" if SIGNAL.search(name) else "behavior",
        lambda: (time, values),
        note,
        clock,
    )


def _column_names(name: str, d: int) -> tuple[str, ...]:
    """x, y, z of a position, vx, vy, vz of a velocity, else the name with a number."""
    if d <= len(AXES) and (VELOCITY.search(name) or POSITION.search(name)):
        return tuple(f"v{axis}" if VELOCITY.search(name) else axis for axis in AXES[:d])
    return (name,) if d == 1 else tuple(f"{name}_{i}" for i in range(d))


def unit_table(guide: NDArray[Any], array: str = "") -> UnitTable:
    """Units by their electrode and number, [n, 2]."""
    pairs = [(int(electrode), int(unit)) for electrode, unit in guide]
    before = f"{array} " if array else ""
    ids = [f"{before}{electrode}.{unit}" for electrode, unit in pairs]
    electrodes = tuple(str(electrode) for electrode, _ in pairs)
    number_of = np.array([unit for _, unit in pairs], np.int64)
    return UnitTable(
        all_different(ids),
        electrodes,
        number_of if number_of.any() else None,
        (array,) * len(pairs) if array else (),
    )


def plain_table(labels: Sequence[str]) -> UnitTable:
    """Units of which the file says no more than a name."""
    return UnitTable(all_different(labels), ("",) * len(labels))


def all_different(names: Sequence[str]) -> tuple[str, ...]:
    """The names, with a number behind those that were there before."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name} #{seen[name]}")
    return tuple(found)


def one_after_another(lengths: Sequence[int], width_s: float) -> F8:
    """Start of each trial, seconds: with a gap after each, in whole bins."""
    gap = max(math.ceil(APART_S / width_s), APART_BINS)
    ends = np.cumsum(np.asarray(lengths, np.int64) + gap)
    return np.concatenate(([0], ends[:-1])) * width_s if len(lengths) else np.zeros(0)


def scalar_columns(trials: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Columns of a table of trials: fields that are one number, a pair of them, or one text in each trial."""
    columns: dict[str, NDArray[Any]] = {}
    for name in names:
        values = [trial[name] for trial in trials]
        plain = [number(value) if np.size(value) else math.nan for value in values]
        pairs = [numbers(value) for value in values]
        if all(value is not None for value in plain):
            columns[name] = np.array(plain, np.float64)
        elif all(pair is not None and pair.size in (0, 2) for pair in pairs) and len(trials) > 0:
            columns[name] = np.array(
                [np.ravel(p) if p is not None and p.size else (math.nan,) * 2 for p in pairs]
            )
        elif all((lines := texts(value)) is not None and len(lines) <= 1 for value in values):
            columns[name] = np.array(["".join(texts(value) or []) for value in values], np.str_)
    return columns


def attrs_of(fields: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    """Attributes from fields that are texts; `names` from field to attribute."""
    found = {}
    for name, attribute in names.items():
        lines = texts(fields.get(name))
        if lines:
            found[attribute] = " ".join(lines)
    return found
