"""Dropout drops with its probability, preserves the mean, and is off outside of training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import binom

from rtdecode.models.nn.dropout import Dropout, dropout

N = 400_000


@pytest.mark.parametrize("p", [0.001, 0.1, 0.2, 0.3, 0.5, 0.97])
def test_values_are_dropped_with_the_given_probability(p: float) -> None:
    torch.manual_seed(3)
    y = dropout(torch.ones(N), p, training=True)
    low, high = binom.interval(1 - 1e-6, N, p)
    assert low <= (y == 0).sum() <= high
    kept = y[y != 0]
    np.testing.assert_allclose(kept, 1 / (1 - p), rtol=2**-16 / (1 - p))


def test_values_are_dropped_independently() -> None:
    torch.manual_seed(4)
    dropped = (dropout(torch.ones(N // 4, 4), 0.3, training=True) == 0).double()
    agree = np.corrcoef(dropped.T.numpy())
    along = np.corrcoef(dropped[:-1].flatten(), dropped[1:].flatten())[0, 1]
    assert np.abs(agree - np.eye(4)).max() < 6 / np.sqrt(N // 4)
    assert abs(along) < 6 / np.sqrt(N)


@pytest.mark.parametrize("shape", [(0,), (3,), (2, 5, 7), (4, 0, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_shape_and_type_are_preserved(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    y = dropout(torch.ones(shape, dtype=dtype), 0.5, training=True)
    assert (y.shape, y.dtype) == (shape, dtype)


def test_gradients_follow_the_kept_values() -> None:
    torch.manual_seed(5)
    x = torch.randn(1000, requires_grad=True)
    y = dropout(x, 0.4, training=True)
    y.sum().backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(x.grad * x.detach(), y.detach())


def test_a_seed_repeats_the_draws_and_nothing_is_dropped_outside_of_training() -> None:
    layer, x = Dropout(0.3), torch.randn(50, 3)
    torch.manual_seed(6)
    first = layer(x)
    torch.manual_seed(6)
    assert torch.equal(layer(x), first)
    assert not torch.equal(layer(x), first)
    assert layer.eval()(x) is x
    assert Dropout(0.0)(x) is x
