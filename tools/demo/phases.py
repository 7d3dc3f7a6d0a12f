"""Scores of a demo's phases, from the subject's session files and the received cursors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rtdecode.calibrate.data.metrics import score_decoded
from rtdecode.errors import RtdecodeError
from rtdecode.messages import Flag
from rtdecode.session.layout import Session, Trials
from rtdecode.tools.capture import Cursors
from rtdecode.tools.simulator.scores import score_session

#: Flags of bins that hold a value instead of decoding one.
HELD = int(Flag.FAILSAFE | Flag.PAUSED)


@dataclass(frozen=True)
class Phase:
    """Scores of one phase.

    Attributes:
        name: of the phase.
        model: model_id that decoded.
        trials: number of trials that started and ended in this phase.
        success: fraction of successful trials.
        acquisition_time_s, bits_per_s: means over successful trials; None without one.
        achieved_bits_per_s: bits of the successful trials over the time of all.
        r2: R² of each output against the simulated hand, which the units encode.
        latency_ms: p50 and p99 from the end of a bin to its cursor received over ZeroMQ.
        bins, flagged, missing: number of cursors received, flagged in any way, and not received.
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
    """The session with only the trials that started and ended between two times."""
    trials = session.trials
    assert trials is not None
    kept = (trials.start >= start_s) & (trials.stop <= stop_s)
    columns = {name: column[kept] for name, column in trials.columns.items()}
    return replace(session, trials=Trials(trials.start[kept], trials.stop[kept], columns))


def score_phase(name: str, session: Session, cursors: Cursors, outputs: tuple[str, ...]) -> Phase:
    """Score one phase.

    Args:
        name: of the phase.
        session: of the subject, with the trials of this phase.
        cursors: all cursors received from the daemon.
        outputs: names of the values.

    Raises:
        RtdecodeError: no trial ended, or no cursor was received.
    """
    trials, behavior = session.trials, session.behavior
    assert trials is not None
    assert behavior is not None
    if not len(trials.start):
        raise _no_data(name, "no trial ended")
    cursors = cursors.between(float(trials.start[0]), float(trials.stop[-1]))
    live = (cursors.flags & HELD) == 0
    if not live.any():
        raise _no_data(name, "no cursor was received")
    scores = score_session(session)
    r2, _ = score_decoded(cursors.t_bin, cursors.values, outputs, behavior, live)
    p50, p99 = np.percentile((cursors.received_s - cursors.t_bin)[live] * 1e3, [50, 99])
    return Phase(
        name=name,
        model=str(cursors.models[-1]),
        trials=scores.trials,
        success=scores.success,
        acquisition_time_s=scores.acquisition_time_s,
        bits_per_s=scores.bits_per_s,
        achieved_bits_per_s=scores.achieved_bits_per_s,
        r2=r2,
        latency_ms={"p50": round(float(p50), 3), "p99": round(float(p99), 3)},
        bins=len(cursors),
        flagged=int((cursors.flags != 0).sum()),
        missing=cursors.missing(),
    )


def swapped_at(cursors: Cursors) -> float:
    """End of the first bin of a swapped-in model, s.

    Raises:
        RtdecodeError: no such cursor was received.
    """
    swapped = np.flatnonzero(cursors.flags & int(Flag.SWAPPED))
    if not len(swapped):
        raise _no_data("swap", "no cursor of the new model was received")
    return float(cursors.t_bin[swapped[0]])


def _no_data(where: str, what: str) -> RtdecodeError:
    return RtdecodeError(what, where=f"demo, {where}", fix="run rtdecode doctor, then rtdecode demo again")
