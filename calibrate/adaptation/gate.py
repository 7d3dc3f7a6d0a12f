"""Whether a new model may be deployed: better than the incumbent, a same-day Wiener filter, and chance.

verdict = judge(new, targets, bin_width_s=0.02, incumbent=before, wiener=filtered)
verdict.deployable, verdict.reason

All are values of the same bins, which no model was trained on: the test part, the last fifth of the session.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtdecode.calibrate.data.metrics import r2, varies
from rtdecode.calibrate.data.splits import is_labelled
from rtdecode.errors import RtdecodeError

F8 = NDArray[np.float64]

#: Length of the bootstrap's blocks: a reach or two, so that they are nearly independent.
BLOCK_S = 2.0
MIN_BLOCKS = 5

#: Labels that an output needs to be judged.
NEEDED_S = MIN_BLOCKS * BLOCK_S
N_RESAMPLES = 1000

#: Quantile of the bootstrap distribution that is the lower bound of R².
LEVEL = 0.05

#: Number of circular shifts of behaviour that give the chance level, and the smallest.
N_SHIFTS, MIN_SHIFT_S = 40, 4.0

_RIVALS = {"incumbent": "the model in use", "wiener": "a same-day Wiener filter"}


@dataclass(frozen=True, eq=False)
class Verdict:
    """The result of the comparison.

    Attributes:
        deployable: whether the new model may replace the incumbent.
        reason: why it may or may not, in one line.
        new, incumbent, wiener: R² f8[D] of each; None for one that does not exist.
        bound: 5 % quantile of the new model's mean R² over bootstrap resamples.
        chance: its largest mean R² against circularly shifted behaviour, 0 at least.
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
    """Compare models on test bins.

    The new model's mean R² over outputs has to beat both others', and its lower bound in a block bootstrap
    (Künsch 1989, Ann. Stat. 17) has to be above its R² for circularly shifted behaviour, which is unrelated
    to these spikes. So neither a model that predicts the mean nor a few lucky seconds pass.

    Args:
        new: f[T, D], decoded by the new model.
        targets: f[T, D], NaN where unknown. Outputs that do not vary, or are known for less than `NEEDED_S`,
            are left out.
        bin_width_s: seconds.
        incumbent, wiener: f[T, D], decoded by the model in use and by a same-day filter; None for neither.
        seed: random seed of the bootstrap.

    Raises:
        RtdecodeError: shapes differ, or too few bins have labels.
    """
    labelled = is_labelled(targets)
    known_s = np.isfinite(targets).sum(axis=0) * bin_width_s
    if known_s.max(initial=0.0) < NEEDED_S:
        raise RtdecodeError(
            f"the test part has {known_s.max(initial=0.0):.1f} s of behaviour, and needs {NEEDED_S:g} s",
            fix=f"record {NEEDED_S * 5:g} s or more",
        )
    models = {"new": new, "incumbent": incumbent, "wiener": wiener}
    scores = {name: r2(values, targets) for name, values in models.items() if values is not None}
    # By the targets: an output whose values are NaN has no score either, and has to be judged.
    judged = varies(targets) & (known_s >= NEEDED_S)
    if not judged.any():
        raise RtdecodeError(
            "there is no output that varies in the test part", fix="record while the subject moves"
        )
    values, truth = (np.asarray(each, np.float64)[labelled][:, judged] for each in (new, targets))
    bound, chance = -np.inf, 0.0
    if not np.isfinite(values).all():
        deployable, reason = False, "decoded values contain NaN or infinity"
    else:
        bound = float(np.quantile(bootstrap_r2(values, truth, bin_width_s, seed), LEVEL))
        chance = max(0.0, float(np.max(circular_shift_r2(values, truth, bin_width_s))))
        deployable, reason = _compared(
            {name: _mean(score[judged]) for name, score in scores.items()}, bound, chance
        )
    return Verdict(
        deployable, reason, scores["new"], scores.get("incumbent"), scores.get("wiener"), bound, chance
    )


def bootstrap_r2(values: F8, targets: F8, bin_width_s: float, seed: int) -> F8:
    """Block-bootstrap distribution of the mean R² over outputs, f8[N_RESAMPLES].

    Args:
        values, targets: f8[T, D], T at least `MIN_BLOCKS` blocks; targets are NaN where unknown.
        bin_width_s: seconds.
        seed: random seed.
    """
    length = max(1, round(BLOCK_S / bin_width_s))
    n_blocks = len(targets) // length
    rows = slice(0, n_blocks * length)
    # Centred, so that the sum of squares keeps its digits.
    known = np.isfinite(targets)
    mean = np.where(known, targets, 0.0).sum(axis=0) / known.sum(axis=0)
    y = np.where(known, targets - mean, 0.0)[rows].reshape(n_blocks, length, -1)
    error = np.where(known, (targets - values) ** 2, 0.0)[rows].reshape(n_blocks, length, -1).sum(axis=1)
    total, squares = y.sum(axis=1), (y**2).sum(axis=1)
    n = known[rows].reshape(n_blocks, length, -1).sum(axis=1)
    chosen = np.random.default_rng(seed).integers(0, n_blocks, (N_RESAMPLES, n_blocks))
    # An output may be unknown in all blocks of a resample: no squares then.
    of_all = np.maximum(n[chosen].sum(axis=1), 1)
    total_squares = squares[chosen].sum(axis=1) - total[chosen].sum(axis=1) ** 2 / of_all
    ratio = np.divide(
        error[chosen].sum(axis=1),
        total_squares,
        out=np.full_like(total_squares, np.inf),
        where=total_squares > 0,
    )
    return np.asarray(1.0 - ratio.mean(axis=1))


def circular_shift_r2(values: F8, targets: F8, bin_width_s: float) -> F8:
    """Circular-shift control: mean R² over outputs against targets at evenly spaced shifts, f8[N_SHIFTS]."""
    nearest = round(MIN_SHIFT_S / bin_width_s)
    shifts = np.linspace(nearest, len(targets) - nearest, N_SHIFTS).round().astype(int)
    return np.array([r2(values, np.roll(targets, shift, axis=0)).mean() for shift in shifts])


def _mean(scores: F8) -> float:
    """Mean over outputs; −∞ where one is NaN, so that the model loses."""
    return float(scores.mean()) if np.isfinite(scores).all() else -np.inf


def _compared(mean: dict[str, float], bound: float, chance: float) -> tuple[bool, str]:
    new = mean["new"]
    for name, what in _RIVALS.items():
        if name in mean and not new > mean[name]:
            better = f"mean R² {mean[name]:.3f}, the new model {new:.3f}"
            return False, f"{what} does as well or better: {better}"
    if not bound > chance:
        return False, (
            f"not better than chance: mean R² {new:.3f}, above {bound:.3f} in 95 % of bootstrap resamples, "
            f"and {chance:.3f} with circularly shifted behaviour"
        )
    beaten = " and ".join(f"{what} ({mean[name]:.3f})" for name, what in _RIVALS.items() if name in mean)
    return True, f"mean R² {new:.3f}" + (f", better than {beaten}" if beaten else "")
