"""What goes wrong at rigs is followed where possible, and else said: clocks, rates, sources, readers."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from commands import document_here
from wrong_source import CountSource, EventSource, HandSource, Playing

from rtdecode.artifact import write_artifact
from rtdecode.calibrate.fitting.fit import fit_sessions
from rtdecode.messages import Flag
from rtdecode.session.layout import Session
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session
from rtdecode.tools.loopback import LoopbackRig
from rtdecode.tools.simulator.scripted import CentreOut, draw_tuning, simulate_session

N_CHANNELS = 64


@pytest.fixture(scope="module")
def session() -> Session:
    """A simulated minute of 64 channels."""
    task = CentreOut(n_channels=N_CHANNELS, mean_rate_hz=20.0)
    return simulate_session(task, draw_tuning(task, 5), 70.0, 6, "simulated")


def fates(line: str) -> tuple[int, int, int]:
    """Numbers received, written and left out, of a line such as `spikes: 2,560 received, 2,210 written`."""
    numbers = [int(word.replace(",", "")) for word in line.split() if word.replace(",", "").isdigit()]
    return numbers[0], numbers[1], sum(numbers[2:])


def r2_in_common(paths: Sequence[Path]) -> dict[str, float]:
    """R² of one filter, fitted to the first recording, over the time that all recordings have; by name."""
    sessions = {path: read_session(path) for path in paths}
    start_s = max(session.start_s for session in sessions.values())
    stop_s = min(session.end_s for session in sessions.values())
    model = paths[0].with_suffix(".safetensors")
    found = {}
    for path, session in sessions.items():
        behavior = session.behavior
        assert behavior is not None
        inside = (behavior.time > start_s) & (behavior.time < stop_s)
        labels = replace(behavior, time=behavior.time[inside], values=behavior.values[inside])
        common = path.with_suffix(".common.h5")
        write_session(common, replace(session, behavior=labels, path=None))
        if path == paths[0]:
            write_artifact(model, fit_sessions([common], "wiener", 0.02, ("x", "y")).artifact)
        found[path.stem] = float(np.mean(document_here("decode", common, "--model", model)["r2"]))
    return found


def test_recordings_fit_as_well_whatever_the_clock_and_the_rate(
    rig: LoopbackRig, stream: str, session: Session
) -> None:
    sources = {
        "right": EventSource(f"{stream}-right", N_CHANNELS),
        "unix": EventSource(f"{stream}-unix", N_CHANNELS, offset_s=time.time() - 1000.0),
        "slow": CountSource(f"{stream}-slow", N_CHANNELS, rate_hz=48.0),
        "drifting": CountSource(f"{stream}-drifting", N_CHANNELS, rate_hz=49.9),
    }
    hand = f"{stream}-hand"
    with Playing(session, [*sources.values(), HandSource(hand, session)]):
        for name in sources:
            given = ["--stream", f"{stream}-{name}", "--behavior", hand]
            rig.start(name, ["record", *given, "--output", str(rig.folder / f"{name}.h5")])
        for name in sources:
            rig.await_line(name, "recording", 30)
        time.sleep(30.0)
        for name in sources:
            rig.end(name)
    for name in sources:
        spikes, behavior = (
            line for line in rig.stderr(name).splitlines() if line.startswith(("spikes:", "behaviour:"))
        )
        for line in (spikes, behavior):
            received, written, left_out = fates(line)
            assert received == written + left_out
        path = rig.folder / f"{name}.h5"
        with h5py.File(path) as file:
            group = file["counts" if "counts" in file else "events"]
            assert fates(spikes)[1] == len(group["values" if "values" in group else "time"])
            assert fates(behavior)[1] == len(file["behavior/time"])
    r2 = r2_in_common([rig.folder / f"{name}.h5" for name in sources])
    assert r2["right"] > 0.5
    for name in ("unix", "slow", "drifting"):
        assert r2[name] == pytest.approx(r2["right"], abs=0.02), r2
    slow = read_session(rig.folder / "slow.h5").counts
    assert slow is not None
    assert slow.bin_width_s == pytest.approx(1 / 48, rel=1e-3)
    assert "at 48.0" in rig.stderr("slow")
    assert "stamps are shifted by" in rig.stderr("unix")


def in_16_channels(session: Session) -> Session:
    assert session.events is not None
    return Session(16, events=replace(session.events, channel=session.events.channel % 16))


def test_another_rig_never_takes_over_and_the_right_one_is_returned_to(
    rig: LoopbackRig, stream: str, serve: Any, session: Session, simulated_model: Path
) -> None:
    ours = EventSource(stream, 16, source_id="rig-a")
    few = in_16_channels(session)
    with Playing(few, [ours]):
        served = serve(simulated_model)
        until = served.subscriber.until
        until(lambda m: m["flags"] == 0)
        theirs = EventSource(stream, 16, source_id="rig-b")
        ours.outlet = None
        until(lambda m: m["flags"] & Flag.FAILSAFE)
        rig.await_line(served.name, "source rig-a on", 10)
        status = served.request(cmd="status")
        assert status["state"] == "reconnecting"
        (warning,) = [line for line in status["warnings"] if "rig-b" in line]
        assert "is not taken in its place" in warning
        assert "--source-id" in warning
        assert theirs.outlet is not None
        assert not theirs.outlet.have_consumers()
    ours = EventSource(stream, 16, source_id="rig-a")
    with Playing(few, [ours]):
        until(lambda m: m["flags"] & Flag.GAP)
        until(lambda m: m["flags"] == 0)
        assert not [line for line in served.request(cmd="status")["warnings"] if "rig-b" in line]
    served.end()


def test_rates_and_an_output_that_nobody_reads_are_said_and_stop_nothing(
    rig: LoopbackRig, stream: str, serve: Any, session: Session, simulated_model: Path
) -> None:
    few = in_16_channels(session)
    source = CountSource(stream, 16, scaled=lambda row: row / 3.0 + 0.1)
    with Playing(few, [source]):
        served = serve(simulated_model, "--record", str(rig.folder / "rates.h5"))
        reader = served.process.stdout
        if reader is not None:
            reader.close()
        served.subscriber.until(lambda m: m["flags"] & Flag.FAILSAFE)
        time.sleep(2.0)
        status = served.request(cmd="status")
        assert status["flags"] == ["FAILSAFE"]
        assert any(
            "no counts, fractions in columns 0, 1, 2 and 13 more" in line for line in status["warnings"]
        )
    served.end()


def test_a_daemon_whose_lines_nobody_reads_goes_on(
    rig: LoopbackRig, stream: str, lsl_config: str, session: Session, simulated_model: Path, serve: Any
) -> None:
    few = Session(16, events=session.events)
    with Playing(few, [EventSource(stream, 16)]):
        served = serve(simulated_model, "--json")
        os.set_blocking(served.process.stdout.fileno(), False)
        served.process.stdout.close()
        served.subscriber.until(lambda m: m["flags"] == 0)
        deadline = time.monotonic() + 10.0
        while time.monotonic() < deadline:
            if any("standard output" in line for line in served.request(cmd="status")["warnings"]):
                break
            time.sleep(0.2)
        else:
            pytest.fail("nothing is said about the output")
        last = served.subscriber.until(lambda m: True)["bin"]
        served.subscriber.until(lambda m: m["bin"] > last + 100)
    assert isinstance(served.process, subprocess.Popen)
