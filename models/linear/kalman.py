"""Fitting a Kalman filter: kinematics that evolve linearly, spike counts that are linear in them.

    fit = fit_kalman([counts], [targets], bin_width_s=0.020, count_max=20, velocity_of={0: 2, 1: 3})
    fit.transition, fit.observe, fit.readout, fit.cv_r2

    s[k] = A s[k−1] + w,  w ~ N(0, W);        min(counts[k], count_max) = C s[k] + mean + q,  q ~ N(0, Q)

as in Wu, Gao, Bienenstock, Donoghue & Black (2006), Neural Computation 18:80. Arrays in, arrays out:
`rtdecode.calibrate.fitting.fit` knows sessions and files, `KalmanDecoder` steps the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.kernels.decoders.kalman import recur
from rtdecode.models.alive import alive_channels, check_some_alive
from rtdecode.models.linear.count_model import Dynamics, LinearModel, Recording, estimate
from rtdecode.models.linear.kinematics import kinematic_states
from rtdecode.models.linear.state_space import steady_prediction, update

TICK_S, STEP_S = 0.02, 0.06
AHEAD_S, BEHIND_S, N_TERMS = 0.256, 0.064, 5
MIN_TERMS, MAX_COURSE_STATES = 3, 60
SCALES = tuple(2.0 ** (i / 2) for i in range(2, -7, -1))
HIDDEN = (0, 5, 10, 20)
N_FOLDS, GAP_S, RUN_IN_S = 5, 1.5, 6.0
STEPS_PER_STATE = 4
CONSTANT = 1e-9

F8 = NDArray[np.float64]
Rows = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class KalmanFit:
    """A fitted filter in information form, the state in units of its SD.

    Attributes:
        transition, process_noise: f8[p, p], A and W of a bin.
        observe: f4[C, p], Q⁻¹C, what a spike tells; 0 for dead channels.
        information: f8[p, p], CᵀQ⁻¹C.
        count_mean: f8[C], spikes per bin.
        prior: f8[p, p], covariance of the state while nothing is observed.
        readout, bias: f8[D, p] and f8[D]: outputs = readout · state + bias.
        good: bool[C], False where a channel fires below 0.05 Hz or its count never changes.
        n_positions, n_courses, n_hidden: states of each sort, which come in this order.
        scale: what Q⁻¹ was multiplied with.
        cv_r2: f8[D], R² over the validation blocks; NaN for a constant target.
        tick_s: seconds, the finest that was looked at.
        n_ticks: labelled ones that went into the model.
    """

    transition: F8
    process_noise: F8
    observe: NDArray[np.float32]
    information: F8
    count_mean: F8
    prior: F8
    readout: F8
    bias: F8
    good: NDArray[np.bool_]
    n_positions: int
    n_courses: int
    n_hidden: int
    scale: float
    cv_r2: F8
    tick_s: float
    n_ticks: int

    @property
    def offset(self) -> F8:
        """f8[p], what the mean counts tell, negated: the observations are counts less their means."""
        # From the weights as rounded, so that counts at their means say nothing.
        return -(self.count_mean @ self.observe.astype(np.float64))


@dataclass(frozen=True, eq=False)
class SteadyFilter:
    """The same filter at the gain that it settles at.

    Attributes:
        transition: f8[p, p], (I − P CᵀQ⁻¹C) A.
        gain: f4[C, p], P CᵀQ⁻¹, transposed: what a spike adds to the state.
        offset: f8[p], what the mean counts add, negated.
    """

    transition: F8
    gain: NDArray[np.float32]
    offset: F8


def steady_filter(fit: KalmanFit) -> SteadyFilter:
    """Fold the covariance that the filter settles at into its gain.

    Raises:
        RtdecodeError: it does not settle.
    """
    settled, transition = _settled(fit.transition, fit.process_noise, fit.information)
    gain = (fit.observe.astype(np.float64) @ settled).astype(np.float32)
    return SteadyFilter(transition, gain, -(fit.count_mean @ gain.astype(np.float64)))


def fit_kalman(
    counts: Sequence[NDArray[np.uint8]],
    targets: Sequence[NDArray[np.float32]],
    bin_width_s: float,
    *,
    count_max: int,
    velocity_of: Mapping[int, int | None],
    scales: Sequence[float] = SCALES,
    hidden: Sequence[int] = HIDDEN,
    n_folds: int = N_FOLDS,
    progress: Callable[[float], None] | None = None,
) -> KalmanFit:
    """Fit one filter to one or more recordings.

    The state holds positions, the course of each velocity from 64 ms ago to 256 ms ahead
    (`kinematic_states`), and hidden states for what the counts share besides (`countmodel`). The model is
    estimated over steps of about 60 ms, and taken to the bin width from there.

    Two numbers are chosen by cross-validation, together, for the highest mean R²: how many hidden states,
    and a factor on Q⁻¹, since noise that is not quite white tells less than its variance says. Each recording
    is cut into `n_folds` blocks in time; bins within 1.5 s of the validation block are in neither part.

    Args:
        counts: u1[T, C] for each recording.
        targets: f4[T, D] for each; bins with a NaN are left out, and so is what would reach across them.
        bin_width_s: seconds; bins finer than 20 ms are fitted in ticks of about 20 ms.
        count_max: larger counts are clipped to it, as the decoder does.
        velocity_of: for each column that is a position, the column of its velocity; None where it is not
            decoded, to take it from the position.
        scales: factors on Q⁻¹ to choose from.
        hidden: numbers of hidden states to choose from; those above a third of the live channels are not.
        n_folds: at least 2.
        progress: called with the part of the work that is done, up to 1.

    Raises:
        RtdecodeError: no channel fires, the bins with targets are too few, or no filter settles.
    """
    report = progress if progress is not None else _ignore
    clipped = [np.minimum(block, np.uint8(count_max)) for block in counts]
    good = alive_channels(clipped, bin_width_s)
    check_some_alive(good)
    n_bins = max(1, round(TICK_S / bin_width_s))
    tick_s = n_bins * bin_width_s
    step = max(1, round(STEP_S / tick_s))
    labels = [_known_rows_only(block) for block in targets]
    middle, spread = _middle_and_spread(labels)
    recordings = [
        _in_ticks(block[:, good], (label - middle) / spread, n_bins, step, tick_s, velocity_of)
        for block, label in zip(clipped, labels, strict=True)
    ]
    known = [recording.known for recording in recordings]
    offered = [n for n in hidden if n <= int(good.sum()) // 3] or [0]
    error = np.zeros((len(offered), len(scales), middle.size))
    scatter = np.zeros(middle.size)
    for fold in range(n_folds):
        report((fold + 1) / (n_folds + 2))
        held = [np.array_split(np.flatnonzero(part), n_folds)[fold] for part in known]
        rest = [
            _away_from(block, part, round(GAP_S / tick_s)) for block, part in zip(held, known, strict=True)
        ]
        model = _estimate(recordings, rest, tick_s, max(offered))
        candidates = [_Candidate.of(model.dynamics(n_hidden, step), scales) for n_hidden in offered]
        for recording, block in zip(recordings, held, strict=True):
            if len(block):
                error += _validate(recording, block, model, candidates, round(RUN_IN_S / tick_s))
                scatter += (_centred(recording.targets[block]) ** 2).sum(axis=0)

    report((n_folds + 1) / (n_folds + 2))
    varies = scatter > CONSTANT**2
    with np.errstate(invalid="ignore", divide="ignore"):
        cv_r2 = np.where(varies, 1.0 - error / scatter, np.nan)
    mean_r2 = np.where(varies, cv_r2, 0.0).mean(axis=2)
    best = divmod(int(mean_r2.argmax()), len(scales))
    n_hidden, scale = offered[best[0]], float(scales[best[1]])
    model = _estimate(recordings, known, tick_s, max(offered))
    dynamics = model.dynamics(n_hidden, step * n_bins)
    observe = np.zeros((good.size, len(dynamics.transition)), dtype=np.float32)
    observe[good] = scale * dynamics.observe
    count_mean = np.zeros(good.size)
    count_mean[good] = model.count_mean / n_bins
    fit = KalmanFit(
        transition=dynamics.transition,
        process_noise=dynamics.process_noise,
        observe=observe,
        information=scale * dynamics.information,
        count_mean=count_mean,
        prior=steady_prediction(
            dynamics.transition, dynamics.process_noise, np.zeros_like(dynamics.information)
        ),
        readout=spread[:, np.newaxis] * dynamics.readout,
        bias=middle + spread * model.middle,
        good=good,
        n_positions=len(velocity_of),
        n_courses=len(model.transition) - len(velocity_of),
        n_hidden=n_hidden,
        scale=scale,
        cv_r2=cv_r2[best],
        tick_s=tick_s,
        n_ticks=sum(int(part.sum()) for part in known),
    )
    report(1.0)
    return fit


def _known_rows_only(targets: NDArray[np.float32]) -> F8:
    """The labels f8[T, D], with NaN all along the rows where one is unknown."""
    labels = np.array(targets, dtype=np.float64)
    labels[~np.isfinite(labels).all(axis=1)] = np.nan
    return labels


def _middle_and_spread(labels: Sequence[F8]) -> tuple[F8, F8]:
    """Mean f8[D] and SD f8[D] of the known labels; an SD of 1 where they are constant."""
    known = np.concatenate([block[np.isfinite(block[:, 0])] for block in labels])
    if not len(known):
        return np.zeros(known.shape[1]), np.ones(known.shape[1])
    middle, spread = known.mean(axis=0), known.std(axis=0)
    return middle, np.where(spread > CONSTANT * np.abs(middle), spread, 1.0)


def _in_ticks(
    counts: NDArray[np.uint8],
    targets: F8,
    n_bins: int,
    step: int,
    tick_s: float,
    velocity_of: Mapping[int, int | None],
) -> Recording:
    """A recording in ticks of `n_bins` bins; a last one that is not whole is dropped."""
    n_ticks = len(counts) // n_bins
    summed = (
        counts[: n_ticks * n_bins].reshape(n_ticks, n_bins, counts.shape[1]).sum(axis=1, dtype=np.float32)
    )
    labels = targets[n_bins - 1 : n_ticks * n_bins : n_bins]
    n_courses = targets.shape[1] - sum(velocity is not None for velocity in velocity_of.values())
    n_terms = min(N_TERMS, MAX_COURSE_STATES // n_courses)
    if n_terms < MIN_TERMS:
        states = kinematic_states(labels, velocity_of, ahead=0, behind=0, n_terms=1)
    else:
        ahead, behind = round(AHEAD_S / tick_s), round(BEHIND_S / tick_s)
        states = kinematic_states(labels, velocity_of, ahead, behind, n_terms)
    return Recording(summed, labels, states, step)


def _estimate(
    recordings: Sequence[Recording], rows: Sequence[Rows], tick_s: float, max_hidden: int
) -> LinearModel:
    """The model, unless the rows are too few for it."""
    step, n_states = recordings[0].step, recordings[0].states.shape[1]
    n_steps = sum(int(r.step_rows(part).sum()) for r, part in zip(recordings, rows, strict=True))
    n_pairs = sum(int((part[:-step] & part[step:]).sum()) for part in rows)
    usable, needed = min(n_steps, n_pairs // step), STEPS_PER_STATE * n_states
    if usable < needed:
        raise RtdecodeError(
            f"{usable * step * tick_s:.1f} s with targets are left to learn from beside a validation block; "
            f"{n_states} states need {needed * step * tick_s:.1f} s",
            fix="use a longer session, or decode fewer outputs",
        )
    return estimate(recordings, rows, tick_s, max_hidden)


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A model with so many hidden states, settled at each scale."""

    dynamics: Dynamics
    transitions: list[F8]
    covariances: list[F8]

    @classmethod
    def of(cls, dynamics: Dynamics, scales: Sequence[float]) -> _Candidate:
        settled = [
            _settled(dynamics.transition, dynamics.process_noise, scale * dynamics.information)
            for scale in scales
        ]
        return cls(
            dynamics,
            [transition for _, transition in settled],
            [scale * covariance for scale, (covariance, _) in zip(scales, settled, strict=True)],
        )


