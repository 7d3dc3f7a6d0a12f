"""The gate accepts a model that beats the one in use, a same-day Wiener filter and chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtdecode.calibrate.adaptation.gate import (
    BLOCK_S,
    MIN_BLOCKS,
    N_RESAMPLES,
    bootstrap_r2,
    circular_shift_r2,
    judge,
)
from rtdecode.calibrate.data.metrics import r2
from rtdecode.errors import RtdecodeError

BIN_WIDTH_S = 0.02


def movement(seconds: float, n_outputs: int = 2, seed: int = 0) -> np.ndarray:
    """Smooth behaviour f8[T, D] that returns to its mean within a second or so."""
    rng = np.random.default_rng(seed)
    n = round(seconds / BIN_WIDTH_S)
    kernel = np.hanning(50)
    return np.stack(
        [10.0 + np.convolve(rng.normal(size=n + 49), kernel, "valid") for _ in range(n_outputs)], axis=1
    )


def decoded(targets: np.ndarray, score: float, seed: int = 1) -> np.ndarray:
    """The targets with noise for an R² of about `score`."""
    noise = np.random.default_rng(seed).normal(size=targets.shape)
    return targets + noise * targets.std(axis=0) * np.sqrt(1.0 - score)


def test_a_better_model_may_be_deployed() -> None:
    y = movement(60.0)
    verdict = judge(decoded(y, 0.8), y, BIN_WIDTH_S, incumbent=decoded(y, 0.6, 2), wiener=decoded(y, 0.5, 3))
    assert verdict.deployable
    assert "better than the model in use (0.6" in verdict.reason
    assert "a same-day Wiener filter (0.4" in verdict.reason
    assert 0.7 < verdict.bound < verdict.new.mean()
    assert verdict.chance < 0.3


@pytest.mark.parametrize("other", ["incumbent", "wiener"])
def test_a_model_that_does_not_beat_a_rival_is_refused_with_its_name(other: str) -> None:
    y = movement(60.0)
    new = decoded(y, 0.7)
    for score in (new, decoded(y, 0.8, 2)):
        verdict = judge(new, y, BIN_WIDTH_S, **{other: score})
        assert not verdict.deployable
        assert {"incumbent": "the model in use", "wiener": "a same-day Wiener filter"}[
            other
        ] in verdict.reason


@pytest.mark.parametrize("seed", range(5))
def test_the_mean_or_another_time_does_not_pass(seed: int) -> None:
    y = movement(60.0, seed=seed)
    rng = np.random.default_rng(seed)
    for values in (
        np.broadcast_to(y.mean(axis=0), y.shape),
        y.mean(axis=0) + 0.01 * rng.normal(size=y.shape),
        np.roll(y, len(y) // 2, axis=0),
        0.1 * np.roll(y, len(y) // 3, axis=0) + 0.9 * y.mean(axis=0),
    ):
        verdict = judge(values, y, BIN_WIDTH_S, incumbent=np.zeros_like(y))
        assert not verdict.deployable
        assert "not better than chance" in verdict.reason


def test_a_few_lucky_seconds_do_not_pass() -> None:
    y = movement(60.0, seed=8)
    values = np.broadcast_to(y.mean(axis=0), y.shape).copy()
    values[500:700] = y[500:700]
    assert r2(values, y).mean() > 0
    assert not judge(values, y, BIN_WIDTH_S).deployable


def test_an_output_that_does_not_vary_is_left_out() -> None:
    y = movement(60.0)
    y[:, 1] = 3.0
    verdict = judge(decoded(y, 0.8), y, BIN_WIDTH_S)
    assert verdict.deployable
    assert np.isnan(verdict.new[1])
    y[:, 0] = 1.0
    with pytest.raises(RtdecodeError, match="no output that varies"):
        judge(y, y, BIN_WIDTH_S)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_model_that_decodes_nan_or_infinity_is_refused_and_beaten(bad: float) -> None:
    y = movement(60.0)
    broken = decoded(y, 0.95)
    broken[700:, 1] = bad
    verdict = judge(broken, y, BIN_WIDTH_S)
    assert not verdict.deployable
    assert verdict.reason == "decoded values contain NaN or infinity"
    assert judge(decoded(y, 0.5), y, BIN_WIDTH_S, incumbent=broken).deployable


def test_too_little_behaviour_is_refused_with_the_time_needed() -> None:
    y = movement(MIN_BLOCKS * BLOCK_S + 1.0)
    assert judge(decoded(y, 0.9), y, BIN_WIDTH_S).deployable
    y[:100] = np.nan
    with pytest.raises(RtdecodeError, match=r"the test part has 9\.0 s of behaviour, and needs 10 s"):
        judge(decoded(y, 0.9), y, BIN_WIDTH_S)


def test_unlabelled_bins_are_ignored() -> None:
    y = movement(60.0)
    values = decoded(y, 0.8)
    hidden = y.copy()
    hidden[::7] = np.nan
    labelled = np.isfinite(hidden).all(axis=1)
    one, other = judge(values, hidden, BIN_WIDTH_S), judge(values[labelled], y[labelled], BIN_WIDTH_S)
    assert (one.bound, one.chance, one.reason) == (other.bound, other.chance, other.reason)


@pytest.mark.parametrize(("known_s", "judged"), [(30.0, True), (9.0, False), (0.0, False)])
def test_an_output_is_judged_where_it_is_known_and_left_out_where_that_is_too_little(
    known_s: float, judged: bool
) -> None:
    y = movement(60.0, 3)
    values, before = decoded(y, 0.8), decoded(y, 0.6, 2)
    # The last output is decoded worse than before, but that counts only where it is judged.
    values[:, 2] = y[:, 2].mean() + np.random.default_rng(4).normal(size=len(y)) * 30.0
    hidden = y.copy()
    hidden[round(known_s / BIN_WIDTH_S) :, 2] = np.nan
    verdict = judge(values, hidden, BIN_WIDTH_S, incumbent=before)
    assert verdict.deployable != judged
    np.testing.assert_array_equal(verdict.new[:2], r2(values, y)[:2])
    assert np.isfinite(verdict.new[2]) == (known_s > 0)
    if not judged:
        alone = judge(values[:, :2], y[:, :2], BIN_WIDTH_S, incumbent=before[:, :2])
        assert (verdict.reason, verdict.bound, verdict.chance) == (alone.reason, alone.bound, alone.chance)


@given(st.integers(0, 2**32 - 1), st.floats(0.0, 0.95))
@settings(max_examples=20, deadline=None)
def test_a_resample_is_the_r2_of_its_rows(seed: int, score: float) -> None:
    y = movement(30.0, seed=seed % 1000)
    values = decoded(y, score, seed)
    length = round(BLOCK_S / BIN_WIDTH_S)
    n_blocks = len(y) // length
    resampled = bootstrap_r2(values, y, BIN_WIDTH_S, seed)
    assert resampled.shape == (N_RESAMPLES,)
    chosen = np.random.default_rng(seed).integers(0, n_blocks, (N_RESAMPLES, n_blocks))
    for i in (0, N_RESAMPLES - 1):
        rows = np.concatenate([np.arange(block * length, (block + 1) * length) for block in chosen[i]])
        np.testing.assert_allclose(resampled[i], r2(values[rows], y[rows]).mean(), rtol=1e-9)


def test_shifts_leave_no_bin_near_its_own_time() -> None:
    y = movement(40.0, 1)
    shifted = circular_shift_r2(y, y, BIN_WIDTH_S)
    assert shifted.max() < 0.5
    assert r2(y, y)[0] == 1.0
