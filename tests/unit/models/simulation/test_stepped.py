"""Bin by bin a network simulates what it simulates of the whole stretch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from networks import N_OUTPUTS, make_alignnet

from rtdecode.errors import RtdecodeError
from rtdecode.models.simulation.rates import simulated_rates
from rtdecode.models.simulation.stepped import SteppedSimulation


def movement(n_bins: int, seed: int = 0) -> np.ndarray:  # type: ignore[type-arg]
    """Smooth z-scored behaviour f4[n_bins, D]."""
    steps = np.random.default_rng(seed).standard_normal((n_bins, N_OUTPUTS))
    return (2.0 * np.sin(np.cumsum(steps, axis=0) * 0.3)).astype(np.float32)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    "sizes",
    [
        {},
        {"widths": (5,), "dec_widths": ()},
        {"widths": (6, 4), "dec_widths": (5,)},
        {"widths": (6, 5, 4, 7), "dec_widths": (5, 6, 4), "lift": 9},
        {"centred_rates": True},
        {"graded_rates": True, "centred_rates": True},
    ],
    ids=["three levels", "one", "two", "four", "about the mean", "of charges"],
)
def test_steps_are_the_batch(sizes: dict[str, Any], seed: int) -> None:
    net = make_alignnet(seed, ("monday", "tuesday"), **sizes)
    z = movement(150, seed)
    whole = simulated_rates([net], z, "tuesday")
    stepped = SteppedSimulation(net, "tuesday")
    by_bin = np.stack([stepped.step(row) for row in z])
    assert by_bin.dtype == np.float32
    np.testing.assert_allclose(by_bin, whole, rtol=2e-5, atol=2e-6)
    # Something moved: rates that never change would agree for nothing.
    assert (whole.std(axis=0) > 1e-3).all()


def test_each_starts_at_rest_and_for_itself() -> None:
    net, z = make_alignnet(), movement(40)
    first, second = (SteppedSimulation(net, "monday") for _ in range(2))
    ahead = [first.step(row) for row in z]
    np.testing.assert_array_equal(ahead, [second.step(row) for row in z])


def test_channels_that_a_session_ignores_are_silent() -> None:
    net = make_alignnet()
    net.read_in.add("today", np.full(7, 0.5), np.ones(7), np.arange(7) != 3)
    rates = SteppedSimulation(net, "today").step(movement(1)[0])
    assert rates[3] == 0
    assert (np.delete(rates, 3) > 0).all()


def test_a_network_that_looks_ahead_is_refused() -> None:
    with pytest.raises(RtdecodeError, match="looks ahead"):
        SteppedSimulation(make_alignnet(causal=False), "monday")
