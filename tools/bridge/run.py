"""A bridge at work: from a source to its outlets, until it is stopped."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pylsl

from rtdecode.errors import RtdecodeError
from rtdecode.tools.bridge.items import Source
from rtdecode.tools.bridge.outlets import BridgeOutlets
from rtdecode.tools.bridge.stamper import Stamper, StamperSettings
from rtdecode.tools.bridge.status import BridgeStatus

#: Longest wait for data, so that Ctrl-C ends the bridge soon.
POLL_S = 0.05

REPORT_EVERY_S = 1.0


@dataclass(frozen=True, kw_only=True)
class BridgeSettings:
    """What a bridge sends.

    Attributes:
        stream: name of the stream of spikes, None for none.
        continuous: name of the stream of continuous data, None for none.
        source_id: of the stream of spikes.
        stamper: how stamps are made.
    """

    stream: str | None
    continuous: str | None
    source_id: str
    stamper: StamperSettings = field(default_factory=StamperSettings)


class Bridge:
    """Passes a source's spikes and continuous data on as LSL streams.

    Args:
        source: connected, or to be connected by its `poll`; closed at the end.
        settings: what is sent.
        report: is given the status once a second and at the end.

    Attributes:
        stopping: set to True, ends `run`.
    """

    def __init__(
        self, source: Source, settings: BridgeSettings, report: Callable[[BridgeStatus], None]
    ) -> None:
        self.stopping = False
        self._source, self._settings, self._report = source, settings, report
        self._outlets: BridgeOutlets | None = None
        self._stamper: Stamper | None = None
        self._reported_s, self._reported_spikes = time.monotonic(), 0

    def run(self) -> None:
        """Send until `stopping`.

        Raises:
            RtdecodeError: the source counts at another rate than it is said to.
        """
        try:
            while not self.stopping:
                self._turn()
                if time.monotonic() - self._reported_s >= REPORT_EVERY_S:
                    self._tell(final=False)
        finally:
            self._source.close()
            self._tell(final=True)

    def _turn(self) -> None:
        source, settings = self._source, self._settings
        received = source.poll(POLL_S)
        # An outlet is there as soon as it can be, so that its readers need not wait for the first spike.
        known = source.n_channels is not None or source.continuous is not None
        if self._outlets is None and known:
            self._outlets = BridgeOutlets(settings.stream, source.n_channels, settings.source_id)
        outlets = self._outlets
        if outlets is None or source.rate_hz is None:
            return
        if source.continuous is not None and settings.continuous is not None:
            outlets.open_continuous(settings.continuous, source.continuous)
        if self._stamper is None:
            self._stamper = Stamper(source.rate_hz, source.tally, settings.stamper)
        stamper = self._stamper
        for arrival_s, items in received:
            for item in items:
                stamper.offer(item, arrival_s)
        outlets.send(stamper.release(pylsl.local_clock()))
        if stamper.wrong_rate_hz is not None:
            raise RtdecodeError(
                f"is {source.rate_hz:g} Hz, but samples come at about {stamper.wrong_rate_hz:,.0f} Hz",
                where="sampling rate",
                fix="give --rate as the system shows it, or start the bridge again if it was changed",
            )

    def _tell(self, *, final: bool) -> None:
        now, outlets = time.monotonic(), self._outlets
        sent = outlets.spikes if outlets is not None else 0
        elapsed_s = max(now - self._reported_s, 1e-9)
        rate_hz = (sent - self._reported_spikes) / elapsed_s
        self._reported_s, self._reported_spikes = now, sent
        tally, stamper = self._source.tally, self._stamper
        clock = stamper.clock if stamper is not None else None
        self._report(
            BridgeStatus(
                state="ended" if final else self._source.state,
                spikes=sent,
                rate_hz=rate_hz,
                samples=outlets.samples if outlets is not None else 0,
                lost_spikes=tally.lost_spikes,
                lost_samples=tally.lost_samples,
                garbled=dict(tally.garbled),
                held=stamper.n_held if stamper is not None else 0,
                clock_bound_ms=1e3 * clock.bound_s(pylsl.local_clock()) if clock is not None else math.inf,
                drift_ppm=1e6 * clock.drift if clock is not None else 0.0,
                segments=stamper.segments if stamper is not None else 0,
                final=final,
            )
        )
