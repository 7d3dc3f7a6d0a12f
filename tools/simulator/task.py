"""The task: move the cursor into a target on the screen and hold it there.

    task = Task(TaskSettings(kind="centre-out"), seed=0)
    for time_s, cursor in frames:                  # cursor None if there is none
        for event in task.step(time_s, cursor):
            print(event.kind, event.trial)
        show(task.shown(cursor))

This is a state machine without I/O: time and cursor in, events out. Events happen at steps; between two steps
the cursor does not move.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from rtdecode.errors import RtdecodeError
from rtdecode.tools.ranges import check_range
from rtdecode.tools.simulator.subject import Point, Seen

Kind = Literal["centre-out", "random-target"]

#: Seed key of the targets.
TARGETS = 301

N_DIRECTIONS = 8

#: Tolerance of due times, since sums of seconds are not exact.
SLACK_S = 1e-6


@dataclass(frozen=True, kw_only=True)
class TaskSettings:
    """Settings of the task. Lengths in mm, times in s.

    Attributes:
        kind: centre-out: to one of eight targets and, after a success, back to the centre, each a trial of
            its own; random-target: from one random position to the next.
        reach_mm: distance of the eight targets from the centre; half the side of the square of random
            targets.
        radius_mm: target radius.
        hold_s: hold time without leaving the target.
        timeout_s: from the appearance of the target until the trial has failed.
        inter_trial_s: from the end of a trial to the start of the next.
        min_distance_mm: shortest distance between a random target and the one before, at most the reach.
        centre_mm: centre of the screen.
    """

    kind: Kind = "centre-out"
    reach_mm: float = 80.0
    radius_mm: float = 15.0
    hold_s: float = 0.25
    timeout_s: float = 4.0
    inter_trial_s: float = 0.3
    min_distance_mm: float = 40.0
    centre_mm: Point = (0.0, 0.0)

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise RtdecodeError(
                f"there is no task {self.kind!r}", where="--task", fix=f"give {' or '.join(get_args(Kind))}"
            )
        for flag, value in (
            ("--reach", self.reach_mm),
            ("--radius", self.radius_mm),
            ("--trial-timeout", self.timeout_s),
        ):
            check_range(flag, 0 < value < math.inf, "above 0", value)
        for flag, value_s in (("--hold", self.hold_s), ("--pause", self.inter_trial_s)):
            check_range(flag, 0 <= value_s < math.inf, "0 ms or more", 1e3 * value_s)


class Outcome(Enum):
    """How a trial ended.

    Attributes:
        SUCCESS: the target was held.
        TIMEOUT: the time was up.
        ABORTED: there was no cursor; the trial is not scored.
    """

    SUCCESS = "success"
    TIMEOUT = "timeout"
    ABORTED = "aborted"


class TaskEvent(NamedTuple):
    """An event of the task.

    Attributes:
        time_s: time of its step.
        kind: trial_start, target_on, enter, leave, hold, success, timeout or abort.
        trial: number of the trial, from 0.
        data: target (x, y) and radius with target_on, cursor (x, y) if there is one.
    """

    time_s: float
    kind: str
    trial: int
    data: dict[str, Any]


@dataclass(frozen=True)
class Trial:
    """One target, from its appearance to its disappearance.

    Attributes:
        number: from 0.
        start_s, stop_s: times at which the target appeared and disappeared.
        target, radius: mm.
        outcome: how the trial ended.
        origin: position of the cursor when the target appeared.
        touch_s: time of the first entry, None without one.
        last_entry_s: time of the entry before the successful hold, None without a success.
        path_mm, straight_mm: path length of the cursor until `last_entry_s` or the end, and the straight
            distance between the same two points.
    """

    number: int
    start_s: float
    stop_s: float
    target: Point
    radius: float
    outcome: Outcome
    origin: Point
    touch_s: float | None
    last_entry_s: float | None
    path_mm: float
    straight_mm: float


@dataclass
class _Reach:
    """A running trial."""

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
        trials: those that have ended.
        number: of the current or last trial; -1 before the first.
    """

    settings: TaskSettings
    seed: int
    trials: list[Trial] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng([self.seed, TARGETS])
        self.number = -1
        self._last_s = self._until_s = -math.inf
        self._directions: list[int] = []
        self._target: Point = self.settings.centre_mm
        self._reach: _Reach | None = None
        self._events: list[TaskEvent] = []

    @property
    def state(self) -> str:
        """State of the task: between, reach, or hold while the cursor is inside."""
        if self._reach is None:
            return "between"
        return "reach" if self._reach.entered_s is None else "hold"

    def shown(self, cursor: Point | None) -> Seen:
        """The screen from the last step on; the target only during a reach."""
        return Seen(cursor, self._target if self._reach else None, self.settings.radius_mm)

    def step(self, time_s: float, cursor: Point | None) -> list[TaskEvent]:
        """Advance to `time_s`.

        Without a cursor a running trial is aborted, and none starts until there is a cursor again.

        Args:
            time_s: time on any clock, later than the previous step, s.
            cursor: position of the cursor, mm, or None.

        Raises:
            ValueError: time does not increase, or the cursor is not finite.
        """
        if not time_s > self._last_s:
            raise ValueError(f"time must increase: step at {time_s} after one at {self._last_s}")
        if cursor is not None and not all(map(math.isfinite, cursor)):
            raise ValueError(f"the cursor must be finite, not {cursor}")
        self._last_s, self._events = time_s, []
        if cursor is None:
            if self._reach is not None:
                self._end(self._reach, time_s, Outcome.ABORTED)
            return self._events
        if self._reach is not None:
            self._reach_on(self._reach, time_s, cursor)
        # A pause without duration ends in the same step.
        if self._reach is None and time_s >= self._until_s - SLACK_S:
            self.number += 1
            self._emit(time_s, "trial_start")
            self._reach, self._target = _Reach(time_s, cursor, cursor), self._next_target()
            self._emit(
                time_s, "target_on", target=self._target, radius=self.settings.radius_mm, cursor=cursor
            )
            self._check_inside(self._reach, time_s, cursor)
        return self._events

    def _reach_on(self, reach: _Reach, time_s: float, cursor: Point) -> None:
        settings = self.settings
        timeout_s = reach.start_s + settings.timeout_s
        held_s = math.inf if reach.entered_s is None else reach.entered_s + settings.hold_s
        # Between the steps the cursor did not move, so a hold that was due then succeeded.
        if held_s <= timeout_s + SLACK_S and time_s >= held_s - SLACK_S:
            self._emit(time_s, "hold")
            self._end(reach, time_s, Outcome.SUCCESS)
            return
        if time_s >= timeout_s - SLACK_S:
            self._end(reach, time_s, Outcome.TIMEOUT)
            return
        reach.path_mm += math.dist(reach.last, cursor)
        reach.last = cursor
        self._check_inside(reach, time_s, cursor)

    def _check_inside(self, reach: _Reach, time_s: float, cursor: Point) -> None:
        inside = math.dist(cursor, self._target) <= self.settings.radius_mm
        if inside and reach.entered_s is None:
            reach.entered_s, reach.path_at_entry, reach.entry = time_s, reach.path_mm, cursor
            if reach.touch_s is None:
                reach.touch_s = time_s
            self._emit(time_s, "enter", cursor=cursor)
        elif not inside and reach.entered_s is not None:
            reach.entered_s = None
            self._emit(time_s, "leave", cursor=cursor)

    def _end(self, reach: _Reach, time_s: float, outcome: Outcome) -> None:
        self._emit(time_s, "abort" if outcome is Outcome.ABORTED else outcome.value)
        self._reach, self._until_s = None, time_s + self.settings.inter_trial_s
        success = outcome is Outcome.SUCCESS
        self.trials.append(
            Trial(
                number=self.number,
                start_s=reach.start_s,
                stop_s=time_s,
                target=self._target,
                radius=self.settings.radius_mm,
                outcome=outcome,
                origin=reach.origin,
                touch_s=reach.touch_s,
                last_entry_s=reach.entered_s if success else None,
                path_mm=reach.path_at_entry if success else reach.path_mm,
                straight_mm=math.dist(reach.origin, reach.entry if success else reach.last),
            )
        )

    def _emit(self, time_s: float, kind: str, **data: Any) -> None:
        self._events.append(TaskEvent(time_s, kind, self.number, data))

    def _next_target(self) -> Point:
        settings = self.settings
        cx, cy = centre = settings.centre_mm
        if settings.kind == "random-target":
            while True:
                x, y = self._rng.uniform(-settings.reach_mm, settings.reach_mm, 2)
                position = cx + float(x), cy + float(y)
                if math.dist(position, self._target) >= settings.min_distance_mm:
                    return position
        success = not self.trials or self.trials[-1].outcome is Outcome.SUCCESS
        # Back to the centre only after a success, since a cursor that never moves would succeed there.
        if (self._target == centre) != success:
            return centre
        if not self._directions:
            # Each direction once before any is repeated.
            self._directions = self._rng.permutation(N_DIRECTIONS).tolist()
        angle = self._directions.pop() * 2 * math.pi / N_DIRECTIONS
        return cx + settings.reach_mm * math.cos(angle), cy + settings.reach_mm * math.sin(angle)
