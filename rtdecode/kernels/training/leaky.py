"""Leaky sums over sequences, and the gradient through them.

    h[t] = d·h[t−1] + x[t], h[−1] = 0, with a d of its own for each neuron.

Rows are neurons, each with its time along memory; row r is neuron r mod n. One row alone would wait for every
result of the recurrence, so both kernels take a block of rows side by side.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.kernels.jit import kernel

F = NDArray[Any]

ROWS = 16


@kernel
def leaky_forward(x: F, decay: F, sums: F) -> None:
    """Sum.

    Args:
        x: f4 or f8[R, T].
        decay: [n] of the same type, R being a multiple of n.
        sums: [R, T], overwritten with h.
    """
    n_rows, n_steps = x.shape
    held, rates = np.zeros(ROWS, dtype=x.dtype), np.zeros(ROWS, dtype=x.dtype)
    for first in range(0, n_rows, ROWS):
        n = min(ROWS, n_rows - first)
        held[:] = 0
        for j in range(n):
            rates[j] = decay[(first + j) % decay.shape[0]]
        for t in range(n_steps):
            for j in range(n):
                held[j] = rates[j] * held[j] + x[first + j, t]
                sums[first + j, t] = held[j]


@kernel
def leaky_backward(sums_grad: F, sums: F, decay: F, x_grad: F, decay_grad: F) -> None:
    """Take gradients of sums back to what was summed and to the decays.

    Args:
        sums_grad: f4 or f8[R, T].
        sums: [R, T], from `leaky_forward`.
        decay: [n].
        x_grad: [R, T], overwritten.
        decay_grad: f8[n], overwritten.
    """
    n_rows, n_steps = sums.shape
    carried, rates = np.zeros(ROWS, dtype=sums.dtype), np.zeros(ROWS, dtype=sums.dtype)
    through = np.zeros(ROWS)
    decay_grad[:] = 0
    for first in range(0, n_rows, ROWS):
        n = min(ROWS, n_rows - first)
        carried[:] = 0
        through[:] = 0
        for j in range(n):
            rates[j] = decay[(first + j) % decay.shape[0]]
        for t in range(n_steps - 1, -1, -1):
            for j in range(n):
                carried[j] = rates[j] * carried[j] + sums_grad[first + j, t]
                x_grad[first + j, t] = carried[j]
                if t > 0:
                    through[j] += carried[j] * sums[first + j, t - 1]
        for j in range(n):
            decay_grad[(first + j) % decay.shape[0]] += through[j]
