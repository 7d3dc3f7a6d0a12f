"""Sizes and training settings of each kind of network in the study."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch

from rtdecode.calibrate.evaluation.study.rows import DECODING
from rtdecode.calibrate.evaluation.study.wiener import SIMULATION_PENALTIES
from rtdecode.calibrate.training.build import CHANNEL_DROPOUT, DROPOUT, LONGEST_S
from rtdecode.calibrate.training.devices import CPU_FLOAT32, multiplies_bfloat16
from rtdecode.calibrate.training.settings import DECODE, SIMULATE, WARMUP_S, WINDOW_S, TrainingSettings
from rtdecode.errors import RtdecodeError
from rtdecode.models.linear.wiener import DEFAULTS
from rtdecode.models.networks.alignnet import AlignNet, AlignNetSettings
from rtdecode.models.networks.baseline import BaselineNet
from rtdecode.models.networks.gru import GRUNet, GRUNetSettings
from rtdecode.models.networks.trunks import BaselineNetSettings
from rtdecode.models.nn.network import Network

#: Training batches of 16 windows, and networks in an ensemble: the same for every kind.
STEPS, MEMBERS = 400, 1

LEARNING_RATE = 3e-3

#: Input window of an MLP, s.
REACH_S = 1.024

#: Weight of AlignNet's auxiliary losses beside that of the scored direction, and every how many batches.
AUXILIARY, AUXILIARY_EVERY = 0.1, 4

_BASELINES: dict[str, dict[str, Any]] = {
    "mlp": {"width": 256, "depth": 3},
    "gru": {"width": 128},
    "resnet": {"width": 96, "depth": 4},
    "resnet-unet": {"width": 96, "depth": 3},
}
_ALIGNNETS: dict[str, dict[str, Any]] = {
    "causal": {"widths": (80, 80, 80), "dec_widths": (64, 64), "leaky": 64, "hidden": 64},
    "offline": {"widths": (80, 80, 80), "dec_widths": (64, 64), "leaky": 64, "hidden": 64},
    "offline-2d": {"widths": (8, 16, 16), "dec_widths": (8, 16), "latent": 16},
}
FEATURE_DROPOUT, MOTION_DROPOUT = 0.3, 0.3

#: From behaviour to spikes AlignNet is as wide as the residual networks, and its last level twice that: a
#: neuron's spikes resolve a rate coarsely. For decoding, width did not help, nor did it residual networks.
_WIDE: dict[str, Any] = {"widths": (96, 96, 96), "dec_widths": (192, 96)}


def recipe(kind: str, causality: str, direction: str) -> dict[str, Any]:
    """All settings of a network that are chosen here, as JSON; {} for a Kalman filter."""
    if kind == "wiener":
        penalties = {} if direction == DECODING else {"penalties": SIMULATION_PENALTIES}
        return asdict(DEFAULTS) | penalties
    if kind == "alignnet":
        own = _alignnet(causality, direction) | {"auxiliary": [AUXILIARY, AUXILIARY_EVERY]}
    elif kind in _BASELINES:
        own = _BASELINES[kind]
    else:
        return {}
    return own | {
        "dropout": [FEATURE_DROPOUT, MOTION_DROPOUT],
        "window_s": [WINDOW_S, WARMUP_S],
        "learning_rate": LEARNING_RATE,
        "reach_s": REACH_S,
        "longest_s": LONGEST_S,
        "cpu_float32": kind in CPU_FLOAT32,
    }


def study_network(
    kind: str,
    causality: str,
    direction: str,
    n_channels: int,
    n_outputs: int,
    count_max: int,
    bin_width_s: float,
) -> Network:
    """An untrained network of the study.

    Args:
        kind: a network of `rows.KINDS`.
        causality: of `rows.CAUSALITIES`.
        direction: that it will be trained for.
        n_channels, n_outputs, count_max, bin_width_s: of the data.

    Raises:
        RtdecodeError: the kind is not a network.
    """
    common: dict[str, Any] = {
        "n_channels": n_channels,
        "n_outputs": n_outputs,
        "count_max": count_max,
        "dropout": DROPOUT,
        "channel_dropout": CHANNEL_DROPOUT,
        "feature_dropout": FEATURE_DROPOUT,
    }
    if kind == "alignnet":
        sizes = common | _alignnet(causality, direction)
        config = AlignNetSettings(
            causal=causality == "causal",
            planar=causality == "offline-2d",
            graded_rates=True,
            motion_dropout=MOTION_DROPOUT,
            centred_rates=True,
            **sizes,
        )
        net = AlignNet(config)
        if config.leaky:
            net.behavior_head.draw_time_constants(LONGEST_S / bin_width_s)
        return net
    if kind == "gru" and causality == "causal" and direction == DECODING:
        # The same as that of `fit`, which `serve` runs.
        return GRUNet(GRUNetSettings(hidden=_BASELINES["gru"]["width"], **common))
    if kind not in _BASELINES:
        raise RtdecodeError(f"a {kind} is not a network", fix=f"use alignnet or {', '.join(_BASELINES)}")
    reach = max(1, round(REACH_S / bin_width_s))
    sizes = common | _BASELINES[kind]
    baseline = BaselineNetSettings(trunk=kind, causal=causality == "causal", reach=reach, **sizes)
    return BaselineNet(baseline)


def study_settings(
    kind: str, direction: str, longest_bins: int, bin_width_s: float, steps: int
) -> TrainingSettings:
    """Training settings of a network of the study: one cycle of the learning rate, no early stopping.

    Args:
        kind, direction: of the network.
        longest_bins: length of the longest session.
        bin_width_s: seconds.
        steps: training batches.
    """
    settings = TrainingSettings(
        steps=steps,
        learning_rate=LEARNING_RATE,
        direction=DECODE if direction == DECODING else SIMULATE,
        auxiliary=AUXILIARY if kind == "alignnet" else 0.0,
        auxiliary_every=AUXILIARY_EVERY,
        mixed=multiplies_bfloat16(kind, torch.device("cpu")),
    )
    return settings.in_windows(WINDOW_S, max(longest_bins // 4, 8), bin_width_s)


def _alignnet(causality: str, direction: str) -> dict[str, Any]:
    return _ALIGNNETS[causality] | (_WIDE if direction != DECODING and causality != "offline-2d" else {})
