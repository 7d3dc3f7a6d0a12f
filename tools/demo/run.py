"""`rtdecode demo`: the whole product in closed loop on this machine, without hardware and without data.

A simulated subject steers a cursor with the model that ships (day 0); a month later its array has drifted and
the same model fails (day 30); two minutes of hand movements are recorded, `rtdecode calibrate` adapts the
model to them and swaps it into the running daemon, and the subject goes on (day 30 calibrated). Every part is
a process of its own that a person could have started.
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
from rtdecode.tools.capture import LISTENING, Cursors
from rtdecode.tools.demo.phases import Phase, score_phase, swapped_at, trials_between
from rtdecode.tools.loopback import LoopbackRig, free_endpoint

MODEL, STREAM = "sim", "demo"

#: The subject that the model was trained on, the day on which it fails, and what is recorded then.
SUBJECT, DAY, CALIBRATION_S = 4, 30, 120

#: Of the targets, mm: a fresh decoder holds all of them, and an old one does not.
RADIUS_MM = 18

#: Hand movements to learn from go further than the targets, or a decoder falls short of those at the edge.
HANDS = ("--task", "random-target", "--reach", "120", "--hold", "400")

#: How long the first phase runs, the second before it is calibrated (which takes no time to speak of where
#: nothing is trained), and the third.
DAY_0_S, BEFORE_S, BEFORE_READOUT_S, AFTER_S = 24.0, 14.0, 24.0, 26.0

#: Compiling for the first time and a slow machine included.
READY_S, BUDGET_S, CALIBRATED_WITHIN_S = 60.0, 30, 90.0

POLL_S = 0.1

NAMES = ("day 0", "day 30", "day 30 calibrated")

#: Shows what happens: given the endpoints of cursor and task, for as long as the context is open.
Watch = Callable[[str, str], AbstractContextManager[object]]


@dataclass(frozen=True)
class Story:
    """What came of it.

    Attributes:
        outputs: names of what the model decodes.
        phases: three.
        sessions: of the subject, each with its phase's trials.
        calibration: what `rtdecode calibrate --json` said.
        seconds: how long it all took.
    """

    outputs: tuple[str, ...]
    phases: tuple[Phase, ...]
    sessions: tuple[Session, ...]
    calibration: dict[str, Any]
    seconds: float

    def document(self) -> dict[str, Any]:
        """What `--json` prints."""
        kept = ("rung", "seconds", "deployed", "reason", "scores", "holdout", "notes")
        return {
            "outputs": list(self.outputs),
            "phases": [asdict(phase) for phase in self.phases],
            "calibration": {name: self.calibration.get(name) for name in kept},
            "seconds": round(self.seconds, 1),
        }


def run_demo(print_line: Callable[[str], None], *, seed: int = 0, watch: Watch | None = None) -> Story:
    """Run the story.

    Args:
        print_line: takes a line on what happens.
        seed: of targets, noise and spikes.
        watch: shows it meanwhile.

    Raises:
        RtdecodeError: some part of it did not work.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="rtdecode-demo-") as name, LoopbackRig(Path(name)) as rig:
        # What is calibrated here is nobody's current model.
        rig.set_environment("XDG_DATA_HOME", name)
        return _Telling(rig, print_line, seed, watch or _unwatched, started).tell()


def _unwatched(cursor: str, task: str) -> AbstractContextManager[object]:
    return nullcontext()


