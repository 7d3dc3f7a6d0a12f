"""Fits each kind of model to binned sessions.

data = TrainingSet([counts], [targets], outputs, bin_width_s=0.02)
(fitted,) = FITTERS["wiener"](data, FitSettings(), Run())
fitted.artifact
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from rtdecode.artifact import Arrays, Feature, ModelArtifact, Output, count_max_at
from rtdecode.calibrate.data.metrics import nullable
from rtdecode.calibrate.data.splits import is_labelled
from rtdecode.calibrate.data.velocities import velocity_columns
from rtdecode.calibrate.fitting.training_set import MIN_TRAIN_S, FitSettings, TrainingSet
from rtdecode.calibrate.run import Run
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import F4, I8, Inputs, Mask
from rtdecode.models.kinds.registry import NETWORKS
from rtdecode.models.linear.kalman import fit_kalman, steady_filter
from rtdecode.models.linear.wiener import fit_wiener

#: Part of an output's bins that a Kalman filter leaves out without a note, since another is unknown there.
MOST_LEFT_OUT = 0.1


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted model without provenance, and what its provenance holds of the fit: settings and notes."""

    artifact: ModelArtifact
    settings: dict[str, Any]
    notes: tuple[str, ...] = ()


Fitter = Callable[[TrainingSet, FitSettings, Run], Sequence[Fitted]]
"""Returns one model for all sessions, or, for kinds with a read-in, one for each session."""


def same_day_filter(
    counts: Inputs,
    targets: F4,
    outputs: Sequence[Output],
    bin_width_s: float,
    features: tuple[Feature, ...] = (),
    starts: I8 | None = None,
) -> ModelArtifact:
    """Fit a Wiener filter to one day, against which every model of that day is judged.

    Args:
        counts: u1[T, C]; with features i2[T, C + F].
        targets: f4[T, D]; NaN where unlabelled. An output with less than `MIN_TRAIN_S` of labels, and
            less than another, is decoded as its mean.
        outputs: D.
        bin_width_s: seconds.
        features: F, of the day.
        starts: of the stretches between gaps; None without any.

    Raises:
        RtdecodeError: no channel fires, or there are too few labels.
    """
    known_s = np.isfinite(targets).sum(axis=0) * bin_width_s
    learnable = known_s >= min(MIN_TRAIN_S, known_s.max())
    data = TrainingSet(
        [counts],
        [np.where(learnable, targets, np.float32(np.nan))],
        tuple(outputs),
        bin_width_s,
        features=[features] if features else (),
        starts=() if starts is None else [starts],
    )
    (fitted,) = _fit_wiener(data, FitSettings(), Run())
    artifact = fitted.artifact
    bias = np.where(learnable, artifact.run["bias"], [output.mean for output in outputs])
    return replace(artifact, run=dict(artifact.run) | {"bias": bias})


def _fit_wiener(data: TrainingSet, _settings: FitSettings, run: Run) -> Sequence[Fitted]:
    fit = fit_wiener(
        data.in_stretches(data.counts),
        data.in_stretches(data.targets),
        data.bin_width_s,
        count_max=count_max_at(data.bin_width_s),
        n_features=data.n_features,
        progress=run.progress,
    )
    settings = {
        "history_s": fit.lag_edges[-1] * data.bin_width_s,
        "lag_edges": list(fit.lag_edges),
        "penalty": fit.penalty.tolist(),
        "cv_r2": nullable(fit.cv_r2),
        "n_bins": fit.n_rows,
    }
    return [Fitted(_linear("wiener", data, fit.good, {"weight": fit.weight, "bias": fit.bias}), settings)]


def _fit_kalman(data: TrainingSet, asked: FitSettings, run: Run) -> Sequence[Fitted]:
    fit = fit_kalman(
        data.in_stretches(data.counts),
        data.in_stretches(data.targets),
        data.bin_width_s,
        count_max=count_max_at(data.bin_width_s),
        n_features=data.n_features,
        velocity_of=velocity_columns(data.outputs),
        progress=run.progress,
    )
    tensors: Arrays = {"readout": fit.readout, "bias": fit.bias}
    if asked.steady_state:
        tensors |= steady_filter(fit)
    else:
        names = ("transition", "process_noise", "observe", "information", "offset", "prior")
        tensors |= {name: getattr(fit, name) for name in names}
    settings = {
        "steady_state": asked.steady_state,
        "states": {"positions": fit.n_positions, "courses": fit.n_velocities, "hidden": fit.n_hidden},
        "observation_scale": fit.scale,
        "cv_r2": nullable(fit.cv_r2),
        "tick_s": fit.tick_s,
        "n_ticks": fit.n_ticks,
    }
    return [Fitted(_linear("kalman", data, fit.good, tensors), settings, tuple(_joint(data)))]


def _joint(data: TrainingSet) -> Iterator[str]:
    """A sentence about the bins that are left out since some output is unknown there, if they are many."""
    targets = np.concatenate(data.targets)
    known = np.isfinite(targets[is_labelled(targets)])
    n, most = int(known.all(axis=1).sum()), int(known.sum(axis=0).max())
    if n < (1.0 - MOST_LEFT_OUT) * most:
        lacking = [each.name for each, column in zip(data.outputs, known.T, strict=True) if not column.all()]
        yield (
            f"a Kalman filter has one state for all outputs: it is fitted to the {n} of {most} bins in which "
            f"all are known; for more, leave out what is unknown elsewhere ({', '.join(lacking)}) with "
            "--outputs, or use another --kind"
        )


def _linear(kind: str, data: TrainingSet, good: Mask, tensors: Arrays) -> ModelArtifact:
    n_channels = len(good) - data.n_features
    return ModelArtifact(
        kind=kind,
        causal=True,
        bin_width_s=data.bin_width_s,
        n_channels=n_channels,
        channel_mask=tuple(bool(each) for each in good[:n_channels]),
        outputs=data.outputs,
        count_max=count_max_at(data.bin_width_s),
        run=tensors,
        features=data.features[-1] if data.features else (),
    )


def check_installed(kind: str) -> None:
    """Check that the packages are installed that fitting this kind needs.

    Raises:
        RtdecodeError: one is not installed.
    """
    if kind not in NETWORKS:
        return
    try:
        import rtdecode.calibrate.fitting.networks  # noqa: F401
    except ModuleNotFoundError as error:
        raise RtdecodeError(
            f"training a network needs {error.name}, which is not installed",
            where=f"--kind {kind}",
            fix="pip install 'rtdecode[train]'",
        ) from None


def _fit_network(kind: str, data: TrainingSet, settings: FitSettings, run: Run) -> Sequence[Fitted]:
    from rtdecode.calibrate.fitting.networks import fit_network

    artifacts, logs = fit_network(kind, data, settings, run)
    members = [
        {"steps": log.steps, "best_step": log.best_step, "validation_r2": nullable(log.validation_r2)}
        for log in logs
    ]
    return [
        Fitted(artifact, {"members": members}, tuple(artifact.provenance["export"]["notes"]))
        for artifact in artifacts
    ]


FITTERS: Mapping[str, Fitter] = MappingProxyType(
    {"wiener": _fit_wiener, "kalman": _fit_kalman} | {kind: partial(_fit_network, kind) for kind in NETWORKS}
)
