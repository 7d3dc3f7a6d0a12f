"""How a feature is written as a whole number; without Numba, for those who only need the numbers."""

from __future__ import annotations

#: Steps of a code in an SD: rounding to it adds 0.03 % to a feature's variance.
CODES_PER_SD = 16

#: Codes are between −LARGEST_CODE and LARGEST_CODE, 7.9 SD on both sides of the mean.
LARGEST_CODE = 127
