"""`rtdecode subject`: a simulated subject in closed loop with a daemon, through LSL and ZeroMQ."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pylsl

from rtdecode import __version__
from rtdecode.client.checks import CURSOR_ENDPOINT
from rtdecode.errors import RtdecodeError
from rtdecode.serve.settings import check_endpoint
from rtdecode.session.target import check_writable
from rtdecode.session.write import write_session
from rtdecode.tools.replay.run import BEHIND_S, LINGER_S
from rtdecode.tools.simulator.experiment import Experiment, Record, SimulatedDay
from rtdecode.tools.simulator.scores import Scores
from rtdecode.tools.simulator.units import TICK_S
from rtdecode.tools.subject.cursor import LiveCursor
from rtdecode.tools.subject.streams import SubjectStreams
from rtdecode.tools.subject.target_socket import TaskSocket

#: Between two pushes.
PUSH_S = 0.001

#: What was missed is simulated in portions, so that the first spikes of it go out soon.
PORTION_TICKS = 50

TELL_EVERY_S = 15.0


@dataclass(frozen=True, kw_only=True)
class SubjectRunSettings:
    """What runs, and until when.

    Attributes:
        of: the day.
        stream, markers, behavior: names of the LSL streams.
        cursor: endpoint of the daemon.
        trials, seconds: end after so many, whichever is first; inf for never.
        timeout_s: how long there may be no cursor, at the start and later.
        task_bind: endpoint that the target is published on, None for nowhere.
        output: session file, None for none.
        overwrite: replace a file that is there.

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
            if not value > 0:
                raise RtdecodeError(f"must be above 0, not {value:g}", where=flag)
        names = (self.stream, self.markers, self.behavior)
        if not all(names) or len(set(names)) < len(names):
            raise RtdecodeError(
                f"the streams need three names of their own, not {', '.join(map(repr, names))}",
                where="--stream, --markers, --behavior",
            )
        if self.task_bind is not None:
            check_endpoint("--task-bind", self.task_bind, insecure=False)
        if self.output is not None:
            check_writable(self.output, overwrite=self.overwrite)


