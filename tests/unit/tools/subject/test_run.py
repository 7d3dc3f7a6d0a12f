"""The run of a simulated session: pace, timestamps, endings; with a fake clock and without streams."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtdecode.errors import RtdecodeError
from rtdecode.session.read import read_session
from rtdecode.tools.simulator.array import ArraySettings
from rtdecode.tools.simulator.experiment import Experiment, SimulatedDay, Step
from rtdecode.tools.simulator.scores import score_session
from rtdecode.tools.simulator.task import TaskEvent, TaskSettings
from rtdecode.tools.subject.run import SubjectRun, SubjectRunSettings
from rtdecode.tools.subject.streams import marker_text

OF = SimulatedDay(array=ArraySettings(n_channels=8), task=TaskSettings(hold_s=0.05, inter_trial_s=0.05))


@dataclass
class Machine:
    """A clock that advances by sleeps and by stalls of the machine."""

    now_s: float = 5000.123
    stalls: dict[int, float] = field(default_factory=dict)
    naps: int = 0

    def clock(self) -> float:
        self.now_s += 1e-6
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.naps += 1
        self.now_s += max(seconds, 0.0) + 1e-5 + self.stalls.get(self.naps, 0.0)


@dataclass
class Pushed:
    """Keeps the steps instead of pushing them over LSL."""

    machine: Machine
    steps: list[tuple[float, Step]] = field(default_factory=list)

    def push(self, step: Step, origin_s: float) -> None:
        for times in (step.time_s, step.sample_s):
            assert (origin_s + times <= self.machine.now_s).all(), "stamped in the future"
        self.steps.append((self.machine.now_s - origin_s, step))


class HandCursor:
    """A cursor at the position of the hand, from `after_s` until `until_s`."""

    problem = "no message received yet"

    def __init__(self, machine: Machine, after_s: float, until_s: float = math.inf) -> None:
        self.received = 0
        self.experiment: Experiment | None = None
        self._machine, self._start = machine, machine.now_s
        self._after, self._until = after_s, until_s

    def __enter__(self) -> HandCursor:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def read(self) -> tuple[float, float] | None:
        if not self._after <= self._machine.now_s - self._start < self._until:
            return None
        self.received += 1
        return self.experiment.subject.hand


def start(
    machine: Machine, after_s: float = 0.0, until_s: float = math.inf, **settings: Any
) -> tuple[SubjectRun, Pushed, list[str]]:
    pushed, cursor, lines = Pushed(machine), HandCursor(machine, after_s, until_s), []
    instead: Any = {"streams": lambda *_: pushed, "cursor": lambda *_: cursor}
    instead |= {"clock": machine.clock, "sleep": machine.sleep}
    run = SubjectRun(SubjectRunSettings(of=OF, **settings), lines.append, **instead)
    cursor.experiment = run.experiment
    return run, pushed, lines


def test_spikes_are_pushed_every_millisecond_with_exact_timestamps() -> None:
    run, pushed, _ = start(Machine(), seconds=3.0)
    run.run()
    assert 2900 <= run.lateness.pushes <= 3001
    assert run.lateness.late == 0
    sent = [(at, time) for at, step in pushed.steps for time in step.time_s]
    ages = np.array([at - time for at, time in sent])
    assert ages.min() >= 0
    assert ages.max() < 0.0025
    np.testing.assert_array_equal(np.diff([time for _, time in sent]) >= 0, True)
    assert run.experiment.tick == pytest.approx(3000, abs=2)


def test_a_machine_that_stalls_pushes_late_and_loses_nothing() -> None:
    machine = Machine(stalls={500: 0.3, 1000: 0.02})
    run, pushed, _ = start(machine, seconds=3.0)
    run.run()
    assert run.lateness.late == 2
    assert run.lateness.worst_s == pytest.approx(0.3, abs=0.01)
    ticks = sum(round((step.sample_s.size) * 10) for _, step in pushed.steps)
    assert ticks == pytest.approx(run.experiment.tick, abs=10)
    assert run.experiment.tick == pytest.approx(3000, abs=2)
    times = np.concatenate([step.time_s for _, step in pushed.steps])
    # No gap in the timestamps: the rate during the stall is the same.
    stalled = ((times > 0.5) & (times < 0.9)).sum() / 0.4
    assert stalled == pytest.approx(len(times) / 3.0, rel=0.5)
    assert max(len(step.sample_s) for _, step in pushed.steps) <= 5


def test_it_ends_after_the_trials_and_writes_a_session(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    machine = Machine()
    run, _, lines = start(machine, after_s=0.5, trials=3, output=path)
    started_s = machine.now_s
    scores = run.run()
    assert scores.trials == 3
    assert scores.success == 1.0
    assert lines[0].startswith("waiting for a cursor")
    assert lines[1] == "the cursor is there"
    session = read_session(path)
    assert session.attrs["stream"] == "M1"
    assert session.behavior.time[0] == pytest.approx(started_s, abs=0.01)
    assert session.trials.start[0] == pytest.approx(started_s + 0.5, abs=0.05)
    assert set(session.trials.columns) == {"target", "radius", "success", "block"}
    from_file = score_session(session)
    assert from_file.acquisition_time_s == pytest.approx(scores.acquisition_time_s, abs=1e-6)
    document = run.document(scores)
    assert (document["trials"], document["successes"], len(document["each"])) == (3, 3, 3)
    assert document["output"] == str(path)


def test_no_cursor_is_an_error_with_a_fix(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    run, _, _ = start(Machine(), after_s=math.inf, timeout_s=2.0, output=path)
    with pytest.raises(RtdecodeError, match=r"received for 2 s \(no message received yet\). Fix: start"):
        run.run()
    # The session until then is written.
    session = read_session(path)
    assert len(session.events.time) > 20
    other, _, _ = start(Machine(), after_s=math.inf, seconds=1.0)
    with pytest.raises(RtdecodeError, match="no cursor was received for 1 s"):
        other.run()


def test_a_lost_cursor_aborts_the_trial_and_is_waited_for() -> None:
    run, _, lines = start(Machine(), until_s=0.3, timeout_s=2.0)
    with pytest.raises(RtdecodeError, match="no cursor was received for 2 s"):
        run.run()
    assert lines[-1].startswith("NO CURSOR: ")
    assert run.experiment.scores().aborted == 1


def test_stop_ends_the_run_and_writes_the_session(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    run, pushed, _ = start(Machine(), output=path)
    real_push = pushed.push

    def push(step: Step, origin_s: float) -> None:
        real_push(step, origin_s)
        if run.experiment.tick > 2500:
            run.stop()

    pushed.push = push  # type: ignore[method-assign]
    scores = run.run()
    assert scores.trials >= 1
    assert read_session(path).complete


def test_invalid_settings_are_refused(tmp_path: Path) -> None:
    for changed, match in (
        ({"seconds": 0.0}, "--seconds: must be above 0"),
        ({"seconds": math.nan}, "--seconds: must be above 0"),
        ({"markers": "M1"}, "three different names"),
        ({"behavior": ""}, "three different names"),
        ({"output": tmp_path / "nowhere" / "run.h5"}, "nowhere"),
    ):
        with pytest.raises(RtdecodeError, match=match):
            SubjectRunSettings(**changed)  # type: ignore[arg-type]
    (tmp_path / "there.h5").touch()
    with pytest.raises(RtdecodeError, match="exists already"):
        SubjectRunSettings(output=tmp_path / "there.h5")


def test_a_marker_is_one_line_of_json() -> None:
    event = TaskEvent(1.0, "target_on", 4, {"target": (80.0, 0.0), "radius": 15.0})
    assert marker_text(event) == '{"event": "target_on", "trial": 4, "target": [80.0, 0.0], "radius": 15.0}'
