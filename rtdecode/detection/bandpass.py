"""A causal band-pass of many channels, which starts again after whatever is unknown."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.kernels.broadband import filter_rows

#: Rows per call of the kernels: they fit into the second-level cache of the processor.
BLOCK = 256

#: Larger samples are not voltages in any unit.
LARGEST = 1e30


class Bandpass:
    """Butterworth band-pass of a stream, block by block.

    Each sample minus the first one of its channel (so that an offset does not ring) passes the filter. A
    sample that is NaN, infinite or at the limit of its integer type is unknown: its channel starts again with
    the next known one, as all channels do after lost samples. For one period of the lower edge after a start
    the filter settles, and its output is unknown, NaN.

    Args:
        n_channels: C, 1 to 65,535.
        rate_hz: samples per second.
        band: lower edge and upper edge, Hz, and the order at each.

    Attributes:
        n_samples: samples so far, lost ones included.
        n_unknown: i8[C], unknown samples so far, lost ones not included.

    Raises:
        RtdecodeError: the rate is too low for the band, or the number of channels is out of range.
    """

    def __init__(self, n_channels: int, rate_hz: float, band: tuple[float, float, int]) -> None:
        # Here, because it takes a fifth of a second that a rig without voltage need not wait.
        from scipy.signal import butter

        low_hz, high_hz, order = band
        if not 1 <= n_channels <= np.iinfo(np.uint16).max:
            raise RtdecodeError(
                f"samples cannot have {n_channels} channels", fix="give samples of 1 to 65535 channels"
            )
        if not (math.isfinite(rate_hz) and rate_hz > 2 * high_hz):
            raise RtdecodeError(
                f"a rate of {rate_hz:g} Hz cannot hold a band up to {high_hz:g} Hz",
                fix=f"give a rate above {2 * high_hz:g} Hz, or settings with a lower high_hz",
            )
        self.n_samples = 0
        self.n_unknown = np.zeros(n_channels, np.int64)
        self._settle = math.ceil(rate_hz / low_hz)
        self._sections = butter(order, (low_hz, high_hz), "bandpass", fs=rate_hz, output="sos")
        self._state = np.zeros((len(self._sections), 2, n_channels))
        self._offset = np.full(n_channels, np.nan)
        self._unsettled = np.full(n_channels, self._settle)
        self._row = np.zeros(n_channels)
        self._out = np.zeros((BLOCK, n_channels), np.float32)

    def filter(self, block: NDArray[np.float64], limits: tuple[float, float]) -> NDArray[np.float32]:
        """The next samples f8[T, C], T up to BLOCK, filtered: f4[T, C], valid until the next call.

        Args:
            block, limits: as `blocks` gives them.
        """
        out = self._out[: len(block)]
        filter_rows(
            block, *limits, self._settle, self._offset, self._sections, self._state,
            self._unsettled, self.n_unknown, self._row, self.n_samples, out,
        )  # fmt: skip
        self.n_samples += len(block)
        return out

    def skip(self, n: int) -> None:
        """Start again after n lost samples."""
        self.n_samples += n
        self._offset[:] = np.nan
        self._state[:] = 0.0
        self._unsettled[:] = self._settle


def blocks(samples: NDArray[np.generic]) -> Iterator[tuple[NDArray[np.float64], tuple[float, float]]]:
    """Blocks f8[≤ BLOCK, C] of samples, and the limits between which a sample of their type is known."""
    limits = (-LARGEST, LARGEST)
    if samples.dtype.kind in "iu":
        of_type = np.iinfo(samples.dtype.str)
        limits = (float(of_type.min), float(of_type.max))
    for begin in range(0, len(samples), BLOCK):
        yield samples[begin : begin + BLOCK].astype(np.float64, order="C"), limits