class SubjectRun:
    """Runs one session.

    Spikes are simulated up to the clock and never beyond it, so a machine that was kept from running sends
    them late and truly stamped.

    Args:
        settings: checked.
        print_line: takes a line for the person at the rig.
        clock: the LSL clock, seconds.
        sleep: waits so many seconds.

    Attributes:
        experiment: what runs.
        pushes, behind, worst_behind_s: pushes so far, those more than `BEHIND_S` after their time, and how
            much the worst was.
    """

    def __init__(
        self,
        settings: SubjectRunSettings,
        print_line: Callable[[str], None],
        *,
        clock: Callable[[], float] = pylsl.local_clock,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.settings, self._print_line = settings, print_line
        self._clock, self._sleep = clock, sleep
        self._stopping = self._began = False
        self.experiment = Experiment(settings.of)
        name = settings.output.stem if settings.output else "subject"
        self._record = Record(self.experiment, name) if settings.output else None
        self.pushes = self.behind = 0
        self.worst_behind_s = 0.0
        self._taken = 0
        self._started = datetime.now(UTC)

    def stop(self) -> None:
        """End `run` at its next push."""
        self._stopping = True

    def run(self) -> Scores:
        """Run until the trials or seconds are done, or `stop`.

        Returns:
            The scores; the file, if any, is written.

        Raises:
            RtdecodeError: there was no cursor for `timeout_s`, none at all, or none the task can show. What
                there was until then is written all the same.
        """
        settings, experiment = self.settings, self.experiment
        with ExitStack() as opened:
            # Before any stream is there to be found: it may fail.
            shown = (
                None if settings.task_bind is None else opened.enter_context(TaskSocket(settings.task_bind))
            )
            streams = SubjectStreams(
                settings.stream,
                settings.markers,
                settings.behavior,
                n_channels=settings.of.n_channels,
                names=experiment.names,
                units=experiment.units,
            )
            origin_s = self._clock()
            try:
                subject = settings.of.subject
                cursor = opened.enter_context(LiveCursor(settings.cursor, subject.arm_mm, subject.centre_mm))
                self._live(streams, cursor, origin_s, shown)
                self._taken = cursor.taken
                if not cursor.taken and not self._stopping:
                    raise self._no_cursor(cursor, self._clock() - origin_s)
            finally:
                self._write(origin_s)
        if not self._stopping:
            self._sleep(LINGER_S)
        return experiment.scores()

    def _live(
        self, streams: SubjectStreams, cursor: LiveCursor, origin_s: float, shown: TaskSocket | None
    ) -> None:
        experiment, settings = self.experiment, self.settings
        due_s = told_s = seen_s = origin_s
        there: bool | None = None
        while not self._stopping and len(experiment.task.trials) < settings.trials:
            now_s = self._clock()
            if now_s - origin_s >= settings.seconds:
                return
            if now_s < due_s:
                self._sleep(due_s - now_s)
                continue
            self.pushes += 1
            self.worst_behind_s = max(self.worst_behind_s, now_s - due_s)
            self.behind += now_s - due_s > BEHIND_S
            # On the grid again, without making up for pushes that were missed.
            due_s = max(due_s + PUSH_S, now_s - math.fmod(now_s - due_s, PUSH_S) + PUSH_S)
            position = cursor.read()
            if position is not None:
                seen_s = now_s
            elif now_s - seen_s > settings.timeout_s:
                raise self._no_cursor(cursor, settings.timeout_s)
            if (position is not None) != there:
                there = position is not None
                self._print_line(self._link_line(there, cursor))
            until = math.floor((now_s - origin_s) / TICK_S)
            while experiment.tick < until:
                step = experiment.advance(min(experiment.tick + PORTION_TICKS, until), position)
                streams.push(step, origin_s)
                if shown is not None:
                    shown.tell(experiment.task, step.events, now_s)
                if self._record is not None:
                    self._record.add(step)
            if now_s - told_s >= TELL_EVERY_S:
                told_s = now_s
                self._print_line(progress_line(experiment.scores()))

    def _link_line(self, there: bool, cursor: LiveCursor) -> str:
        begun = self._began
        self._began = begun or there
        if there:
            return "the cursor is back" if begun else "the cursor is there"
        if begun:
            return f"NO CURSOR: {cursor.problem}; trials wait for it"
        return f"waiting for a cursor from {self.settings.cursor}"

    def _no_cursor(self, cursor: LiveCursor, waited_s: float) -> RtdecodeError:
        settings = self.settings
        return RtdecodeError(
            f"no cursor for {waited_s:.3g} s ({cursor.problem})",
            where=f"--cursor {settings.cursor}",
            fix=f"start rtdecode serve --stream {settings.stream} with a model, or wait longer",
        )

    def _write(self, origin_s: float) -> None:
        if self._record is None or self.settings.output is None or not self.experiment.tick:
            return
        session = self._record.session(
            origin_s,
            date=self._started.date().isoformat(),
            started=self._started.isoformat(timespec="seconds"),
            recorded_by=f"rtdecode {__version__} subject",
            stream=self.settings.stream,
        )
        write_session(self.settings.output, session)

    def document(self, scores: Scores) -> dict[str, Any]:
        """What `--json` prints."""
        of = self.settings.of
        return {
            "stream": self.settings.stream,
            "seed": of.seed,
            "day": of.day,
            "channels": of.n_channels,
            "generator": of.generator.model_id if of.generator is not None else None,
            "task": of.task.kind,
            "seconds": self.experiment.tick * TICK_S,
            "cursors": self._taken,
            "pushes": self.pushes,
            "pushes_behind": self.behind,
            "worst_behind_ms": 1e3 * self.worst_behind_s,
            "output": str(self.settings.output) if self.settings.output else None,
            **scores.document(),
        }


def progress_line(scores: Scores) -> str:
    """Where a session stands."""
    if not scores.trials:
        return "no trial is over yet"
    text = f"{scores.trials} trials, {scores.successes} successful"
    if scores.acquisition_time_s is not None:
        text += f", acquired in {scores.acquisition_time_s:.2f} s"
    if scores.bits_per_s is not None:
        text += f", {scores.bits_per_s:.2f} bits/s"
    return text
