"""Delivery delay of a source, and the grace that bins wait for it (docs/time.md)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rtdecode.kernels.delay import delay_quantile, observe_delays

STEP_S = 1e-5
N_STEPS = 2500
FORGET_AT = 20_000

AUTO_MIN_S = 0.0003
AUTO_MAX_S = 0.010
AUTO_QUANTILE = 0.999

#: Least number of events for a 99.9 % quantile.
ENOUGH_EVENTS = 200


class DeliveryDelay:
    """A running histogram of arrival − stamp, in 10-µs steps up to 25 ms.

    Attributes:
        histogram: i8[2500], events per step; divided by two whenever it holds 20,000.
    """

    def __init__(self) -> None:
        self.histogram: npt.NDArray[np.int64] = np.zeros(N_STEPS, np.int64)

    def observe(
        self, time: npt.NDArray[np.float64], accepted: npt.NDArray[np.uint8], n: int, now: float
    ) -> None:
        """Add `n` events with stamps `time` (f8) that arrived at `now`; `accepted` (u1) 0 skips one."""
        observe_delays(time, accepted, n, now, STEP_S, FORGET_AT, self.histogram)

    def quantile_s(self, q: float) -> float:
        """Quantile `q` of the delays, NaN before the first event."""
        return float(delay_quantile(self.histogram, STEP_S, q))

    def forget(self) -> None:
        """Clear the histogram: the stamps have been shifted."""
        self.histogram[:] = 0

    def n_events(self) -> int:
        """Number of events in the histogram."""
        return int(self.histogram.sum())


class AutoGrace:
    """grace = "auto": the 99.9 % quantile of delivery delay, between 0.3 and 10 ms.

    Until enough events have arrived it is 10 ms: a late cursor is noticed, an event that missed its
    bin is not.
    """

    def __init__(self, delay: DeliveryDelay) -> None:
        self._delay = delay
        self.seconds = AUTO_MAX_S

    def update(self) -> None:
        """Measure the quantile again; called once a bin."""
        if self._delay.n_events() >= ENOUGH_EVENTS:
            self.seconds = min(max(self._delay.quantile_s(AUTO_QUANTILE), AUTO_MIN_S), AUTO_MAX_S)


class FixedGrace:
    """A constant grace, `--grace MILLISECONDS`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def update(self) -> None:
        """Nothing to measure."""
