"""The task: targets on a screen, a cursor to be brought into them and held there.

    task = Task(TaskSettings(kind="centre-out"), seed=0)
    for time_s, cursor in frames:                  # cursor None where none came
        for event in task.step(time_s, cursor):
            print(event.kind, event.trial)
        show(task.shown(cursor))

A state machine and nothing else: it is told the time and the cursor, and answers with what happened. Things
happen at steps; between two of them the cursor stays where it was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from rtdecode.errors import RtdecodeError
from rtdecode.tools.simulator.subject import Point, Seen

Kind = Literal["centre-out", "random-target"]

#: Random numbers of a task.
TARGETS = 301

N_DIRECTIONS = 8

#: Sums of seconds are not exact: what is due within this is due.
SLACK_S = 1e-6


@dataclass(frozen=True, kw_only=True)
class TaskSettings:
    """Of the task. Lengths in mm, times in s.

    Attributes:
        kind: centre-out: to one of eight targets and, once that was reached, back to the centre, each a trial
            of its own; random-target: from one place to the next.
        reach_mm: of the eight targets from the centre; random targets lie in a square that ends there.
        radius_mm: of a target.
        hold_s: how long the cursor must stay inside without leaving.
        timeout_s: from the target's coming; then the trial has failed.
        inter_trial_s: from the end of a trial to the start of the next.
        foreperiod_s: from the start of a trial to its target's coming.
        min_way_mm: between a random target and the one before.
        centre_mm: where the centre is.
    """

    kind: Kind = "centre-out"
    reach_mm: float = 80.0
    radius_mm: float = 15.0
    hold_s: float = 0.25
    timeout_s: float = 4.0
    inter_trial_s: float = 0.3
    foreperiod_s: float = 0.0
    min_way_mm: float = 40.0
    centre_mm: Point = (0.0, 0.0)

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise RtdecodeError(
                f"there is no task {self.kind!r}", where="--task", fix=f"give {' or '.join(get_args(Kind))}"
            )
        for name in ("reach_mm", "radius_mm", "timeout_s"):
            if not 0 < getattr(self, name) < math.inf:
                raise RtdecodeError(f"must be above 0, not {getattr(self, name)}", where=f"task, {name}")
        for name in ("hold_s", "inter_trial_s", "foreperiod_s"):
            if not 0 <= getattr(self, name) < math.inf:
                raise RtdecodeError(f"must be 0 or more, not {getattr(self, name)}", where=f"task, {name}")
        if not 0 <= self.min_way_mm <= self.reach_mm:
            raise RtdecodeError(
                f"must lie between 0 and the reach, {self.reach_mm:g} mm", where="task, min_way_mm"
            )


class Outcome(Enum):
    """How a trial ended.

    Attributes:
        SUCCESS: held for as long as it takes.
        TIMEOUT: not within the time.
        ABORTED: the cursor was gone; it counts neither way.
    """

    SUCCESS = "success"
    TIMEOUT = "timeout"
    ABORTED = "aborted"


class TaskEvent(NamedTuple):
    """Something that happened.

    Attributes:
        time_s: of the step it was seen in.
        kind: trial_start, target_on, enter, leave, hold, success, timeout or abort.
        trial: its number, from 0.
        data: target (x, y) and radius with target_on, cursor (x, y) where there is one.
    """

    time_s: float
    kind: str
    trial: int
    data: dict[str, Any]


@dataclass(frozen=True)
class Trial:
    """One target, from its coming to its going, as the task saw it.

    Attributes:
        number: from 0.
        start_s, stop_s: when the target came and went.
        target, radius: mm.
        outcome: how it ended.
        origin: where the cursor was when the target came.
        touch_s: when the cursor first came inside, None if never.
        settle_s: when it came inside for the hold that succeeded, None without.
        path_mm, straight_mm: the way that the cursor went until `settle_s`, or until the end; and the
            straight way between the same two places.
    """

    number: int
    start_s: float
    stop_s: float
    target: Point
    radius: float
    outcome: Outcome
    origin: Point
    touch_s: float | None
    settle_s: float | None
    path_mm: float
    straight_mm: float


class _State(Enum):
    BETWEEN = "between"
    FOREPERIOD = "foreperiod"
    REACH = "reach"


@dataclass
class _Reach:
    """A trial that runs."""

    start_s: float
    origin: Point
    last: Point
    path_mm: float = 0.0
    touch_s: float | None = None
    entered_s: float | None = None
    path_at_entry: float = 0.0
    entry: Point = (0.0, 0.0)


@dataclass
class Task:
    """The state machine.

    Args:
        settings: checked.
        seed: of the targets.

    Attributes:
        trials: those that are over.
    """

    settings: TaskSettings
    seed: int
    trials: list[Trial] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng([self.seed, TARGETS])
        self._state, self._until_s = _State.BETWEEN, -math.inf
        self._number, self._last_s = -1, -math.inf
        self._directions: list[int] = []
        self._target: Point = self.settings.centre_mm
        self._reach: _Reach | None = None
        self._events: list[TaskEvent] = []

    @property
    def number(self) -> int:
        """Of the trial that runs, or ran last; -1 before the first."""
        return self._number

    @property
    def state(self) -> str:
        """A word for a screen: between, foreperiod, reach, or hold once the cursor is inside."""
        held = self._reach is not None and self._reach.entered_s is not None
        return "hold" if held else self._state.value

    def shown(self, cursor: Point | None) -> Seen:
        """What is on the screen from the last step on; the target only while it is to be reached."""
        return Seen(cursor, self._target if self._reach else None, self.settings.radius_mm)

    def step(self, time_s: float, cursor: Point | None) -> list[TaskEvent]:
        """Go on to `time_s`.

        Without a cursor a trial that runs is aborted, and none starts before there is one again.

        Args:
            time_s: seconds, on any clock, after the step before.
            cursor: where it is now, mm; None where nobody knows.

        Raises:
            ValueError: time goes back, or the cursor is not finite.
        """
        if not time_s > self._last_s:
            raise ValueError(f"a step at {time_s} after one at {self._last_s}")
        if cursor is not None and not all(map(math.isfinite, cursor)):
            raise ValueError(f"a cursor at {cursor}")
        self._last_s, self._events = time_s, []
        if cursor is None:
            if self._state is not _State.BETWEEN:
                self._end(time_s, Outcome.ABORTED)
            return self._events
        if self._reach is not None:
            self._reach_on(self._reach, time_s, cursor)
        # A state without duration is gone through at once.
        if self._state is _State.BETWEEN and time_s >= self._until_s - SLACK_S:
            self._number += 1
            self._tell(time_s, "trial_start")
            self._state, self._until_s = _State.FOREPERIOD, time_s + self.settings.foreperiod_s
        if self._state is _State.FOREPERIOD and time_s >= self._until_s - SLACK_S:
            self._state, self._reach = _State.REACH, _Reach(time_s, cursor, cursor)
            self._target = self._next_target()
            self._tell(
                time_s, "target_on", target=self._target, radius=self.settings.radius_mm, cursor=cursor
            )
            self._look_inside(self._reach, time_s, cursor)
        return self._events

    def _reach_on(self, reach: _Reach, time_s: float, cursor: Point) -> None:
        settings = self.settings
        timeout_s = reach.start_s + settings.timeout_s
        held_s = math.inf if reach.entered_s is None else reach.entered_s + settings.hold_s
        # What was due between the steps happened with the cursor where it still was.
        if held_s <= timeout_s + SLACK_S and time_s >= held_s - SLACK_S:
            self._tell(time_s, "hold")
            self._end(time_s, Outcome.SUCCESS)
            return
        if time_s >= timeout_s - SLACK_S:
            self._end(time_s, Outcome.TIMEOUT)
            return
        reach.path_mm += math.dist(reach.last, cursor)
        reach.last = cursor
        self._look_inside(reach, time_s, cursor)

    def _look_inside(self, reach: _Reach, time_s: float, cursor: Point) -> None:
        inside = math.dist(cursor, self._target) <= self.settings.radius_mm
        if inside and reach.entered_s is None:
            reach.entered_s, reach.path_at_entry, reach.entry = time_s, reach.path_mm, cursor
            if reach.touch_s is None:
                reach.touch_s = time_s
            self._tell(time_s, "enter", cursor=cursor)
        elif not inside and reach.entered_s is not None:
            reach.entered_s = None
            self._tell(time_s, "leave", cursor=cursor)

    def _end(self, time_s: float, outcome: Outcome) -> None:
        reach, self._reach = self._reach, None
        self._tell(time_s, "abort" if outcome is Outcome.ABORTED else outcome.value)
        self._state, self._until_s = _State.BETWEEN, time_s + self.settings.inter_trial_s
        if reach is None:
            return
        won = outcome is Outcome.SUCCESS
        self.trials.append(
            Trial(
                number=self._number,
                start_s=reach.start_s,
                stop_s=time_s,
                target=self._target,
                radius=self.settings.radius_mm,
                outcome=outcome,
                origin=reach.origin,
                touch_s=reach.touch_s,
                settle_s=reach.entered_s if won else None,
                path_mm=reach.path_at_entry if won else reach.path_mm,
                straight_mm=math.dist(reach.origin, reach.entry if won else reach.last),
            )
        )

    def _tell(self, time_s: float, kind: str, **data: Any) -> None:
        self._events.append(TaskEvent(time_s, kind, self._number, data))

    def _next_target(self) -> Point:
        settings = self.settings
        cx, cy = centre = settings.centre_mm
        if settings.kind == "random-target":
            while True:
                x, y = self._rng.uniform(-settings.reach_mm, settings.reach_mm, 2)
                place = cx + float(x), cy + float(y)
                if math.dist(place, self._target) >= settings.min_way_mm:
                    return place
        won = not self.trials or self.trials[-1].outcome is Outcome.SUCCESS
        # Back only from where it got to: a cursor that never left would score at the centre for nothing.
        if (self._target == centre) != won:
            return centre
        if not self._directions:
            # Each direction once before any comes again.
            self._directions = self._rng.permutation(N_DIRECTIONS).tolist()
        angle = self._directions.pop() * 2 * math.pi / N_DIRECTIONS
        return cx + settings.reach_mm * math.cos(angle), cy + settings.reach_mm * math.sin(angle)
