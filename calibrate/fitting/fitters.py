"""What each kind of model learns from binned sessions, and what of it goes into the artifact."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import Output, count_max_at
from rtdecode.calibrate.data.metrics import nullable
from rtdecode.calibrate.data.velocities import velocity_columns
from rtdecode.errors import RtdecodeError
from rtdecode.models.kinds.registry import NETWORKS
from rtdecode.models.linear.kalman import fit_kalman, steady_filter
from rtdecode.models.linear.wiener import fit_wiener


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """What is learnt from.

    Attributes:
        counts: u1[T, C] for each session.
        targets: f4[T, D] for each; NaN where a bin is not to be learnt from.
        outputs: the D columns, in order.
        bin_width_s: seconds.
        names: of the sessions.
        steady_state: for a Kalman filter, whether to fold the gain that it settles at.
        seed: of what a network's training draws at random.
        device: to train a network on.
    """

    counts: Sequence[NDArray[np.uint8]]
    targets: Sequence[NDArray[np.float32]]
    outputs: tuple[Output, ...]
    bin_width_s: float
    names: Sequence[str] = ()
    steady_state: bool = False
    seed: int = 0
    device: str = "auto"


@dataclass(frozen=True, eq=False)
class Trained:
    """What a fit contributes to the artifact."""

    run: dict[str, NDArray[Any]]
    channel_mask: tuple[bool, ...]
    settings: dict[str, Any]
    train: dict[str, NDArray[Any]] = field(default_factory=dict)
    widths: tuple[int, ...] = ()
    fractional_bits: int | None = None
    notes: tuple[str, ...] = ()


Fitter = Callable[[TrainingSet, Callable[[float], None]], Sequence[Trained]]
"""Gives one for all sessions, or one for each, of a kind of model that reads each in by itself."""


def _fit_wiener(data: TrainingSet, progress: Callable[[float], None]) -> Sequence[Trained]:
    fit = fit_wiener(
        data.counts,
        data.targets,
        data.bin_width_s,
        count_max=count_max_at(data.bin_width_s),
        progress=progress,
    )
    trained = Trained(
        run={"weight": fit.weight, "bias": fit.bias},
        channel_mask=tuple(bool(good) for good in fit.good),
        settings={
            "history_s": fit.lag_edges[-1] * data.bin_width_s,
            "lag_edges": list(fit.lag_edges),
            "penalty": fit.penalty.tolist(),
            "cv_r2": nullable(fit.cv_r2),
            "n_bins": fit.n_rows,
        },
    )
    return [trained]


def _fit_kalman(data: TrainingSet, progress: Callable[[float], None]) -> Sequence[Trained]:
    fit = fit_kalman(
        data.counts,
        data.targets,
        data.bin_width_s,
        count_max=count_max_at(data.bin_width_s),
        velocity_of=velocity_columns(data.outputs),
        progress=progress,
    )
    run: dict[str, NDArray[Any]] = {"readout": fit.readout, "bias": fit.bias}
    if data.steady_state:
        steady = steady_filter(fit)
        run |= {"transition": steady.transition, "gain": steady.gain, "offset": steady.offset}
    else:
        run |= {
            "transition": fit.transition,
            "process_noise": fit.process_noise,
            "observe": fit.observe,
            "information": fit.information,
            "offset": fit.offset,
            "prior": fit.prior,
        }
    trained = Trained(
        run=run,
        channel_mask=tuple(bool(good) for good in fit.good),
        settings={
            "steady_state": data.steady_state,
            "states": {"positions": fit.n_positions, "courses": fit.n_velocities, "hidden": fit.n_hidden},
            "observation_scale": fit.scale,
            "cv_r2": nullable(fit.cv_r2),
            "tick_s": fit.tick_s,
            "n_ticks": fit.n_ticks,
        },
    )
    return [trained]


def check_installed(kind: str) -> None:
    """What fits this kind is there.

    Raises:
        RtdecodeError: it needs a package that is not installed.
    """
    if kind not in NETWORKS:
        return
    try:
        import rtdecode.calibrate.training.build  # noqa: F401
    except ModuleNotFoundError as error:
        raise RtdecodeError(
            f"training a network needs {error.name}, which is not installed",
            where=f"--kind {kind}",
            fix="pip install 'rtdecode[train]'",
        ) from None


def _fit_network(kind: str, data: TrainingSet, progress: Callable[[float], None]) -> Sequence[Trained]:
    from rtdecode.calibrate.training.build import fit_network

    artifacts, logs = fit_network(
        kind,
        list(data.names),
        list(data.counts),
        list(data.targets),
        data.outputs,
        data.bin_width_s,
        seed=data.seed,
        device=data.device,
        progress=progress,
    )
    return [
        Trained(
            run=dict(artifact.run),
            channel_mask=artifact.channel_mask,
            settings={
                "members": [
                    {
                        "steps": log.steps,
                        "best_step": log.best_step,
                        "validation_r2": nullable(log.validation_r2),
                    }
                    for log in logs
                ]
            },
            train=dict(artifact.train),
            widths=artifact.widths,
            fractional_bits=artifact.fractional_bits,
            notes=tuple(artifact.provenance["export"]["notes"]),
        )
        for artifact in artifacts
    ]


FITTERS: Mapping[str, Fitter] = MappingProxyType(
    {"wiener": _fit_wiener, "kalman": _fit_kalman} | {kind: partial(_fit_network, kind) for kind in NETWORKS}
)
