"""Stepped simulation equals simulation of the whole recording."""

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
    ids=["three levels", "one", "two", "four", "centred", "of potentials"],
)
def test_steps_equal_the_batch(sizes: dict[str, Any], seed: int) -> None:
    net = make_alignnet(seed, ("monday", "tuesday"), **sizes)
    z = movement(150, seed)
    whole = simulated_rates([net], z, "tuesday")
    stepped = SteppedSimulation(net, "tuesday")
    by_bin = np.stack([stepped.step(row) for row in z])
    assert by_bin.dtype == np.float32
    np.testing.assert_allclose(by_bin, whole, rtol=2e-5, atol=2e-6)
    # Constant rates would agree trivially.
    assert (whole.std(axis=0) > 1e-3).all()


def test_each_simulation_starts_at_rest_and_is_independent() -> None:
    net, z = make_alignnet(), movement(40)
    first, second = (SteppedSimulation(net, "monday") for _ in range(2))
    rates = [first.step(row) for row in z]
    np.testing.assert_array_equal(rates, [second.step(row) for row in z])


def test_ignored_channels_of_a_session_are_silent() -> None:
    net = make_alignnet()
    net.read_in.add("today", np.full(7, 0.5), np.ones(7), np.arange(7) != 3)
    rates = SteppedSimulation(net, "today").step(movement(1)[0])
    assert rates[3] == 0
    assert (np.delete(rates, 3) > 0).all()


def test_a_non_causal_network_is_refused() -> None:
    with pytest.raises(RtdecodeError, match="non-causal"):
        SteppedSimulation(make_alignnet(causal=False), "monday")
