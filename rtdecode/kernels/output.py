"""One bin of the output stage: affine, dead zones, integration, drift guard, fusion, clamp."""

from __future__ import annotations

import numpy as np

from rtdecode.kernels.arrays import F4, F8, I8
from rtdecode.kernels.jit import kernel


@kernel
def output_step(
    value: F4,
    position: I8,
    velocity: I8,
    matrix: F8,
    offset: F8,
    home: F8,
    low: F8,
    high: F8,
    rates: F8,
    cursor: F8,
    drift: F8,
    scratch: F8,
) -> None:
    """Move the cursor by one bin.

    With u the decoded velocity and p the decoded position, both through `matrix`:

        drift += rate·(u − drift), kept within ±drift_max;  u −= drift;  u shortened by the dead zone
        cursor += u·Δ;  cursor += leak·(home − cursor)
        e = p + offset − cursor;  cursor += pull·(e shortened by the dead zone)
        cursor clamped to [low, high]

    Args:
        value: f4[d], decoded.
        position, velocity: i8[n] or empty, which of them are axes of the movement.
        matrix: f8[m, n].
        offset, home, low, high: f8[m].
        rates: f8[7]: Δ in seconds, dead zone, dead zone of speed, leak, drift rate, drift_max, pull.
        cursor: f8[m], changed in place.
        drift: f8[m], changed in place.
        scratch: f8[m].
    """
    width_s, dead_zone, dead_zone_speed = rates[0], rates[1], rates[2]
    leak, drift_rate, drift_max, pull = rates[3], rates[4], rates[5], rates[6]
    n_axes = cursor.shape[0]
    if velocity.shape[0] > 0:
        square = 0.0
        for i in range(n_axes):
            speed = 0.0
            for j in range(velocity.shape[0]):
                speed += matrix[i, j] * value[velocity[j]]
            drift[i] = min(max(drift[i] + drift_rate * (speed - drift[i]), -drift_max), drift_max)
            scratch[i] = speed - drift[i]
            square += scratch[i] * scratch[i]
        length = np.sqrt(square)
        kept = 1.0 - dead_zone_speed / length if length > dead_zone_speed else 0.0
        for i in range(n_axes):
            cursor[i] += kept * scratch[i] * width_s
            cursor[i] += leak * (home[i] - cursor[i])
    if position.shape[0] > 0:
        square = 0.0
        for i in range(n_axes):
            aim = offset[i]
            for j in range(position.shape[0]):
                aim += matrix[i, j] * value[position[j]]
            scratch[i] = aim - cursor[i]
            square += scratch[i] * scratch[i]
        length = np.sqrt(square)
        kept = 1.0 - dead_zone / length if length > dead_zone else 0.0
        for i in range(n_axes):
            cursor[i] += pull * kept * scratch[i]
    for i in range(n_axes):
        cursor[i] = min(max(cursor[i], low[i]), high[i])
