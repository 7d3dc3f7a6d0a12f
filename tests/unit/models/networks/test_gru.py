"""The GRU network: the recurrence written out, and the interface of the other networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from networks import COUNT_MAX, N_CHANNELS, N_OUTPUTS, make_counts, make_gru, windows

from rtdecode.calibrate.training.losses import mse
from rtdecode.errors import RtdecodeError
from rtdecode.models.networks.gru import GRUNet, GRUNetSettings

torch.set_num_threads(1)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_the_recurrence_written_out() -> None:
    net = make_gru(0)
    counts = make_counts(50)
    weights = {name: parameter.detach().double().numpy() for name, parameter in net.named_parameters()}
    read_in = net.read_in.of("monday")
    scale, offset = read_in.scale.detach().numpy(), read_in.offset.detach().numpy()
    hidden, expected = np.zeros(net.config.hidden), []
    for row in counts:
        z = scale * np.minimum(row, COUNT_MAX) + offset
        inward = np.split(weights["gru.weight_ih_l0"] @ z + weights["gru.bias_ih_l0"], 3)
        around = np.split(weights["gru.weight_hh_l0"] @ hidden + weights["gru.bias_hh_l0"], 3)
        reset, update = (sigmoid(inward[i] + around[i]) for i in range(2))
        hidden = (1 - update) * np.tanh(inward[2] + reset * around[2]) + update * hidden
        expected.append(weights["head.weight"] @ hidden + weights["head.bias"])
    decoded = net.decode(windows(counts))
    assert decoded.shape == (1, N_OUTPUTS, 50)
    np.testing.assert_allclose(decoded[0].T.detach().numpy(), expected, atol=1e-5)


def test_it_is_causal() -> None:
    net, counts = make_gru(0), make_counts(30)
    changed = counts.copy()
    changed[18:] = COUNT_MAX
    whole, other = net.decode(windows(counts)), net.decode(windows(changed))
    assert torch.equal(whole[..., :18], other[..., :18])
    assert not torch.equal(whole[..., 18:], other[..., 18:])


def test_all_parameters_are_trained() -> None:
    net = make_gru(0, sessions=("monday", "tuesday"), dropout=0.2).train()
    batch = torch.cat([windows(make_counts(30, seed)) for seed in range(4)])
    mse(net.decode(batch, ["monday", "tuesday"] * 2), torch.randn(4, N_OUTPUTS, 30)).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_no_units_are_refused() -> None:
    with pytest.raises(RtdecodeError, match="0 units"):
        GRUNet(GRUNetSettings(N_CHANNELS, N_OUTPUTS, COUNT_MAX, hidden=0))


def test_dropout_before_the_head_is_for_training() -> None:
    net, counts = make_gru(feature_dropout=0.5), windows(make_counts(30))
    with torch.no_grad():
        assert torch.equal(net.decode(counts), net.decode(counts))
        net.train()
        assert not torch.equal(net.decode(counts), net.decode(counts))
    with pytest.raises(RtdecodeError, match=r"a dropout of 1\.5"):
        make_gru(feature_dropout=1.5)
