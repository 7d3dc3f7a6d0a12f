"""Fitting a Kalman filter: kinematics that evolve linearly, spike counts that are linear in them.

    fit = fit_kalman([counts], [targets], bin_width_s=0.020, count_max=20, velocity_of={0: 2, 1: 3})
    fit.transition, fit.observe, fit.readout, fit.cv_r2

    s[k] = A s[k−1] + w,  w ~ N(0, W);        min(counts[k], count_max) = C s[k] + mean + q,  q ~ N(0, Q)

as in Wu, Gao, Bienenstock, Donoghue & Black (2006), Neural Computation 18:80. Arrays in, arrays out:
`rtdecode.calibrate.fitting.fit` reads sessions and writes files, `KalmanDecoder` steps the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import F4, F8, I8, Inputs, Mask
from rtdecode.kernels.decoders.kalman import recur
from rtdecode.models.alive import alive_inputs, check_some_alive, clipped_inputs
from rtdecode.models.linear.count_model import Dynamics, LinearModel, Recording, estimate
from rtdecode.models.linear.kinematics import kinematic_states
from rtdecode.models.linear.pieces import held_rows, pieces_of
from rtdecode.models.linear.state_space import steady_prediction, update

TICK_S, STEP_S = 0.02, 0.06
AHEAD_S, BEHIND_S, N_TERMS = 0.256, 0.064, 5
MIN_TERMS, MAX_VELOCITY_STATES = 3, 60
GAP_S, RUN_IN_S = 1.5, 6.0
STEPS_PER_STATE = 4
CONSTANT = 1e-9


@dataclass(frozen=True)
class KalmanSettings:
    """Settings of a fit.

    Attributes:
        scales: factors on Q⁻¹ to choose from.
        hidden: numbers of hidden states to choose from; numbers above a third of the living channels are not
            used.
        n_folds: blocks of cross-validation; at least 2.
    """

    scales: Sequence[float] = tuple(2.0 ** (i / 2) for i in range(2, -7, -1))
    hidden: Sequence[int] = (0, 5, 10, 20)
    n_folds: int = 5


@dataclass(frozen=True, eq=False)
class KalmanFit(Dynamics):
    """A fitted filter in information form, the state in units of its SD; outputs = readout · state + bias.

    Attributes:
        count_mean: f8[C], spikes per bin.
        prior: f8[p, p], stationary covariance of the unobserved state.
        bias: f8[D].
        good: bool[C], the living channels (`alive_channels`); `observe` is 0 for the others.
        n_positions, n_velocities, n_hidden: number of states of each sort, in this order.
        scale: factor on Q⁻¹.
        cv_r2: f8[D], R² over the validation blocks; NaN for a constant target.
        tick_s: seconds, the resolution of the fit.
        n_ticks: number of labelled ticks in the model.
    """

    observe: F4
    count_mean: F8
    prior: F8
    bias: F8
    good: Mask
    n_positions: int
    n_velocities: int
    n_hidden: int
    scale: float
    cv_r2: F8
    tick_s: float
    n_ticks: int

    @property
    def offset(self) -> F8:
        """f8[p], minus the information of the mean counts: observations are counts minus their means."""
        # From the weights as rounded, so that mean counts carry exactly no information.
        return -(self.count_mean @ self.observe.astype(np.float64))


def steady_filter(fit: KalmanFit) -> dict[str, F8 | F4]:
    """The tensors of the same filter at its steady-state gain.

    Returns:
        transition: f8[p, p], (I − P CᵀQ⁻¹C) A; gain: f4[C, p], P CᵀQ⁻¹, transposed, the change of the state
        per spike; offset: f8[p], minus the change by the mean counts.

    Raises:
        RtdecodeError: the covariance does not converge.
    """
    steady, transition = _steady(fit.transition, fit.process_noise, fit.information)
    gain = (fit.observe.astype(np.float64) @ steady).astype(np.float32)
    return {
        "transition": transition, "gain": gain, "offset": -(fit.count_mean @ gain.astype(np.float64)),
    }  # fmt: skip


def fit_kalman(
    counts: Sequence[Inputs | list[Inputs]],
    targets: Sequence[F4 | list[F4]],
    bin_width_s: float,
    *,
    count_max: int,
    n_features: int = 0,
    velocity_of: Mapping[int, int | None],
    settings: KalmanSettings = KalmanSettings(),
    progress: Callable[[float], None] = lambda _: None,
) -> KalmanFit:
    """Fit one filter to one or more recordings.

    The state holds positions, each velocity from 64 ms before to 256 ms after a bin (`kinematic_states`), and
    hidden states for the slow noise that counts share (`count_model`). The model is estimated over steps of
    about 60 ms, and converted to the bin width.

    Two numbers are chosen together by cross-validation, for the highest mean R²: the number of hidden states,
    and a factor on Q⁻¹, since noise that is not quite white carries less information than its variance
    implies. Each recording is cut into blocks in time; bins within 1.5 s of the validation block are in
    neither part.

    Args:
        counts: u1[T, C] for each recording, or a list of those of its stretches between gaps; with features
            i2[T, C + F], their codes last.
        targets: f4[T, D] for each, likewise; bins with a NaN are left out, as are lagged velocities across
            them.
        bin_width_s: seconds; bins finer than 20 ms are fitted in ticks of about 20 ms.
        count_max: larger counts are clipped to it, as the decoder does.
        n_features: F.
        velocity_of: for each column that is a position, the column of its velocity; None if it is not
            decoded, to compute it from the position.
        settings: of the fit.
        progress: called with the completed fraction of the work.

    Raises:
        RtdecodeError: no channel fires, the bins with targets are too few, or no filter converges.
    """
    pieces, n_pieces = pieces_of(counts)
    clipped = [clipped_inputs(block, count_max, n_features) for block in pieces]
    good = alive_inputs(clipped, bin_width_s, n_features)
    check_some_alive(good)
    n_bins = max(1, round(TICK_S / bin_width_s))
    tick_s = n_bins * bin_width_s
    step = max(1, round(STEP_S / tick_s))
    scales, n_folds = settings.scales, settings.n_folds
    labels = [_complete_rows_only(block) for block in pieces_of(targets)[0]]
    mean, sd = _mean_and_sd(labels)
    recordings = [
        _in_ticks(block[:, good], (label - mean) / sd, n_bins, step, tick_s, velocity_of)
        for block, label in zip(clipped, labels, strict=True)
    ]
    labelled = [recording.labelled for recording in recordings]
    offered = [n for n in settings.hidden if n <= int(good.sum()) // 3] or [0]
    error = np.zeros((len(offered), len(scales), mean.size))
    scatter = np.zeros(mean.size)
    for fold in range(n_folds):
        progress((fold + 1) / (n_folds + 2))
        held = held_rows([np.flatnonzero(part) for part in labelled], n_pieces, n_folds, fold)
        rest = [
            _away_from(block, part, round(GAP_S / tick_s)) for block, part in zip(held, labelled, strict=True)
        ]
        model = _estimate(recordings, rest, tick_s, max(offered))
        candidates = [_Candidate.of(model.dynamics(n_hidden, step), scales) for n_hidden in offered]
        for recording, block in zip(recordings, held, strict=True):
            if len(block):
                error += _validate(recording, block, model, candidates, round(RUN_IN_S / tick_s))
        for first, end in pairwise([0, *np.cumsum(n_pieces).tolist()]):
            parts = zip(recordings[first:end], held[first:end], strict=True)
            own = np.concatenate([recording.targets[block] for recording, block in parts])
            if len(own):
                scatter += ((own - own.mean(axis=0)) ** 2).sum(axis=0)

    progress((n_folds + 1) / (n_folds + 2))
    varies = scatter > CONSTANT**2
    with np.errstate(invalid="ignore", divide="ignore"):
        cv_r2 = np.where(varies, 1.0 - error / scatter, np.nan)
    mean_r2 = np.where(varies, cv_r2, 0.0).mean(axis=2)
    best = divmod(int(mean_r2.argmax()), len(scales))
    n_hidden, scale = offered[best[0]], float(scales[best[1]])
    model = _estimate(recordings, labelled, tick_s, max(offered))
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
        readout=sd[:, np.newaxis] * dynamics.readout,
        bias=mean + sd * model.target_mean,
        good=good,
        n_positions=len(velocity_of),
        n_velocities=len(model.transition) - len(velocity_of),
        n_hidden=n_hidden,
        scale=scale,
        cv_r2=cv_r2[best],
        tick_s=tick_s,
        n_ticks=sum(int(part.sum()) for part in labelled),
    )
    progress(1.0)
    return fit


def _complete_rows_only(targets: F4) -> F8:
    """The labels f8[T, D], with NaN in the whole row where one is missing."""
    labels = np.array(targets, dtype=np.float64)
    labels[~np.isfinite(labels).all(axis=1)] = np.nan
    return labels


def _mean_and_sd(labels: Sequence[F8]) -> tuple[F8, F8]:
    """Mean f8[D] and SD f8[D] of the labels; an SD of 1 where they are constant."""
    complete = np.concatenate([block[np.isfinite(block[:, 0])] for block in labels])
    if not len(complete):
        return np.zeros(complete.shape[1]), np.ones(complete.shape[1])
    mean, sd = complete.mean(axis=0), complete.std(axis=0)
    return mean, np.where(sd > CONSTANT * np.abs(mean), sd, 1.0)


def _in_ticks(
    counts: Inputs, targets: F8, n_bins: int, step: int, tick_s: float, velocity_of: Mapping[int, int | None]
) -> Recording:
    """A recording in ticks of `n_bins` bins; an incomplete last one is dropped."""
    n_ticks = len(counts) // n_bins
    summed = (
        counts[: n_ticks * n_bins].reshape(n_ticks, n_bins, counts.shape[1]).sum(axis=1, dtype=np.float32)
    )
    labels = targets[n_bins - 1 : n_ticks * n_bins : n_bins]
    n_velocities = targets.shape[1] - sum(velocity is not None for velocity in velocity_of.values())
    n_terms = min(N_TERMS, MAX_VELOCITY_STATES // n_velocities)
    if n_terms < MIN_TERMS:
        states = kinematic_states(labels, velocity_of, ahead=0, behind=0, n_terms=1)
    else:
        ahead, behind = round(AHEAD_S / tick_s), round(BEHIND_S / tick_s)
        states = kinematic_states(labels, velocity_of, ahead, behind, n_terms)
    return Recording(summed, labels, states, step)


def _estimate(
    recordings: Sequence[Recording], rows: Sequence[Mask], tick_s: float, max_hidden: int
) -> LinearModel:
    """The model; refused if the rows are too few."""
    step, n_states = recordings[0].step, recordings[0].states.shape[1]
    n_steps = sum(int(r.step_rows(part).sum()) for r, part in zip(recordings, rows, strict=True))
    n_pairs = sum(int((part[:-step] & part[step:]).sum()) for part in rows)
    usable, needed = min(n_steps, n_pairs // step), STEPS_PER_STATE * n_states
    if usable < needed:
        raise RtdecodeError(
            f"{usable * step * tick_s:.1f} s with targets are left for training beside a validation block; "
            f"{n_states} states need {needed * step * tick_s:.1f} s",
            fix="use a longer session, or decode fewer outputs",
        )
    return estimate(recordings, rows, tick_s, max_hidden)


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A model with some number of hidden states, in steady state at each scale."""

    dynamics: Dynamics
    transitions: list[F8]
    covariances: list[F8]

    @classmethod
    def of(cls, dynamics: Dynamics, scales: Sequence[float]) -> _Candidate:
        steady = [
            _steady(dynamics.transition, dynamics.process_noise, scale * dynamics.information)
            for scale in scales
        ]
        return cls(
            dynamics,
            [transition for _, transition in steady],
            [scale * covariance for scale, (covariance, _) in zip(scales, steady, strict=True)],
        )


