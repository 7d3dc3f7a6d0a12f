"""What became of the samples of a stream, and warnings where output or a file is wrong because of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from rtdecode.ingest.connection.identity import named
from rtdecode.ingest.signals.counts import CountFeed
from rtdecode.ingest.signals.events import EventFeed
from rtdecode.ingest.signals.features import FeatureFeed
from rtdecode.ingest.signals.feed import Feed, samples_of
from rtdecode.ingest.signals.fitness import Fitness
from rtdecode.ingest.signals.raster import RasterFeed
from rtdecode.kernels import stamps
from rtdecode.serve.loop.core import LoopCore

#: What kernels.sequence and kernels.binning count, in their order.
BY_SEQUENCE = [
    "received",
    "lost",
    "duplicates",
    "out_of_order",
    "out_of_range",
    "renumbered",
    "not_a_count",
    "dropped_units",
    "not_whole",
    "unmapped",
    "quiet",
]
BY_TIME = ["late_carried", "late_dropped", "future", "discarded", "binned", "late_samples"]

#: Counters of samples that are left out, one of them each, and why.
LEFT_OUT = {
    "late_samples": "too late for their bin",
    "future": "stamped ahead of now, or with NaN",
    "discarded": "before the first bin, or while their clock was judged",
    "duplicates": "repeated",
    "out_of_range": "of a channel out of range",
    "dropped_units": "of a unit that is dropped",
    "not_whole": "whose channel, unit or running number is no whole number",
    "unmapped": "of a channel that the channel map does not name",
    "quiet": "without a crossing",
}

#: Fewer than these, in number and as a fraction, are no warning.
LEAST, LEAST_PART = 20, 0.01

#: More repeated numbers than this fraction are no running numbers.
MANY_REPEATED = 0.05

#: A period that differs more from the announced one is reported.
PERIOD_OFF = 1e-3

#: Samples, of a second at least, after which the period of a source is known.
PERIOD_KNOWN = 250


def stream_counters(sequence: npt.NDArray[np.int64], core: LoopCore) -> dict[str, int]:
    """Totals since the start, by kind; `sequence` i8[N_SEQUENCE_COUNTERS] as the feeds count."""
    left_out = core.left_out
    totals: dict[str, int] = dict(zip(BY_SEQUENCE, sequence.tolist(), strict=True))
    totals |= dict(zip(BY_TIME, core.ring.time_counters.tolist(), strict=True))
    totals["late_dropped"] += int(left_out[stamps.BEHIND])
    totals["late_samples"] += int(left_out[stamps.BEHIND])
    totals["future"] += int(left_out[stamps.AHEAD] + left_out[stamps.NOT_FINITE])
    totals["discarded"] += core.discarded
    return totals


def fates_line(received: int, kept: str, left_out: Mapping[str, int]) -> str:
    """What became of `received` samples: those kept, such as "960 written", and left out by reason."""
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in left_out.items() if n)
    return f"{received:,} received, {kept}" + (f"; left out: {reasons}" if reasons else "")


def decoded_line(totals: Mapping[str, int]) -> str:
    """What became of the samples of a daemon's streams, by their counters."""
    left_out = {reason: totals[key] for key, reason in LEFT_OUT.items()}
    line = fates_line(totals["received"], f"{totals['binned']:,} binned", left_out)
    n = totals["broken_off"]
    return line + (f"; {n:,} spikes were in bins that an outage broke off" if n else "")


def effective_rate_hz(feed: Feed) -> float | None:
    """Rate of a regular source by its own stamps, None for events and before it is known."""
    if isinstance(feed, EventFeed) or feed.timing.n_timed < max(PERIOD_KNOWN, feed.inlet.stream.rate_hz):
        return None
    return 1.0 / feed.timing.measured_period_s


