"""Kinematic states, in which a Kalman filter assumes spike counts to be linear, computed from the labels.

A state holds positions and lagged velocities around the bin. Motor cortex leads the hand by 100 ms and more,
each neuron by its own lag: the counts of a bin carry information about later velocities, and with a state
that spans them each neuron can have its own lag, where Wu et al. (2006) use one lag for all.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.polynomial.legendre import legvander
from scipy.signal import oaconvolve

from rtdecode.kernels.arrays import F8


def kinematic_states(
    targets: F8, velocity_of: Mapping[int, int | None], ahead: int, behind: int, n_terms: int
) -> F8:
    """The states of one recording, in any units.

    Args:
        targets: f8[T, D], NaN where missing.
        velocity_of: for each column that is a position, the column of its velocity; None to use the
            difference quotient of the position.
        ahead: rows after this one that the lagged velocities cover.
        behind: rows before it.
        n_terms: polynomials per velocity; fewer if fewer rows are covered.

    Returns:
        f8[T, p], a whole row NaN where any label that it needs is missing: the positions in order of
        their columns, then for each velocity of a position and each other column its values from `behind`
        rows before to `ahead` rows after, as coefficients of the orthonormal polynomials of degree 0, 1, …
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
    lagged = [_lagged(signal, ahead, behind, n_terms) for signal in moving]
    states = np.concatenate([targets[:, positions], *lagged], axis=1)[:n_rows]
    states[~np.isfinite(states).all(axis=1)] = np.nan
    return states


def slope(position: F8) -> F8:
    """Difference quotient per row f8[T]: central, one-sided next to a NaN, NaN between two."""
    step = np.diff(position)
    after, before = np.append(step, np.nan), np.insert(step, 0, np.nan)
    return np.where(np.isnan(after), before, np.where(np.isnan(before), after, (after + before) / 2))


def _lagged(signal: F8, ahead: int, behind: int, n_terms: int) -> F8:
    """Coefficients f8[T, terms] of the signal from `behind` rows before to `ahead` rows after."""
    n_rows = ahead + behind + 1
    basis, _ = np.linalg.qr(legvander(np.linspace(-1, 1, n_rows), min(n_terms, n_rows) - 1))
    labelled = np.isfinite(signal)
    padded = np.pad(np.where(labelled, signal, 0.0), (behind, ahead))[:, np.newaxis]
    coefficients: F8 = oaconvolve(padded, basis[::-1], mode="valid", axes=0)
    n_labelled = np.convolve(
        np.pad(labelled, (behind, ahead)).astype(np.int64), np.ones(n_rows, np.int64), "valid"
    )
    coefficients[n_labelled < n_rows] = np.nan
    return coefficients
