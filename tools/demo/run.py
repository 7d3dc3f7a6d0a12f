"""`rtdecode demo`: the whole product in closed loop on this machine, without hardware and without data.

A simulated subject steers a cursor with the included model `sim` (day 0). A month later its array has drifted
and the same model fails (day 30). Two minutes of hand movements are recorded, `rtdecode calibrate` adapts the
model to them and swaps it into the running daemon, and the subject continues (day 30 calibrated). Every part
is a process that a user could start.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rtdecode.artifact import read_artifact
from rtdecode.calibrate.adaptation.ladder import torch_is_installed
from rtdecode.errors import RtdecodeError
from rtdecode.model_store import find_model
from rtdecode.session.layout import Session
from rtdecode.session.read import read_session
from rtdecode.tools.capture import SUBSCRIBED, Cursors
from rtdecode.tools.demo.phases import Phase, score_phase, swapped_at, trials_between
from rtdecode.tools.loopback import LoopbackRig, free_endpoint

MODEL, STREAM = "sim", "demo"

#: The subject that the model was trained on, the day on which it fails, and the recorded time of that day, s.
SUBJECT, DAY, CALIBRATION_S = 4, 30, 120

#: Target radius, mm, at which a fresh decoder holds all targets and an old one does not.
RADIUS_MM = 18

#: Training movements reach beyond the targets, since otherwise a decoder falls short of targets at the edge.
HANDS = ("--task", "random-target", "--reach", "120", "--hold", "400")

#: Long enough for a first compilation and a slow machine.
READY_S, CALIBRATED_WITHIN_S = 60.0, 90.0

POLL_S = 0.1

NAMES = ("day 0", "day 30", "day 30 calibrated")

#: Displays the demo while its context is open; takes the endpoints of cursor and task.
Watch = Callable[[str, str], AbstractContextManager[object]]


@dataclass(frozen=True)
class DemoTimes:
    """Durations of the parts of a demo, s.

    Attributes:
        day_0_s, before_s, after_s: of the first phase, of the second before the calibration, of the third.
        before_readout_s: in place of `before_s` if the calibration does not train, and is thus fast.
        budget_s: of the calibration.
    """

    day_0_s: float = 24.0
    before_s: float = 14.0
    before_readout_s: float = 24.0
    after_s: float = 26.0
    budget_s: int = 30


@dataclass(frozen=True)
class DemoResult:
    """The result of a demo.

    Attributes:
        outputs: names of the decoded values.
        phases: three phases.
        sessions: of the subject, each with the trials of its phase.
        calibration: the document of `rtdecode calibrate --json`.
        seconds: total duration.
    """

    outputs: tuple[str, ...]
    phases: tuple[Phase, ...]
    sessions: tuple[Session, ...]
    calibration: dict[str, Any]
    seconds: float

    def document(self) -> dict[str, Any]:
        """The document that `--json` prints."""
        kept = ("rung", "seconds", "deployed", "reason", "scores", "holdout", "notes")
        return {
            "outputs": list(self.outputs),
            "phases": [asdict(phase) for phase in self.phases],
            "calibration": {name: self.calibration.get(name) for name in kept},
            "seconds": round(self.seconds, 1),
        }


def run_demo(
    print_line: Callable[[str], None],
    *,
    seed: int = 0,
    watch: Watch = lambda *_: nullcontext(),
    times: DemoTimes = DemoTimes(),
) -> DemoResult:
    """Run the demo.

    Args:
        print_line: prints a line.
        seed: of targets, noise and spikes.
        watch: displays the demo; by default nothing does.
        times: durations of its parts.

    Raises:
        RtdecodeError: a part of it failed.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="rtdecode-demo-") as name, LoopbackRig(Path(name)) as rig:
        # The user's models stay as they are.
        rig.set_environment("XDG_DATA_HOME", name)
        return _Demo(rig, print_line, seed, watch, times, started).run()


