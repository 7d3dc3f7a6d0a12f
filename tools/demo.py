"""`rtdecode demo`: the whole product on this machine, with a simulated session and no hardware.

First form: simulate a session, fit a Wiener filter to its first part, replay what the filter has
not seen as a live stream, serve it, and look at what comes out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pylsl

from rtdecode.artifact import write_artifact
from rtdecode.calibrate.fit import fit_sessions
from rtdecode.calibrate.score import score_decoded
from rtdecode.errors import RtdecodeError
from rtdecode.messages import Flag
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session
from rtdecode.tools.listener import Heard, Listener
from rtdecode.tools.rig import LoopbackRig, free_endpoint
from rtdecode.tools.simulated import CentreOut, draw_tuning, simulate_session

TRAIN_S = 120.0
LIVE_S = 15.0
READY_S = 60.0

#: Connecting takes a little of the session; what comes after its end is not part of the demo.
SETTLE_S = 0.5

#: Bins that are flagged so hold a value instead of decoding one.
HELD = int(Flag.FAILSAFE | Flag.PAUSED)


@dataclass(frozen=True)
class Phase:
    """One part of the demo. Fields that only a closed loop can fill are None in open loop.

    Attributes:
        name, model: what ran, by which model_id.
        trials, success, acquisition_time_s, bits_per_s: of the task; None in open loop.
        r2: of each output against the behaviour that was replayed.
        latency_ms: p50 and p99 from the end of a bin to the cursor received over ZeroMQ.
        bins, flagged, missing: published, flagged in any way, and never received.
    """

    name: str
    model: str
    trials: int | None
    success: float | None
    acquisition_time_s: float | None
    bits_per_s: float | None
    r2: list[float | None]
    latency_ms: dict[str, float]
    bins: int
    flagged: int
    missing: int


def run_demo(say: Callable[[str], None], *, seed: int = 0) -> dict[str, Any]:
    """Run the demo; returns the document that `--json` prints.

    Raises:
        RtdecodeError: some part of it did not work.
    """
    with tempfile.TemporaryDirectory(prefix="rtdecode-demo-") as name:
        return _run_in(Path(name), say, seed)


def _run_in(folder: Path, say: Callable[[str], None], seed: int) -> dict[str, Any]:
    task = CentreOut()
    tuning = draw_tuning(task, seed)
    say(
        f"simulating {task.n_channels} units, {TRAIN_S:.0f} s to learn from and {LIVE_S:.0f} s to decode live"
    )
    train, live = folder / "train.h5", folder / "live.h5"
    write_session(train, simulate_session(task, tuning, TRAIN_S, seed + 1, "demo-train"))
    write_session(live, simulate_session(task, tuning, LIVE_S, seed + 2, "demo-live"))
    fitted = fit_sessions([train], kind="wiener")
    model = folder / "demo.safetensors"
    write_artifact(model, fitted.artifact)
    say(f"Wiener filter fitted in {fitted.seconds:.1f} s")
    with LoopbackRig(folder) as rig:
        pylsl.set_config_content(rig.lsl_config)
        heard = _serve_live(rig, model, live, folder / "recorded.h5", say)
    recorded = read_session(folder / "recorded.h5")
    if not heard.cursors or recorded.behavior is None:
        raise RtdecodeError(
            "no cursor came out", where="demo", mend="run rtdecode demo --debug and report it"
        )
    phase = _phase(heard, fitted.artifact.model_id, fitted.artifact.output_names, recorded.behavior)
    return {
        "outputs": list(fitted.artifact.output_names),
        "phases": [asdict(phase)],
        "holdout": {"r2": fitted.r2.tolist()},
    }


def _serve_live(
    rig: LoopbackRig, model: Path, live: Path, recorded: Path, say: Callable[[str], None]
) -> Heard:
    cursor, control = free_endpoint(), free_endpoint()
    serve = ["serve", "--stream", "demo", "--model", str(model), "--bind", cursor, "--control", control]
    serve += ["--record", str(recorded), "--behavior", "demo-hand", "--timeout", str(READY_S)]
    listener = Listener(cursor, pylsl.local_clock)
    try:
        rig.start("serve", serve)
        rig.await_line("serve", "ready for", READY_S)
        say(f"serving on {cursor}; replaying {LIVE_S:.0f} s at speed 1")
        replay = ["replay", str(live), "--stream", "demo", "--behavior", "demo-hand", "--wait", str(READY_S)]
        rig.start("replay", replay)
        heard = listener.listen(READY_S, bins=round((LIVE_S - SETTLE_S) / 0.02))
        rig.end("serve")
        rig.end("replay")
    finally:
        listener.close()
    return heard


def _phase(heard: Heard, model_id: str, names: tuple[str, ...], behavior: Any) -> Phase:
    t_bin = np.array([cursor["t_bin"] for cursor in heard.cursors])
    values = np.array([cursor["value"] for cursor in heard.cursors], np.float32)
    flags = np.array([cursor["flags"] for cursor in heard.cursors])
    live = (flags & HELD) == 0
    r2, _ = score_decoded(t_bin, values, names, behavior, live)
    latency_ms = (np.array(heard.received_s) - t_bin)[live] * 1e3
    p50, p99 = np.percentile(latency_ms, [50, 99])
    return Phase(
        name="open loop",
        model=model_id,
        trials=None,
        success=None,
        acquisition_time_s=None,
        bits_per_s=None,
        r2=r2,
        latency_ms={"p50": round(float(p50), 3), "p99": round(float(p99), 3)},
        bins=len(heard.cursors),
        flagged=int((flags != 0).sum()),
        missing=heard.gaps(),
    )
