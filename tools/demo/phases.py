"""What a demo's phases came to, from the subject's session files and the cursors that were heard."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rtdecode.calibrate.data.metrics import score_decoded
from rtdecode.errors import RtdecodeError
from rtdecode.messages import Flag
from rtdecode.session.layout import Session, Trials
from rtdecode.tools.capture import Cursors
from rtdecode.tools.simulator.scores import score_session

#: Bins that are flagged so hold a value instead of decoding one.
HELD = int(Flag.FAILSAFE | Flag.PAUSED)


@dataclass(frozen=True)
class Phase:
    """A part of the story.

    Attributes:
        name: of the phase.
        model: model_id that decoded.
        trials: that ran from their start to their end in this phase.
        success: of these, 0 to 1.
        acquisition_time_s, bits_per_s: means over the successful ones; None if there is none.
        achieved_bits_per_s: bits of the successful ones over the time of all.
        r2: of each output against the hand that the units fired for.
        latency_ms: p50 and p99 from the end of a bin to its cursor received over ZeroMQ.
        bins, flagged, missing: heard, flagged in any way, and never received.
    """

    name: str
    model: str
    trials: int
    success: float | None
    acquisition_time_s: float | None
    bits_per_s: float | None
    achieved_bits_per_s: float | None
    r2: list[float | None]
    latency_ms: dict[str, float]
    bins: int
    flagged: int
    missing: int


def trials_between(session: Session, start_s: float, stop_s: float) -> Session:
    """The session with only the trials that began and ended between two times."""
    trials = session.trials
    assert trials is not None
    kept = (trials.start >= start_s) & (trials.stop <= stop_s)
    columns = {name: column[kept] for name, column in trials.columns.items()}
    return replace(session, trials=Trials(trials.start[kept], trials.stop[kept], columns))


def score_phase(name: str, session: Session, cursors: Cursors, outputs: tuple[str, ...]) -> Phase:
    """One phase.

    Args:
        name: of the phase.
        session: of the subject, with the trials of this phase.
        cursors: all that were heard of the daemon.
        outputs: names of the values.

    Raises:
        RtdecodeError: no trial was over, or no cursor was heard meanwhile.
    """
    trials, behavior = session.trials, session.behavior
    assert trials is not None
    assert behavior is not None
    if not len(trials.start):
        raise _nothing(name, "no trial came to its end")
    heard = cursors.between(float(trials.start[0]), float(trials.stop[-1]))
    live = (heard.flags & HELD) == 0
    if not live.any():
        raise _nothing(name, "no cursor was heard")
    scores = score_session(session)
    r2, _ = score_decoded(heard.t_bin, heard.values, outputs, behavior, live)
    p50, p99 = np.percentile((heard.received_s - heard.t_bin)[live] * 1e3, [50, 99])
    return Phase(
        name=name,
        model=str(heard.models[-1]),
        trials=scores.trials,
        success=scores.success,
        acquisition_time_s=scores.acquisition_time_s,
        bits_per_s=scores.bits_per_s,
        achieved_bits_per_s=scores.achieved_bits_per_s,
        r2=r2,
        latency_ms={"p50": round(float(p50), 3), "p99": round(float(p99), 3)},
        bins=len(heard),
        flagged=int((heard.flags != 0).sum()),
        missing=heard.missing(),
    )


def swapped_at(cursors: Cursors) -> float:
    """When the first value of a model that was swapped in was due, seconds.

    Raises:
        RtdecodeError: none was heard.
    """
    swapped = np.flatnonzero(cursors.flags & int(Flag.SWAPPED))
    if not len(swapped):
        raise _nothing("swap", "no cursor of the new model was heard")
    return float(cursors.t_bin[swapped[0]])


def _nothing(where: str, what: str) -> RtdecodeError:
    return RtdecodeError(
        what, where=f"demo, {where}", fix="run rtdecode doctor, and rtdecode demo --debug once more"
    )
