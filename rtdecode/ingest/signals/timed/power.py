"""Spike-band power of a stream of voltage, put into the bins of its spikes by its time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import FeatureColumn
from rtdecode.binning import FUTURE_TOLERANCE_S, BinRing, EventBinning, EventColumns, SampleColumns
from rtdecode.detection.live import LiveFound, nothing_in
from rtdecode.detection.power import power_name
from rtdecode.detection.settings import PowerSettings
from rtdecode.ingest.signals.channel_map import ChannelMap
from rtdecode.ingest.signals.crossings import Crossings
from rtdecode.ingest.signals.events import EventRules
from rtdecode.ingest.signals.layouts import StreamDescription
from rtdecode.ingest.signals.numbering import channels_of_columns
from rtdecode.kernels.arrays import F8, U1
from rtdecode.kernels.binning import N_TIME_COUNTERS
from rtdecode.kernels.feature_bins import reach_of
from rtdecode.kernels.timed_features import bin_timed_features


def power_columns(n_channels: int) -> tuple[FeatureColumn, ...]:
    """The power of all channels, named as `rtdecode detect` names it."""
    return tuple(FeatureColumn(power_name(c), "power", "") for c in range(n_channels))


def voltage_columns(
    stream: StreamDescription, channel_map: ChannelMap | None, wanted: Sequence[FeatureColumn]
) -> list[int]:
    """Which column of voltage each feature is the power of, -1 for one that the stream does not have."""
    channels = channels_of_columns(stream, channel_map)
    place = {power_name(channel): column for column, channel in enumerate(channels)}
    return [place.get(each.name, -1) for each in wanted]


class TimedPower:
    """Samples of power: in the bin that has the middle of their interval, as features beside spikes are.

    A bin waits for the samples that belong to it, half their interval, and crossings behind it wait with it.

    Args:
        stream: of voltage.
        crossings: of each pull.
        ring: the bins; without features power is recorded alone.
        settings: of the power.
        rules: the features that are read, none for the power of all channels.

    Attributes:
        wanted: the features.
        period_s: interval of a sample.
        columns, end_s, values: samples of the last pull, their ends, and values f8[k, F], NaN where unknown;
            before the first bin they have the number -1.
    """

    def __init__(
        self,
        stream: StreamDescription,
        crossings: Crossings,
        ring: BinRing,
        settings: PowerSettings,
        rules: EventRules,
    ) -> None:
        self.wanted = rules.features or power_columns(ring.n_channels)
        self.period_s = settings.bin_width_s
        self._from = np.array(voltage_columns(stream, rules.numbering.channel_map, self.wanted), np.intp)
        self._unknown = self._from < 0
        self._ring, self._carry, self._binning = ring, rules.carry_late, EventBinning(ring, -np.inf)
        self._arrays = *ring.slots, np.zeros(N_TIME_COUNTERS, np.int64)
        ring.features.counted[:] = 0
        self._pulled, self._crossings = crossings, crossings.columns
        self._at, self._continued = 0, False
        self._place(nothing_in(stream.n_columns), np.zeros(0, np.uint8), np.zeros(0), 0.0)

    def take(self, found: LiveFound, possible: U1, sample_s: F8, period_s: float) -> None:
        """Take the power of a pull, and its crossings.

        Args:
            found: in its samples.
            possible: u1, whether the stamp of each sample may be used.
            sample_s: f8, time of each sample, s.
            period_s: of the samples.
        """
        # What was not binned, as while stamps were in doubt, is over.
        waits_from = self._at if self._continued else len(self._crossings.time)
        self._crossings = _joined(self._crossings, waits_from, self._pulled)
        self._at = self._added = 0
        self._continued = False
        if len(found.last_row) or len(self.end_s):
            self._place(found, possible, sample_s, period_s)

    def _place(self, found: LiveFound, possible: U1, sample_s: F8, period_s: float) -> None:
        n = len(found.last_row)
        self.end_s: F8 = sample_s[found.last_row] + found.to_end * period_s
        # In rows: for any other order the kernel would be compiled once more, in mid-bin.
        self.values: F8 = np.ascontiguousarray(found.power[:, self._from], np.float64)
        self.values[:, self._unknown] = np.nan
        self.columns = SampleColumns(
            self.end_s,
            counts=np.zeros((n, 0), np.uint8),
            number=np.zeros(n, np.int64),
            accepted=possible[found.last_row],
            lost_before=np.zeros(n, np.uint32),
        )
        self._number()

    def _number(self) -> None:
        self._middle_s: F8 = self.end_s - 0.5 * self.period_s
        self.columns.number[:] = np.where(self._middle_s < self._binning.origin_s, -1, 0)

    def follow(self, binning: EventBinning) -> EventBinning:
        """Put samples into these bins, from the last pull on."""
        self._binning = binning
        self._number()
        if self._ring.n_features:
            binning.trailing_s = 0.5 * self.period_s
            self._ring.reach = reach_of(self.period_s / self._ring.bin_width_s, 1.0)
        return binning

    def add(self, n: int, now: float, until_s: float) -> int:
        """Bin the samples and crossings that were taken, bin by bin; returns as `Crossings.add`.

        Args:
            n: number of samples of voltage in the pull.
            now: when they were pulled, s.
            until_s: time of the latest, s.
        """
        ring, binning, self._continued = self._ring, self._binning, True
        while True:
            b = ring.open_bin
            edge_s = binning.bin_end_s(b)
            before = _first_from(self._crossings.time, self._at, edge_s)
            self._at = binning.add(self._crossings, before, now, self._at)
            self._add_power(_first_from(self._middle_s, self._added, edge_s), now)
            if binning.complete_at_s(b) > until_s:
                return n
            if not ring.open_up_to(b + 1):
                return n - 1

    def _add_power(self, until: int, now: float) -> None:
        if until == self._added:
            return
        ring, binning, columns = self._ring, self._binning, self.columns
        self._added = bin_timed_features(
            columns.time,
            self._middle_s,
            columns.accepted,
            columns.lost_before,
            self._added,
            until,
            now + FUTURE_TOLERANCE_S,
            self._carry,
            binning.not_before_s,
            binning.origin_s,
            ring.bin_width_s,
            0.5 * self.period_s,
            self.values,
            ring.features.slots,
            *self._arrays,
        )


def _joined(waiting: EventColumns, at: int, pulled: Crossings) -> EventColumns:
    """Crossings that wait, from `at` on, and those of a pull."""
    new = pulled.columns

    def both(before: NDArray[Any], behind: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate((before[at:], behind[: pulled.n]))

    return EventColumns(
        both(waiting.time, new.time),
        both(waiting.channel, new.channel),
        both(waiting.accepted, new.accepted),
        both(waiting.lost_before, new.lost_before),
    )


def _first_from(time: F8, at: int, edge_s: float) -> int:
    """The first from `at` on that is not before an edge; their number without one."""
    behind = np.flatnonzero(time[at:] >= edge_s)
    return at + int(behind[0]) if len(behind) else len(time)
