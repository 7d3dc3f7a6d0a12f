"""The parts of a causal convolution of three frames that do not depend on what drives it.

`pending` f4[3·n] is a layer's memory: what the frames so far add to the current frame and to the next two.
An input adds its row once, in its own frame, and is never read again.
"""

from __future__ import annotations

import numpy as np

from rtdecode.kernels.arrays import F4, U1
from rtdecode.kernels.jit import kernel

N_LAGS = 3
THRESHOLD = np.float32(0.3)
HALF = np.float32(0.5)
ZERO = np.float32(0.0)
#: Upper limit of a potential that is read: an artefact on all channels must not weigh more than many spikes.
FULL = np.float32(1.0)


@kernel
def advance(pending: F4) -> None:
    """Go to the next frame: shift `pending` by one frame, and fill the last with zeros."""
    n = pending.shape[0] // N_LAGS
    at_hand, following, last = pending[:n], pending[n : 2 * n], pending[2 * n :]
    for j in range(n):
        at_hand[j] = following[j]
        following[j] = last[j]
        last[j] = ZERO


@kernel
def fire(bias: F4, pending: F4, voltage: F4, spikes: U1, potential: F4) -> None:
    """Leaky integrate-and-fire neurons, driven by the current frame: V ← V + (I − V)·0.5, in two roundings.

    Halving is exact, so a fused multiply-add would give the same bits.

    Args:
        bias: f4[n], added to the drive.
        pending: f4[3·n], advanced by one frame.
        voltage: f4[n]; back to 0 where a neuron fired.
        spikes: u1[n], overwritten with 1 where V ≥ 0.3 (as float32), else 0.
        potential: f4[n], overwritten with V before the reset, clipped to 0 to 1.
    """
    for j in range(bias.shape[0]):
        moved = voltage[j] + ((pending[j] + bias[j]) - voltage[j]) * HALF
        fired = moved >= THRESHOLD
        spikes[j] = fired
        potential[j] = min(max(moved, ZERO), FULL)
        voltage[j] = ZERO if fired else moved
    advance(pending)


@kernel
def rectify(bias: F4, pending: F4, values: F4) -> None:
    """values f4[n] = max(bias + the current frame, 0); pending f4[3·n] is advanced by one frame."""
    for j in range(bias.shape[0]):
        total = pending[j] + bias[j]
        values[j] = total if total > ZERO else ZERO
    advance(pending)


@kernel
def leak(decay: F4, drive: F4, sums: F4) -> None:
    """Neurons that leak and never fire: sums f4[n] ← decay f4[n] · sums + drive f4[n]."""
    for j in range(decay.shape[0]):
        sums[j] = decay[j] * sums[j] + drive[j]
