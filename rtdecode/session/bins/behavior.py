"""Behaviour between its samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtdecode.session.layout import Behavior

HOLE_S, HOLE_INTERVALS = 0.5, 3.0


def behavior_at(behavior: Behavior, t: NDArray[np.float64]) -> NDArray[np.float32]:
    """Behaviour at times t [T], linearly interpolated: f4[T, d].

    NaN outside [time[0], time[-1]] and inside a hole: where the two samples around t are further apart than
    0.5 s and than 3 median sample intervals. A t equal to a sample's time gives that sample. A sample whose
    value is NaN in one column is missing for this column alone.
    """
    time, values = behavior.time, behavior.values
    known = ~np.isnan(values)
    whole = known.all(axis=0)
    out = np.full((len(t), values.shape[1]), np.nan, dtype=np.float32)
    out[:, whole] = _between_samples(time, values[:, whole], t)
    for column in np.flatnonzero(~whole):
        rows = known[:, column]
        out[:, [column]] = _between_samples(time[rows], values[rows][:, [column]], t)
    return out


def _between_samples(
    time: NDArray[np.float64], values: NDArray[np.float32], t: NDArray[np.float64]
) -> NDArray[np.float32]:
    out = np.full((len(t), values.shape[1]), np.nan, dtype=np.float32)
    if time.size == 0:
        return out
    before = np.searchsorted(time, t, side="right") - 1
    on_sample = (before >= 0) & (time[np.maximum(before, 0)] == t)
    out[on_sample] = values[before[on_sample]]
    if time.size == 1:
        return out
    interval = np.diff(time)
    hole_s = max(HOLE_S, HOLE_INTERVALS * float(np.median(interval)))
    between = (before >= 0) & (before < time.size - 1) & ~on_sample
    between[between] = interval[before[between]] <= hole_s
    left = before[between]
    part = ((t[between] - time[left]) / interval[left])[:, np.newaxis]
    low, high = values[left].astype(np.float64), values[left + 1].astype(np.float64)
    out[between] = low + (high - low) * part
    return out
