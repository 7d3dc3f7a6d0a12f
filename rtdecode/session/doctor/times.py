"""Whether the times of a session are seconds, on one clock, of the whole session."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rtdecode.session.doctor.finding import Finding
from rtdecode.session.layout import Session

#: Units in which times are written by mistake, and how many of them are a second.
UNITS = {
    "milliseconds": 1e3,
    "microseconds": 1e6,
    "nanoseconds": 1e9,
    "samples at 20 kHz": 20e3,
    "samples at 24.4 kHz": 24_414.0625,
    "samples at 25 kHz": 25e3,
    "samples at 30 kHz": 30e3,
    "samples at 40 kHz": 40e3,
}

#: How `--time-unit` names them; of samples it takes their rate.
NAMES = {"milliseconds": "ms", "microseconds": "us", "nanoseconds": "ns"}

#: Two lengths are the same up to this factor.
SAME_LENGTH = 1.25

#: Spikes/s on a channel of a recording: the median channel of one in seconds is hardly outside of it.
SLOWEST_HZ, FASTEST_HZ = 0.05, 100.0

#: A rate that a factor is assumed to lead to, where no behaviour shows the length of the recording.
LIKELY_HZ = 5.0

#: Interval of samples of behaviour that hardly is in seconds.
COARSE = 0.5

#: Spikes that are cut into trials, each from 0 on, span less than this part of the behaviour.
TRIAL_PART = 0.1

#: Spikes and behaviour of one recording share at least this part of the shorter one.
SHARED_PART = 0.5


@dataclass(frozen=True)
class Extents:
    """When there were spikes and behaviour.

    Attributes:
        spikes, behavior: first and last time, as the file has them; None without any.
        interval: between two samples of behaviour, their median; 0 without behaviour.
        median_hz: spikes/s of the median channel that fires; 0 without spikes.
    """

    spikes: tuple[float, float] | None
    behavior: tuple[float, float] | None
    interval: float
    median_hz: float


def extents_of(session: Session) -> Extents:
    """When a session has spikes and behaviour, and how fast channels fire."""
    spikes = behavior = None
    interval = 0.0
    fired = np.zeros(session.n_channels, np.int64)
    if (counts := session.counts) is not None and len(counts.values):
        spikes = (counts.t0_s, counts.end_s)
        fired += counts.values.sum(axis=0, dtype=np.int64)
    if (events := session.events) is not None and len(events.time) > 1:
        spikes = (float(events.time[0]), float(events.time[-1]))
        fired += np.bincount(events.channel, minlength=session.n_channels)
    if session.behavior is not None and len(session.behavior.time) > 1:
        behavior = (float(session.behavior.time[0]), float(session.behavior.time[-1]))
        interval = float(np.median(np.diff(session.behavior.time)))
    span = 0.0 if spikes is None else spikes[1] - spikes[0]
    median_hz = float(np.median(fired[fired > 0])) / span if span > 0 and fired.any() else 0.0
    return Extents(spikes, behavior, interval, median_hz)


def examine_times(extents: Extents) -> list[Finding]:
    """What the times of a session look like, if not seconds on one clock: one finding at most.

    Args:
        extents: of the session.
    """
    if extents.spikes is None:
        return []
    if extents.behavior is None:
        return _by_rate_alone(extents, "--time-unit")
    spikes_s, moves_s = (end - start for start, end in (extents.spikes, extents.behavior))
    if not spikes_s > 0 or not moves_s > 0:
        return []
    for of, ratio, other, implausible in (
        ("spike times", spikes_s / moves_s, moves_s, extents.median_hz < SLOWEST_HZ),
        ("times of the behaviour", moves_s / spikes_s, spikes_s, True),
    ):
        unit = _unit_of(ratio)
        if unit is not None and implausible:
            option = NAMES.get(unit, f"{UNITS[unit]:g}")
            only = "--time-unit" if of == "spike times" else "--behavior-time-unit"
            return [
                Finding(
                    "time_unit",
                    f"{of} look like {unit}: they span {ratio * other:,.0f}, and the "
                    f"{'behaviour' if of == 'spike times' else 'spikes'} {other:,.1f} s",
                    f"import it with {only} {option}, or store seconds",
                )
            ]
    if spikes_s < TRIAL_PART * moves_s and extents.median_hz > FASTEST_HZ:
        return [
            Finding(
                "trial_time",
                f"spike times look like times since the start of a trial: they span {spikes_s:,.1f} s with "
                f"{extents.median_hz:,.0f} spikes/s on a channel, and the behaviour {moves_s:,.1f} s",
                "export times since the start of the recording: add the start of its trial to each",
            )
        ]
    if extents.interval >= COARSE and (
        both := _by_rate_alone(extents, "--time-unit and --behavior-time-unit")
    ):
        return both
    return _clocks(extents.spikes, extents.behavior)


def _clocks(spikes: tuple[float, float], behavior: tuple[float, float]) -> list[Finding]:
    shorter = min(spikes[1] - spikes[0], behavior[1] - behavior[0])
    shared = min(spikes[1], behavior[1]) - max(spikes[0], behavior[0])
    if shared >= SHARED_PART * shorter:
        return []
    spans = (
        f"spikes ({spikes[0]:,.1f} to {spikes[1]:,.1f} s) and behaviour ({behavior[0]:,.1f} to "
        f"{behavior[1]:,.1f} s)"
    )
    shift_s = spikes[0] - behavior[0]
    fix = f"if both began together, import it with --shift {shift_s:.3f}; else stamp both by one clock"
    if shared <= 0:
        return [Finding("clock", f"{spans} share no time, as if stamped by two clocks", fix)]
    return [Finding("clock", f"{spans} share only {shared:,.1f} s, as if stamped by two clocks", fix)]


def _by_rate_alone(extents: Extents, options: str) -> list[Finding]:
    """Where no behaviour in seconds shows the unit, only how fast channels fire does."""
    rate = extents.median_hz
    if not 0 < rate < SLOWEST_HZ:
        return []
    # The next plausible of the three common ones; no more can be told of a rate.
    unit = min(
        ("milliseconds", "samples at 30 kHz", "microseconds"),
        key=lambda name: abs(math.log(rate * UNITS[name] / LIKELY_HZ)),
    )
    return [
        Finding(
            "time_unit",
            f"the median channel has {rate:.2g} spikes/s, which look like {unit} ({rate * UNITS[unit]:.2g} "
            "spikes/s then)",
            f"if they are, import it with {options} {NAMES.get(unit, '30000')}, or store seconds",
        )
    ]


def _unit_of(ratio: float) -> str | None:
    """The unit that makes a length this many times longer than it is in seconds; None for no unit."""
    distance = {name: abs(math.log(ratio / per_s)) for name, per_s in UNITS.items()}
    nearest = min(distance, key=distance.__getitem__)
    return nearest if distance[nearest] < math.log(SAME_LENGTH) else None
