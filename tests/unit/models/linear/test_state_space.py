"""Steady-state covariances are those of SciPy, and powers of a root are the matrix."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import solve_discrete_are, solve_discrete_lyapunov

from rtdecode.errors import RtdecodeError
from rtdecode.models.linear.state_space import at_least, root, stable, steady_prediction, symmetric, update

F8 = NDArray[np.float64]


def make_transition(size: int = 6, radius: float = 0.98, seed: int = 0) -> F8:
    matrix = np.random.default_rng(seed).normal(size=(size, size))
    return matrix * radius / np.abs(np.linalg.eigvals(matrix)).max()


def make_covariance(size: int = 6, seed: int = 1) -> F8:
    mixed = np.random.default_rng(seed).normal(size=(size, size))
    return symmetric(mixed @ mixed.T)


@pytest.mark.parametrize("radius", [0.3, 0.98, 0.999999])
def test_the_steady_prediction_is_that_of_scipy(radius: float) -> None:
    transition, noise, information = (
        make_transition(radius=radius),
        make_covariance(),
        make_covariance(seed=2),
    )
    prediction = steady_prediction(transition, noise, information)
    root_of_information = np.linalg.cholesky(information)
    expected = solve_discrete_are(transition.T, root_of_information, noise, np.eye(6))
    np.testing.assert_allclose(prediction, expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(prediction, prediction.T)


def test_without_information_it_is_the_stationary_covariance() -> None:
    transition, noise = make_transition(), make_covariance()
    prediction = steady_prediction(transition, noise, np.zeros((6, 6)))
    np.testing.assert_allclose(prediction, solve_discrete_lyapunov(transition, noise), rtol=1e-9)


def test_an_unobserved_growing_state_does_not_converge() -> None:
    with pytest.raises(RtdecodeError, match="does not converge"):
        steady_prediction(1.1 * np.eye(2), np.eye(2), np.diag([1.0, 0.0]))


def test_an_update_adds_the_information() -> None:
    prediction, information = make_covariance(), make_covariance(seed=2)
    expected = np.linalg.inv(np.linalg.inv(prediction) + information)
    np.testing.assert_allclose(update(prediction, information), expected, rtol=1e-8)


@pytest.mark.parametrize("n", [1, 3, 60])
def test_a_root_to_its_power_is_the_matrix(n: int) -> None:
    turn = np.array([[np.cos(1.0), -np.sin(1.0)], [np.sin(1.0), np.cos(1.0)]])
    transition = np.zeros((4, 4))
    transition[:2, :2], transition[2:, 2:] = 0.9 * turn, [[0.8, 0.3], [0.0, 0.5]]
    transition = np.linalg.inv(make_covariance(4)) @ transition @ make_covariance(4)
    np.testing.assert_allclose(np.linalg.matrix_power(root(transition, n), n), transition, atol=1e-8)


def test_a_negative_eigenvalue_is_replaced_by_a_small_one() -> None:
    real = root(np.diag([0.9, -0.2]), 3)
    np.testing.assert_allclose(np.linalg.matrix_power(real, 3), np.diag([0.9, 0.001]), atol=1e-12)


def test_a_matrix_without_eigenvectors_still_has_a_stable_root() -> None:
    transition = np.array([[0.9, 1.0], [0.0, 0.9]])
    part = root(transition, 4)
    assert np.isfinite(part).all()
    assert np.abs(np.linalg.eigvals(part)).max() < 1.0


def test_only_an_unstable_transition_is_scaled_down() -> None:
    np.testing.assert_array_equal(stable(0.5 * np.eye(2), 0.999), 0.5 * np.eye(2))
    np.testing.assert_allclose(stable(np.diag([2.0, 1.0]), 0.999), np.diag([0.999, 0.4995]))
    np.testing.assert_array_equal(stable(np.zeros((2, 2)), 0.999), np.zeros((2, 2)))


def test_small_eigenvalues_are_raised_and_others_kept() -> None:
    turn = np.linalg.qr(make_transition(3))[0]
    raised = at_least(turn @ np.diag([2.0, 0.5, -1.0]) @ turn.T, 0.1)
    np.testing.assert_allclose(raised, turn @ np.diag([2.0, 0.5, 0.1]) @ turn.T, atol=1e-12)
    np.testing.assert_array_equal(raised, raised.T)
