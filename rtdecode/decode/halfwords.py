"""Weights as 16-bit integers: half the memory traffic, which limits a step, without losing a bit.

A tensor fits if all its entries are whole multiples, −32767 to 32767, of one power of two. Exports round to
that; any other model is stepped from float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.kernels.arrays import F4, F8, I2

LARGEST = 32767

# Keeps a scale and its product with an input within the normal numbers of float32.
_MOST_BITS = 64


def finest_bits(weight: NDArray[Any]) -> int:
    """The largest b ≤ 64 with |weight| · 2ᵇ ≤ 32767 after rounding."""
    largest = float(np.abs(weight).max(initial=0.0))
    if largest == 0.0:
        return 0
    bits = 15 - int(np.frexp(largest)[1])
    if np.rint(np.ldexp(largest, bits)) > LARGEST:
        bits -= 1
    return min(bits, _MOST_BITS)


def rounded_to_halfwords(weight: F8) -> F8:
    """The nearest tensor that fits; errors are at most 2⁻¹⁵ of the largest entry."""
    bits = finest_bits(weight)
    # 0.0 +: a rounded −0.0 would make another model_id of the same model.
    return np.asarray(0.0 + np.ldexp(np.rint(np.ldexp(weight, bits)), -bits))


def as_halfwords(weight: F4) -> tuple[I2, np.float32] | None:
    """The tensor as i2 of its shape and the scale to multiply it by; None if it does not fit."""
    bits = finest_bits(weight)
    whole = np.ldexp(weight.astype(np.float64), bits)
    if (whole != np.rint(whole)).any():
        return None
    return whole.astype(np.int16), np.float32(np.ldexp(1.0, -bits))
