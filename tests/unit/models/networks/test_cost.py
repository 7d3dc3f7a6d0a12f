"""The cost of a network, counted by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from rtdecode.models.networks.cost import cost_of
from rtdecode.models.nn.layers import Rise, UnitSettings, stage


def test_convolutions_and_linear_maps() -> None:
    net = nn.Sequential(nn.Conv1d(3, 5, 3, padding=1, bias=False), nn.Conv1d(5, 2, 1))
    x = torch.ones(1, 3, 10)
    x[:, 0] = 0.0
    with torch.no_grad():
        net[0].weight.fill_(1.0)
    cost = cost_of([net], lambda: net(x), 10)
    assert cost.parameters == 3 * 5 * 3 + 5 * 2 + 2
    assert cost.dense_macs == pytest.approx(3 * 5 * 3 + 5 * 2)
    assert cost.effective_acs == pytest.approx(3 * 5 * 3 * 2 / 3 + 5 * 2)
    assert cost_of([net], lambda: net(x), 10, first_density=0.1).effective_acs == pytest.approx(4.5 + 10)


def test_recurrent_units() -> None:
    gru = nn.GRU(4, 6, batch_first=True)
    cost = cost_of([gru], lambda: gru(torch.ones(1, 20, 4)), 20)
    assert cost.dense_macs == pytest.approx(3 * 6 * 4 + 3 * 6 * 6)
    assert cost.sparsity is None
    # Silent channels cost nothing, but states do, from the second bin on.
    silent = cost_of([gru], lambda: gru(torch.ones(1, 20, 4)), 20, first_density=0.0)
    assert silent.effective_acs == pytest.approx(3 * 6 * 6 * 19 / 20)


def test_coarse_levels_cost_half_as_often() -> None:
    rise = Rise(4)
    cost = cost_of([rise], lambda: rise(torch.ones(1, 4, 8), torch.ones(1, 4, 16)), 16)
    assert cost.dense_macs == pytest.approx(4 * 4 * 2 / 2)


def test_spikes_are_counted_where_they_are_read() -> None:
    torch.manual_seed(0)
    layers = stage(3, 8, UnitSettings(spiking=True)).eval()
    x = torch.randn(2, 3, 50)
    with torch.no_grad():
        spikes = layers[0](x)
    cost = cost_of([layers], lambda: layers(x), 100)
    padded = 2 * 8 * 52
    assert cost.sparsity == pytest.approx(1.0 - float(spikes.sum()) / padded)
    dense = 3 * 8 * 3 * 50 * 2 + 8 * 8 * 3 * 50 * 2
    assert cost.dense_macs == pytest.approx(dense / 100)


def test_the_hooks_are_removed() -> None:
    net = nn.Conv1d(2, 2, 1)
    cost_of([net], lambda: net(torch.ones(1, 2, 3)), 3)
    assert not net._forward_hooks
