"""How well decoded values follow behaviour: R² and Pearson's correlation, per output."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.session.bins import behavior_at
from rtdecode.session.layout import Behavior


def r2(values: NDArray[np.floating], targets: NDArray[np.floating]) -> NDArray[np.float64]:
    """1 − SSE/SST for each output; 1 is perfect, 0 no better than the targets' mean.

    Args:
        values: f[T, D], decoded.
        targets: f[T, D]; rows with a NaN do not count.

    Returns:
        f8[D]; NaN where the targets do not vary or fewer than two rows count.

    Raises:
        RtdecodeError: the shapes differ.
    """
    values, targets = _known_rows(values, targets)
    if targets.shape[1] < 2:
        return np.full(len(targets), np.nan)
    error = ((targets - values) ** 2).sum(axis=1)
    return _unless_constant(1.0 - _ratio(error, _spread(targets)), targets)


def pcc(values: NDArray[np.floating], targets: NDArray[np.floating]) -> NDArray[np.float64]:
    """Pearson's correlation coefficient for each output.

    Args:
        values: f[T, D], decoded.
        targets: f[T, D]; rows with a NaN do not count.

    Returns:
        f8[D]; NaN where the values or the targets do not vary or fewer than two rows count.

    Raises:
        RtdecodeError: the shapes differ.
    """
    values, targets = _known_rows(values, targets)
    if targets.shape[1] < 2:
        return np.full(len(targets), np.nan)
    shared = (_centred(values) * _centred(targets)).sum(axis=1)
    score = _ratio(shared, np.sqrt(_spread(values) * _spread(targets)))
    return _unless_constant(_unless_constant(np.clip(score, -1.0, 1.0), targets), values)


def score_decoded(
    t_bin: NDArray[np.float64],
    values: NDArray[np.float32],
    names: Sequence[str],
    behavior: Behavior,
    mask: NDArray[np.bool_] | None = None,
) -> tuple[list[float | None], list[float | None]]:
    """R² and correlation of decoded values against a session's behaviour; columns meet by name.

    Args:
        t_bin: f8[T], ends of the bins, seconds on the session's clock.
        values: f4[T, D], decoded.
        names: of the D outputs.
        behavior: of the session.
        mask: bool[T], the bins that count; None for all.

    Returns:
        (r2, pcc), each with one number per output; None for an output that the behaviour does not have,
        or that has no score (see `r2`).

    Raises:
        RtdecodeError: the shapes differ.
    """
    if values.ndim != 2 or values.shape != (len(t_bin), len(names)):
        raise RtdecodeError(
            f"decoded values of shape {list(values.shape)} for {len(t_bin)} bins and {len(names)} outputs"
        )
    recorded = behavior_at(behavior, t_bin)
    targets = np.full(values.shape, np.nan)
    for column, name in enumerate(names):
        if name in behavior.names:
            targets[:, column] = recorded[:, behavior.names.index(name)]
    if mask is not None:
        values, targets = values[mask], targets[mask]
    columns = [slice(column, column + 1) for column in range(len(names))]
    return (
        nullable(r2(values[:, column], targets[:, column])[0] for column in columns),
        nullable(pcc(values[:, column], targets[:, column])[0] for column in columns),
    )


def nullable(scores: Iterable[float]) -> list[float | None]:
    """Scores as JSON has them: None for NaN."""
    return [float(score) if np.isfinite(score) else None for score in scores]


def _known_rows(
    values: NDArray[np.floating], targets: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both as f8[D, rows with all targets].

    One output after another in memory, so that its score has the same bits whatever stands beside it.
    """
    if values.ndim != 2 or values.shape != targets.shape:
        raise RtdecodeError(
            f"decoded values of shape {list(values.shape)} and targets of shape {list(targets.shape)}; "
            "both must be [bins, outputs]"
        )
    known = ~np.isnan(targets).any(axis=1)
    return (
        np.ascontiguousarray(values[known].T, dtype=np.float64),
        np.ascontiguousarray(targets[known].T, dtype=np.float64),
    )


def _centred(outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(outputs - outputs.mean(axis=1, keepdims=True))


def _spread(outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((_centred(outputs) ** 2).sum(axis=1))


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)


def _unless_constant(score: NDArray[np.float64], outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    # The spread of a constant output is not always 0: its mean may be rounded.
    return np.where((outputs == outputs[:, :1]).all(axis=1), np.nan, score)
