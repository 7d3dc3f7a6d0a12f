"""Whether the spikes of a session can be spikes, each unit by itself."""

from __future__ import annotations

import numpy as np

from rtdecode.session.doctor.finding import Finding
from rtdecode.session.doctor.times import FASTEST_HZ, SLOWEST_HZ, Extents
from rtdecode.session.doctor.values import ValueJudge
from rtdecode.session.layout import Events, Session

#: Numbers of a channel's unit that are no sorted unit: unsorted spikes and noise.
UNSORTED = (0, 255)


def examine_spikes(session: Session, extents: Extents) -> list[Finding]:
    """Rates for counts, implausible rates of firing, and units that are summed.

    Args:
        session: with events or counts.
        extents: of it.
    """
    found = _rates(session, extents)
    if not found and 0 < extents.median_hz < SLOWEST_HZ:
        found.append(
            Finding(
                "firing",
                f"the median channel that fires has {extents.median_hz:.2g} spikes/s, fewer than "
                f"{SLOWEST_HZ:g}: hardly anything can be decoded",
                "check the unit of the spike times, and that all spikes were exported",
            )
        )
    elif not found and extents.median_hz > FASTEST_HZ:
        found.append(
            Finding(
                "firing",
                f"the median channel that fires has {extents.median_hz:,.0f} spikes/s, more than "
                f"{FASTEST_HZ:g}: these look like rates in Hz, noise, or trials on top of one another",
                "check what was exported",
            )
        )
    return found + (_merged_units(session.events) if session.events is not None else [])


def _rates(session: Session, extents: Extents) -> list[Finding]:
    counts = session.counts
    if counts is None or not len(counts.values):
        return []
    rate_hz = 1.0 / counts.nominal_width_s
    judge = ValueJudge(rate_hz)
    judge.see(counts.values)
    fix = "import it with --rates, or divide them by the number of bins a second and round"
    if judge.are_rates:
        what = f"every count is a multiple of {rate_hz:g}, 1 / bin width: these look like rates in Hz"
        return [Finding("rates", what, fix)]
    if extents.median_hz > FASTEST_HZ:
        return [
            Finding(
                "rates",
                f"the median channel has {extents.median_hz:,.0f} spikes/s by its counts in bins of "
                f"{counts.bin_width_s * 1e3:g} ms: these look like rates in Hz",
                fix,
            )
        ]
    return []


def _merged_units(events: Events) -> list[Finding]:
    if events.unit is None or not len(events.time):
        return []
    sorted_ = ~np.isin(events.unit, UNSORTED)
    pairs = np.unique(
        np.stack([events.channel[sorted_].astype(np.int64), events.unit[sorted_].astype(np.int64)]), axis=1
    )
    channels, n_units = np.unique(pairs[0], return_counts=True)
    shared = int((n_units > 1).sum())
    if not shared:
        return []
    return [
        Finding(
            "merged_units",
            f"{pairs.shape[1]} sorted units are on {len(channels)} channels, and decoders sum the units of a "
            f"channel ({shared} channels have several)",
            "import it with --by unit, which makes each unit a channel",
        )
    ]
