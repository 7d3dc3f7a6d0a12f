"""The grid on which every sum before a threshold is exact in float32."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtdecode.decode.halfwords import LARGEST
from rtdecode.errors import RtdecodeError

F8 = NDArray[np.float64]

GRID_BITS = 12
SIGNIFICAND_BITS = 24


def on_grid(weight: F8, bias: F8, largest_input: int) -> tuple[F8, F8, int]:
    """Round to multiples of 2⁻ᵇ, with which every sum of inputs is exact in float32, in any order.

    b is 12, or the largest below it with Σ|w|·x + |bias| < 2^(24−b) for every unit: then each partial sum is
    a whole number of 2⁻ᵇ below 2²⁴ of them; and with every weight a 16-bit number of them (`halfwords`).

    Args:
        weight: f8[in, lags, out].
        bias: f8[out].
        largest_input: x; inputs are whole numbers.

    Returns:
        The rounded weight and bias, and b.

    Raises:
        RtdecodeError: even whole numbers would not do.
    """
    reach = np.inf
    for bits in range(GRID_BITS, -1, -1):
        rounded = [np.rint(np.ldexp(values, bits)) for values in (weight, bias)]
        reach = float((np.abs(rounded[0]).sum(axis=(0, 1)) * largest_input + np.abs(rounded[1])).max())
        if reach < 2**SIGNIFICAND_BITS and np.abs(rounded[0]).max() <= LARGEST:
            # 0.0 +: a rounded −0.0 would make another model_id of the same model.
            return 0.0 + np.ldexp(rounded[0], -bits), 0.0 + np.ldexp(rounded[1], -bits), bits
    raise RtdecodeError(
        f"sums of up to {reach:.3g} before a threshold of 0.3", fix="train anew: this diverged"
    )
