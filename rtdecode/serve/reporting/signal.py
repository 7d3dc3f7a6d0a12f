"""What a source sends that is readable, but hardly means what it seems to mean: a line each."""

from __future__ import annotations

from rtdecode.ingest.signals.broadband import BroadbandFeed
from rtdecode.ingest.signals.counts import CountFeed
from rtdecode.ingest.signals.events import EventFeed
from rtdecode.ingest.signals.features import FeatureFeed
from rtdecode.ingest.signals.feed import Feed, samples_of
from rtdecode.ingest.signals.layouts import Layout
from rtdecode.serve.loop.core import LoopCore
from rtdecode.serve.loop.states import link_of

#: Number of samples from which on a source is judged.
ENOUGH = 200

#: Unit of noise of many sorters, and the fraction of events from which on it is named.
NOISE_UNIT, MUCH_NOISE = 255, 0.02

#: Events of one stamp, longer than this after those of the stamp before, are a chunk that was stamped as one.
LONG_CHUNK_S = 0.005

#: A fastest delivery beyond this is no way from one machine to another.
SLOW_S = 0.05

#: Mean spikes/s of the channels beyond which counts are no counts.
MOST_SPIKES_HZ = 500.0


def signal_warnings(feed: Feed | None, core: LoopCore) -> list[str]:
    """The lines about the attached source; none before it has sent enough.

    Args:
        feed: of the attached source, None without one.
        core: of the loop.
    """
    lines: list[str] = []
    link = link_of(core.state)
    if isinstance(feed, EventFeed):
        lines += _of_events(feed)
    if isinstance(feed, BroadbandFeed):
        lines += _of_voltage(feed)
    of = samples_of(feed)
    if isinstance(of, CountFeed) and of.fitness.n_samples >= ENOUGH and not of.unfit:
        mean_hz = of.fitness.mean_count / of.period_s
        if mean_hz > MOST_SPIKES_HZ:
            lines.append(
                f"its counts are {mean_hz:,.0f} spikes/s a channel, which look like rates: send the number "
                "of spikes in each interval"
            )
    if isinstance(of, FeatureFeed) and of.fitness.n_samples >= ENOUGH:
        lines += _of_features(of)
    if link is not None and link.judge.floor_s > SLOW_S:
        lines.append(
            f"its fastest delivery takes {link.judge.floor_s * 1e3:.0f} ms, by which the cursor is late: let "
            "it push more often, and stamp samples when they are taken"
        )
    return lines


def _of_voltage(feed: BroadbandFeed) -> list[str]:
    lines = []
    if dead := feed.detection.dead:
        lines.append(f"{dead}: noise is measured at the start alone, so start again once they have a signal")
    if unknown := feed.unknown:
        lines.append(
            f"more than 1 % of the samples of {unknown} are NaN, infinite or at the limit of the converter, "
            "where nothing is detected"
        )
    return lines


def _of_features(feed: FeatureFeed) -> list[str]:
    fitness = feed.fitness
    n = len(feed.wanted)
    lines = [
        f"{len(names)} of {n} features {what}, {names[0]} among them: {then}"
        for names, what, then in (
            (fitness.dead, "are always NaN", "they are taken for their mean"),
            (fitness.constant, "never change", "does their source measure them?"),
        )
        if names
    ]
    if fitness.seen.are_rates and (kinds := {column.kind for column in feed.wanted} - {"rate"}):
        lines.append(
            f"its values are multiples of {feed.inlet.stream.rate_hz:g}, as rates in Hz are, and are read as "
            f"{' and '.join(sorted(kinds))}"
        )
    return lines


def _of_events(feed: EventFeed) -> list[str]:
    lines = []
    n_noise, n_events = int(feed.by_unit[NOISE_UNIT]), int(feed.by_unit.sum())
    if n_events >= ENOUGH and n_noise > MUCH_NOISE * n_events and not feed.drops(NOISE_UNIT):
        lines.append(
            f"{n_noise:,} of {n_events:,} ({100 * n_noise / n_events:.1f} %) events have unit 255 or more, "
            "by which many sorters mark noise: leave them out with --drop-units 255"
        )
    stamps = feed.stamps
    n_distinct = stamps.n - stamps.n_same
    if (
        stamps.n >= ENOUGH
        and feed.layout is not Layout.SNIPPETS
        and stamps.n_same > n_distinct
        and stamps.lasted_s > LONG_CHUNK_S * n_distinct
    ):
        lines.append(
            f"its events come in chunks with one stamp for all, every "
            f"{1e3 * stamps.lasted_s / n_distinct:.0f} ms: give push_chunk a list with the stamp of each"
        )
    return lines
