"""The study's networks and their training settings."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from rtdecode.calibrate.evaluation.study.recipes import study_network, study_settings
from rtdecode.calibrate.evaluation.study.rows import DECODING, SIMULATION
from rtdecode.calibrate.training.devices import CPU_FLOAT32
from rtdecode.errors import RtdecodeError
from rtdecode.models.networks.alignnet import AlignNet
from rtdecode.models.networks.baseline import BaselineNet

N_CHANNELS, N_OUTPUTS, BIN_WIDTH_S = 96, 4, 0.064


@pytest.mark.parametrize("direction", [DECODING, SIMULATION])
@pytest.mark.parametrize(
    ("kind", "causality"),
    [
        *itertools.product(("resnet", "resnet-unet", "alignnet"), ("causal", "offline")),
        ("alignnet", "offline-2d"),
    ],
)
def test_bfloat16_products_equal_those_of_float32(kind: str, causality: str, direction: str) -> None:
    """Some CPUs get some shapes of convolution wrong: the shapes that are trained are tested."""
    assert kind not in CPU_FLOAT32
    torch.manual_seed(0)
    net = study_network(kind, causality, direction, N_CHANNELS, N_OUTPUTS, 20, BIN_WIDTH_S)
    assert isinstance(net, AlignNet | BaselineNet)
    net.read_in.add("monday", np.full(N_CHANNELS, 0.6), np.full(N_CHANNELS, 0.8))
    counts = torch.poisson(torch.full((2, N_CHANNELS, 120), 0.6))
    behavior = torch.randn(2, N_OUTPUTS, 120)
    checked = 0

    def compare(layer: torch.nn.Module, inputs: tuple[torch.Tensor, ...], result: torch.Tensor) -> None:
        nonlocal checked
        with torch.autocast("cpu", enabled=False):
            exact = layer.forward(inputs[0].float())
        error = float((result.float() - exact).norm() / exact.norm())
        assert error < 0.02, f"{layer} is off by {error:.3f}"
        checked += 1

    kinds = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.ConvTranspose1d, torch.nn.ConvTranspose2d)
    for layer in net.modules():
        if isinstance(layer, kinds):
            layer.register_forward_hook(compare)  # type: ignore[arg-type]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        net.train()  # untrained statistics would leave the neurons silent
        if direction == DECODING:
            net.decode(counts, "monday")
        else:
            net.simulate(behavior, "monday")
    assert checked >= 8


def test_kinds_that_a_cpu_gets_wrong_stay_in_float32() -> None:
    for kind in CPU_FLOAT32:
        assert not study_settings(kind, DECODING, 5000, BIN_WIDTH_S, 10).mixed


def test_a_filter_is_not_a_network() -> None:
    with pytest.raises(RtdecodeError, match="a wiener is not a network"):
        study_network("wiener", "causal", DECODING, N_CHANNELS, N_OUTPUTS, 20, BIN_WIDTH_S)
