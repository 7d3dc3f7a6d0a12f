"""`record` on the source that docs/sources.md shows: its spikes, behaviour, markers and trials."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from commands import printed_here

from rtdecode.session.read import read_session
from rtdecode.tools.loopback import LoopbackRig

DOCS = Path(__file__).parents[3] / "docs" / "sources.md"
RULES = "start=go,stop=hit|miss,success=hit"


def test_the_source_of_the_docs_is_recorded_with_its_trials(rig: LoopbackRig, stream: str) -> None:
    (source,) = re.findall(r"```python\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    assert RULES in DOCS.read_text("utf-8")
    for name, own in (("M1", stream), ("hand", f"{stream}-hand"), ("task", f"{stream}-task")):
        assert source.count(f'StreamInfo("{name}"') == 1
        source = source.replace(f'StreamInfo("{name}"', f'StreamInfo("{own}"')
    recording = rig.folder / "today.h5"
    given = ["--stream", stream, "--behavior", f"{stream}-hand", "--markers", f"{stream}-task"]
    environment = {**os.environ, "LSLAPICFG": str(rig.folder / "lsl_api.cfg")}
    with subprocess.Popen([sys.executable, "-c", source], env=environment) as sender:
        rig.start("record", ["record", *given, "--trials", RULES, "--output", str(recording)])
        rig.await_line("record", "recording ", 30)
        time.sleep(3.2)
        rig.end("record")
        sender.kill()
    printed, session = rig.stderr("record"), read_session(recording)
    n, trials = len(session.markers.time), session.trials
    assert f"markers: {n} received, {n} written" in printed
    assert f"trials: {len(trials.start)} trials" in printed
    assert len(trials.start) >= 2
    assert (trials.stop - trials.start).min() > 0.79
    np.testing.assert_allclose(np.hypot(*trials.columns["target"].T), 80.0, rtol=1e-4)
    # The stream of markers may be found before that of spikes.
    assert session.start_s < trials.start[-1] < trials.stop[-1] < session.end_s
    assert (session.behavior.names, session.behavior.units[2]) == (("x", "y", "vx", "vy"), "mm/s")

    # With other rules a copy has other trials.
    printed_here("info", recording, "--trials", "start=hit|miss,stop=go")
    copied = read_session(rig.folder / "today.trials.h5")
    assert (copied.trials.stop - copied.trials.start).min() > 0.19
    assert copied.markers.text == session.markers.text
