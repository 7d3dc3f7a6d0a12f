"""A state holds the positions and lagged velocities, and nothing across a gap."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from rtdecode.models.linear.kinematics import kinematic_states, slope


def make_targets(n_rows: int = 40) -> NDArray[np.float64]:
    return np.random.default_rng(0).normal(size=(n_rows, 5))


def test_states_are_in_the_documented_order() -> None:
    targets = make_targets()
    states = kinematic_states(targets, {1: 3, 0: None}, ahead=0, behind=0, n_terms=5)
    expected = [
        targets[:, 0],
        targets[:, 1],
        slope(targets[:, 0]),
        targets[:, 3],
        targets[:, 2],
        targets[:, 4],
    ]
    np.testing.assert_allclose(np.abs(states), np.abs(np.stack(expected, axis=1)), atol=1e-12)


def test_without_positions_every_column_is_lagged() -> None:
    assert kinematic_states(make_targets(), {}, ahead=2, behind=1, n_terms=3).shape == (40, 15)


def test_as_many_terms_as_rows_hold_every_value() -> None:
    targets = make_targets()[:, :1]
    states = kinematic_states(targets, {}, ahead=3, behind=1, n_terms=9)
    assert states.shape == (40, 5)
    window = np.lib.stride_tricks.sliding_window_view(targets[:, 0], 5)
    inside = states[1:-3]
    slopes, residual, *_ = np.linalg.lstsq(inside, window, rcond=None)
    assert residual.max() < 1e-20
    np.testing.assert_allclose(slopes @ slopes.T, np.eye(5), atol=1e-10)


def test_the_terms_are_polynomials_over_the_lags_oldest_first() -> None:
    line = np.arange(30.0)[:, np.newaxis]
    states = kinematic_states(line, {}, ahead=4, behind=2, n_terms=3)[2:-4]
    rising = states[:, 1] / states[0, 1]
    np.testing.assert_allclose(rising, 1.0)
    np.testing.assert_allclose(states[:, 2], 0.0, atol=1e-10)
    np.testing.assert_allclose(np.abs(np.diff(states[:, 0])), np.sqrt(7))
    burst = np.zeros((30, 1))
    burst[20] = 1.0
    touched = np.flatnonzero(np.abs(kinematic_states(burst, {}, 4, 2, 3)).max(axis=1) > 1e-9)
    assert (touched.min(), touched.max()) == (20 - 4, 20 + 2)


@pytest.mark.parametrize("column", [0, 2])
def test_rows_with_lags_across_a_gap_are_missing(column: int) -> None:
    targets = make_targets()
    targets[20, column] = np.nan
    found = np.isfinite(kinematic_states(targets, {0: None}, ahead=3, behind=1, n_terms=5))
    np.testing.assert_array_equal(found.any(axis=1), found.all(axis=1))
    missing = np.flatnonzero(~found.all(axis=1))
    np.testing.assert_array_equal(missing, [0, *range(17, 22), 37, 38, 39])


def test_a_recording_shorter_than_the_lags_has_no_states() -> None:
    for n_rows in (0, 1, 3):
        states = kinematic_states(make_targets(n_rows), {0: None}, ahead=3, behind=1, n_terms=5)
        assert states.shape == (n_rows, 1 + 5 * 5)
        assert np.isnan(states).all()


def test_the_slope_is_central_and_one_sided_beside_a_gap() -> None:
    position = np.array([1.0, 2.0, 4.0, 7.0, np.nan, 3.0, 5.0, np.nan, 8.0])
    expected = [1.0, 1.5, 2.5, 3.0, np.nan, 2.0, 2.0, np.nan, np.nan]
    np.testing.assert_array_equal(slope(position), expected)
