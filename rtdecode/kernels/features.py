"""Features of a bin as small whole numbers, so that what is computed from them is exact, like counts."""

from __future__ import annotations

import numpy as np

from rtdecode.kernels.arrays import F8, I2, I8
from rtdecode.kernels.jit import kernel

# What `encode` counts.
MISSING = 0  # values that are NaN or infinite
BEYOND = 1  # values further from the mean than the largest code
N_FEATURE_COUNTERS = 2


@kernel
def encode(values: F8, mean: F8, scale: F8, largest: int, counters: I8, codes: I2) -> None:
    """codes i2[F] = (values − mean) · scale, rounded half to even; 0, the mean, for a missing value.

    Args:
        values: f8[F], of one bin.
        mean, scale: f8[F]; a column of scale 0 is not read, its code is 0.
        largest: codes are within ± this.
        counters: i8[N_FEATURE_COUNTERS], MISSING and BEYOND; added to.
        codes: written.
    """
    for f in range(values.shape[0]):
        codes[f] = 0
        if scale[f] == 0.0:
            continue
        if not np.isfinite(values[f]):
            counters[MISSING] += 1
            continue
        steps = np.rint((values[f] - mean[f]) * scale[f])
        if abs(steps) > largest:
            counters[BEYOND] += 1
            steps = largest if steps > 0 else -largest
        codes[f] = steps


@kernel
def decode_rows(codes: I2, mean: F8, step: F8, values: F8) -> None:
    """The values f8[T, F] that codes i2[T, F] stand for, mean + code · step; `step` is 0 for one not read."""
    for k in range(codes.shape[0]):
        for f in range(codes.shape[1]):
            values[k, f] = mean[f] + codes[k, f] * step[f]


@kernel
def encode_rows(values: F8, mean: F8, scale: F8, largest: int, counters: I8, codes: I2) -> None:
    """`encode` over the rows of values f8[T, F] into the rows of codes i2[T, F]."""
    for k in range(values.shape[0]):
        encode(values[k], mean, scale, largest, counters, codes[k])
