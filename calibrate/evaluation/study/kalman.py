"""The Kalman filter in the study: what it decodes, and what it takes spikes to be."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact
from rtdecode.calibrate.evaluation.study.data import StudySet
from rtdecode.calibrate.fitting.fitters import FITTERS
from rtdecode.calibrate.fitting.training_set import FitSettings, TrainingSet
from rtdecode.calibrate.run import Run
from rtdecode.models.linear.kalman import AHEAD_S, BEHIND_S, N_TERMS
from rtdecode.models.linear.kinematics import kinematic_states

#: Relative to the variance of a state, as in `countmodel`.
RIDGE = 1e-3


def kalman_decoded(data: StudySet, velocity_of: Mapping[int, int | None]) -> tuple[ModelArtifact, float]:
    """The filter that `fit` makes, read in for the test day, and the seconds that it took.

    Counts of the test day are taken for those of the days that it was fitted to: at their means they say
    nothing, and an SD more says what an SD more said there.
    """
    started = time.perf_counter()
    taught = [day for day in data.days if day.learnt.any()]
    targets = [np.where(day.learnt[:, np.newaxis], day.recorded.targets, np.nan) for day in taught]
    learnt = TrainingSet(
        [day.counts for day in taught],
        [target.astype(np.float32) for target in targets],
        data.outputs,
        data.bin_width_s,
    )
    (fit,) = FITTERS["kalman"](learnt, FitSettings(), Run())
    run, day = dict(fit.artifact.run), data.test
    mask = np.asarray(fit.artifact.channel_mask) & day.good
    before = np.concatenate([each.counts[each.learnt] for each in taught]).std(axis=0, dtype=np.float64)
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
    """Z-scored counts f8[T, C] of the test day by the observation model, how many weights, and seconds taken.

    The mean of the counts given the state: positions, and the course of each velocity from 64 ms ago to
    256 ms ahead (`kinematic_states`). Where a course is not known it counts as its mean.
    """
    ahead, behind = (round(reach_s / data.bin_width_s) for reach_s in (AHEAD_S, BEHIND_S))
    gram = shared = None
    for day in data.days:
        z = np.where(day.recorded.labelled_bins[:, np.newaxis], data.z_behavior(day), np.nan).astype(
            np.float64
        )
        states = kinematic_states(z, velocity_of, ahead, behind, N_TERMS)
        rows = day.learnt & np.isfinite(states).all(axis=1)
        x, y = states[rows], day.z_counts[rows]
        gram = x.T @ x if gram is None else gram + x.T @ x
        shared = x.T @ y if shared is None else shared + x.T @ y
    assert gram is not None
    assert shared is not None
    observation = np.linalg.solve(gram + RIDGE * np.diag(np.diag(gram)) + 1e-9 * np.eye(len(gram)), shared)
    started = time.perf_counter()
    z = np.where(data.test.recorded.labelled_bins[:, np.newaxis], data.z_behavior(data.test), np.nan).astype(
        np.float64
    )
    states = np.nan_to_num(kinematic_states(z, velocity_of, ahead, behind, N_TERMS))
    return states @ observation, int(observation.size), time.perf_counter() - started
