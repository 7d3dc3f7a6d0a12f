"""From an acquisition system's sample numbers to LSL time, by when they arrive.

    clock = ClockMap(30_000.0)
    clock.add(sample, arrival_s)      # the newest sample of each message
    if clock.bound_s(now) <= 0.001:
        clock.time_of(sample)

A message arrives some time after its newest sample was taken: never earlier than the fastest way takes, often
later. So the times of the samples are a line below all arrivals that touches the fastest ones, and its slope
is the drift of the device's clock: the edge of the lower convex hull above the mean, as in Moon, Skelly and
Towsley, "Estimation and removal of clock skew from network delay measurements" (INFOCOM 1999). Of each
quarter of a second only the fastest arrival is kept. What the fastest way takes cannot be known from
arrivals: it is in the times as a constant.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

#: Windows from which a line is drawn at all; it touches two.
LEAST_WINDOWS = 5

#: The bound is how far this share of the fastest arrivals is from the line, at least `LEAST_WINDOWS`.
SHARE = 0.125

#: How far arrivals may be from the line of a wrong rate, as a fraction of what that makes of them.
WRONG_RATE_SLACK = 0.05

#: Number of windows with which twice that distance is taken.
FEW = 10


@dataclass(frozen=True)
class ClockSettings:
    """How a clock is followed.

    Attributes:
        window_s: of the arrivals in each, the fastest is kept.
        n_windows: that are kept; a delivery that is slower for less than this moves no time.
        max_drift: largest difference of the device's rate from its nominal one, as a fraction.
        usual_drift: difference that needs no evidence.
        wrong_rate: difference from which the nominal rate is another than the device's.
    """

    window_s: float = 0.25
    n_windows: int = 240
    max_drift: float = 600e-6
    usual_drift: float = 250e-6
    wrong_rate: float = 0.01


class ClockMap:
    """A device's clock, on which sample numbers count, seen from here.

    Args:
        rate_hz: nominal sampling rate of the device.
        settings: how it is followed.

    Attributes:
        drift: seconds by which the device's clock loses on ours in a second, as far as it is known.
        apparent_drift: the same without its limit.
    """

    def __init__(self, rate_hz: float, settings: ClockSettings | None = None) -> None:
        self.drift = self.apparent_drift = 0.0
        self._rate_hz, self._settings = rate_hz, settings or ClockSettings()
        self._origin_sample, self._origin_s = 0, 0.0
        self._offset_s = math.nan
        self._fastest: list[tuple[float, float]] = []
        self._window: tuple[float, float] | None = None
        self._window_ends_s = -math.inf
        self._scatter_s, self._support = math.inf, (0.0, 0.0)

    def add(self, sample: int, arrival_s: float) -> None:
        """Learn from an arrival.

        Args:
            sample: number of the newest sample in a message.
            arrival_s: when the message arrived, on the LSL clock.
        """
        if math.isnan(self._offset_s):
            self._origin_sample, self._origin_s, self._offset_s = sample, arrival_s, 0.0
        at_s = (sample - self._origin_sample) / self._rate_hz
        late_s = arrival_s - self._origin_s - at_s
        above_s = late_s - self._line(at_s)
        if arrival_s >= self._window_ends_s:
            self._close_window(arrival_s)
            above_s = late_s - self._line(at_s)
        if self._window is None or above_s < self._window[1] - self._line(self._window[0]):
            self._window = at_s, late_s
        if above_s < 0.0:
            # Nothing arrives before it was taken: the line was too late.
            self._offset_s += above_s

    def time_of(self, sample: int) -> float:
        """LSL time at which a sample was taken, s, plus the constant that the fastest delivery takes."""
        at_s = (sample - self._origin_sample) / self._rate_hz
        return self._origin_s + at_s + self._line(at_s)

    def bound_s(self, now: float) -> float:
        """How far `time_of` the samples of `now` may be off, s, that constant aside; infinity at first."""
        if math.isinf(self._scatter_s):
            return math.inf
        first_s, last_s = self._support
        settings, since_s = self._settings, max(now - self._origin_s - last_s, 0.0)
        slope = min(self._scatter_s / max(last_s - first_s, settings.window_s), settings.max_drift)
        return self._scatter_s + slope * since_s + 1.0 / self._rate_hz

    def rate_is_wrong(self) -> bool:
        """Whether the device counts at another rate than the nominal one.

        A line through all of the fastest arrivals shows it; those of a machine that falls behind are on none.
        """
        if abs(self.apparent_drift) <= self._settings.wrong_rate:
            return False
        times, late = zip(*self._fastest, strict=True)
        excursion_s = abs(self.apparent_drift) * (max(times) - min(times))
        off_s = [late_s - self.apparent_drift * at_s for at_s, late_s in zip(times, late, strict=True)]
        return bool(max(off_s) - min(off_s) < WRONG_RATE_SLACK * excursion_s)

    def _line(self, at_s: float) -> float:
        return self._offset_s + self.drift * at_s

    def _close_window(self, now: float) -> None:
        settings = self._settings
        if self._window is not None:
            self._fastest.append(self._window)
            del self._fastest[: -settings.n_windows]
            self._fit()
        self._window, self._window_ends_s = None, now + settings.window_s

    def _fit(self) -> None:
        n = len(self._fastest)
        if n < LEAST_WINDOWS:
            return
        first, last = _edge_below(self._fastest)
        length_s = last[0] - first[0]
        self.apparent_drift = (last[1] - first[1]) / length_s if length_s > 0.0 else 0.0
        limit = self._settings.max_drift
        drift = min(max(self.apparent_drift, -limit), limit)
        _, spread_s = self._below(drift)
        # A slope that the scatter may have made is taken for less than it is: clocks drift little.
        chance = spread_s / max(length_s * self._settings.usual_drift, 1e-12)
        self.drift = drift / (1.0 + chance * chance)
        (self._offset_s, touched_s), spread_s = self._below(self.drift)
        # A line through the fastest of few may be near several of them by chance.
        self._scatter_s = spread_s * (1.0 + FEW / n)
        self._support = min(first[0], touched_s), max(last[0], touched_s)

    def _below(self, drift: float) -> tuple[tuple[float, float], float]:
        """The line of this slope below all of the fastest arrivals.

        Returns:
            Its offset and where it touches them, and how far off it a share of them is.
        """
        above = sorted((late_s - drift * at_s, at_s) for at_s, late_s in self._fastest)
        nth = max(LEAST_WINDOWS, int(SHARE * len(above))) - 1
        return above[0], above[nth][0] - above[0][0]


def _edge_below(points: list[tuple[float, float]]) -> tuple[tuple[float, float], tuple[float, float]]:
    """The edge of the lower convex hull that is below the mean of the points' abscissae."""
    hull: list[tuple[float, float]] = []
    for x, y in sorted(points):
        while len(hull) > 1 and (hull[-1][1] - hull[-2][1]) * (x - hull[-2][0]) >= (y - hull[-2][1]) * (
            hull[-1][0] - hull[-2][0]
        ):
            hull.pop()
        hull.append((x, y))
    mean = sum(x for x, _ in points) / len(points)
    for left, right in itertools.pairwise(hull):
        if right[0] >= mean:
            return left, right
    return hull[0], hull[-1]
