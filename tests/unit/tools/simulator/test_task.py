"""The task's state machine, by examples and by properties that hold for any cursor."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtdecode.errors import RtdecodeError
from rtdecode.tools.simulator.subject import Point
from rtdecode.tools.simulator.task import Outcome, Task, TaskEvent, TaskSettings

DT = 0.01


def kinds(events: list[TaskEvent]) -> list[str]:
    return [event.kind for event in events]


def hold_at(task: Task, time_s: float, cursor: Point | None, seconds: float) -> tuple[float, list[TaskEvent]]:
    """Steps of 10 ms with a still cursor."""
    events: list[TaskEvent] = []
    for _ in range(round(seconds / DT)):
        time_s += DT
        events += task.step(time_s, cursor)
    return time_s, events


def test_a_trial_from_start_to_success() -> None:
    task = Task(TaskSettings(hold_s=0.2, inter_trial_s=0.5), 0)
    (start, on) = task.step(0.0, (1.0, 2.0))
    assert (start.kind, on.kind) == ("trial_start", "target_on")
    target = task.shown((1.0, 2.0)).target
    assert math.hypot(*target) == pytest.approx(80.0)
    assert on.data == {"target": target, "radius": 15.0, "cursor": (1.0, 2.0)}
    halfway = (target[0] / 2, target[1] / 2)
    assert task.step(0.1, halfway) == []
    assert kinds(task.step(0.3, target)) == ["enter"]
    assert kinds(task.step(0.4, halfway)) == ["leave"]
    assert kinds(task.step(0.6, target)) == ["enter"]
    assert kinds(task.step(0.7, target)) == []
    assert kinds(task.step(0.8, target)) == ["hold", "success"]
    assert task.shown(target).target is None
    (trial,) = task.trials
    assert trial.outcome is Outcome.SUCCESS
    assert (trial.start_s, trial.stop_s, trial.touch_s, trial.last_entry_s) == (0.0, 0.8, 0.3, 0.6)
    first = math.dist((1.0, 2.0), halfway)
    assert trial.path_mm == pytest.approx(first + 3 * math.dist(halfway, target))
    assert trial.straight_mm == pytest.approx(math.dist((1.0, 2.0), target))
    assert task.step(1.2, target) == []
    assert kinds(task.step(1.3, target)) == ["trial_start", "target_on"]
    assert task.shown(target).target == (0.0, 0.0)


def test_a_hold_is_broken_by_leaving_and_restarts() -> None:
    task = Task(TaskSettings(hold_s=0.2), 0)
    task.step(0.0, (0.0, 0.0))
    target = task.shown(None).target
    assert target is not None
    for k in range(1, 30):
        # Out for a step after 150 ms inside.
        events = task.step(k * 0.05, (0.0, 0.0) if k % 4 == 0 else target)
        assert "hold" not in kinds(events)
    assert task.trials == []


def test_after_a_timeout_the_next_target_is_not_the_centre() -> None:
    task = Task(TaskSettings(timeout_s=1.0, inter_trial_s=0.2), 0)
    time_s, events = hold_at(task, 0.0, (0.0, 0.0), 6.0)
    assert kinds(events).count("timeout") == 5
    assert len(task.trials) == 5
    # A cursor that never moves has no success, since the centre is a target only after a success.
    assert all(trial.outcome is Outcome.TIMEOUT for trial in task.trials)
    assert all(math.hypot(*trial.target) == pytest.approx(80.0) for trial in task.trials)
    assert task.trials[0].stop_s - task.trials[0].start_s == pytest.approx(1.0)
    assert task.trials[0].touch_s is None
    assert time_s == pytest.approx(6.0)


def test_a_hold_must_end_before_the_timeout() -> None:
    for entered_s, outcome in ((0.8, Outcome.SUCCESS), (0.81, Outcome.TIMEOUT)):
        task = Task(TaskSettings(timeout_s=1.0, hold_s=0.2), 0)
        task.step(0.0, (0.0, 0.0))
        target = task.shown(None).target
        assert target is not None
        task.step(entered_s, target)
        task.step(1.02, target)
        assert task.trials[0].outcome is outcome


def test_each_direction_is_used_once_before_any_is_repeated() -> None:
    task = Task(TaskSettings(hold_s=0.02, inter_trial_s=0.0), 3)
    time_s = 0.0
    while len(task.trials) < 48:
        time_s += DT
        task.step(time_s, task.shown(None).target or (0.0, 0.0))
    assert all(trial.outcome is Outcome.SUCCESS for trial in task.trials)
    out, back = task.trials[::2], task.trials[1::2]
    assert {trial.target for trial in back} == {(0.0, 0.0)}
    angles = [round(math.degrees(math.atan2(*reversed(trial.target)))) % 360 for trial in out]
    for block in (angles[:8], angles[8:16], angles[16:]):
        assert sorted(block) == list(range(0, 360, 45))
    assert angles[:8] != angles[8:16]


def test_without_a_cursor_a_trial_is_aborted_and_none_starts() -> None:
    task = Task(TaskSettings(inter_trial_s=0.1), 0)
    assert task.step(0.0, None) == []
    task.step(0.1, (0.0, 0.0))
    assert kinds(task.step(0.2, None)) == ["abort"]
    assert task.shown(None).target is None
    assert task.trials[0].outcome is Outcome.ABORTED
    _, events = hold_at(task, 0.2, None, 2.0)
    assert events == []
    assert kinds(task.step(3.0, (0.0, 0.0))) == ["trial_start", "target_on"]


def test_random_targets_keep_their_distance_within_the_square() -> None:
    task = Task(TaskSettings(kind="random-target", hold_s=0.02, inter_trial_s=0.0), 5)
    time_s = 0.0
    while len(task.trials) < 300:
        time_s += DT
        task.step(time_s, task.shown(None).target or (0.0, 0.0))
    targets = [trial.target for trial in task.trials]
    assert all(max(map(abs, target)) <= 80.0 for target in targets)
    assert min(math.dist(a, b) for a, b in pairwise(targets)) >= 40.0
    assert max(x for x, _ in targets) > 70
    assert min(y for _, y in targets) < -70


@given(
    kind=st.sampled_from(["centre-out", "random-target"]),
    hold_s=st.sampled_from([0.0, 0.05, 0.3]),
    inter_trial_s=st.sampled_from([0.0, 0.13]),
    path=st.lists(
        st.tuples(st.integers(1, 40), st.sampled_from(["target", "away", "near", "gone"])),
        min_size=1,
        max_size=80,
    ),
    seed=st.integers(0, 50),
)
@settings(max_examples=120, deadline=None)
def test_properties_that_hold_for_any_cursor(
    kind: str,
    hold_s: float,
    inter_trial_s: float,
    path: list[tuple[int, str]],
    seed: int,
) -> None:
    given_settings = TaskSettings(
        kind=kind,  # type: ignore[arg-type]
        hold_s=hold_s,
        inter_trial_s=inter_trial_s,
        timeout_s=0.9,
    )
    task, time_s = Task(given_settings, seed), 0.0
    events: list[TaskEvent] = []
    for steps, where in path:
        time_s += steps * DT
        target = task.shown(None).target or (0.0, 0.0)
        positions: dict[str, Point | None] = {
            "target": target,
            "near": (target[0] + 14.9, target[1]),
            "away": (target[0] - 60.0, target[1] + 50.0),
            "gone": None,
        }
        events += task.step(time_s, positions[where])
        assert (task.shown(None).target is None) == (
            "target_on" not in [event.kind for event in events if event.trial == events[-1].trial]
            or events[-1].kind in ("success", "timeout", "abort")
            if events
            else True
        )
    # Events of each trial are in order, and it ends before the next one starts.
    numbers = [event.trial for event in events]
    assert numbers == sorted(numbers)
    for number in set(numbers):
        of_trial = [event.kind for event in events if event.trial == number]
        assert of_trial[0] == "trial_start"
        ends = [kind for kind in of_trial if kind in ("success", "timeout", "abort")]
        assert len(ends) == 1 or (number == max(numbers) and not ends)
        inner = [kind for kind in of_trial if kind in ("enter", "leave")]
        # Entering and leaving alternate.
        assert inner == ["enter", "leave"] * (len(inner) // 2) + ["enter"] * (len(inner) % 2)
        assert ("hold" in of_trial) == ("success" in of_trial)
    for trial in task.trials:
        assert trial.start_s < trial.stop_s or hold_s == 0.0
        if trial.outcome is Outcome.SUCCESS:
            assert trial.start_s <= trial.touch_s <= trial.last_entry_s
            assert trial.stop_s - trial.last_entry_s >= hold_s - 1e-6
            assert trial.path_mm >= trial.straight_mm - 1e-9
    starts = [event.time_s for event in events if event.kind == "trial_start"]
    stops = [event.time_s for event in events if event.kind in ("success", "timeout", "abort")]
    for stop, start in zip(stops, starts[1:], strict=False):
        assert start - stop >= inter_trial_s - 1e-6


def test_invalid_settings_and_steps_are_refused() -> None:
    for changed, match in (
        ({"kind": "maze"}, "--task: there is no task 'maze'. Fix: give centre-out or random-target"),
        ({"radius_mm": 0.0}, "--radius: must be above 0, not 0"),
        ({"hold_s": -0.1}, "--hold: must be 0 ms or more, not -100"),
        ({"timeout_s": math.nan}, "--trial-timeout: must be above 0, not nan"),
    ):
        with pytest.raises(RtdecodeError, match=match):
            TaskSettings(**changed)  # type: ignore[arg-type]
    task = Task(TaskSettings(), 0)
    task.step(1.0, None)
    with pytest.raises(ValueError, match="after one at"):
        task.step(1.0, None)
    with pytest.raises(ValueError, match="the cursor must be finite"):
        task.step(2.0, (math.nan, 0.0))
