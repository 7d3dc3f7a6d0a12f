"""The stream of the neural-data-simulator package, which runs in an environment of its own.

It needs an older pylsl than rtdecode. `RTDECODE_NDS_VENV` is a virtual environment created with

    pip install neural-data-simulator pylsl==1.16.2
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pylsl
import pytest
from daemon import assert_once_in_order

from rtdecode.artifact import write_artifact
from rtdecode.calibrate.fitting.fit import fit_sessions
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session
from rtdecode.tools.loopback import LoopbackRig
from rtdecode.tools.simulator.scripted import CentreOut, draw_tuning, simulate_session

N_CHANNELS = 50
SECONDS = float(os.environ.get("RTDECODE_NDS_SECONDS", "10"))


@pytest.fixture
def venv() -> Path:
    named = os.environ.get("RTDECODE_NDS_VENV")
    if named is None:
        pytest.skip("RTDECODE_NDS_VENV names no environment with neural-data-simulator")
    return Path(named)


@pytest.fixture
def generator(rig: LoopbackRig, venv: Path, stream: str) -> Iterator[subprocess.Popen[bytes]]:
    """Its ephys_generator at constant rates; it reads liblsl's configuration from ~/.nds/lsl.config."""
    home = rig.folder / "home"
    (home / ".nds").mkdir(parents=True)
    (home / ".nds" / "lsl.config").write_text(rig.lsl_config)
    library = next((Path(pylsl.__file__).parent / "lib").glob("liblsl.so*"))
    settings = next(venv.glob("lib/python3*/site-packages/neural_data_simulator/config/settings.yaml"))
    overrides = {
        "input.type": "testing",
        "input.testing.n_channels": N_CHANNELS,
        "output.spike_events.lsl.stream_name": stream,
        "noise.samples": 4096,
    }
    given = [f"ephys_generator.{key}={value}" for key, value in overrides.items()]
    with (rig.folder / "generator.log").open("wb") as log:
        process = subprocess.Popen(
            [str(venv / "bin" / "ephys_generator"), "--settings-path", str(settings), "-o", *given],
            env={"PATH": os.environ["PATH"], "HOME": str(home), "PYLSL_LIB": str(library)},
            stdout=log,
            stderr=log,
        )
        yield process
        process.kill()
        process.wait()


def test_its_spike_events_are_served_bin_for_bin(
    rig: LoopbackRig, serve: Any, generator: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    task = CentreOut(n_channels=N_CHANNELS)
    write_session(tmp_path / "train.h5", simulate_session(task, draw_tuning(task, 0), 30.0, 1, "train"))
    write_artifact(tmp_path / "model.safetensors", fit_sessions([tmp_path / "train.h5"]).artifact)
    served = serve(tmp_path / "model.safetensors", "--record", str(tmp_path / "live.h5"))
    first = served.subscriber.until(lambda m: True, 60.0)
    n_bins = round(SECONDS / 0.02)
    served.subscriber.until(lambda m: m["bin"] >= first["bin"] + n_bins, SECONDS + 30.0)
    status = served.request(cmd="status")
    served.end()
    assert generator.poll() is None, (rig.folder / "generator.log").read_text()[-1000:]
    assert (status["stream"]["layout"], status["stream"]["type"]) == ("snippets", "SpikeEvents")
    assert status["counters"]["out_of_range"] == 0
    messages = served.subscriber.messages
    assert_once_in_order(messages)
    spikes = sum(m["n"] for m in messages)
    # Constant rates, tens of spikes per second and channel: hundreds per second at the least.
    assert spikes > 100 * SECONDS
    recorded = read_session(tmp_path / "live.h5")
    assert recorded.decoded is not None
    # Its test rates rise from 0 Hz on channel 0.
    assert set(range(1, N_CHANNELS)) <= set(recorded.events.channel.tolist()) <= set(range(N_CHANNELS))
