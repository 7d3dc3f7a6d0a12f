"""`rtdecode subject`: a simulated subject in closed loop with a daemon, through LSL and ZeroMQ."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pylsl

from rtdecode.endpoints import check_bind
from rtdecode.errors import RtdecodeError
from rtdecode.files import check_writable, unused
from rtdecode.messages import CURSOR_ENDPOINT
from rtdecode.session.contents import recording_attrs
from rtdecode.session.write import write_session
from rtdecode.tools.ranges import check_range
from rtdecode.tools.replay.lateness import Lateness
from rtdecode.tools.replay.run import LINGER_S
from rtdecode.tools.simulator.experiment import Experiment, Record, SimulatedDay
from rtdecode.tools.simulator.scores import Scores
from rtdecode.tools.simulator.subject import Point
from rtdecode.tools.simulator.units import TICK_S
from rtdecode.tools.subject.cursor import LiveCursor
from rtdecode.tools.subject.streams import SubjectStreams
from rtdecode.tools.subject.target_socket import TargetSocket

#: Interval between pushes.
PUSH_S = 0.001

#: After a stall, missed time is simulated in portions, so that its first spikes are pushed soon.
PORTION_TICKS = 50

PROGRESS_EVERY_S = 15.0


@dataclass(frozen=True, kw_only=True)
class SubjectRunSettings:
    """Settings of a run.

    Attributes:
        of: the subject on one day.
        stream, markers, behavior: names of the LSL streams.
        cursor: cursor endpoint of the daemon.
        trials, seconds: the run ends after these, whichever is first; inf for no limit.
        timeout_s: longest time without a cursor, at the start and later, s.
        task_bind: endpoint for publishing the target, or None.
        output: session file, or None.
        overwrite: True to replace an existing file.

    Raises:
        RtdecodeError: a value is out of its range, or the file cannot be written.
    """

    of: SimulatedDay = field(default_factory=SimulatedDay)
    stream: str = "M1"
    markers: str = "M1-markers"
    behavior: str = "M1-hand"
    cursor: str = CURSOR_ENDPOINT
    trials: float = math.inf
    seconds: float = math.inf
    timeout_s: float = 60.0
    task_bind: str | None = None
    output: Path | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        for flag, value in (("--trials", self.trials), ("--seconds", self.seconds)):
            check_range(flag, value > 0, "above 0", value)
        names = (self.stream, self.markers, self.behavior)
        if not all(names) or len(set(names)) < len(names):
            raise RtdecodeError(
                f"the streams need three different names, not {', '.join(map(repr, names))}",
                where="--stream, --markers, --behavior",
                fix="give each stream another name, or leave --markers and --behavior out",
            )
        if self.task_bind is not None:
            check_bind(self.task_bind, "--task-bind", insecure=False)
        if self.output is not None:
            check_writable(self.output, overwrite=self.overwrite)


class SubjectRun:
    """Runs one session.

    Spikes are simulated up to the clock and never beyond it. After a stall of the machine they are pushed
    late, with exact timestamps.

    Args:
        settings: checked.
        print_line: prints a line.
        streams, cursor: open the LSL streams and the cursor of the daemon.
        clock: the LSL clock, seconds.
        sleep: sleeps for a number of seconds.

    Attributes:
        experiment: the simulated session.
        lateness: delays of the pushes.
        output: file of the run, numbered if the name has been taken meanwhile; None without one.
    """

    def __init__(
        self,
        settings: SubjectRunSettings,
        print_line: Callable[[str], None],
        *,
        streams: Callable[[str, str, str, Experiment], SubjectStreams] = SubjectStreams,
        cursor: Callable[[str, float, Point], LiveCursor] = LiveCursor,
        clock: Callable[[], float] = pylsl.local_clock,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.settings, self._print_line, self.output = settings, print_line, settings.output
        self._open_streams, self._open_cursor = streams, cursor
        self._clock, self._sleep = clock, sleep
        self._stopping = self._had_cursor = False
        self.experiment = Experiment(settings.of)
        name = settings.output.stem if settings.output else "subject"
        self._record = Record(self.experiment, name) if settings.output else None
        self.lateness = Lateness()
        self._received = 0
        self._started = datetime.now(UTC)

    def stop(self) -> None:
        """End `run` at its next push."""
        self._stopping = True

    def run(self) -> Scores:
        """Run until the trials or seconds are done, or `stop`.

        Returns:
            The scores; the file, if any, is written.

        Raises:
            RtdecodeError: there was no cursor for `timeout_s`, none at all, or none that the task can show.
                The session until then is still written.
        """
        settings, experiment = self.settings, self.experiment
        with ExitStack() as opened:
            # First, since it may fail, and no stream may be found then.
            target = (
                None if settings.task_bind is None else opened.enter_context(TargetSocket(settings.task_bind))
            )
            names = settings.stream, settings.markers, settings.behavior
            streams = self._open_streams(*names, experiment)
            origin_s = self._clock()
            try:
                subject = settings.of.subject
                cursor = self._open_cursor(settings.cursor, subject.arm_mm, subject.centre_mm)
                opened.enter_context(cursor)
                self._live(streams, cursor, origin_s, target)
                self._received = cursor.received
                if not cursor.received and not self._stopping:
                    raise self._no_cursor(cursor, self._clock() - origin_s)
            finally:
                self._write(origin_s)
        if not self._stopping:
            self._sleep(LINGER_S)
        return experiment.scores()

    def _live(
        self, streams: SubjectStreams, cursor: LiveCursor, origin_s: float, target: TargetSocket | None
    ) -> None:
        experiment, settings = self.experiment, self.settings
        due_s = reported_s = seen_s = origin_s
        connected: bool | None = None
        while not self._stopping and len(experiment.task.trials) < settings.trials:
            now_s = self._clock()
            if now_s - origin_s >= settings.seconds:
                return
            if now_s < due_s:
                self._sleep(due_s - now_s)
                continue
            self.lateness.add(now_s - due_s)
            # The next multiple of the interval; missed pushes are not made up for.
            due_s = max(due_s + PUSH_S, now_s - math.fmod(now_s - due_s, PUSH_S) + PUSH_S)
            position = cursor.read()
            if position is not None:
                seen_s = now_s
            elif now_s - seen_s > settings.timeout_s:
                raise self._no_cursor(cursor, settings.timeout_s)
            if (position is not None) != connected:
                connected = position is not None
                self._print_line(self._link_line(connected, cursor))
            until = math.floor((now_s - origin_s) / TICK_S)
            while experiment.tick < until:
                step = experiment.advance(min(experiment.tick + PORTION_TICKS, until), position)
                streams.push(step, origin_s)
                if target is not None:
                    target.publish(experiment.task, step.events, now_s)
                if self._record is not None:
                    self._record.add(step)
            if now_s - reported_s >= PROGRESS_EVERY_S:
                reported_s = now_s
                self._print_line(progress_line(experiment.scores()))

    def _link_line(self, connected: bool, cursor: LiveCursor) -> str:
        before = self._had_cursor
        self._had_cursor = before or connected
        if connected:
            return "the cursor is back" if before else "the cursor is there"
        if before:
            return f"NO CURSOR: {cursor.problem}; trials wait for it"
        return f"waiting for a cursor from {self.settings.cursor}"

    def _no_cursor(self, cursor: LiveCursor, waited_s: float) -> RtdecodeError:
        settings = self.settings
        return RtdecodeError(
            f"no cursor was received for {waited_s:.3g} s ({cursor.problem})",
            where=f"--cursor {settings.cursor}",
            fix=f"start rtdecode serve --stream {settings.stream} with a model, or give a larger --timeout",
        )

    def _write(self, origin_s: float) -> None:
        if self._record is None or self.settings.output is None or not self.experiment.tick:
            return
        attrs = recording_attrs(self.settings.output, "subject", self.settings.stream, self._started)
        self.output = self.settings.output if self.settings.overwrite else unused(self.settings.output)
        write_session(self.output, self._record.session(origin_s, **attrs))

    def document(self, scores: Scores) -> dict[str, Any]:
        """The document that `--json` prints."""
        of = self.settings.of
        return {
            "stream": self.settings.stream,
            "seed": of.seed,
            "day": of.day,
            "channels": of.n_channels,
            "generator": of.generator.model_id if of.generator is not None else None,
            "task": of.task.kind,
            "seconds": self.experiment.tick * TICK_S,
            "cursors": self._received,
            "pushes": self.lateness.pushes,
            "pushes_behind": self.lateness.late,
            "worst_behind_ms": 1e3 * self.lateness.worst_s,
            "output": str(self.output) if self.output else None,
            **asdict(scores),
        }


def progress_line(scores: Scores) -> str:
    """The progress of a session."""
    if not scores.trials:
        return "no trial has ended yet"
    text = f"{scores.trials} trials, {scores.successes} successful"
    if scores.acquisition_time_s is not None:
        text += f", acquisition time {scores.acquisition_time_s:.2f} s"
    if scores.bits_per_s is not None:
        text += f", {scores.bits_per_s:.2f} bits/s"
    return text
