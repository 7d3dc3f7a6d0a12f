"""The way back through a read-in: rates about the mean of a session."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rtdecode.models.nn.read_in import LEAST_MIDDLE, ReadIn


def read_in_of(mean: list[float], sd: list[float], good: list[bool] | None = None) -> ReadIn:
    read_in = ReadIn(len(mean), count_max=255)
    read_in.add("today", mean, sd, good)
    return read_in


@given(st.floats(0.05, 200.0), st.floats(0.05, 20.0))
def test_a_head_that_says_nothing_gives_the_mean_rate(mean: float, sd: float) -> None:
    rates = read_in_of([mean], [sd]).rates(torch.zeros(1, 1, 3), "today")
    assert rates.shape == (1, 1, 3)
    np.testing.assert_allclose(rates.detach().numpy(), max(mean, LEAST_MIDDLE * sd), rtol=1e-3)


def test_a_channel_that_fires_much_departs_by_sds_and_one_that_does_not_stays_above_0() -> None:
    read_in = read_in_of([40.0, 0.05], [5.0, 0.2])
    rates = read_in.rates(torch.tensor([[[2.0, -2.0], [2.0, -2.0]]]), "today").detach()
    np.testing.assert_allclose(rates[0, 0].numpy(), [50.0, 30.0], atol=0.02)
    assert rates[0, 1, 0] > 0.05 > rates[0, 1, 1] > 0


def test_sessions_bring_their_own_means_and_what_is_learnt_of_them_counts() -> None:
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


def test_a_scale_that_training_took_through_0_gives_rates_all_the_same() -> None:
    read_in = read_in_of([2.0, 2.0], [1.0, 1.0])
    with torch.no_grad():
        read_in.of("today").scale.copy_(torch.tensor([0.0, -0.3]))
    rates = read_in.rates(torch.zeros(1, 2, 1), "today")
    rates.sum().backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(rates).all()
    assert all(torch.isfinite(p.grad).all() for p in read_in.parameters() if p.grad is not None)


def test_ignored_channels_are_silent_and_teach_nothing_that_is_no_number() -> None:
    read_in = read_in_of([1.0, 0.0, 3.0], [1.0, 0.0, 2.0], [True, True, False])
    said = torch.randn(1, 3, 4, requires_grad=True)
    rates = read_in.rates(said, "today")
    rates.sum().backward()  # type: ignore[no-untyped-call]
    assert (rates[0, 0] > 0).all()
    assert (rates[0, 1:] == 0).all()
    for parameter in (*read_in.parameters(), said):
        assert parameter.grad is not None
        assert torch.isfinite(parameter.grad).all()