@dataclass
class _Telling:
    """The story while it is told."""

    rig: LoopbackRig
    print_line: Callable[[str], None]
    seed: int
    watch: Watch
    started: float
    cursor: str = field(default_factory=free_endpoint)
    control: str = field(default_factory=free_endpoint)
    task: str = field(default_factory=free_endpoint)

    def tell(self) -> Story:
        model = read_artifact(find_model(MODEL), train=False)
        rig, print_line = self.rig, self.print_line
        print_line(
            f"serving {MODEL}: {model.kind}, {model.n_channels} channels, {1e3 * model.bin_width_s:g}-ms bins"
        )
        serve = ["serve", "--stream", STREAM, "--model", MODEL, "--bind", self.cursor]
        rig.start("serve", [*serve, "--control", self.control, "--timeout", str(READY_S)])
        rig.start("hear", [self.cursor, "heard.npz"], module="rtdecode.tools.capture")
        rig.await_line("hear", LISTENING, READY_S)
        with self.watch(self.cursor, self.task):
            print_line(
                "day 0: a simulated subject steers the cursor, as on the days that the model has learnt from"
            )
            self._subject("day0", 0)
            self._live("day0", DAY_0_S)
            rig.end("day0")
            print_line(f"day {DAY}: units have turned, come and gone; the model is the same")
            self._subject("day30", DAY)
            self._live("day30", BEFORE_S if torch_is_installed() else BEFORE_READOUT_S)
            calibration = self._calibrate()
            self._live("day30", AFTER_S)
            rig.end("day30")
        rig.end("serve")
        rig.end("hear")
        return self._story(model.output_names, calibration)

    def _subject(self, name: str, day: int) -> None:
        """Start the subject of a day, and wait until it has a cursor to steer."""
        given = ["subject", "--seed", str(SUBJECT), "--day", str(day), "--session", str(self.seed)]
        given += ["--stream", STREAM, "--radius", str(RADIUS_MM)]
        given += ["--cursor", self.cursor, "--task-bind", self.task, "--output", f"{name}.h5", "--json"]
        self.rig.start(name, [*given, "--timeout", str(READY_S)])
        self.rig.await_line(name, "the cursor is there", READY_S)

    def _live(self, name: str, seconds: float) -> None:
        """Let a subject steer for a while.

        Raises:
            RtdecodeError: it ended, or the daemon did.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for each in (name, "serve"):
                if self.rig.ended(each):
                    raise RtdecodeError(f"ended early: {self.rig.stderr(each)[-500:]}", where=each)
            time.sleep(POLL_S)

    def _calibrate(self) -> dict[str, Any]:
        """Record hand movements of today, calibrate to them, and swap, beside the subject that steers."""
        self.print_line(
            f"recording {CALIBRATION_S / 60:g} minutes of hand movements (as fast as they can be simulated)"
        )
        today = ["subject", "--open-loop", "today.h5", "--seconds", str(CALIBRATION_S)]
        today += ["--seed", str(SUBJECT), "--day", str(DAY)]
        self._done("today", [*today, "--session", str(self.seed + 1), *HANDS, "--json"])
        without = (
            "" if torch_is_installed() else "; without PyTorch it reads the model out anew and does not train"
        )
        self.print_line(f"rtdecode calibrate today.h5 --deploy: adapting, while the daemon goes on{without}")
        given = ["calibrate", "today.h5", "--base", MODEL, "--stream", STREAM, "--deploy", self.control]
        told = self._done("calibrate", [*given, "--budget", str(BUDGET_S), "--json"], refusing=True)
        result: dict[str, Any] = json.loads(told)
        if not result["deployed"]:
            raise RtdecodeError(
                f"today's model does not decode ({result['rung']}): {result['reason']}; "
                f"{self.rig.stderr('calibrate').strip().splitlines()[-1]}",
                where="calibrate",
                fix="leave the machine to the demo, which needs it to train, and run it again",
            )
        self.print_line(
            f"calibrated in {result['seconds']:.1f} s ({result['rung']}), swapped in between two bins: "
            f"{result['reason']}"
        )
        return result

    def _done(self, name: str, arguments: list[str], *, refusing: bool = False) -> str:
        """Run a command to its end beside the daemon; returns what it printed.

        With `refusing` its exit status says whether it refused, and is not looked at if it printed something.
        """
        self.rig.start(name, arguments)
        deadline = time.monotonic() + CALIBRATED_WITHIN_S
        while not self.rig.ended(name):
            if time.monotonic() > deadline:
                raise RtdecodeError(f"did not end within {CALIBRATED_WITHIN_S:g} s", where=name)
            time.sleep(POLL_S)
        told = self.rig.end(name, must_succeed=not refusing)
        if not told:
            raise RtdecodeError(f"printed nothing: {self.rig.stderr(name)[-500:]}", where=name)
        return told

    def _story(self, outputs: tuple[str, ...], calibration: dict[str, Any]) -> Story:
        folder = self.rig.folder
        first, later = read_session(folder / "day0.h5"), read_session(folder / "day30.h5")
        heard = Cursors.load(folder / "heard.npz")
        swap_s = swapped_at(heard)
        sessions = (
            first,
            trials_between(later, float("-inf"), swap_s),
            trials_between(later, swap_s, float("inf")),
        )
        phases = [score_phase(*each, heard, outputs) for each in zip(NAMES, sessions, strict=True)]
        return Story(outputs, tuple(phases), sessions, calibration, time.monotonic() - self.started)
