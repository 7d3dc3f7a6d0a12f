"""The paper's baselines: both directions, causal or not, and AlignNet's interface."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from rtdecode.errors import RtdecodeError
from rtdecode.models.networks.baseline import BaselineNet
from rtdecode.models.networks.trunks import BaselineNetSettings

TRUNKS = ("mlp", "gru", "resnet", "resnet-unet")
C, D = 6, 2


def make(trunk: str, causal: bool, seed: int = 0) -> BaselineNet:
    torch.manual_seed(seed)
    net = BaselineNet(BaselineNetSettings(C, D, 20, trunk=trunk, causal=causal, width=12, depth=3, reach=7))
    net.read_in.add("monday", np.ones(C), np.ones(C), np.arange(C) > 0)
    return net.eval()


def counts(n_bins: int, seed: int = 1) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).poisson(1.0, (2, C, n_bins)).astype(np.float32))


@pytest.mark.parametrize(("trunk", "causal"), list(product(TRUNKS, (True, False))))
@pytest.mark.parametrize("n_bins", [1, 2, 3, 17, 40])
def test_a_value_for_each_bin_in_both_directions(trunk: str, causal: bool, n_bins: int) -> None:
    net = make(trunk, causal)
    with torch.no_grad():
        decoded = net.decode(counts(n_bins))
        rates = net.simulate(torch.randn(2, D, n_bins))
    assert decoded.shape == (2, D, n_bins)
    assert rates.shape == (2, C, n_bins)
    assert (rates[:, 1:] > 0).all()
    assert (rates[:, 0] == 0).all(), "an ignored channel"
    assert bool(torch.isfinite(decoded).all())


@pytest.mark.parametrize("trunk", TRUNKS)
def test_only_causal_networks_are_causal(trunk: str) -> None:
    for causal in (True, False):
        net = make(trunk, causal)
        before = counts(32)
        after = before.clone()
        after[..., 20:] += 3.0
        motion = torch.randn(1, D, 32)
        other = motion.clone()
        other[..., 20:] -= 2.0
        with torch.no_grad():
            moved = (net.decode(after) - net.decode(before)).abs().amax(dim=(0, 1))
            fired = (net.simulate(other) - net.simulate(motion)).abs().amax(dim=(0, 1))
        for change in (moved, fired):
            assert (change[:20].max() < 1e-6) == causal
            assert change[20:].max() > 1e-4


@pytest.mark.parametrize(("trunk", "causal"), list(product(TRUNKS, (True, False))))
def test_settings_rebuild_the_network(trunk: str, causal: bool) -> None:
    net = make(trunk, causal)
    again = BaselineNet(BaselineNetSettings(**net.settings))
    again.read_in.add("monday", np.ones(C), np.ones(C), np.arange(C) > 0)
    again.load_state_dict(net.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(again.eval().decode(counts(9)), net.decode(counts(9)))


@pytest.mark.parametrize("trunk", TRUNKS)
def test_one_direction_trains_all_of_its_parts_and_none_of_the_other(trunk: str) -> None:
    net = make(trunk, causal=False).train()
    net.decode(counts(16)).square().sum().backward()
    for part in net.decoding_parts():
        assert all(p.grad is not None for p in part.parameters())
    for part in net.simulating_parts():
        assert all(p.grad is None for p in part.parameters())


def test_unknown_trunks_and_sizes_are_refused() -> None:
    with pytest.raises(RtdecodeError, match="no baseline 'lstm'"):
        BaselineNet(BaselineNetSettings(C, D, 20, trunk="lstm", causal=True))
    with pytest.raises(RtdecodeError, match="width 0"):
        BaselineNet(BaselineNetSettings(C, D, 20, trunk="mlp", causal=True, width=0))
