"""Rates of a read-in: the inverse direction, relative to the mean of a session."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rtdecode.models.nn.read_in import MIN_MEAN, ReadIn


def read_in_of(mean: list[float], sd: list[float], good: list[bool] | None = None) -> ReadIn:
    read_in = ReadIn(len(mean), count_max=255)
    read_in.add("today", mean, sd, good)
    return read_in


@given(st.floats(0.05, 200.0), st.floats(0.05, 20.0))
def test_a_head_output_of_0_gives_the_mean_rate(mean: float, sd: float) -> None:
    rates = read_in_of([mean], [sd]).rates(torch.zeros(1, 1, 3), "today")
    assert rates.shape == (1, 1, 3)
    np.testing.assert_allclose(rates.detach().numpy(), max(mean, MIN_MEAN * sd), rtol=1e-3)


def test_high_rates_change_by_sds_and_low_rates_stay_above_0() -> None:
    read_in = read_in_of([40.0, 0.05], [5.0, 0.2])
    rates = read_in.rates(torch.tensor([[[2.0, -2.0], [2.0, -2.0]]]), "today").detach()
    np.testing.assert_allclose(rates[0, 0].numpy(), [50.0, 30.0], atol=0.02)
    assert rates[0, 1, 0] > 0.05 > rates[0, 1, 1] > 0


def test_each_session_has_its_own_mean_which_is_trained() -> None:
    read_in = read_in_of([2.0], [1.0])
    read_in.add("tomorrow", [6.0], [2.0])
    both = read_in.rates(torch.zeros(2, 1, 1), ["today", "tomorrow"])
    np.testing.assert_allclose(both.detach().numpy().ravel(), [2.0, 6.0], rtol=1e-5)
    both.sum().backward()  # type: ignore[no-untyped-call]
    assert read_in.of("tomorrow").offset.grad is not None
    with torch.no_grad():
        read_in.of("tomorrow").offset -= 1.0
    moved = read_in.rates(torch.zeros(1, 1, 1), "tomorrow").item()
    assert moved == pytest.approx(8.0, rel=1e-4)


def test_a_trained_scale_of_0_or_below_gives_finite_rates() -> None:
    read_in = read_in_of([2.0, 2.0], [1.0, 1.0])
    with torch.no_grad():
        read_in.of("today").scale.copy_(torch.tensor([0.0, -0.3]))
    rates = read_in.rates(torch.zeros(1, 2, 1), "today")
    rates.sum().backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(rates).all()
    assert all(torch.isfinite(p.grad).all() for p in read_in.parameters() if p.grad is not None)


def test_ignored_channels_are_silent_with_finite_gradients() -> None:
    read_in = read_in_of([1.0, 0.0, 3.0], [1.0, 0.0, 2.0], [True, True, False])
    output = torch.randn(1, 3, 4, requires_grad=True)
    rates = read_in.rates(output, "today")
    rates.sum().backward()  # type: ignore[no-untyped-call]
    assert (rates[0, 0] > 0).all()
    assert (rates[0, 1:] == 0).all()
    for parameter in (*read_in.parameters(), output):
        assert parameter.grad is not None
        assert torch.isfinite(parameter.grad).all()


def test_a_feature_is_read_and_trained_as_a_count_of_the_same_z_score() -> None:
    read_in = ReadIn(2, count_max=255, n_features=1)
    read_in.add("today", [1.0, 0.0], [1.0, 16.0])
    own = read_in.of("today")
    z = read_in(torch.tensor([[[3.0, 0.0], [32.0, -16.0]]]))
    torch.testing.assert_close(z[0, 0], z[0, 1])
    z[0, 1].square().sum().backward()  # type: ignore[no-untyped-call]
    assert own.scale.tolist() == [1.0, 1.0]
    # Of Σ (scale · code/16 + offset)²: in SDs, as the offset's.
    assert own.scale.grad is not None
    assert own.scale.grad[1].item() == pytest.approx(2 * (2.0 * 2.0 + 1.0 * 1.0))
