"""Scores: R² and Pearson's correlation of decoded values, firing fractions of simulated spikes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import F4, F8, U1, Mask
from rtdecode.session.bins import behavior_at
from rtdecode.session.layout import Behavior


def r2(values: NDArray[np.floating], targets: NDArray[np.floating]) -> F8:
    """1 − SSE/SST for each output; 1 is perfect, 0 no better than the targets' mean.

    Args:
        values: f[T, D], decoded.
        targets: f[T, D]; NaN is ignored, for each output by itself.

    Returns:
        f8[D]; NaN where the targets do not vary or fewer than two are known.

    Raises:
        RtdecodeError: the shapes differ.
    """
    return _of_each(_r2, values, targets)


def pcc(values: NDArray[np.floating], targets: NDArray[np.floating]) -> F8:
    """Pearson's correlation coefficient for each output; arguments and errors as of `r2`.

    Returns:
        f8[D]; NaN where the values or the targets do not vary or fewer than two targets are known.
    """
    return _of_each(_pcc, values, targets)


def mean_scores(scores: Sequence[F8]) -> F8:
    """Mean f8[D] of scores f8[D], over those that are finite; NaN where none is."""
    stacked = np.stack(scores)
    finite = np.isfinite(stacked)
    total = np.where(finite, stacked, 0.0).sum(axis=0)
    mean = np.full(total.shape, np.nan)
    np.divide(total, finite.sum(axis=0), out=mean, where=finite.any(axis=0))
    return mean


def varies(targets: NDArray[np.floating]) -> Mask:
    """bool[D], whether the known values of each output in f[T, D] differ."""
    highest, lowest = np.fmax.reduce(targets, initial=-np.inf), np.fmin.reduce(targets, initial=np.inf)
    return np.asarray(highest > lowest)


def _r2(values: F8, targets: F8) -> F8:
    error = ((targets - values) ** 2).sum(axis=1)
    return _unless_constant(1.0 - _ratio(error, _sum_of_squares(targets)), targets)


def _pcc(values: F8, targets: F8) -> F8:
    shared = (_centred(values) * _centred(targets)).sum(axis=1)
    score = _ratio(shared, np.sqrt(_sum_of_squares(values) * _sum_of_squares(targets)))
    return _unless_constant(_unless_constant(np.clip(score, -1.0, 1.0), targets), values)


def score_decoded(
    t_bin: F8, values: F4, names: Sequence[str], behavior: Behavior, mask: Mask | None = None
) -> tuple[list[float | None], list[float | None]]:
    """R² and correlation of decoded values against a session's behaviour; columns are matched by name.

    Args:
        t_bin: f8[T], ends of the bins, seconds on the session's clock.
        values: f4[T, D], decoded.
        names: of the D outputs.
        behavior: of the session.
        mask: bool[T], the bins that are scored; None for all.

    Returns:
        (r2, pcc), each with one number per output; None for an output that the behaviour does not have,
        or that has no score (see `r2`).

    Raises:
        RtdecodeError: the shapes differ.
    """
    if values.ndim != 2 or values.shape != (len(t_bin), len(names)):
        raise RtdecodeError(
            f"decoded values have the shape {list(values.shape)}, not [{len(t_bin)}, {len(names)}]",
            fix="pass one row for each bin and one column for each output",
        )
    recorded = behavior_at(behavior, t_bin)
    targets = np.full(values.shape, np.nan)
    for column, name in enumerate(names):
        if name in behavior.names:
            targets[:, column] = recorded[:, behavior.names.index(name)]
    if mask is not None:
        values, targets = values[mask], targets[mask]
    return nullable(r2(values, targets)), nullable(pcc(values, targets))


def nullable(scores: Iterable[float]) -> list[float | None]:
    """Scores as JSON has them: None for NaN."""
    return [float(score) if np.isfinite(score) else None for score in scores]


def sample_counts(rates: NDArray[np.floating[Any]], seed: int, count_max: int = 255) -> U1:
    """Spikes drawn from rates: independent Poisson counts.

    Args:
        rates: f[T, C], spikes per bin, 0 or more.
        seed: random seed; the same rates and seed give the same counts.
        count_max: larger draws are clipped to it, up to 255.

    Returns:
        u1[T, C].
    """
    drawn = np.random.default_rng(seed).poisson(rates.astype(np.float64))
    return np.minimum(drawn, count_max).astype(np.uint8)


def firing_fraction(counts: NDArray[np.integer[Any]]) -> F8:
    """Fraction of the bins in which each channel fired, f8[C]: the paper's equation 20.

    Args:
        counts: [T, C], spikes per bin, of one bin or more.
    """
    fraction: F8 = (counts >= 1).mean(axis=0, dtype=np.float64)
    return fraction


def _of_each(
    score: Callable[[F8, F8], F8], values: NDArray[np.floating], targets: NDArray[np.floating]
) -> F8:
    """The score of each output over the rows in which it is known.

    Contiguous, so that a score has the same bits whichever other outputs there are.
    """
    if values.ndim != 2 or values.shape != targets.shape:
        raise RtdecodeError(
            f"decoded values and targets have the shapes {list(values.shape)} and {list(targets.shape)}; "
            "both must be [bins, outputs]",
            fix="pass arrays of the same two-dimensional shape",
        )
    scores = np.full(targets.shape[1], np.nan)
    for i, known in enumerate(~np.isnan(targets).T):
        if known.sum() >= 2:
            pair = (each[known, i].astype(np.float64)[np.newaxis] for each in (values, targets))
            scores[i] = score(*pair)[0]
    return scores


def _centred(outputs: F8) -> F8:
    return np.asarray(outputs - outputs.mean(axis=1, keepdims=True))


def _sum_of_squares(outputs: F8) -> F8:
    return np.asarray((_centred(outputs) ** 2).sum(axis=1))


def _ratio(part: F8, whole: F8) -> F8:
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)


def _unless_constant(score: F8, outputs: F8) -> F8:
    # The sum of squares of a constant output is not always 0: its mean may be rounded.
    return np.where((outputs == outputs[:, :1]).all(axis=1), np.nan, score)
