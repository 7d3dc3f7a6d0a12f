"""The Wiener filter in the study: that of `fit` and the gate, in both directions, causal or centred."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact
from rtdecode.calibrate.evaluation.study.data import StudySet
from rtdecode.models.linear.pieces import in_one
from rtdecode.models.linear.ridge import RidgeFit, fit_ridge
from rtdecode.models.linear.wiener import DEFAULTS, centred_edges, expected_weights
from rtdecode.session.bins import stretches

#: For filters of behaviour: it is smooth, so that its lags are nearly collinear.
SIMULATION_PENALTIES = tuple(10.0 ** (k / 2) for k in range(-8, 7))


def wiener_filter(data: StudySet, *, decoding: bool, causal: bool) -> RidgeFit:
    """The filter from z-scored counts to z-scored behaviour, or back.

    On a single day the causal decoder is `fit_wiener`'s: ridge regression there does not depend on the scale
    of the counts. On several days each day's counts are scaled by its own spikes, as for the networks.

    Args:
        data: of the job.
        decoding: from counts f8[T, C] to behaviour f8[T, D]; else from behaviour to counts.
        causal: reads 1.5 s before a bin; else half as much on both sides.

    Raises:
        RtdecodeError: the bins with behaviour are too few for cross-validation.
    """
    training_days = [day for day in data.days if day.train_bins.any()]
    counts = [day.z_counts for day in training_days]
    signals, targets = counts, [data.z_labels(day).astype(np.float64) for day in training_days]
    if not decoding:
        signals, targets = [data.z_behavior(day).astype(np.float64) for day in training_days], counts
    n_signals = len(data.outputs)
    rate_hz = np.ones(n_signals)
    if decoding:
        n_signals = int(np.any([day.good for day in training_days], axis=0).sum())
        n_spikes = np.sum(
            [day.counts[day.train_bins].sum(axis=0, dtype=np.float64) for day in training_days], axis=0
        )
        rate_hz = n_spikes / (sum(day.train_bins.sum() for day in training_days) * data.bin_width_s)
    settings = DEFAULTS if causal else replace(DEFAULTS, history_s=DEFAULTS.history_s / 2)
    past = settings.edges(data.bin_width_s, n_signals)
    edges = past if causal else centred_edges(past)
    labels = [
        np.where(day.train_bins[:, np.newaxis], target, np.nan)
        for day, target in zip(training_days, targets, strict=True)
    ]
    parts = [stretches(day.starts, len(day.counts)) for day in training_days]
    # Between stretches there is as much of the mean as there are lags.
    signals, labels = (
        in_one(
            [each[rows] for each, own in zip(of_days, parts, strict=True) for rows in own],
            [len(own) for own in parts],
            edges[-1] - 1 - edges[0],
            filling,
        )
        for of_days, filling in ((signals, 0.0), (labels, np.nan))
    )
    return fit_ridge(
        signals,
        labels,
        edges,
        expected_weights(rate_hz, edges),
        penalties=settings.penalties if decoding else SIMULATION_PENALTIES,
        n_folds=settings.n_folds,
    )


def wiener_artifact(data: StudySet, fit: RidgeFit) -> ModelArtifact:
    """A causal decoder of z-scored counts as a model of the test day's counts."""
    day = data.test
    mean, sd = (np.array([getattr(output, part) for output in data.outputs]) for part in ("mean", "sd"))
    per_spike = np.where(day.good, 1.0 / np.where(day.good, day.sd, 1.0), 0.0)
    grouped: NDArray[np.float64] = fit.weight * per_spike[:, np.newaxis] * sd
    weight = np.repeat(grouped, np.diff(fit.edges), axis=0).transpose(1, 0, 2).astype(np.float32)
    return ModelArtifact(
        kind="wiener",
        causal=True,
        bin_width_s=data.bin_width_s,
        n_channels=len(day.mean),
        channel_mask=tuple(bool(good) for good in day.good),
        outputs=data.outputs,
        count_max=data.count_max,
        run={
            "weight": weight,
            "bias": mean + sd * fit.bias - np.einsum("c,chd->d", day.mean, weight, dtype=np.float64),
        },
    )
