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
    add_power,
    add_products,
    filter_rows,
    find_crossings,
    invert,
    subtract_mean,
    subtract_median,
    subtract_predicted,
)

RATE_HZ = 30_000.0
LONG_AGO = -(2**62)


def filtered(
    samples: NDArray[np.float64], offset: NDArray[np.float64], sections: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The whole of samples [T, C] in one call, and the state it left."""
    n = samples.shape[1]
    state, unsettled = np.zeros((len(sections), 2, n)), np.zeros(n, np.int64)
    out = np.zeros(samples.shape, np.float32)
    filter_rows(
        samples,
        -1e30,
        1e30,
        0,
        offset,
        sections,
        state,
        unsettled,
        np.zeros(n, np.int64),
        np.zeros(n),
        0,
        out,
    )
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


@pytest.mark.parametrize("subtract", [subtract_mean, subtract_median])
def test_unknown_samples_do_not_enter_a_reference(subtract: Callable[[NDArray[np.float32]], None]) -> None:
    rows = np.random.default_rng(4).normal(size=(50, 9)).astype(np.float32)
    known = rows.copy()
    known[10:20, 4] = 0.0
    rows[10:20, 4] = np.nan
    subtract(rows)
    subtract(known)
    assert np.isnan(rows[10:20, 4]).all()
    rows[10:20, 4] = 0.0
    np.testing.assert_array_equal(rows, known)


@pytest.mark.parametrize("n_channels", [1, 2, 7, 64])
def test_what_channels_predict_is_a_matrix_product_in_any_chunks(n_channels: int) -> None:
    rng = np.random.default_rng(n_channels)
    rows = rng.normal(size=(50, n_channels)).astype(np.float32)
    weights = rng.normal(size=(n_channels, n_channels)).astype(np.float32) / np.float32(n_channels)
    rows[7, 0] = np.nan
    zeroed = np.nan_to_num(rows).astype(np.float64)
    whole = rows.copy()
    subtract_predicted(whole, weights)
    np.testing.assert_allclose(whole, rows - zeroed @ weights.astype(np.float64), rtol=0, atol=1e-5)
    for piece in (1, 3, 4, 30):
        cut = rows.copy()
        for begin in range(0, len(cut), piece):
            subtract_predicted(cut[begin : begin + piece], weights)
        np.testing.assert_array_equal(cut, whole)


def test_products_and_inverse_are_numpys() -> None:
    rows = np.random.default_rng(5).normal(size=(300, 12)).astype(np.float32)
    rows[5, 3] = np.nan
    products = np.zeros((12, 12))
    add_products(rows, products)
    known = np.nan_to_num(rows).astype(np.float64)
    np.testing.assert_allclose(products, known.T @ known, rtol=1e-12, atol=1e-10)
    inverse = products.copy()
    invert(inverse)
    np.testing.assert_allclose(inverse, np.linalg.inv(products), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("squared", [False, True])
def test_power_is_the_sum_of_what_is_known(squared: bool) -> None:
    rows = np.random.default_rng(6).normal(size=(40, 5)).astype(np.float32)
    rows[3:9, 2] = np.nan
    total, n_known = np.zeros(5), np.zeros(5, np.int64)
    add_power(rows[:17], squared, total, n_known)
    add_power(rows[17:], squared, total, n_known)
    size = rows.astype(np.float64) ** 2 if squared else np.abs(rows.astype(np.float64))
    np.testing.assert_allclose(total, np.nansum(size, axis=0), rtol=1e-12)
    assert n_known.tolist() == [40, 40, 34, 40, 40]


def test_an_unknown_sample_starts_its_channel_again_and_no_other() -> None:
    rng = np.random.default_rng(7)
    samples = rng.normal(size=(400, 3)) + 50.0
    sections = butter(2, (300.0, 3000.0), "bandpass", fs=RATE_HZ, output="sos")
    broken = samples.copy()
    broken[100:103, 1] = np.nan
    broken[200, 1] = np.inf
    plain, _ = filtered(samples, samples[0].copy(), sections)
    settle, n_unknown = 20, np.zeros(3, np.int64)
    out = np.zeros(samples.shape, np.float32)
    filter_rows(
        broken, -1e30, 1e30, settle, np.full(3, np.nan), sections, np.zeros((len(sections), 2, 3)),
        np.full(3, settle), n_unknown, np.zeros(3), 0, out,
    )  # fmt: skip
    assert n_unknown.tolist() == [0, 4, 0]
    np.testing.assert_array_equal(out[settle:, [0, 2]], plain[settle:, [0, 2]])
    unknown = np.flatnonzero(np.isnan(out[:, 1]))
    np.testing.assert_array_equal(unknown, [*range(20), *range(100, 123), *range(200, 221)])
    again, _ = filtered(samples[103:200], samples[103].copy(), sections)
    np.testing.assert_array_equal(out[123:200, 1], again[20:, 1])


def reference_crossings(
    rows: NDArray[np.float32], low: NDArray[np.float32], high: NDArray[np.float32], refractory: int
) -> list[tuple[int, int]]:
    """Channel by channel: where the rows go beyond, except in the refractory time of the last spike."""
    found = []
    for c in range(rows.shape[1]):
        beyond = (rows[:, c] < low[c]) | (rows[:, c] > high[c])
        between = (rows[:, c] >= low[c]) & (rows[:, c] <= high[c])
        starts = np.flatnonzero(beyond & np.concatenate([[True], between[:-1]]))
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
    rows[rng.random(rows.shape) < 0.05] = np.nan
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
