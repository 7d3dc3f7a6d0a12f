"""The read-out with leaky neurons equals its recurrence for any window."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rtdecode.errors import RtdecodeError
from rtdecode.models.nn.leaky_readout import LONGEST_BINS, LeakyReadOut, leaky_scan, leaky_sum


@settings(max_examples=60, deadline=None)
@given(
    n_windows=st.integers(0, 3),
    n_frames=st.integers(0, 70),
    n=st.integers(1, 20),
    seed=st.integers(0, 2**32 - 1),
)
@pytest.mark.parametrize("summed", [leaky_sum, leaky_scan])
def test_the_leaky_sum_equals_its_recurrence(
    summed: Callable[[Tensor, Tensor], Tensor], n_windows: int, n_frames: int, n: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x, decay = rng.normal(size=(n_windows, n, n_frames)), rng.uniform(0, 0.999, n)
    expected, sums = np.zeros_like(x), np.zeros((n_windows, n))
    for k in range(n_frames):
        sums = expected[..., k] = decay * sums + x[..., k]
    for dtype, tolerance in ((np.float64, 1e-12), (np.float32, 1e-4)):
        np.testing.assert_allclose(
            summed(torch.from_numpy(x.astype(dtype)), torch.from_numpy(decay.astype(dtype))),
            expected,
            rtol=0,
            atol=tolerance,
        )


@pytest.mark.parametrize("summed", [leaky_sum, leaky_scan])
@pytest.mark.parametrize("n", [3, 9])
def test_its_gradients_are_those_of_the_recurrence(
    summed: Callable[[Tensor, Tensor], Tensor], n: int
) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, n, 21, dtype=torch.float64, requires_grad=True)
    decay = torch.rand(n, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(summed, (x, decay))


def test_a_second_derivative_is_refused_in_a_line() -> None:
    x = torch.randn(1, 2, 5, requires_grad=True)
    with pytest.raises(RtdecodeError, match="no second derivative"):
        torch.autograd.grad(leaky_sum(x, torch.rand(2)).sum(), x, create_graph=True)


def test_the_variance_for_white_input_does_not_depend_on_the_time_constant() -> None:
    torch.manual_seed(0)
    read_out = LeakyReadOut(1, 6, leaky=6)
    with torch.no_grad():
        read_out.head.weight.copy_(torch.eye(7)[1:])
        read_out.head.bias.zero_()
        read_out.drive.weight.fill_(1.0)
        read_out.drive.bias.zero_()
        sums = read_out(torch.randn(1, 1, 200_000))
    np.testing.assert_allclose(sums[0].var(dim=1), 1.0, rtol=0.1)


def test_time_constants_start_between_a_bin_and_the_longest() -> None:
    torch.manual_seed(0)
    decay = LeakyReadOut(3, 2, leaky=500).decay().detach()
    tau = -1 / torch.log(decay)
    assert tau.min() >= 1.0
    assert tau.max() <= LONGEST_BINS * 1.001
    assert tau.max() / tau.min() > 30


def test_without_leaky_neurons_it_is_a_linear_head() -> None:
    read_out = LeakyReadOut(3, 2)
    features = torch.randn(4, 3, 7)
    assert torch.equal(read_out(features), read_out.head(features))
    assert len(read_out.decay()) == 0


def test_hidden_units_read_features_and_leaky_neurons() -> None:
    torch.manual_seed(0)
    read_out, features = LeakyReadOut(3, 2, leaky=4, hidden=5).eval(), torch.randn(1, 3, 30)
    with torch.no_grad():
        found = read_out(features)[0].T.numpy()
        decay, scale = read_out.decay(), torch.sqrt(1 - read_out.decay() ** 2)
        sums, expected = torch.zeros(4), []
        for f in features[0].T:
            sums = decay * sums + scale * (read_out.drive.weight @ f + read_out.drive.bias)
            read = torch.cat([f, sums])
            mixed = torch.relu(read_out.mix.weight @ read + read_out.mix.bias)
            expected.append(read_out.head.weight @ torch.cat([read, mixed]) + read_out.head.bias)
    np.testing.assert_allclose(found, torch.stack(expected).numpy(), rtol=0, atol=1e-5)


def test_negative_numbers_of_neurons_are_refused() -> None:
    with pytest.raises(RtdecodeError, match="-1 leaky"):
        LeakyReadOut(3, 2, leaky=-1)
    with pytest.raises(RtdecodeError, match="-2 hidden"):
        LeakyReadOut(3, 2, hidden=-2)
