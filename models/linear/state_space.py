"""Linear-Gaussian state space: steady-state covariances, and roots of a transition for smaller steps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import F8

_MAX_DOUBLINGS = 60
_CONVERGED = 1e-14
_SMALLEST = 1e-3


def steady_prediction(transition: F8, process_noise: F8, information: F8) -> F8:
    """The steady-state covariance of the one-step prediction of a Kalman filter.

    Solves M = A (M⁻¹ + G)⁻¹ Aᵀ + W by doubling (Chu, Fan, Lin & Wang 2004, Int. J. Control 77:767): the n-th
    iterate is the covariance after 2ⁿ steps of the filter from a known state. With G = 0 it is the stationary
    covariance of an unobserved state.

    Args:
        transition: A, f8[p, p], of spectral radius below 1.
        process_noise: W, f8[p, p], symmetric and positive definite.
        information: G = CᵀQ⁻¹C, f8[p, p], symmetric and positive semidefinite.

    Raises:
        RtdecodeError: the doubling does not converge.
    """
    forward, gathered, covariance = transition.T, information, process_noise
    identity = np.eye(len(transition))
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(_MAX_DOUBLINGS):
            shared = np.linalg.inv(identity + gathered @ covariance)
            change = symmetric(forward.T @ covariance @ shared @ forward)
            gathered = symmetric(gathered + forward @ shared @ gathered @ forward.T)
            covariance = covariance + change
            forward = forward @ shared @ forward
            if not np.isfinite(covariance).all():
                break
            if np.abs(change).max() <= _CONVERGED * np.abs(covariance).max():
                return covariance
    raise RtdecodeError(
        "the Kalman filter's covariance does not converge", fix="use a longer session, or leave outputs out"
    )


def update(prediction: F8, information: F8) -> F8:
    """The covariance f8[p, p] after the observation of a bin: (M⁻¹ + G)⁻¹, without inverting M."""
    return symmetric(np.linalg.solve(np.eye(len(prediction)) + prediction @ information, prediction))


def stable(transition: F8, radius: float) -> F8:
    """The matrix, scaled down if its spectral radius is above `radius`."""
    largest = float(np.abs(np.linalg.eigvals(transition)).max())
    return transition * min(1.0, radius / largest) if largest > 0 else transition


def root(transition: F8, n: int) -> F8:
    """A real n-th root B of A, as stable as A; an approximate one if none exists.

    A negative eigenvalue, which has no real root, is estimation noise and replaced by a small positive one.
    If the eigenvectors give no accurate root, B = I + (A − I)/n.
    """
    if n == 1:
        return transition
    values, vectors = np.linalg.eig(transition.astype(np.complex128))
    values = np.where((np.abs(values.imag) < 1e-12) & (values.real < _SMALLEST), _SMALLEST, values)
    try:
        inverse = np.linalg.inv(vectors)
    except np.linalg.LinAlgError:
        inverse = np.full_like(vectors, np.nan)
    whole, part = ((vectors * powers) @ inverse for powers in (values, values ** (1.0 / n)))
    real = np.ascontiguousarray(part.real)
    again = np.linalg.matrix_power(real, n)
    if np.isfinite(again).all() and np.allclose(again, whole, rtol=0.0, atol=1e-6):
        return real
    identity = np.eye(len(transition))
    return identity + (transition - identity) / n


def at_least(covariance: F8, floor: float) -> F8:
    """The symmetric matrix with eigenvalues below `floor` raised to `floor`."""
    values, vectors = np.linalg.eigh(symmetric(covariance))
    return symmetric((vectors * np.maximum(values, floor)) @ vectors.T)


def symmetric(matrix: NDArray[np.floating[Any]]) -> F8:
    """The symmetric part, exactly symmetric."""
    return np.asarray((matrix + matrix.T) / 2, dtype=np.float64)