@dataclass
class _Demo:
    """A running demo."""

    rig: LoopbackRig
    print_line: Callable[[str], None]
    seed: int
    watch: Watch
    times: DemoTimes
    started: float
    cursor: str = field(default_factory=free_endpoint)
    control: str = field(default_factory=free_endpoint)
    task: str = field(default_factory=free_endpoint)

    def run(self) -> DemoResult:
        model = read_artifact(find_model(MODEL), train=False)
        rig, print_line = self.rig, self.print_line
        print_line(
            f"serving {MODEL}: {model.kind}, {model.n_channels} channels, {1e3 * model.bin_width_s:g}-ms bins"
        )
        serve = ["serve", "--stream", STREAM, "--model", MODEL, "--bind", self.cursor]
        rig.start("serve", [*serve, "--control", self.control, "--timeout", str(READY_S)])
        rig.start("capture", [self.cursor, "cursors.npz"], module="rtdecode.tools.capture")
        rig.await_line("capture", SUBSCRIBED, READY_S)
        with self.watch(self.cursor, self.task):
            print_line("day 0: a simulated subject steers the cursor; the model was trained on such days")
            self._subject("day0", 0)
            self._live("day0", self.times.day_0_s)
            rig.end("day0")
            print_line(f"day {DAY}: the tuning has drifted and units were replaced; the model is the same")
            self._subject("day30", DAY)
            trains = torch_is_installed()
            self._live("day30", self.times.before_s if trains else self.times.before_readout_s)
            calibration = self._calibrate()
            self._live("day30", self.times.after_s)
            rig.end("day30")
        rig.end("serve")
        rig.end("capture")
        return self._result(model.output_names, calibration)

    def _subject(self, name: str, day: int) -> None:
        """Start the subject of a day, and wait until it receives a cursor."""
        given = ["subject", "--seed", str(SUBJECT), "--day", str(day), "--session", str(self.seed)]
        given += ["--stream", STREAM, "--radius", str(RADIUS_MM)]
        given += ["--cursor", self.cursor, "--task-bind", self.task, "--output", f"{name}.h5", "--json"]
        self.rig.start(name, [*given, "--timeout", str(READY_S)])
        self.rig.await_line(name, "the cursor is there", READY_S)

    def _live(self, name: str, seconds: float) -> None:
        """Let a subject steer for some time; an error if it or the daemon ends."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for each in (name, "serve"):
                if self.rig.ended(each):
                    raise self.rig.failure(each, "ended early")
            time.sleep(POLL_S)

    def _calibrate(self) -> dict[str, Any]:
        """Record hand movements of the day, calibrate to them and swap, while the subject steers."""
        self.print_line(
            f"recording {CALIBRATION_S / 60:g} minutes of hand movements (simulated faster than real time)"
        )
        today = ["subject", "--open-loop", "today.h5", "--seconds", str(CALIBRATION_S)]
        today += ["--seed", str(SUBJECT), "--day", str(DAY)]
        self._complete("today", [*today, "--session", str(self.seed + 1), *HANDS, "--json"])
        method = "" if torch_is_installed() else "; without PyTorch only its readout is fitted"
        self.print_line(
            f"rtdecode calibrate today.h5 --deploy: adapting the model while the daemon runs{method}"
        )
        given = ["calibrate", "today.h5", "--base", MODEL, "--stream", STREAM, "--deploy", self.control]
        given += ["--budget", str(self.times.budget_s), "--json"]
        result: dict[str, Any] = json.loads(self._complete("calibrate", given, may_refuse=True))
        if not result["deployed"]:
            raise RtdecodeError(
                f"the calibrated model is not deployed ({result['rung']}): {result['reason']}; "
                f"{self.rig.stderr('calibrate').strip().splitlines()[-1]}",
                where="calibrate",
                fix="end other programs, since the training needs the processor, and run the demo again",
            )
        self.print_line(
            f"calibrated in {result['seconds']:.1f} s ({result['rung']}), swapped in between two bins: "
            f"{result['reason']}"
        )
        return result

    def _complete(self, name: str, arguments: list[str], *, may_refuse: bool = False) -> str:
        """The stdout of a command; with `may_refuse` its exit status is ignored if it printed something."""
        self.rig.start(name, arguments)
        deadline = time.monotonic() + CALIBRATED_WITHIN_S
        while not self.rig.ended(name):
            if time.monotonic() > deadline:
                raise self.rig.failure(name, f"did not end within {CALIBRATED_WITHIN_S:g} s")
            time.sleep(POLL_S)
        output = self.rig.end(name, must_succeed=not may_refuse)
        if not output:
            raise self.rig.failure(name, "did not print its result")
        return output

    def _result(self, outputs: tuple[str, ...], calibration: dict[str, Any]) -> DemoResult:
        folder = self.rig.folder
        first, later = read_session(folder / "day0.h5"), read_session(folder / "day30.h5")
        cursors = Cursors.load(folder / "cursors.npz")
        swap_s = swapped_at(cursors)
        sessions = (
            first,
            trials_between(later, float("-inf"), swap_s),
            trials_between(later, swap_s, float("inf")),
        )
        phases = [score_phase(*each, cursors, outputs) for each in zip(NAMES, sessions, strict=True)]
        return DemoResult(outputs, tuple(phases), sessions, calibration, time.monotonic() - self.started)
