"""Fixed-point weights, with which every sum before a threshold is exact in float32."""

from __future__ import annotations

import numpy as np

from rtdecode.decode.halfwords import LARGEST
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import F8

FRACTIONAL_BITS = 12
SIGNIFICAND_BITS = 24


def fixed_point(weight: F8, bias: F8, largest_input: float | F8) -> tuple[F8, F8, int]:
    """Round to b fractional bits, so that every sum over inputs is exact in float32, in any order.

    b is 12, or the largest below it with Σ|w|·x + |bias| < 2^(24−b) for every unit, so that each partial sum
    is a whole multiple of 2⁻ᵇ below 2²⁴ of them, and with every weight a 16-bit multiple (`halfwords`).

    Args:
        weight: f8[in, lags, out].
        bias: f8[out].
        largest_input: x, or f8[in, 1, 1], one for each input; inputs are whole numbers.

    Returns:
        The rounded weight and bias, and b.

    Raises:
        RtdecodeError: even 0 fractional bits are too many.
    """
    largest_sum = np.inf
    for bits in range(FRACTIONAL_BITS, -1, -1):
        rounded = [np.rint(np.ldexp(values, bits)) for values in (weight, bias)]
        reach = (np.abs(rounded[0]) * largest_input).sum(axis=(0, 1))
        largest_sum = float((reach + np.abs(rounded[1])).max())
        if largest_sum < 2**SIGNIFICAND_BITS and np.abs(rounded[0]).max() <= LARGEST:
            # 0.0 +: a rounded −0.0 would change the model_id of the same model.
            return 0.0 + np.ldexp(rounded[0], -bits), 0.0 + np.ldexp(rounded[1], -bits), bits
    raise RtdecodeError(
        f"weights are too large to be rounded exactly (a sum of inputs can reach {largest_sum:.3g})",
        fix="train again: this training diverged",
    )
