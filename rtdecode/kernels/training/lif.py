"""Leaky integrate-and-fire neurons over sequences, and the gradient through them.

    c[t] = v[t−1] + (x[t] − v[t−1])·0.5      spike[t] = c[t] ≥ 0.3      v[t] = 0 after a spike, else c[t]

The gradient takes the spike for ½ + arctan(π(c − 0.3))/π (surrogate "ATan", alpha 2) and the reset for a
constant, as spikingjelly's LIFNode(tau=2., decay_input=True, v_threshold=.3, v_reset=0., detach_reset=True).
c, the membrane potential before the reset, may have a gradient of its own.

Rows are neurons, each with its time along memory. One row alone would wait for every result of the
recurrence, so both kernels take a block of rows side by side.
"""

from __future__ import annotations

import numpy as np

from rtdecode.kernels.arrays import F4
from rtdecode.kernels.jit import kernel

ROWS = 16
ZERO, HALF, ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)
THRESHOLD = np.float32(0.3)
SLOPE = np.float32(np.pi)


@kernel
def lif_forward(current: F4, v: F4, spikes: F4, potential: F4) -> None:
    """Integrate and fire.

    Args:
        current: f4[R, T].
        v: f4[R], membranes before the first step; overwritten with those after the last.
        spikes: f4[R, T], overwritten with 0 and 1.
        potential: f4[R, T], overwritten with the membranes before the reset.
    """
    n_rows, n_steps = current.shape
    membrane = np.zeros(ROWS, dtype=np.float32)
    for first in range(0, n_rows, ROWS):
        n = min(ROWS, n_rows - first)
        for j in range(n):
            membrane[j] = v[first + j]
        for t in range(n_steps):
            for j in range(n):
                c = membrane[j] + (current[first + j, t] - membrane[j]) * HALF
                potential[first + j, t] = c
                membrane[j] = ZERO if c >= THRESHOLD else c
        for j in range(n):
            v[first + j] = membrane[j]
            for t in range(n_steps):
                spikes[first + j, t] = ONE if potential[first + j, t] >= THRESHOLD else ZERO


@kernel
def lif_backward(spikes_grad: F4, potential_grad: F4, potential: F4, v_grad: F4, current_grad: F4) -> None:
    """Take gradients of spikes, potentials and last membranes back to the currents and the first membranes.

    Args:
        spikes_grad: f4[R, T].
        potential_grad: f4[R, T]; or without rows, for zeros.
        potential: f4[R, T], from `lif_forward`.
        v_grad: f4[R], of the membranes after the last step; overwritten with that of those before the first.
        current_grad: f4[R, T], overwritten.
    """
    n_rows, n_steps = potential.shape
    # Time first, so that the recurrence runs over neighbours in memory.
    direct = np.zeros((n_steps, ROWS), dtype=np.float32)
    kept = np.zeros((n_steps, ROWS), dtype=np.float32)
    carried = np.zeros(ROWS, dtype=np.float32)
    for first in range(0, n_rows, ROWS):
        n = min(ROWS, n_rows - first)
        for j in range(n):
            carried[j] = v_grad[first + j]
            for t in range(n_steps):
                c = potential[first + j, t]
                z = (c - THRESHOLD) * SLOPE
                direct[t, j] = spikes_grad[first + j, t] / (ONE + z * z)
                kept[t, j] = ZERO if c >= THRESHOLD else ONE
        if potential_grad.shape[0] > 0:
            for j in range(n):
                for t in range(n_steps):
                    direct[t, j] += potential_grad[first + j, t]
        for t in range(n_steps - 1, -1, -1):
            for j in range(ROWS):
                carried[j] = (direct[t, j] + carried[j] * kept[t, j]) * HALF
                direct[t, j] = carried[j]
        for j in range(n):
            v_grad[first + j] = carried[j]
            for t in range(n_steps):
                current_grad[first + j, t] = direct[t, j]
