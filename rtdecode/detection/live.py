"""Detection in a live stream: noise is measured once, on a thread of its own, and then frozen."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtdecode.detection.detector import SpikeDetector
from rtdecode.detection.options import BROADBAND, DetectionOptions
from rtdecode.detection.power import PowerBins, ends_of, join_bins
from rtdecode.detection.recorded import recorded
from rtdecode.detection.settings import Measured, listed
from rtdecode.detection.spikes import Crossings, concatenated
from rtdecode.errors import RtdecodeError, located
from rtdecode.kernels.arrays import F8, I4, I8, U4
from rtdecode.kernels.broadband import place_samples
from rtdecode.session.layout import Detection


class LiveDetection:
    """The detection of one source, through all of its connections.

    Args:
        options: as asked for.

    Attributes:
        settings, power: of the detection; of spike-band power, None without.
        measured, rate_hz: noise and weights, and the rate at which they were measured; None before.
        dead: which channels had no signal, "" if all had.
        notices: lines for the person at the rig, newest last.
    """

    def __init__(self, options: DetectionOptions | None = None) -> None:
        self.options = options or DetectionOptions()
        self.settings, known = self.options.settings, self.options.noise
        self.power = self.options.power
        self.measured: Measured | None = None
        self.rate_hz: float | None = None
        self.notices: deque[str] = deque(maxlen=100)
        self.dead = ""
        self._compiled = False
        if known is not None:
            self.freeze(known.measured, known.rate_hz, f"noise of {known.path}")

    def check(self, layout: str, n_channels: int, rate_hz: float, where: str) -> None:
        """Check the options for a stream; and prepare for it if it is voltage.

        Raises:
            RtdecodeError: the options are of no use for this layout, or as `prepare`.
        """
        self.options.check_for(layout, where)
        if layout == BROADBAND:
            with located(where):
                self.prepare(n_channels, rate_hz)

    def prepare(self, n_channels: int, rate_hz: float) -> None:
        """Check a source before it is opened, and compile what its samples will need: it would wait for that.

        Raises:
            RtdecodeError: it has another number of channels or rate than the noise, or too low a rate.
        """
        if self.rate_hz is not None and rate_hz != self.rate_hz:
            raise RtdecodeError(
                f"noise was measured at {self.rate_hz:g} Hz, and the stream has {rate_hz:g} Hz",
                fix="send the stream at that rate, or measure its noise: start again without --noise-from",
            )
        self.detector(n_channels, rate_hz)
        if self._compiled:
            return
        shortest = replace(self.settings, noise_s=2.0 / self.settings.low_hz)
        rehearsal = SpikeDetector(1, rate_hz, shortest, power=self.power)
        rehearsal.process(np.zeros((round(rate_hz), 1), np.int16))
        timing, written = np.full(4, 1.0 / rate_hz), (np.zeros(1, np.int64), np.zeros(1, np.uint8))
        place_samples(
            np.zeros(1), 1, np.ones(1, np.uint8), timing, np.ones(5, np.int64),
            *written, np.zeros(1, np.uint32), np.zeros(1), np.zeros(2, np.int64),
        )  # fmt: skip
        self._compiled = True

    def detector(self, n_channels: int, rate_hz: float) -> SpikeDetector:
        """A detector for a new connection."""
        return SpikeDetector(n_channels, rate_hz, self.settings, self.measured, self.power)

    def freeze(self, measured: Measured, rate_hz: float, what: str) -> None:
        """Keep noise and weights for this connection and all later ones; `what` they are, for the line."""
        self.measured, self.rate_hz = measured, rate_hz
        self.dead = dead_channels(measured)
        self.notices.append("; ".join(filter(None, (f"{what}: {told(measured)}", self.dead))))

    def news(self) -> list[str]:
        """The lines since the last call."""
        return [self.notices.popleft() for _ in range(len(self.notices))]

    def recorded(self) -> Detection | None:
        """The part of a session file that keeps it, None before noise is known."""
        if self.measured is None or self.rate_hz is None:
            return None
        return recorded(self.rate_hz, self.settings, self.measured, self.power)


class LiveFound(NamedTuple):
    """What was found in a pull.

    Attributes:
        row, column: i8[m] and i4[m], of each crossing.
        last_row: i8[k], row of the last sample of each bin of power that is over.
        to_end: f8[k], samples from there to the end of the bin.
        power: f4[k, C].
    """

    row: I8
    column: I4
    last_row: I8
    to_end: F8
    power: NDArray[np.float32]


def nothing_in(n_channels: int) -> LiveFound:
    """What is found in a pull that is not used."""
    no_rows: I8 = np.zeros(0, np.int64)
    power = np.zeros((0, n_channels), np.float32)
    return LiveFound(no_rows, np.zeros(0, np.int32), no_rows, np.zeros(0), power)


class LiveDetector:
    """Detects the spikes of one connection.

    Until noise is known samples wait, and nothing is found. Measuring takes tenths of a second of computing
    for 128 channels, so a thread does it, and detects what waits; the loop takes over where it ends.

    Args:
        detection: of the source.
        n_channels: C.
        rate_hz: samples per second.
    """

    def __init__(self, detection: LiveDetection, n_channels: int, rate_hz: float) -> None:
        self._detection, self._n_channels, self._rate_hz = detection, n_channels, rate_hz
        self._detector = detection.detector(n_channels, rate_hz)
        self._waiting: deque[tuple[int, NDArray[np.generic]]] = deque()
        self._n_waiting, self._n_needed = 0, round(detection.settings.noise_s * rate_hz)
        self._known = detection.measured is not None
        self._nothing = nothing_in(n_channels)
        self._thread: threading.Thread | None = None
        self._failure = ""

    @property
    def unfit(self) -> str:
        """Why nothing is detected, "" while spikes are."""
        if self._known:
            return ""
        seconds = min(self._n_waiting, self._n_needed) / self._rate_hz
        measuring = f"its noise is being measured ({seconds:.0f} of {self._detection.settings.noise_s:g} s)"
        return self._failure or measuring

    @property
    def part_unknown(self) -> NDArray[np.float64]:
        """f8[C], fraction of the samples so far that were NaN, infinite or at the limit of their type."""
        return self._detector.n_unknown / max(self._detector.n_samples, 1)

    def process(self, samples: NDArray[np.generic], lost_before: U4) -> LiveFound:
        """The crossings in the next samples [n, C], and the power of the bins that end in them.

        Args:
            samples: of one pull.
            lost_before: u4[n], samples that were lost before each.
        """
        pieces = _pieces(samples, lost_before)
        if not self._known and not self._is_known(pieces):
            pieces = []
        found: list[Crossings] = []
        bins: list[PowerBins] = []
        last_row: list[I8] = []
        to_end: list[F8] = []
        at = 0
        for n_lost, piece in pieces:
            self._detector.skip(n_lost)
            # Of numbers since the start rows of this pull.
            first = self._detector.n_samples - at
            new = self._detector.process(piece)
            found.append(Crossings(new.crossings.sample - first, new.crossings.channel))
            if new.power is not None and len(new.power.bin) and self._detection.power is not None:
                end = ends_of(new.power, self._detection.power, self._rate_hz) - first
                # One that ended in a loss has its last sample in none of these rows.
                row = np.maximum(np.minimum(np.ceil(end - 0.5).astype(np.int64), at + len(piece)) - 1, at)
                bins.append(new.power)
                last_row.append(row)
                to_end.append(end - row)
            at += len(piece)
        all_ = concatenated(found)
        column = all_.channel.astype(np.int32)
        if not bins:
            return self._nothing._replace(row=all_.sample, column=column)
        power = join_bins(bins, self._n_channels).values
        return LiveFound(all_.sample, column, np.concatenate(last_row), np.concatenate(to_end), power)

    def _is_known(self, pieces: list[tuple[int, NDArray[np.generic]]]) -> bool:
        """Let samples wait until noise is known, and all that waited was detected."""
        thread = self._thread
        if thread is not None and not thread.is_alive():
            self._thread = None
            if self._detection.measured is not None:
                self._detect_waiting()
                self._known = True
                return True
            self._detector = self._detection.detector(self._n_channels, self._rate_hz)
            self._n_waiting = sum(len(piece) for _, piece in self._waiting)
        for n_lost, piece in pieces:
            self._waiting.append((n_lost, piece.copy()))
            self._n_waiting += len(piece)
        if self._thread is None and self._n_waiting > self._n_needed:
            self._thread = threading.Thread(target=self._measure, name="rtdecode-noise", daemon=True)
            self._thread.start()
        return False

    def _measure(self) -> None:
        try:
            self._detect_waiting()
            measured = self._detector.measured
            assert measured is not None
        except RtdecodeError as error:
            self._failure = str(error)
            return
        if not measured.noise.any():
            self._failure = (
                "there is no signal on any channel, so its noise is measured again (if its values are 0 and "
                "1: --layout raster)"
            )
            return
        if self._detection.measured is not None:
            # By the connection before, which ended meanwhile.
            self._detector = self._detection.detector(self._n_channels, self._rate_hz)
            return
        seconds = self._detection.settings.noise_s
        self._detection.freeze(measured, self._rate_hz, f"noise measured in {seconds:g} s")

    def _detect_waiting(self) -> None:
        """Detect what waits; crossings in it are too old for any bin."""
        while self._waiting:
            n_lost, piece = self._waiting.popleft()
            rows = [piece]
            while self._waiting and not self._waiting[0][0]:
                rows.append(self._waiting.popleft()[1])
            self._detector.skip(n_lost)
            self._detector.process(np.concatenate(rows))


def _pieces(samples: NDArray[np.generic], lost_before: U4) -> list[tuple[int, NDArray[np.generic]]]:
    """The samples between losses, and how many were lost before each piece."""
    if not lost_before.any():
        return [(0, samples)]
    after = np.flatnonzero(lost_before)
    edges = [0, *after[after > 0].tolist(), len(samples)]
    return [(int(lost_before[first]), samples[first:last]) for first, last in pairwise(edges)]


def told(measured: Measured) -> str:
    """Noise in a line."""
    alive = measured.noise[measured.noise > 0]
    if not alive.size:
        return "no channel has a signal"
    return f"SD {np.median(alive):.4g} ({alive.min():.4g} to {alive.max():.4g}, the unit of its samples)"


def dead_channels(measured: Measured) -> str:
    """Which channels have no noise, "" if all have."""
    dead = np.flatnonzero(measured.noise == 0)
    if not dead.size:
        return ""
    return f"no signal, and so no spikes, on {listed(dead)} ({dead.size} of {measured.noise.size})"
