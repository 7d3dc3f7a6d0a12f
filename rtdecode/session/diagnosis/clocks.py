"""Times that were rounded, or that cannot be seconds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.session.doctor.times import examine_times, extents_of
from rtdecode.session.layout import Behavior, Events, Session
from rtdecode.session.observed import is_observed

#: Steps of rounded times: named from the first, refused from the second, which is longer than any bin.
ROUNDED_S, TOO_ROUNDED_S = 0.001, 0.25

#: Below this, float32 holds every whole number.
WHOLE_IN_FLOAT32 = 2**24

#: A recording in seconds has more spikes than this a second on a channel, or less than MANY in all, or is
#: shorter than LONG_S.
SLOWEST_HZ, MANY, LONG_S = 0.05, 1000, 3600.0

#: Behaviour of fewer samples shows nothing.
MANY_SAMPLES = 100

#: How many times longer than the other the behaviour or the spikes are if they are in another unit.
OTHER_UNIT = 100.0


def rounding_s(time: NDArray[Any]) -> float:
    """The step of float32 at the latest of the times, if they are float32 or were; else 0."""
    if time.dtype.kind != "f" or not time.size or not np.isfinite(time).all():
        return 0.0
    with np.errstate(over="ignore"):
        narrow = time.astype(np.float32)
    latest = np.abs(narrow).max()
    # Whole numbers below 2²⁴, as of a device's ticks, are float32's too.
    whole = latest < WHOLE_IN_FLOAT32 and (time == np.floor(time)).all()
    if whole or not np.isfinite(latest) or not (narrow == time).all():
        return 0.0
    return float(np.spacing(latest))


def rounded(time: NDArray[Any]) -> str | None:
    """A sentence about times that float32 has rounded, without its subject; None for finer ones."""
    step_s = rounding_s(time)
    if step_s < ROUNDED_S:
        return None
    return f"is float32: at {np.abs(time).max():.9g} s it is rounded to {step_s:.4g} s"


def check_seconds(session: Session) -> None:
    """Refuse times that cannot be seconds, such as milliseconds or the ticks of a device.

    Raises:
        RtdecodeError: they are so long that hardly a spike falls on a channel in a minute, or that behaviour
            and spikes differ a hundredfold in length.
    """
    events, behavior = session.events, session.behavior
    spikes_s = _span(events.time) if events is not None else 0.0
    if session.counts is not None:
        spikes_s = session.counts.end_s - session.counts.t0_s
    if session.observed is not None:
        spikes_s = float(np.diff(session.observed).sum())
    moves_s = _span(behavior.time) if behavior is not None else 0.0
    if events is not None and _is_slow(events, spikes_s) and _is_slow_beside(spikes_s, behavior):
        rate_hz = len(events.time) / spikes_s / len(np.unique(events.channel))
        raise _not_seconds(session, "events", f"{spikes_s:.0f} s with {rate_hz:.2g} spikes/s on a channel")
    if behavior is not None and spikes_s > 0 and moves_s > OTHER_UNIT * spikes_s and _is_coarse(behavior):
        raise _not_seconds(
            session, "behavior", f"{moves_s:.0f} s of behaviour for {spikes_s:.0f} s of spikes"
        )


def unobserved(session: Session) -> list[str]:
    """A sentence about spikes outside the time that was observed; none otherwise."""
    events, observed = session.events, session.observed
    if events is None or observed is None:
        return []
    n, n_all = int((~is_observed(observed, events.time)).sum()), len(events.time)
    if not n:
        return []
    clocks = ", as if stamped by two clocks" if n == n_all else ""
    return [
        f"{n} of {n_all} spikes of /events lie outside /observed ({observed[0, 0]:.1f} to "
        f"{observed[-1, 1]:.1f} s) and are not used{clocks}"
    ]


def _is_slow(events: Events, span_s: float) -> bool:
    n = len(events.time)
    return span_s >= LONG_S and n >= MANY and n < SLOWEST_HZ * span_s * int(np.unique(events.channel).size)


def _is_slow_beside(spikes_s: float, behavior: Behavior | None) -> bool:
    """Whether the behaviour does not show that a quiet recording of this length is in seconds."""
    return (
        behavior is None
        or len(behavior.time) < 2
        or spikes_s > OTHER_UNIT * _span(behavior.time)
        or _is_coarse(behavior)
    )


def _is_coarse(behavior: Behavior) -> bool:
    return len(behavior.time) >= MANY_SAMPLES and float(np.median(np.diff(behavior.time))) >= 0.5


def _span(time: NDArray[np.float64]) -> float:
    return float(time[-1] - time[0]) if time.size else 0.0


def _not_seconds(session: Session, name: str, what: str) -> RtdecodeError:
    looks = next((each for each in examine_times(extents_of(session)) if each.kind == "time_unit"), None)
    by_hand = "divide milliseconds by 1000, samples or ticks by the rate of their clock"
    return RtdecodeError(
        f"does not look like seconds: it spans {what}" + (f"; {looks.what}" if looks else ""),
        where=f"{session.path or session.name}:/{name}/time",
        fix=f"{looks.fix if looks else 'store seconds'}: {by_hand}",
    )
