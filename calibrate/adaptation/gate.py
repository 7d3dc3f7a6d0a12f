"""Whether a new model may be deployed: better than what is there, than a filter of today, and than chance.

verdict = judge(new, targets, bin_width_s=0.02, incumbent=before, wiener=filtered)
verdict.deployable, verdict.reason

All are values of the same bins, which neither model has learnt from: the last fifth of today.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtdecode.calibrate.data.metrics import r2
from rtdecode.errors import RtdecodeError

F8 = NDArray[np.float64]

#: Length of the blocks that are drawn: a reach or two, so that one says little of the next.
BLOCK_S = 2.0
FEWEST_BLOCKS = 5
DRAWS = 1000

#: The bound that R² keeps in all but so many of the draws.
LEVEL = 0.05

#: Shifts of behaviour that tell what a model reaches by chance, and the nearest to no shift.
SHIFTS, NEAREST_S = 40, 4.0


@dataclass(frozen=True, eq=False)
class Verdict:
    """What came of the comparison.

    Attributes:
        deployable: whether the new model may replace the incumbent.
        reason: why, or why not, in a line.
        new, incumbent, wiener: R² f8[D] of each; None for one that does not exist.
        bound: what the new model's mean R² is above in all but 5 % of the draws.
        chance: what its mean R² comes to with behaviour of another time, 0 at least.
    """

    deployable: bool
    reason: str
    new: F8
    incumbent: F8 | None
    wiener: F8 | None
    bound: float
    chance: float


def judge(
    new: NDArray[np.floating],
    targets: NDArray[np.floating],
    bin_width_s: float,
    *,
    incumbent: NDArray[np.floating] | None = None,
    wiener: NDArray[np.floating] | None = None,
    seed: int = 0,
) -> Verdict:
    """Compare on held-out bins.

    The new model's mean R² over outputs has to beat both others', and what it keeps in 95 % of draws of
    blocks of time (block bootstrap: Künsch 1989, Ann. Stat. 17) has to be above what it reaches for
    behaviour that is shifted in time, which says nothing of these spikes. So neither a model that
    predicts the mean nor a lucky few seconds pass.

    Args:
        new: f[T, D], decoded by the new model.
        targets: f[T, D]; rows with a NaN do not count. An output that does not vary is left out.
        bin_width_s: seconds.
        incumbent, wiener: f[T, D], decoded by the model in use and by a filter of today; None where there
            is none.
        seed: of the draws.

    Raises:
        RtdecodeError: shapes differ, or too few bins count for a judgement.
    """
    known = np.isfinite(targets).all(axis=1)
    needed_s = FEWEST_BLOCKS * BLOCK_S
    if known.sum() * bin_width_s < needed_s:
        raise RtdecodeError(
            f"{known.sum() * bin_width_s:.1f} s of behaviour to judge by, of {needed_s:g} s at least",
            fix=f"record {needed_s * 5:g} s or more",
        )
    scores = {"new": r2(new, targets)}
    scores |= {
        name: r2(values, targets)
        for name, values in (("incumbent", incumbent), ("wiener", wiener))
        if values is not None
    }
    # By the targets: an output whose values are no numbers has no score either, and has to count.
    varies = np.ptp(targets[known], axis=0) > 0
    if not varies.any():
        raise RtdecodeError("no output varies in the held-out time", fix="record while the subject moves")
    values, truth = (np.asarray(each, np.float64)[known][:, varies] for each in (new, targets))
    bound, chance = -np.inf, 0.0
    if not np.isfinite(values).all():
        deployable, reason = False, "some of what it decodes are no numbers"
    else:
        bound = float(np.quantile(drawn_r2(values, truth, bin_width_s, seed), LEVEL))
        chance = max(0.0, float(np.max(shifted_r2(values, truth, bin_width_s))))
        deployable, reason = _weighed(
            {name: _mean(score[varies]) for name, score in scores.items()}, bound, chance
        )
    return Verdict(
        deployable, reason, scores["new"], scores.get("incumbent"), scores.get("wiener"), bound, chance
    )


def drawn_r2(values: F8, targets: F8, bin_width_s: float, seed: int) -> F8:
    """Mean R² over outputs in each of `DRAWS` draws of as many blocks as there are, f8[DRAWS].

    Args:
        values, targets: f8[T, D], T at least `FEWEST_BLOCKS` blocks.
        bin_width_s: seconds.
        seed: of the draws.
    """
    length = max(1, round(BLOCK_S / bin_width_s))
    n_blocks = len(targets) // length
    rows = slice(0, n_blocks * length)
    # Centred, so that the sum of squares keeps its digits.
    y = (targets - targets.mean(axis=0))[rows].reshape(n_blocks, length, -1)
    error = ((targets - values)[rows] ** 2).reshape(n_blocks, length, -1).sum(axis=1)
    total, squares = y.sum(axis=1), (y**2).sum(axis=1)
    chosen = np.random.default_rng(seed).integers(0, n_blocks, (DRAWS, n_blocks))
    spread = squares[chosen].sum(axis=1) - total[chosen].sum(axis=1) ** 2 / (n_blocks * length)
    ratio = np.divide(error[chosen].sum(axis=1), spread, out=np.full_like(spread, np.inf), where=spread > 0)
    return np.asarray(1.0 - ratio.mean(axis=1))


def shifted_r2(values: F8, targets: F8, bin_width_s: float) -> F8:
    """Mean R² over outputs against targets of another time, f8[SHIFTS]: rolled by evenly spread shifts."""
    nearest = round(NEAREST_S / bin_width_s)
    shifts = np.linspace(nearest, len(targets) - nearest, SHIFTS).round().astype(int)
    return np.array([r2(values, np.roll(targets, shift, axis=0)).mean() for shift in shifts])


def _mean(scores: F8) -> float:
    """Over outputs; of a model that does not decode numbers, less than any other."""
    return float(scores.mean()) if np.isfinite(scores).all() else -np.inf


def _weighed(mean: dict[str, float], bound: float, chance: float) -> tuple[bool, str]:
    new = mean["new"]
    for name, what in (("incumbent", "the model in use"), ("wiener", "a Wiener filter of today")):
        if name in mean and not new > mean[name]:
            return (
                False,
                f"{what} does as well or better: mean R² {mean[name]:.3f}, the new model {new:.3f}",
            )
    if not bound > chance:
        return False, (
            f"not better than chance: mean R² {new:.3f}, {bound:.3f} in 95 % of draws of its blocks, and "
            f"{chance:.3f} with behaviour of another time"
        )
    beaten = " and ".join(
        f"{what} ({mean[name]:.3f})"
        for name, what in (("incumbent", "the model in use"), ("wiener", "a Wiener filter of today"))
        if name in mean
    )
    return True, f"mean R² {new:.3f}" + (f", better than {beaten}" if beaten else "")
