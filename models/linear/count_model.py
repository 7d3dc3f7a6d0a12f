"""A linear-Gaussian model of spike counts given kinematics, with hidden states for their shared slow noise.

What counts share beyond the decoded kinematics changes slowly: attention, posture, drift. A filter that
treats it as white noise counts it as new evidence in every bin. So the model has hidden states (Wu, Kulkarni,
Hatsopoulos & Paninski 2009, IEEE Trans. Neural Syst. Rehabil. Eng. 17:370), estimated without iterations: the
lagged covariance of the residuals contains no white noise.

The model is estimated over steps of about 60 ms, the time scale of movement, and then divided into bins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from rtdecode.kernels.arrays import F4, F8, Mask
from rtdecode.models.linear.state_space import at_least, root, stable, symmetric

N = TypeVar("N", bound=np.generic)

TRANSITION_RIDGE, OBSERVATION_RIDGE, READOUT_RIDGE = 1e-3, 1e-3, 1e-6
MAX_RADIUS = 0.999
MIN_NOISE = 1e-6
MIN_UNSHARED = 0.05
NEAR_S, FAR_S = (0.064, 0.128), (0.192, 0.256)
SHORTEST_HIDDEN_S = 0.1
#: A state of a lower SD is constant, up to rounding.
CONSTANT = 1e-9


@dataclass(frozen=True, eq=False)
class Recording:
    """One recording in ticks; `step` ticks make a step.

    Attributes:
        counts: f4[T, C], spikes in a tick.
        targets: f8[T, D], labels at its end, with an SD of about 1; NaN where missing.
        states: f8[T, p], kinematic states at its end; whole rows NaN where missing.
        step: ticks.
    """

    counts: F4
    targets: F8
    states: F8
    step: int

    @cached_property
    def labelled(self) -> Mask:
        """bool[T], ticks with a state and labels."""
        labelled = np.isfinite(self.states).all(axis=1) & np.isfinite(self.targets).all(axis=1)
        return np.asarray(labelled)

    @cached_property
    def step_counts(self) -> F8:
        """f8[T // step, C], summed."""
        return np.asarray(_in_steps(self.counts, self.step).sum(axis=1, dtype=np.float64))

    @cached_property
    def step_states(self) -> F8:
        """f8[T // step, p], averaged."""
        return np.asarray(_in_steps(self.states, self.step).mean(axis=1))

    def step_rows(self, rows: Mask) -> Mask:
        """The steps with all of their ticks among `rows`."""
        return np.asarray(_in_steps(rows[:, np.newaxis], self.step).all(axis=(1, 2)))


@dataclass(frozen=True, eq=False)
class LinearModel:
    """The model in steps; states and residuals are in units of their SD.

    Attributes:
        step: ticks in a step.
        transition, covariance: f8[p, p], of the kinematic states.
        observation: f8[C, p], counts of a step per unit of the state.
        count_mean: f8[C], spikes per tick.
        residual_sd: f8[C], of a step's counts; 1 for a constant channel.
        correlation: f8[C, C], of the residuals, shrunk.
        loadings: f8[C, H], of the hidden states on the residuals, most shared variance first.
        persistence, variance: f8[H], of the hidden states: autocorrelation over a step, and variance.
        readout, target_mean: f8[D, p] and f8[D]: targets = readout · state + target_mean.
    """

    step: int
    transition: F8
    covariance: F8
    observation: F8
    count_mean: F8
    residual_sd: F8
    correlation: F8
    loadings: F8
    persistence: F8
    variance: F8
    readout: F8
    target_mean: F8

    def dynamics(self, n_hidden: int, n_parts: int) -> Dynamics:
        """The model in steps of 1/n_parts, with the first `n_hidden` hidden states."""
        loadings, variance = self.loadings[:, :n_hidden], self.variance[:n_hidden]
        persistence = self.persistence[:n_hidden] ** (1.0 / n_parts)
        kinematic = root(self.transition, n_parts)
        # Noise that preserves the covariance: an estimate over fine steps would contain the labels' rounding.
        noise = self.covariance - kinematic @ self.covariance @ kinematic.T
        unshared = self.correlation - (loadings * variance) @ loadings.T
        observation = np.concatenate([self.observation / self.residual_sd[:, np.newaxis], loadings], axis=1)
        weighted = np.linalg.solve(at_least(unshared, MIN_UNSHARED), observation)
        return Dynamics(
            transition=block_diag(kinematic, np.diag(persistence)),
            process_noise=block_diag(
                at_least(noise, MIN_NOISE / n_parts), np.diag(variance * (1.0 - persistence**2))
            ),
            observe=weighted / self.residual_sd[:, np.newaxis],
            # Counts and their variance both grow with the width: 1/n of a bin has 1/n of the information.
            information=symmetric(observation.T @ weighted) / n_parts,
            readout=np.pad(self.readout, ((0, 0), (0, n_hidden))),
        )


@dataclass(frozen=True, eq=False)
class Dynamics:
    """The parameters of a Kalman filter at some bin width.

    Attributes:
        transition, process_noise: f8[p, p], A and W.
        observe: f[C, p], Q⁻¹C: information about the state per spike.
        information: f8[p, p], CᵀQ⁻¹C.
        readout: f8[D, p], from states to targets minus their means.
    """

    transition: F8
    process_noise: F8
    observe: NDArray[np.floating]
    information: F8
    readout: F8


def estimate(
    recordings: Sequence[Recording], rows: Sequence[Mask], tick_s: float, max_hidden: int
) -> LinearModel:
    """Estimate the model from some ticks of each recording.

    Args:
        recordings: all with the same step, channels, states and targets.
        rows: bool[T] for each, the training ticks; all of them labelled.
        tick_s: seconds.
        max_hidden: number of hidden states.
    """
    step = recordings[0].step
    chosen = _picked([recording.states for recording in recordings], rows)
    targets = _picked([recording.targets for recording in recordings], rows)
    count_mean = _picked([r.counts for r in recordings], rows).mean(axis=0, dtype=np.float64)
    mean, sd = chosen.mean(axis=0), chosen.std(axis=0)
    sd[~(sd > CONSTANT)] = 1.0
    states = [(recording.states - mean) / sd for recording in recordings]
    step_states = [(recording.step_states - mean) / sd for recording in recordings]
    step_counts = [recording.step_counts - step * count_mean for recording in recordings]
    step_rows = [recording.step_rows(part) for recording, part in zip(recordings, rows, strict=True)]

    transition, covariance = _kinematics(states, rows, step)
    observation = _slopes(_picked(step_states, step_rows), _picked(step_counts, step_rows), OBSERVATION_RIDGE)
    residuals = [z - s @ observation.T for z, s in zip(step_counts, step_states, strict=True)]
    residual_sd = np.sqrt((_picked(residuals, step_rows) ** 2).mean(axis=0))
    residual_sd[residual_sd <= 0.0] = 1.0
    residuals = [residual / residual_sd for residual in residuals]
    loadings, persistence, variance = _hidden(residuals, step_rows, step * tick_s, max_hidden)
    return LinearModel(
        step=step,
        transition=transition,
        covariance=covariance,
        observation=observation,
        count_mean=count_mean,
        residual_sd=residual_sd,
        correlation=_shrunk_correlation(_picked(residuals, step_rows)),
        loadings=loadings,
        persistence=persistence,
        variance=variance,
        readout=_slopes((chosen - mean) / sd, targets - targets.mean(axis=0), READOUT_RIDGE),
        target_mean=targets.mean(axis=0),
    )


def _kinematics(states: Sequence[F8], rows: Sequence[Mask], step: int) -> tuple[F8, F8]:
    """Transition over a step and covariance of the states, both f8[p, p]."""
    pairs = [part[:-step] & part[step:] for part in rows]
    before, after = _picked([s[:-step] for s in states], pairs), _picked([s[step:] for s in states], pairs)
    transition = stable(_slopes(before, after, TRANSITION_RIDGE), MAX_RADIUS)
    return transition, before.T @ before / len(before)


def _hidden(
    residuals: Sequence[F8], rows: Sequence[Mask], step_s: float, max_hidden: int
) -> tuple[F8, F8, F8]:
    """Loadings f8[C, H], persistence f8[H] and variance f8[H] of the hidden states.

    With Γ(l) the covariance of the residuals at a lag of l steps, the loadings are the first eigenvectors of
    Γ(near) + Γ(far); along each, the two lags give the variance and the decay.
    """
    near = sorted({max(1, round(lag_s / step_s)) for lag_s in NEAR_S})
    far = sorted({max(near[-1] + 1, round(lag_s / step_s)) for lag_s in FAR_S})
    pairs = [_runs(part, far[-1]) for part in rows]
    later = _picked(residuals, pairs)
    n = max(len(later), 1)
    shared = [
        symmetric(later.T @ _picked([_lagged(residual, lags) for residual in residuals], pairs) / n)
        for lags in (near, far)
    ]
    _, vectors = np.linalg.eigh(shared[0] + shared[1])
    loadings = vectors[:, ::-1][:, :max_hidden]
    at_near, at_far = (
        np.maximum(np.einsum("ih,ij,jh->h", loadings, covariance, loadings), MIN_NOISE)
        for covariance in shared
    )
    near_lag, far_lag = float(np.mean(near)), float(np.mean(far))
    persistence = np.clip(
        (at_far / at_near) ** (1.0 / (far_lag - near_lag)), np.exp(-step_s / SHORTEST_HIDDEN_S), MAX_RADIUS
    )
    variance = (at_near / persistence**near_lag + at_far / persistence**far_lag) / 2
    return loadings, persistence, variance


def _lagged(rows: F8, lags: Sequence[int]) -> F8:
    """Mean over lags of the rows before each row; missing ones count as 0."""
    total = np.zeros_like(rows)
    for lag in lags:
        total[lag:] += rows[:-lag] / len(lags)
    return total


def _runs(rows: Mask, n_before: int) -> Mask:
    """Rows that are chosen together with each of the `n_before` rows before them."""
    runs = rows.copy()
    for lag in range(1, n_before + 1):
        runs[:lag] = False
        runs[lag:] &= rows[:-lag]
    return runs


def _shrunk_correlation(residuals: F8) -> F8:
    """Correlation f8[C, C] of residuals f8[n, C] of SD 1, its off-diagonal shrunk.

    Shrinkage by Schäfer & Strimmer (2005, Stat. Appl. Genet. Mol. Biol. 4:32), with the variance of a
    correlation between Gaussian variables.
    """
    correlation = residuals.T @ residuals / len(residuals)
    np.fill_diagonal(correlation, 1.0)
    off_diagonal = correlation - np.eye(len(correlation))
    strength = (off_diagonal**2).sum()
    uncertainty = ((1 - correlation**2) ** 2).sum() / max(len(residuals) - 1, 1)
    kept = 1.0 - min(1.0, uncertainty / strength) if strength > 0 else 0.0
    return np.eye(len(correlation)) + kept * off_diagonal


def _slopes(x: F8, y: F8, ridge: float) -> F8:
    """Ridge regression without offset: f8[y columns, x columns], for columns of x of SD 1."""
    penalty = ridge * max(len(x), 1) * np.eye(x.shape[1])
    return np.asarray(np.linalg.solve(x.T @ x + penalty, x.T @ y).T, dtype=np.float64)


def _picked(parts: Sequence[NDArray[N]], rows: Sequence[Mask]) -> NDArray[N]:
    return np.concatenate([part[row] for part, row in zip(parts, rows, strict=True)])


def _in_steps(ticks: NDArray[N], step: int) -> NDArray[N]:
    """Rows [T, n] as [T // step, step, n]."""
    n_steps = len(ticks) // step
    return ticks[: n_steps * step].reshape(n_steps, step, ticks.shape[1])
