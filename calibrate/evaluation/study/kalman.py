"""The Kalman filter in the study: decoding, and simulating spikes with its observation model."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact
from rtdecode.calibrate.evaluation.study.data import StudyDay, StudySet
from rtdecode.calibrate.fitting.fitters import FITTERS
from rtdecode.calibrate.fitting.training_set import FitSettings, TrainingSet
from rtdecode.calibrate.run import Run
from rtdecode.models.linear.kalman import AHEAD_S, BEHIND_S, N_TERMS
from rtdecode.models.linear.kinematics import kinematic_states
from rtdecode.session.bins import stretches

#: Relative to the variance of a state, as in `models.linear.count_model`.
RIDGE = 1e-3


def kalman_decoded(data: StudySet, velocity_of: Mapping[int, int | None]) -> tuple[ModelArtifact, float]:
    """The filter of `fit`, re-normalised for the test day, and the seconds that took.

    Its weights are scaled so that a count one SD above the test day's mean counts as one SD above the mean of
    the training days.
    """
    started = time.perf_counter()
    training_days = [day for day in data.days if day.train_bins.any()]
    targets = [np.where(day.train_bins[:, np.newaxis], day.recorded.targets, np.nan) for day in training_days]
    training = TrainingSet(
        [day.counts for day in training_days],
        [target.astype(np.float32) for target in targets],
        data.outputs,
        data.bin_width_s,
        starts=[day.starts for day in training_days],
    )
    (fit,) = FITTERS["kalman"](training, FitSettings(), Run())
    run, day = dict(fit.artifact.run), data.test
    mask = np.asarray(fit.artifact.channel_mask) & day.good
    before = np.concatenate([each.counts[each.train_bins] for each in training_days]).std(
        axis=0, dtype=np.float64
    )
    scale = np.where(mask, before / np.where(day.good, day.sd, 1.0), 0.0)
    run["observe"] = (run["observe"] * scale[:, np.newaxis]).astype(np.float32)
    run["offset"] = -(np.where(mask, day.mean, 0.0) @ run["observe"].astype(np.float64))
    artifact = ModelArtifact(
        kind="kalman",
        causal=True,
        bin_width_s=data.bin_width_s,
        n_channels=day.counts.shape[1],
        channel_mask=tuple(bool(good) for good in mask),
        outputs=data.outputs,
        count_max=data.count_max,
        run=run,
    )
    return artifact, time.perf_counter() - started


def kalman_simulated(
    data: StudySet, velocity_of: Mapping[int, int | None]
) -> tuple[NDArray[np.float64], int, float]:
    """Z-scored counts f8[T, C] of the test day by the observation model, its number of weights, and seconds.

    The mean of the counts given the state: positions, and each velocity lagged from 64 ms in the past to
    256 ms in the future (`kinematic_states`). A missing lag counts as its mean.
    """
    gram = shared = None
    for day in data.days:
        states = _states(data, day, velocity_of)
        rows = day.train_bins & np.isfinite(states).all(axis=1)
        x, y = states[rows], day.z_counts[rows]
        gram = x.T @ x if gram is None else gram + x.T @ x
        shared = x.T @ y if shared is None else shared + x.T @ y
    assert gram is not None
    assert shared is not None
    observation = np.linalg.solve(gram + RIDGE * np.diag(np.diag(gram)) + 1e-9 * np.eye(len(gram)), shared)
    started = time.perf_counter()
    states = np.nan_to_num(_states(data, data.test, velocity_of))
    return states @ observation, int(observation.size), time.perf_counter() - started


def _states(data: StudySet, day: StudyDay, velocity_of: Mapping[int, int | None]) -> NDArray[np.float64]:
    """The states f8[T, p] of a day, of each stretch between gaps by itself."""
    ahead, behind = (round(reach_s / data.bin_width_s) for reach_s in (AHEAD_S, BEHIND_S))
    z = data.z_labels(day).astype(np.float64)
    parts = [z[rows] for rows in stretches(day.starts, len(z))]
    return np.concatenate([kinematic_states(each, velocity_of, ahead, behind, N_TERMS) for each in parts])
