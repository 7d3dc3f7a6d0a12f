"""`rtdecode info` on sessions and models."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from rtdecode.session.read import read_session


def info(*arguments: object) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "rtdecode.cli", "info", *map(str, arguments), "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.sessions
def test_it_describes_a_real_session(indy: Path) -> None:
    facts = info(indy)
    assert facts["channels"] == 96
    assert facts["silent"] == 11
    assert "5843 bins of 64 ms" in facts["counts"]
    assert "x (mm)" in facts["behavior"]


def test_it_describes_a_model(simulated_model: Path) -> None:
    facts = info(simulated_model)
    assert facts["kind"] == "wiener"
    assert facts["channels"] == 16
    assert facts["outputs"] == [
        "x (mm, position)",
        "y (mm, position)",
        "vx (mm/s, velocity)",
        "vy (mm/s, velocity)",
    ]


def test_it_describes_an_included_model_by_its_name() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rtdecode.cli", "info", "indy"], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert len(lines) < 25
    assert any(line.startswith("sessions") and "23: indy_20160407_02 …" in line for line in lines)
    assert any("nothing finer than 64 ms is real" in line for line in lines)
    missing = subprocess.run(
        [sys.executable, "-m", "rtdecode.cli", "info", "nosuch"], capture_output=True, text=True, check=False
    )
    assert missing.returncode == 1
    assert "nosuch: is not the name of a model" in missing.stderr


def test_repair_writes_a_repaired_copy_beside(simulated_session: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.h5"
    broken.write_bytes(simulated_session.read_bytes())
    with h5py.File(broken, "r+") as file:
        file["behavior/values"][5:9, 0] = np.nan
    done = info(broken, "--repair")
    repaired = read_session(done["output"])
    whole = read_session(simulated_session)
    assert repaired.behavior is not None
    assert whole.behavior is not None
    assert len(repaired.behavior.time) == len(whole.behavior.time) - 4
    assert len(done["repairs"]) == 1
    assert info(simulated_session, "--repair") == {"output": None, "repairs": []}
