"""Kinematic states: what a Kalman filter takes spike counts to be linear in, made from the labels.

A state holds positions and the course of the velocities around the bin. Motor cortex leads the hand by
100 ms and more, each neuron by its own lag: the counts of a bin tell about velocities to come, and a state
that spans them leaves each neuron its own mixture, as Wu et al. (2006) do with one lag for all.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.polynomial.legendre import legvander
from numpy.typing import NDArray
from scipy.signal import oaconvolve


def kinematic_states(
    targets: NDArray[np.float64],
    velocity_of: Mapping[int, int | None],
    ahead: int,
    behind: int,
    n_terms: int,
) -> NDArray[np.float64]:
    """The states of one recording, in any units.

    Args:
        targets: f8[T, D], NaN where unknown.
        velocity_of: for each column that is a position, the column of its velocity; None to take the
            difference quotient of the position.
        ahead: rows after this one that a course covers.
        behind: rows before it.
        n_terms: polynomials per course; fewer where the course has fewer rows.

    Returns:
        f8[T, p], a whole row NaN where any label that it needs is unknown: the positions in order of
        their columns, then for each velocity of a position and each other column its course from `behind`
        rows back to `ahead` rows on, as coefficients of the orthonormal polynomials of degree 0, 1, …
    """
    n_rows = len(targets)
    targets = targets if n_rows else np.full((1, targets.shape[1]), np.nan)
    positions = sorted(velocity_of)
    velocities = [velocity_of[column] for column in positions]
    others = [column for column in range(targets.shape[1]) if column not in {*positions, *velocities}]
    moving = [
        slope(targets[:, position]) if velocity is None else targets[:, velocity]
        for position, velocity in zip(positions, velocities, strict=True)
    ]
    moving += [targets[:, column] for column in others]
    courses = [_course(signal, ahead, behind, n_terms) for signal in moving]
    states = np.concatenate([targets[:, positions], *courses], axis=1)[:n_rows]
    states[~np.isfinite(states).all(axis=1)] = np.nan
    return states


def slope(position: NDArray[np.float64]) -> NDArray[np.float64]:
    """Difference quotient per row f8[T]: central, one-sided beside a NaN, NaN where both neighbours are."""
    step = np.diff(position)
    after, before = np.append(step, np.nan), np.insert(step, 0, np.nan)
    return np.where(np.isnan(after), before, np.where(np.isnan(before), after, (after + before) / 2))


def _course(signal: NDArray[np.float64], ahead: int, behind: int, n_terms: int) -> NDArray[np.float64]:
    """Coefficients f8[T, terms] of the signal from `behind` rows back to `ahead` rows on."""
    n_rows = ahead + behind + 1
    basis, _ = np.linalg.qr(legvander(np.linspace(-1, 1, n_rows), min(n_terms, n_rows) - 1))
    known = np.isfinite(signal)
    padded = np.pad(np.where(known, signal, 0.0), (behind, ahead))[:, np.newaxis]
    course: NDArray[np.float64] = oaconvolve(padded, basis[::-1], mode="valid", axes=0)
    n_known = np.convolve(np.pad(known, (behind, ahead)).astype(np.int64), np.ones(n_rows, np.int64), "valid")
    course[n_known < n_rows] = np.nan
    return course