def _validate(
    recording: Recording, block: I8, model: LinearModel, candidates: Sequence[_Candidate], run_in: int
) -> F8:
    """Squared error f8[hidden, scales, D] over a block's ticks, the filter started `run_in` before it."""
    first = max(0, int(block[0]) - run_in)
    counts = recording.counts[first : block[-1] + 1] - model.count_mean
    labels = recording.targets[block] - model.target_mean
    error = []
    for candidate in candidates:
        information = counts @ candidate.dynamics.observe
        states = np.empty_like(information)
        for transition, covariance in zip(candidate.transitions, candidate.covariances, strict=True):
            recur(transition, information @ covariance, states)
            decoded = states[block - first] @ candidate.dynamics.readout.T
            error.append(((decoded - labels) ** 2).sum(axis=0))
    return np.reshape(error, (len(candidates), -1, labels.shape[1]))


def _steady(transition: F8, process_noise: F8, information: F8) -> tuple[F8, F8]:
    """The steady-state covariance P after an observation, and (I − P CᵀQ⁻¹C) A."""
    steady = update(steady_prediction(transition, process_noise, information), information)
    return steady, transition - steady @ information @ transition


def _away_from(block: I8, labelled: Mask, gap: int) -> Mask:
    """The labelled rows more than `gap` rows away from the block."""
    rest = labelled.copy()
    if len(block):
        rest[max(0, block[0] - gap) : block[-1] + gap + 1] = False
    return rest
