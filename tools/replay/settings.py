"""The settings of a replay, checked."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rtdecode.errors import RtdecodeError
from rtdecode.ingest.signals.layouts import MAX_COUNTS_RATE_HZ, Layout
from rtdecode.serve.flags import joined
from rtdecode.tools.ranges import check_range
from rtdecode.tools.replay.gaps import Gaps
from rtdecode.tools.replay.outlets import OUTLET_BUFFER_S

#: Half of the capacity of LSL's queues for a regular stream.
MAX_BURST_S = OUTLET_BUFFER_S / 2

#: Fastest raster: that of 30-kHz voltage.
MAX_RASTER_RATE_HZ = 1 / 3e-5


@dataclass(frozen=True, kw_only=True)
class ReplaySettings:
    """How a session is replayed.

    Attributes:
        streams: name of the spike stream, or one for each array of the session; of the features, where a
            session holds them alone.
        behavior: name of a second stream with the behaviour, None for none.
        features: name of a further stream with the features beside spikes, None for none.
        layout: layout of the spike stream.
        push_s: interval between pushes, s; 0 to push every sample by itself as soon as it is due.
        period_s: interval of one sample of a counts stream, session seconds.
        speed: session seconds per second.
        seed: random seed.
        loop: True to start again at the end, until it is stopped.
        wait_s: longest wait for a subscriber before starting, s.
        drop: probability that a sample of the spike stream is lost after it was numbered.
        jitter_s: largest random delay of a push of the spike stream, s; timestamps are not changed.
        burst: number of spike samples that are pushed together.
        gaps: whether the time in which the array was not observed passes without samples, or is cut out.

    Raises:
        RtdecodeError: a value is out of its range.
    """

    streams: tuple[str, ...]
    behavior: str | None = None
    features: str | None = None
    layout: Layout = Layout.EVENTS
    push_s: float = 0.001
    period_s: float = 0.001
    speed: float = 1.0
    seed: int = 0
    loop: bool = False
    wait_s: float = 0.0
    drop: float = 0.0
    jitter_s: float = 0.0
    burst: int = 1
    gaps: Gaps = Gaps.KEEP

    def __post_init__(self) -> None:
        if self.layout is Layout.BROADBAND:
            raise RtdecodeError(
                "a session holds spikes, and no voltage to send", where="--layout broadband", fix="omit it"
            )
        push_s, period_s, jitter_s = self.push_s, self.period_s, self.jitter_s
        pushes = push_s == 0 or 0.0001 <= push_s <= 10
        check_range("--push", pushes, "0, or between 0.1 and 10000 ms", 1e3 * push_s)
        if self.layout is Layout.RASTER:
            raster = 1 / MAX_RASTER_RATE_HZ <= period_s < 1 / MAX_COUNTS_RATE_HZ
            check_range("--period", raster, "at least 0.03 and below 1 ms for a raster", 1e3 * period_s)
        else:
            counts = 1 / MAX_COUNTS_RATE_HZ <= period_s <= 1
            check_range("--period", counts, "between 1 and 1000 ms", 1e3 * period_s)
        check_range("--speed", 0 < self.speed <= 1000, "above 0 and at most 1000", self.speed)
        check_range("--seed", self.seed >= 0, "0 or more", self.seed)
        check_range("--wait", 0 <= self.wait_s < math.inf, "0 s or more", self.wait_s)
        check_range("--drop", 0 <= self.drop <= 1, "between 0 and 1", self.drop)
        check_range("--jitter", 0 <= jitter_s <= 10, "between 0 and 10000 ms", 1e3 * jitter_s)
        check_range("--burst", 1 <= self.burst <= 100_000, "between 1 and 100000 samples", self.burst)
        if self.layout is Layout.COUNTS:
            self._check_counts()
        if self.layout is Layout.RASTER and self.speed != 1:
            raise RtdecodeError(
                f"must be 1 for a raster, not {self.speed:g}", where="--speed", fix="omit --speed"
            )
        named = dict.fromkeys(self.streams, "--stream")
        if len(named) < len(self.streams):
            raise RtdecodeError(
                f"is given twice with one name, {', '.join(self.streams)}",
                where="--stream",
                fix="name each array once",
            )
        for option, name, ending in (
            ("--behavior", self.behavior, "hand"),
            ("--features", self.features, "features"),
        ):
            if name is not None and named.setdefault(name, option) != option:
                raise RtdecodeError(
                    f"must differ from {named[name]}, but both are {name}",
                    where=option,
                    fix=f"give {option} {self.stream}-{ending}",
                )

    @property
    def stream(self) -> str:
        """The name of all streams of spikes together."""
        return joined(self.streams)

    def _check_counts(self) -> None:
        rate_hz = self.speed / self.period_s
        if rate_hz > MAX_COUNTS_RATE_HZ:
            raise RtdecodeError(
                f"gives counts at {rate_hz:g} Hz, more than {MAX_COUNTS_RATE_HZ:g} Hz",
                where="--speed",
                fix=f"add --period {1e3 * self.speed / MAX_COUNTS_RATE_HZ:g}",
            )
        check_burst(self.burst, rate_hz, "counts")


def check_burst(burst: int, rate_hz: float, of: str) -> None:
    """Refuse a burst of a regular stream that LSL's queues could not hold.

    Raises:
        RtdecodeError: it is too long.
    """
    if burst / rate_hz > MAX_BURST_S:
        raise RtdecodeError(
            f"holds {burst / rate_hz:g} s of {of}, more than {MAX_BURST_S:g} s",
            where="--burst",
            fix=f"give --burst {math.floor(MAX_BURST_S * rate_hz)} or less",
        )
