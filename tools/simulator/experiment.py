"""Subject, task and screen together: a simulated session, tick by tick, without streams and clock.

session = open_loop_session(SimulatedDay(day=0, seed=0), duration_s=240.0)      # training data

experiment = Experiment(SimulatedDay(day=30, seed=0))                         # closed loop
while experiment.tick < 60_000:
    step = experiment.advance(experiment.tick + 20, cursor)
    cursor = decode(step.time_s, step.channel)
experiment.scores()
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import F4, F8, U2
from rtdecode.session.layout import Behavior, Events, LogEntry, Session, Trials
from rtdecode.tools.simulator.array import ArraySettings, array_on_day
from rtdecode.tools.simulator.scores import CURSOR_NAMES, Scores, score_trials
from rtdecode.tools.simulator.subject import HAND, Point, Subject, SubjectSettings, Units
from rtdecode.tools.simulator.task import Outcome, Task, TaskEvent, TaskSettings
from rtdecode.tools.simulator.units import TICK_S

if TYPE_CHECKING:
    from rtdecode.tools.simulator.generator import Generator


#: Ticks between frames on the screen: 100 Hz.
FRAME_TICKS = 10

#: Ticks per step of an open-loop session.
PORTION_TICKS = 1000

#: Number of steps after which a record joins them.
MAX_STEPS = 2000

#: Seed keys of open-loop and closed-loop sessions, which differ although the array's seed is the same.
OPEN, CLOSED = 401, 402


@dataclass(frozen=True, kw_only=True)
class SimulatedDay:
    """A subject on one day.

    Attributes:
        seed: random seed of the array and its drift; together with the day also of targets, noise and spikes.
        day: from 0.
        session: number of the session within the day: same units, new noise, spikes and targets.
        array, subject, task: settings; subject and task have the same centre.
        generator: a model that gives the firing rates instead of the array; it has only day 0.

    Raises:
        RtdecodeError: a generator on another day than 0.
    """

    seed: int = 0
    day: int = 0
    session: int = 0
    array: ArraySettings = field(default_factory=ArraySettings)
    subject: SubjectSettings = field(default_factory=SubjectSettings)
    task: TaskSettings = field(default_factory=TaskSettings)
    generator: Generator | None = None

    def __post_init__(self) -> None:
        if self.generator is not None and self.day:
            raise RtdecodeError(
                f"is {self.day}, but the units of a generator do not drift",
                where="--day",
                fix="leave --day out, or --generator",
            )

    @property
    def n_channels(self) -> int:
        """Number of channels of the generator or the array."""
        return self.array.n_channels if self.generator is None else self.generator.n_channels

    def units(self) -> Units:
        """The units, before their first tick."""
        if self.generator is not None:
            return self.generator.units(self.subject)
        return array_on_day(self.array, self.seed, self.day)

    def attrs(self) -> dict[str, str]:
        """Root attributes of a session file."""
        source = f"rtdecode subject, seed {self.seed}, day {self.day}, session {self.session}"
        if self.generator is not None:
            source += f", generator {self.generator.model_id}"
        return {"subject": f"simulated {self.seed}", "task": self.task.kind, "source": source}


class Step(NamedTuple):
    """The result of some ticks. Times are seconds since tick 0.

    Attributes:
        time_s, channel: f8[n] and u2[n], spikes.
        events: of the task.
        sample_s, samples: f8[m] and f4[m, d], one row per frame on the screen: the hand, and in closed loop
            also the cursor.
    """

    time_s: F8
    channel: U2
    events: list[TaskEvent]
    sample_s: F8
    samples: F4


class Experiment:
    """A running simulated session.

    Args:
        of: the subject on one day.
        open_loop: True if the cursor is the hand.

    Attributes:
        task, subject: of the session.
        names, units: of the columns of `Step.samples`.
    """

    def __init__(self, of: SimulatedDay, *, open_loop: bool = False) -> None:
        self.of, self._open = of, open_loop
        seeds = np.random.SeedSequence([of.seed, of.day, of.session, OPEN if open_loop else CLOSED])
        seed = int(seeds.generate_state(1, np.uint64)[0])
        self.subject = Subject(of.subject, of.units(), seed, own_hand=open_loop)
        self.task = Task(of.task, seed)
        columns = HAND if open_loop else HAND | dict.fromkeys(CURSOR_NAMES, "mm")
        self.names, self.units = tuple(columns), tuple(columns.values())
        self._last: Point = of.subject.centre_mm

    @property
    def tick(self) -> int:
        """Simulated milliseconds so far."""
        return self.subject.tick

    def advance(self, until_tick: int, cursor: Point | None = None) -> Step:
        """Simulate up to a tick.

        Args:
            until_tick: number of the tick to stop before.
            cursor: position of the cursor during these ticks, mm, or None. In open loop it is the hand.
        """
        drives, events, sample_s, samples = [], [], [], []
        while self.tick < until_tick:
            if self.tick % FRAME_TICKS == 0:
                now_s = self.tick * TICK_S
                on_screen = self._on_screen(cursor)
                events += self.task.step(now_s, on_screen)
                self.subject.see(now_s, self.task.shown(on_screen))
                sample_s.append(now_s)
                hand = (*self.subject.hand, *self.subject.velocity)
                samples.append(hand if self._open else hand + self._last)
            next_frame = self.tick - self.tick % FRAME_TICKS + FRAME_TICKS
            drives.append(self.subject.move(min(next_frame, until_tick) - self.tick))
        time_s, channel = (
            self.subject.fire(np.concatenate(drives)) if drives else (np.zeros(0), np.zeros(0, np.uint16))
        )
        values = np.array(samples, np.float32).reshape(-1, len(self.names))
        return Step(time_s, channel, events, np.array(sample_s), values)

    def _on_screen(self, cursor: Point | None) -> Point | None:
        given = self.subject.hand if self._open else cursor
        if given is None:
            return None
        # Rounded as in the file, so that scores from the file are the same.
        self._last = float(np.float32(given[0])), float(np.float32(given[1]))
        return self._last

    def scores(self) -> Scores:
        """Scores of the trials so far."""
        return score_trials(self.task.trials)


class Record:
    """Keeps the steps of an experiment for a session file.

    Args:
        experiment: that runs.
        name: session_id.
    """

    def __init__(self, experiment: Experiment, name: str) -> None:
        self._experiment, self._name = experiment, name
        self._steps: list[Step] = []
        self._recent: list[Step] = []

    def add(self, step: Step) -> None:
        """Keep a step."""
        self._recent.append(step)
        # In hours of steps of 1 ms most of the memory would be overhead of Python objects.
        if len(self._recent) >= MAX_STEPS:
            self._steps.append(self._whole(self._recent))
            self._recent = []

    def _whole(self, steps: Sequence[Step]) -> Step:
        """Steps as one, which may be empty."""
        width = len(self._experiment.names)
        return Step(
            np.concatenate([np.zeros(0), *(step.time_s for step in steps)]),
            np.concatenate([np.zeros(0, np.uint16), *(step.channel for step in steps)]),
            [event for step in steps for event in step.events],
            np.concatenate([np.zeros(0), *(step.sample_s for step in steps)]),
            np.concatenate([np.zeros((0, width), np.float32), *(step.samples for step in steps)]),
        )

    def session(self, origin_s: float = 0.0, block: str = "closed loop", **attrs: str) -> Session:
        """The session so far.

        Args:
            origin_s: time of tick 0 on the clock of the file, s.
            block: name of the trials' block.
            attrs: additional root attributes.
        """
        whole, of = self._whole([*self._steps, *self._recent]), self._experiment.of
        names, units = self._experiment.names, self._experiment.units
        return Session(
            n_channels=of.n_channels,
            events=Events(origin_s + whole.time_s, whole.channel),
            behavior=Behavior(origin_s + whole.sample_s, whole.samples, names, units),
            trials=trial_table(self._experiment.task, origin_s, block),
            log=tuple(
                LogEntry(origin_s + event.time_s, -1, event.kind, {"trial": event.trial, **event.data})
                for event in whole.events
            ),
            attrs={"session_id": self._name, **of.attrs(), **attrs},
        )


def trial_table(task: Task, origin_s: float, block: str) -> Trials:
    """/trials of a task: all trials that succeeded or failed; aborted trials are only in /log."""
    kept = [trial for trial in task.trials if trial.outcome is not Outcome.ABORTED]
    n = len(kept)
    return Trials(
        origin_s + np.array([trial.start_s for trial in kept], np.float64),
        origin_s + np.array([trial.stop_s for trial in kept], np.float64),
        {
            "target": np.array([trial.target for trial in kept], np.float32).reshape(n, 2),
            "radius": np.array([trial.radius for trial in kept], np.float32),
            "success": np.array([trial.outcome is Outcome.SUCCESS for trial in kept], np.uint8),
            "block": np.array([block] * n, dtype=np.str_),
        },
    )


def open_loop_session(of: SimulatedDay, duration_s: float, name: str | None = None) -> Session:
    """A session of hand movements on one day, as training data.

    Args:
        of: the subject on one day.
        duration_s: duration, a multiple of 1 ms.
        name: session_id; None to derive one from seed and day.

    Returns:
        A session with events, behaviour (x, y in mm, vx, vy in mm/s, of the hand) and trials.
    """
    experiment = Experiment(of, open_loop=True)
    record = Record(experiment, name or f"sim{of.seed}-day{of.day}-{of.session}")
    end = round(duration_s / TICK_S)
    while experiment.tick < end:
        record.add(experiment.advance(min(experiment.tick + PORTION_TICKS, end)))
    return record.session(block="open loop")