def loss_warnings(totals: Mapping[str, int], spikes: int, feed: Feed | None) -> list[str]:
    """A line for each loss that makes output or a file wrong.

    Args:
        totals: as of `stream_counters`.
        spikes: number of spikes in bins so far.
        feed: of the source attached last, None before the first.
    """
    received = totals["received"]
    lines = []

    def part_of(n: int, whole: int) -> str:
        return f"{n:,} of {whole:,} ({100 * n / max(whole, 1):.1f} %)"

    def many(n: int, whole: int = received) -> bool:
        return n > LEAST and n > LEAST_PART * whole

    late = totals["late_carried"] + totals["late_dropped"]
    of = samples_of(feed)
    what, n = ("samples", totals["binned"]) if isinstance(of, FeatureFeed) else ("spikes", spikes)
    binned = n + totals["late_dropped"]
    if many(late, binned):
        lines.append(
            f"{part_of(min(late, binned), binned)} {what} arrive after their bin has closed: use a larger "
            "--grace, or let the source push more often"
        )
    unnumbered = isinstance(feed, EventFeed) and feed.unnumbered
    if unnumbered:
        lines.append(
            "the third column (seq) repeats itself and is not used, so that losses cannot be noticed: it "
            "must count the events 0, 1, 2 …"
        )
    repeated = totals["duplicates"] + totals["renumbered"]
    if (
        not unnumbered
        and repeated > LEAST
        and (repeated > MANY_REPEATED * received or totals["lost"] > received)
    ):
        lines.append(
            f"{part_of(totals['duplicates'], received)} events are left out as repeated and "
            f"{totals['lost']:,} are missing by their running number, the third column (seq): it must count "
            "the events 0, 1, 2 …"
        )
    elif many(totals["lost"], received + totals["lost"]):
        lines.append(
            f"{part_of(totals['lost'], received + totals['lost'])} samples were lost before they arrived: "
            "check the network and the load of the machine that sends"
        )
    if many(totals["out_of_range"]) or _counts_from_1(feed):
        lines.append(f"{part_of(totals['out_of_range'], received)} events are left out: {_range_hint(feed)}")
    if many(totals["not_whole"]):
        lines.append(
            f"{part_of(totals['not_whole'], received)} events are left out: their channel, unit or running "
            "number (seq) is no whole number: name their columns by --columns channel=0,unit=1,seq=-"
        )
    if totals["unmapped"] > max(LEAST, received // 2):
        lines.append(
            f"{part_of(totals['unmapped'], received)} events are of channels that the channel map does not "
            "name: write in its first column the numbers that the stream sends"
        )
    raster = isinstance(feed, RasterFeed)
    if raster and totals["not_a_count"] > LEAST:
        lines.append(f"{totals['not_a_count']:,} values of the raster are neither 0 nor 1, and no crossings")
    elif isinstance(of, FeatureFeed):
        if of.fitness.infinite:
            lines.append(f"{of.fitness.infinite}, taken for unknown: send NaN where nothing is known")
    elif totals["not_a_count"] > LEAST:
        fitness = of.fitness if isinstance(of, CountFeed) else Fitness(1.0)
        found = f", {fitness.wrong}" if fitness.wrong else ""
        lines.append(f"{totals['not_a_count']:,} values are no counts{found}: {fitness.advice}")
    if isinstance(of, CountFeed) and of.fitness.n_saturated > LEAST:
        lines.append(f"{of.fitness.saturated} are read as 255: send counts of shorter bins")
    if many(totals["future"]):
        lines.append(
            f"{part_of(totals['future'], received)} samples are stamped ahead of now, or with NaN, and are "
            "left out: stamp them with the LSL clock when they are taken"
        )
    if many(totals["discarded"]):
        lines.append(
            f"{part_of(totals['discarded'], received)} samples are left out, received before the first "
            "bin or while their clock was in doubt, or because they are no counts"
        )
    rate_hz = None if feed is None else effective_rate_hz(feed)
    if feed is not None and rate_hz is not None:
        nominal_hz = feed.inlet.stream.rate_hz
        if abs(rate_hz / nominal_hz - 1.0) > PERIOD_OFF:
            lines.append(
                f"the source sends at {rate_hz:.2f} Hz, not at the {nominal_hz:g} Hz that it announces: "
                f"{'bins' if isinstance(feed, CountFeed) else 'the times of events'} follow its samples"
            )
    return lines


def feature_warnings(missing: int, beyond: int, n: int) -> list[str]:
    """Lines about features, `n` of which were decoded, that are missing or beyond their largest code."""
    return [
        f"{count:,} of {n:,} ({100 * count / n:.1f} %) features {what}"
        for count, what in (
            (missing, "are unknown, and taken for their mean: are samples lost, or values NaN?"),
            (beyond, "are beyond 8 SD of their mean: are they scaled as when the model was made?"),
        )
        if count > LEAST and count > LEAST_PART * n
    ]


def of_source(lines: list[str], feed: Feed | None) -> list[str]:
    """The lines, each with the stream and the source that it is about; `feed` of the one attached last."""
    if feed is None:
        return lines
    stream = feed.inlet.stream
    return [f"stream {stream.name}, source {named(stream)}: {line}" for line in lines]


def _counts_from_1(feed: Feed | None) -> bool:
    """Whether one channel of many is the only one out of range."""
    return isinstance(feed, EventFeed) and feed.n_beyond > LEAST and not feed.n_first


def _range_hint(feed: Feed | None) -> str:
    if not isinstance(feed, EventFeed):
        return "their channels are not those of the array"
    last = feed.ring.n_channels - 1
    if feed.n_beyond and not feed.n_first:
        return (
            f"channel 0 never occurs, but channel {last + 1} does: does your rig count channels from 1? Send "
            f"0 to {last}, or add --first-channel 1"
        )
    return f"their channels are not among 0 to {last}"
