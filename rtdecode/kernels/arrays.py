"""Types of arrays, named by kind and bytes of an entry as in a dtype: F8 is float64, U1 uint8."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I1 = NDArray[np.int8]
I2 = NDArray[np.int16]
I4 = NDArray[np.int32]
I8 = NDArray[np.int64]
U1 = NDArray[np.uint8]
U2 = NDArray[np.uint16]
U4 = NDArray[np.uint32]
Mask = NDArray[np.bool_]

#: Of a decoder: counts alone, or counts and behind them the codes of features.
Inputs = U1 | I2