def _validate(
    recording: Recording,
    block: NDArray[np.int64],
    model: LinearModel,
    candidates: Sequence[_Candidate],
    run_in: int,
) -> F8:
    """Squared error f8[hidden, scales, D] over a block's ticks, the filter started `run_in` before it."""
    first = max(0, int(block[0]) - run_in)
    counts = recording.counts[first : block[-1] + 1] - model.count_mean
    labels = recording.targets[block] - model.middle
    error = []
    for candidate in candidates:
        told = counts @ candidate.dynamics.observe
        states = np.empty_like(told)
        for transition, covariance in zip(candidate.transitions, candidate.covariances, strict=True):
            recur(transition, told @ covariance, states)
            decoded = states[block - first] @ candidate.dynamics.readout.T
            error.append(((decoded - labels) ** 2).sum(axis=0))
    return np.reshape(error, (len(candidates), -1, labels.shape[1]))


def _settled(transition: F8, process_noise: F8, information: F8) -> tuple[F8, F8]:
    """The covariance after an observation that the filter settles at, and (I − P CᵀQ⁻¹C) A."""
    settled = update(steady_prediction(transition, process_noise, information), information)
    return settled, transition - settled @ information @ transition


def _away_from(block: NDArray[np.int64], known: Rows, gap: int) -> Rows:
    """The known rows more than `gap` rows away from the block."""
    rest = known.copy()
    if len(block):
        rest[max(0, block[0] - gap) : block[-1] + gap + 1] = False
    return rest


def _centred(labels: F8) -> F8:
    centred: F8 = labels - labels.mean(axis=0)
    return centred


def _ignore(_done: float) -> None:
    pass
