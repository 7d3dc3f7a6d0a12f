"""The losses against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import N_CHANNELS, N_OUTPUTS, make_alignnet

from rtdecode.calibrate.training.losses import Objective, info_nce, mse
from rtdecode.calibrate.training.settings import TrainingSettings
from rtdecode.calibrate.training.windows import Batch

torch.set_num_threads(1)

SEEDS = st.integers(0, 2**31)


@given(seed=SEEDS)
@settings(deadline=None, max_examples=20)
def test_mse_is_the_weighted_mean_of_squares(seed: int) -> None:
    rng = np.random.default_rng(seed)
    predicted, target = rng.normal(size=(2, 4, 3, 11))
    weight = rng.integers(0, 3, size=11) + (np.arange(11) == 5)
    error = (predicted - target) ** 2
    expected = np.average(error.mean(axis=(0, 1)), weights=weight)
    tensors = [torch.from_numpy(array) for array in (predicted, target, weight)]
    np.testing.assert_allclose(mse(*tensors), expected)
    np.testing.assert_allclose(mse(*tensors[:2]), error.mean())


def test_targets_of_weight_0_are_ignored_even_if_missing() -> None:
    predicted = torch.randn(2, 3, 8, requires_grad=True)
    target = torch.zeros(2, 3, 8)
    target[..., :4] = torch.nan
    weight = (torch.arange(8) >= 4).float()
    loss = mse(predicted, target, weight)
    loss.backward()
    torch.testing.assert_close(loss, (predicted[..., 4:] ** 2).mean())
    assert predicted.grad.isfinite().all()
    assert not predicted.grad[..., :4].any()
    assert mse(predicted, target, torch.zeros(8)) == 0


def test_outputs_with_weights_of_their_own() -> None:
    predicted, target = torch.randn(2, 2, 8, requires_grad=True), torch.randn(2, 2, 8)
    weight = torch.ones(2, 2, 8)
    assert mse(predicted, target, weight) == mse(predicted, target, weight[:, :1])
    weight[:, 1, 3:] = 0.0
    loss = mse(predicted, target, weight)
    loss.backward()
    error = (predicted - target) ** 2
    torch.testing.assert_close(loss, (error[:, 0].sum() + error[:, 1, :3].sum()) / 22)
    assert not predicted.grad[:, 1, 3:].any()


@pytest.mark.parametrize("direction", ["decode", "simulate"])
def test_spikes_are_simulated_where_all_outputs_are_known_and_each_is_decoded_where_it_is(
    direction: str,
) -> None:
    net = make_alignnet().train(False)
    counts = torch.ones(2, N_CHANNELS, 16)
    weight = torch.ones(2, N_OUTPUTS, 16)
    weight[:, 0, 8:] = 0.0
    batch = Batch(counts, torch.randn(2, N_OUTPUTS, 16), weight, [net.read_in.names[0]] * 2)
    settings = TrainingSettings(direction=direction)
    loss = Objective(net, settings)(batch, counts, 0.0)
    with torch.no_grad():
        if direction == "decode":
            expected = mse(net.decode(counts, batch.sessions), batch.targets, weight)
        else:
            rates = net.in_sd(net.simulate(batch.targets, batch.sessions), batch.sessions)
            expected = mse(rates[..., :8], net.in_sd(counts, batch.sessions)[..., :8])
    torch.testing.assert_close(loss.detach(), settings.cross * expected)


@given(seed=SEEDS, n=st.integers(1, 6))
@settings(deadline=None, max_examples=20)
def test_info_nce_written_out(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    spike, behavior = rng.normal(size=(n, 5, 8)), rng.normal(size=(n, 5, 4))
    u, v = (x.mean(axis=2) / np.linalg.norm(x.mean(axis=2), axis=1, keepdims=True) for x in (spike, behavior))
    total = 0.0
    for i in range(n):
        to_behavior = [np.exp(u[i] @ v[j] / 0.1) for j in range(n)]
        to_spikes = [np.exp(u[j] @ v[i] / 0.1) for j in range(n)]
        total -= np.log(to_behavior[i] / sum(to_behavior)) + np.log(to_spikes[i] / sum(to_spikes))
    loss = info_nce(torch.from_numpy(spike), torch.from_numpy(behavior))
    np.testing.assert_allclose(loss, total / (2 * n), atol=1e-9)


def test_info_nce_is_low_for_aligned_windows() -> None:
    latent = torch.eye(6).repeat_interleave(10).reshape(6, 6, 10)
    assert info_nce(latent, 3 * latent) < 0.001
    assert info_nce(latent, latent.roll(1, dims=0)) > 9
    np.testing.assert_allclose(info_nce(torch.ones(6, 4, 3), torch.ones(6, 4, 3)), np.log(6), rtol=1e-6)


def test_info_nce_of_planes_and_its_gradient() -> None:
    spike, behavior = torch.randn(5, 3, 4, 7, requires_grad=True), torch.randn(5, 3, 4, 7)
    loss = info_nce(spike, behavior)
    torch.testing.assert_close(loss, info_nce(spike.flatten(1, 2), behavior.flatten(1, 2)))
    torch.testing.assert_close(loss, info_nce(behavior, spike))
    loss.backward()
    assert spike.grad.abs().sum() > 0
