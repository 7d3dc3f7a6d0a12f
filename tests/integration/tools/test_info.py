"""`rtdecode info` on sessions and models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from commands import document_here, refusal, rtdecode

from rtdecode.session.layout import NO_BIN, Electrodes, LogEntry
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session


@pytest.mark.sessions
def test_it_describes_a_real_session(indy: Path) -> None:
    facts = document_here("info", indy)
    assert facts["channels"] == 96
    assert facts["silent"] == 11
    assert "5843 bins of 64 ms" in facts["counts"]
    assert "x (mm)" in facts["behavior"]


def test_it_lists_what_happened_to_the_sources(simulated_session: Path, tmp_path: Path) -> None:
    session, source = read_session(simulated_session), {"stream": "hand", "source_id": "", "host": "lab"}
    log = (
        LogEntry(session.start_s - 1.5, NO_BIN, "attached", source),
        LogEntry(session.start_s + 2.0, NO_BIN, "shifted", {"seconds": -30.0, **source}),
        LogEntry(session.start_s + 2.5, 0, "target_on", {}),
        LogEntry(session.start_s + 3.0, 0, "outage", {"reason": "its outlet is gone"}),
    )
    path = tmp_path / "recorded.h5"
    observed = session.start_s + np.array([[0.0, 4.0], [6.0, 9.5]])
    electrodes = Electrodes(tuple(f"e{i // 2}" for i in range(session.n_channels)))
    written = replace(session, log=log, path=None, observed=observed, electrodes=electrodes)
    write_session(path, written)
    facts = document_here("info", path)
    assert (facts["seconds"], facts["observed"]) == (9.5, "2 intervals of 7.5 s in all")
    assert facts["electrodes"] == "8 for 16 channels (e0 … e7)"
    assert facts["log"] == [
        "-1.5 s: attached, stream hand, source unnamed on lab",
        "2.0 s: shifted, stream hand, source unnamed on lab, by -30.0 s",
        # Files of before name no source.
        "3.0 s: outage: its outlet is gone",
    ]


def test_it_describes_a_model(simulated_model: Path) -> None:
    facts = document_here("info", simulated_model)
    assert facts["kind"] == "wiener"
    assert facts["channels"] == 16
    assert facts["outputs"] == [
        "x (mm, position)",
        "y (mm, position)",
        "vx (mm/s, velocity)",
        "vy (mm/s, velocity)",
    ]


def test_it_describes_an_included_model_by_its_name() -> None:
    lines = rtdecode("info", "indy").stdout.splitlines()
    assert len(lines) < 25
    assert any(line.startswith("sessions") and "23: indy_20160407_02 …" in line for line in lines)
    assert any("nothing finer than 64 ms is real" in line for line in lines)
    assert "nosuch: is not the name of a model" in refusal(rtdecode("info", "nosuch"))


def test_repair_writes_a_repaired_copy_beside(simulated_session: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.h5"
    broken.write_bytes(simulated_session.read_bytes())
    with h5py.File(broken, "r+") as file:
        file["behavior/time"][5:9] = np.nan
    done = document_here("info", broken, "--repair")
    repaired = read_session(done["output"])
    whole = read_session(simulated_session)
    assert len(repaired.behavior.time) == len(whole.behavior.time) - 4
    assert len(done["repairs"]) == 1
    assert document_here("info", simulated_session, "--repair") == {"output": None, "repairs": []}
