"""Band-pass, reference and detection against SciPy and plain NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from rtdecode.kernels.broadband import (
    FLUSH_EVERY,
    filter_rows,
    find_crossings,
    subtract_mean,
    subtract_median,
)

RATE_HZ = 30_000.0
LONG_AGO = -(2**62)


def filtered(
    samples: NDArray[np.float64], offset: NDArray[np.float64], sections: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The whole of samples [T, C] in one call, and the state it left."""
    n_channels = samples.shape[1]
    state = np.zeros((len(sections), 2, n_channels))
    out = np.zeros(samples.shape, np.float32)
    filter_rows(samples, offset, sections, state, np.zeros(n_channels), 0, out)
    return out, state


@pytest.mark.parametrize("order", [1, 3, 8])
@pytest.mark.parametrize("band", [(250.0, 5000.0), (300.0, 3000.0), (1.0, 14_000.0)])
def test_the_filter_is_scipys(order: int, band: tuple[float, float]) -> None:
    rng = np.random.default_rng(order)
    samples = rng.normal(size=(3000, 5)) * [1e-6, 1.0, 10.0, 1e3, 1e6] + [0.0, 1.0, -5.0, 1e4, 1e6]
    sections = butter(order, band, "bandpass", fs=RATE_HZ, output="sos")
    out, state = filtered(samples, samples[0].copy(), sections)
    expected, expected_state = sosfilt(
        sections, samples - samples[0], axis=0, zi=np.zeros((len(sections), 2, 5))
    )
    scale = np.abs(expected).max(axis=0)
    assert (np.abs(out - expected) <= 1e-6 * scale).all()
    assert (np.abs(state - expected_state) <= 1e-9 * np.abs(samples - samples[0]).max(axis=0)).all()


def test_a_channel_that_falls_silent_rings_down_to_exactly_zero() -> None:
    rng = np.random.default_rng(0)
    samples = np.zeros((40 * FLUSH_EVERY, 2))
    samples[1:500] = rng.normal(size=(499, 2))
    samples[:, 1] = 700.0
    sections = butter(3, (250.0, 5000.0), "bandpass", fs=RATE_HZ, output="sos")
    out, state = filtered(samples, samples[0].copy(), sections)
    assert np.abs(out[:500, 0]).max() > 0.1
    assert not state.any()
    # The one that never moved gave nothing at all.
    assert not out[:, 1].any()


@pytest.mark.parametrize("n_channels", [1, 2, 5, 64])
def test_references_are_numpys(n_channels: int) -> None:
    rows = np.random.default_rng(n_channels).normal(size=(200, n_channels)).astype(np.float32)
    by_mean, by_median = rows.copy(), rows.copy()
    subtract_mean(by_mean)
    subtract_median(by_median)
    mean = rows.astype(np.float64).mean(axis=1, keepdims=True)
    np.testing.assert_allclose(by_mean, rows - mean, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(by_median, rows - np.median(rows, axis=1, keepdims=True))


@pytest.mark.parametrize("subtract", [subtract_mean, subtract_median])
def test_dead_channels_do_not_enter_a_reference(subtract: Callable[[NDArray[np.float32]], None]) -> None:
    rows = np.random.default_rng(3).normal(size=(200, 9)).astype(np.float32)
    dead = [0, 4, 5, 8]
    alive = np.delete(rows, dead, axis=1)
    rows[:, dead] = 0.0
    subtract(rows)
    subtract(alive)
    np.testing.assert_array_equal(np.delete(rows, dead, axis=1), alive)
    assert not rows[:, dead].any()
    nothing = np.zeros((5, 3), np.float32)
    subtract(nothing)
    assert not nothing.any()


def reference_crossings(
    rows: NDArray[np.float32], low: NDArray[np.float32], high: NDArray[np.float32], refractory: int
) -> list[tuple[int, int]]:
    """Channel by channel: where the rows go beyond, except in the refractory time of the last spike."""
    found = []
    for c in range(rows.shape[1]):
        beyond = (rows[:, c] < low[c]) | (rows[:, c] > high[c])
        starts = np.flatnonzero(beyond & ~np.concatenate([[False], beyond[:-1]]))
        last = -(10**9)
        for sample in starts.tolist():
            if sample - last >= refractory:
                found.append((sample, c))
                last = sample
    return sorted(found)


@settings(deadline=None)  # the first example waits for the compiler
@given(
    st.integers(0, 400),
    st.integers(1, 6),
    st.integers(0, 40),
    st.booleans(),
    st.integers(1, 60),
    st.integers(0, 2**32 - 1),
)
def test_crossings_are_those_of_plain_numpy_in_any_chunks(
    n: int, n_channels: int, refractory: int, both: bool, piece: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, n_channels)).astype(np.float32)
    low = np.full(n_channels, -1.2, np.float32)
    high = np.full(n_channels, 1.2 if both else np.inf, np.float32)
    low[0] = -np.inf
    beyond, last = np.zeros(n_channels, np.uint8), np.full(n_channels, LONG_AGO)
    most = -(-piece // max(refractory, 2)) * n_channels
    found = []
    for begin in range(0, n, piece):
        # Nothing may be written behind the room that the docstring asks for.
        sample, channel = np.full(most + 1, -7), np.full(most + 1, 60_000, np.uint16)
        n_found = find_crossings(
            rows[begin : begin + piece],
            low,
            high,
            refractory,
            begin,
            beyond,
            last,
            sample[:most],
            channel[:most],
        )
        assert n_found <= most
        assert (sample[n_found:] == -7).all()
        found += list(zip(sample[:n_found].tolist(), channel[:n_found].tolist(), strict=True))
    assert found == reference_crossings(rows, low, high, refractory)


def test_a_long_excursion_is_one_spike() -> None:
    rows = np.zeros((100, 1), np.float32)
    rows[20:90] = -9.0
    sample, channel = np.zeros(60, np.int64), np.zeros(60, np.uint16)
    n = find_crossings(
        rows, np.array([-4.0], np.float32), np.array([np.inf], np.float32), 10, 1000,
        np.zeros(1, np.uint8), np.full(1, LONG_AGO), sample, channel,
    )  # fmt: skip
    assert sample[:n].tolist() == [1020]
