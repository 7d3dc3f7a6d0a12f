"""Scores agree with their definitions, and are NaN where they are undefined."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from rtdecode.calibrate.data.metrics import (
    firing_fraction,
    mean_scores,
    nullable,
    pcc,
    r2,
    sample_counts,
    score_decoded,
    varies,
)
from rtdecode.errors import RtdecodeError
from rtdecode.session.layout import Behavior

TIME = np.arange(200) * 0.02


def make_pair(n: int = 200, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    targets = rng.normal([5.0, -200.0, 0.0], [1.0, 30.0, 0.01], size=(n, 3))
    values = targets + rng.normal(size=(n, 3)) * [0.3, 40.0, 0.001]
    return values.astype(np.float32), targets.astype(np.float32)


def test_scores_follow_their_definitions() -> None:
    values, targets = make_pair()
    for d in range(3):
        error = ((targets[:, d].astype("f8") - values[:, d]) ** 2).mean()
        assert r2(values, targets)[d] == pytest.approx(1 - error / targets[:, d].astype("f8").var())
        assert pcc(values, targets)[d] == pytest.approx(
            np.corrcoef(values[:, d], targets[:, d])[0, 1], abs=1e-6
        )


def test_the_targets_score_1_their_mean_0_and_their_mirror_image_minus_3() -> None:
    _, targets = make_pair()
    mean = targets.astype(np.float64).mean(axis=0)
    assert r2(targets, targets).tolist() == [1.0, 1.0, 1.0]
    np.testing.assert_allclose(r2(np.tile(mean, (200, 1)), targets), 0, atol=1e-6)
    np.testing.assert_allclose(r2(2 * mean - targets, targets), -3, atol=1e-5)
    np.testing.assert_allclose(pcc(2 * mean - targets, targets), -1, atol=1e-6)


@given(seed=st.integers(0, 1000), scale=st.floats(0.1, 100), shift=st.floats(-100, 100))
def test_scores_do_not_depend_on_units(seed: int, scale: float, shift: float) -> None:
    values, targets = (array[:, :1].astype(np.float64) for array in make_pair(50, seed))
    np.testing.assert_allclose(
        r2(values * scale + shift, targets * scale + shift), r2(values, targets), rtol=1e-6
    )
    np.testing.assert_allclose(pcc(values * scale + shift, targets), pcc(values, targets), rtol=1e-6)


def test_each_output_is_scored_where_it_is_known() -> None:
    values, targets = make_pair()
    targets[50:80] = np.nan
    targets[100:, 1] = np.nan
    for score in (r2, pcc):
        for i, kept in enumerate((np.r_[:50, 80:200], np.r_[:50, 80:100], np.r_[:50, 80:200])):
            assert score(values, targets)[i] == score(values[kept], targets[kept])[i]
        targets[:, 2] = np.nan
        assert np.isfinite(score(values, targets)).tolist() == [True, True, False]
        targets[:, 2] = targets[:, 0]


def test_a_mean_leaves_out_what_has_no_score() -> None:
    scores = [np.array([0.5, np.nan, np.nan]), np.array([1.0, 0.25, np.nan])]
    np.testing.assert_array_equal(mean_scores(scores), [0.75, 0.25, np.nan])
    assert varies(np.array([[np.nan, 1.0, np.nan, 2.0], [1.0, 1.0, np.nan, 3.0]])).tolist() == [False] * 3 + [
        True
    ]


@pytest.mark.parametrize("level", [0.0, 0.1, 1e9, -3.3])
def test_a_constant_target_has_no_score(level: float) -> None:
    values, targets = make_pair()
    targets[:, 1] = level
    for score in (r2, pcc):
        assert np.isnan(score(values, targets)).tolist() == [False, True, False]


def test_constant_values_have_an_r2_but_no_correlation() -> None:
    values, targets = make_pair()
    values[:, 0] = 0.1
    assert np.isnan(pcc(values, targets)).tolist() == [True, False, False]
    assert np.isfinite(r2(values, targets)).all()


@pytest.mark.parametrize("n_labelled", [0, 1])
def test_too_few_rows_have_no_score(n_labelled: int) -> None:
    values, targets = make_pair()
    targets[n_labelled:] = np.nan
    assert np.isnan(r2(values, targets)).all()
    assert np.isnan(pcc(values, targets)).all()


@pytest.mark.parametrize("shape", [(199, 3), (200, 2), (200,), (200, 3, 1)])
def test_shapes_that_differ_are_refused(shape: tuple[int, ...]) -> None:
    values, targets = make_pair()
    for score in (r2, pcc):
        with pytest.raises(RtdecodeError, match=r"and \[200, 3\]; both must be"):
            score(np.zeros(shape), targets)
    with pytest.raises(RtdecodeError, match="both must be"):
        r2(values[:, 0], targets[:, 0])


def test_scores_become_json() -> None:
    assert json.dumps(nullable(np.array([0.5, np.nan, -np.inf]))) == "[0.5, null, null]"


def test_decoded_values_meet_behaviour_by_name() -> None:
    values, targets = make_pair()
    behavior = Behavior(TIME, targets[:, [2, 0, 1]], ("c", "a", "b"), ("", "", ""))
    scores = score_decoded(TIME, values, ("a", "b", "c"), behavior)
    assert scores == (r2(values, targets).tolist(), pcc(values, targets).tolist())
    swapped = score_decoded(TIME, values[:, [1, 0]], ("b", "a"), behavior)
    assert swapped == ([scores[0][1], scores[0][0]], [scores[1][1], scores[1][0]])


def test_an_output_without_behaviour_is_null_and_leaves_the_others_alone() -> None:
    values, targets = make_pair()
    behavior = Behavior(TIME, targets[:, :1], ("a",), ("",))
    scores = score_decoded(TIME, values[:, :2], ("force", "a"), behavior)
    alone = score_decoded(TIME, values[:, 1:2], ("a",), behavior)
    assert scores == ([None, *alone[0]], [None, *alone[1]])
    assert score_decoded(TIME, values[:, :0], (), behavior) == ([], [])


def test_only_masked_bins_within_the_behaviour_count() -> None:
    values, targets = make_pair()
    behavior = Behavior(TIME[50:], targets[50:], ("a", "b", "c"), ("", "", ""))
    mask = TIME < 3.0
    expected = r2(values[50:150], targets[50:150]).tolist()
    assert score_decoded(TIME, values, ("a", "b", "c"), behavior, mask)[0] == expected
    nothing = score_decoded(TIME, values, ("a", "b", "c"), behavior, TIME < 0.5)
    assert nothing == ([None] * 3, [None] * 3)


def test_decoded_values_that_do_not_fit_are_refused() -> None:
    values, targets = make_pair()
    behavior = Behavior(TIME, targets, ("a", "b", "c"), ("", "", ""))
    with pytest.raises(RtdecodeError, match=r"\[200, 3\], not \[200, 2\]"):
        score_decoded(TIME, values, ("a", "b"), behavior)
    with pytest.raises(RtdecodeError, match=r"\[200, 3\], not \[199, 3\]"):
        score_decoded(TIME[1:], values, ("a", "b", "c"), behavior)


def test_draws_have_the_mean_and_the_variance_of_a_poisson_process() -> None:
    rates = np.tile([0.05, 0.7, 4.0], (60_000, 1))
    counts = sample_counts(rates, seed=3)
    np.testing.assert_allclose(counts.mean(axis=0), [0.05, 0.7, 4.0], rtol=0.05)
    np.testing.assert_allclose(counts.var(axis=0), [0.05, 0.7, 4.0], rtol=0.05)


def test_the_seed_fixes_the_draws() -> None:
    rates = np.full((200, 4), 1.3)
    first, again, other = (sample_counts(rates, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("most", [1, 20, 255])
def test_draws_are_clipped(most: int) -> None:
    assert sample_counts(np.full((50, 2), 1000.0), 0, most).max() == most


def test_no_rate_no_spikes() -> None:
    assert not sample_counts(np.zeros((100, 3)), 0).any()


@given(arrays(np.uint8, st.tuples(st.integers(1, 30), st.integers(1, 5)), elements=st.integers(0, 3)))
def test_fraction_is_the_sum_of_equation_20(counts: np.ndarray) -> None:
    n_bins, n_channels = counts.shape
    by_hand = [sum(counts[t, i] >= 1 for t in range(n_bins)) / n_bins for i in range(n_channels)]
    np.testing.assert_allclose(firing_fraction(counts), by_hand)
