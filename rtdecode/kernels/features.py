"""Features of a bin as small whole numbers, so that what is computed from them is exact, like counts."""

from __future__ import annotations

import numpy as np

from rtdecode.kernels.arrays import F8, I2, I8
from rtdecode.kernels.feature_code import CODES_PER_SD, LARGEST_CODE
from rtdecode.kernels.jit import kernel

# What `encode` counts.
MISSING = 0  # values that are NaN or infinite
BEYOND = 1  # values further from the mean than the largest code
N_FEATURE_COUNTERS = 2


@kernel
def encode(values: F8, mean: F8, sd: F8, counters: I8, codes: I2) -> None:
    """codes i2[F] = (values − mean) / SD in steps of 1/16, half to even; 0, the mean, for a missing value.

    Args:
        values: f8[F], of one bin.
        mean, sd: f8[F], of the model; a column with SD 0 is not read, its code is 0.
        counters: i8[N_FEATURE_COUNTERS], MISSING and BEYOND; added to.
        codes: written.
    """
    for f in range(values.shape[0]):
        codes[f] = 0
        if sd[f] == 0.0:
            continue
        if not np.isfinite(values[f]):
            counters[MISSING] += 1
            continue
        steps = np.rint((values[f] - mean[f]) / sd[f] * CODES_PER_SD)
        if abs(steps) > LARGEST_CODE:
            counters[BEYOND] += 1
            steps = LARGEST_CODE if steps > 0 else -LARGEST_CODE
        codes[f] = steps


@kernel
def encode_rows(values: F8, mean: F8, sd: F8, counters: I8, codes: I2) -> None:
    """`encode` over the rows of values f8[T, F] into the rows of codes i2[T, F]."""
    for k in range(values.shape[0]):
        encode(values[k], mean, sd, counters, codes[k])
