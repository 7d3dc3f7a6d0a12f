"""Real processes, LSL streams and ZeroMQ sockets, on loopback and in an LSL session of the worker's own."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pylsl
import pytest
from daemon import Served, cut

from rtdecode.artifact import write_artifact
from rtdecode.calibrate.fitting.fit import fit_sessions
from rtdecode.calibrate.fitting.training_set import FitSettings
from rtdecode.calibrate.run import Run
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session
from rtdecode.tools.loopback import LoopbackRig, private_lsl_config
from rtdecode.tools.simulator.scripted import CentreOut, draw_tuning, simulate_session


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever streams over LSL has real time in it."""
    for item in items:
        if "lsl_config" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.realtime)


@pytest.fixture(scope="session")
def lsl_config() -> str:
    """liblsl reads its configuration once: this process shares one session with all it starts.

    Another worker (`-n 2`) has another, and sees none of these streams.
    """
    text = private_lsl_config()
    pylsl.set_config_content(text)
    return text


@pytest.fixture
def rig(tmp_path: Path, lsl_config: str) -> Iterator[LoopbackRig]:
    with LoopbackRig(tmp_path, lsl_config) as started:
        yield started


@pytest.fixture
def stream() -> str:
    """A stream name of the test's own."""
    return f"M1-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="session")
def indy(data_dir: Path) -> Path:
    return data_dir / "indy" / "indy_20161005_06.h5"


@pytest.fixture(scope="session")
def indy_piece(indy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds of a real session."""
    path = tmp_path_factory.mktemp("indy") / "piece.h5"
    write_session(path, cut(read_session(indy), 220.0, 226.0))
    return path


@pytest.fixture(scope="session")
def indy_model(indy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Wiener filter for x, y at 20 ms, fitted to the whole session."""
    path = tmp_path_factory.mktemp("models") / "indy.safetensors"
    write_artifact(path, fit_sessions([indy], "wiener", 0.02, ("x", "y")).artifact)
    return path


@pytest.fixture(scope="session")
def indy_minute(indy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute of a real session, for models that need not be good."""
    path = tmp_path_factory.mktemp("indy") / "minute.h5"
    write_session(path, cut(read_session(indy), 100.0, 160.0))
    return path


@pytest.fixture(scope="session")
def indy_kalman(indy_minute: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Kalman filter for x, y, vx, vy at 20 ms that carries its covariance on."""
    path = tmp_path_factory.mktemp("models") / "kalman.safetensors"
    write_artifact(path, fit_sessions([indy_minute], "kalman", 0.02).artifact)
    return path


@pytest.fixture(scope="session")
def indy_alignnet(indy_minute: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An AlignNet for x, y, vx, vy at 20 ms after a few steps of training: it fires, which is all it must."""
    from rtdecode.calibrate.training.settings import ONE_DAY_TRAINING

    path = tmp_path_factory.mktemp("models") / "alignnet.safetensors"
    settings = FitSettings(training=replace(ONE_DAY_TRAINING, steps=10, batch=4))
    # One member at a time: so few steps take less time than starting processes.
    fit = fit_sessions([indy_minute], "alignnet", 0.02, settings=settings, run=Run(at_once=1))
    write_artifact(path, fit.artifact)
    return path


@pytest.fixture(scope="session")
def simulated_session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty simulated seconds of 16 channels."""
    path = tmp_path_factory.mktemp("simulated") / "simulated.h5"
    task = CentreOut(n_channels=16)
    write_session(path, simulate_session(task, draw_tuning(task, 3), 30.0, 4, "simulated"))
    return path


@pytest.fixture(scope="session")
def simulated_model(simulated_session: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "simulated.safetensors"
    write_artifact(path, fit_sessions([simulated_session], "wiener", 0.02).artifact)
    return path


@pytest.fixture
def replay(rig: LoopbackRig, stream: str) -> Callable[..., subprocess.Popen[str]]:
    """Starts replays of sessions as the test's stream."""

    def start(session: Path, *options: str, name: str = "replay") -> subprocess.Popen[str]:
        return rig.start(name, ["replay", str(session), "--stream", stream, *options])

    return start


@pytest.fixture
def serve(rig: LoopbackRig, stream: str) -> Iterator[Any]:
    """Starts daemons on the test's stream."""
    started: list[Served] = []

    def start(model: Path, *arguments: str) -> Served:
        served = Served(rig, stream, model, *arguments, name=f"serve{len(started)}")
        started.append(served)
        return served

    yield start
    for served in started:
        served.subscriber.close()
