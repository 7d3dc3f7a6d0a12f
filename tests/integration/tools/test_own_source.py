"""A source in the daemon's own process: the example in examples/, unplugged and back; and the recorder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from daemon import READY_S, Subscriber, assert_once_in_order
from decoding import artifact_of
from numpy.typing import NDArray
from pylsl import local_clock

from rtdecode.artifact import write_artifact
from rtdecode.ingest import StreamDescription
from rtdecode.serve.array_settings import ArraySettings
from rtdecode.session.read import read_session
from rtdecode.tools.loopback import LoopbackRig, free_endpoint
from rtdecode.tools.record.run import StreamRecording

EXAMPLES = Path(__file__).parents[3] / "examples"
N_CHANNELS = 96
FAILSAFE = 16


def test_the_example_decodes_is_unplugged_and_comes_back(rig: LoopbackRig) -> None:
    run = {"weight": np.full((N_CHANNELS, 3, 3), 0.01, np.float32), "bias": np.zeros(3)}
    model, recording = rig.folder / "model.safetensors", rig.folder / "session.h5"
    write_artifact(model, artifact_of("wiener", n_channels=N_CHANNELS, run=run))
    cursor, unplugged = free_endpoint(), rig.folder / "unplugged"
    unplugged.touch()
    given = ["--stream", "M1", "--model", str(model), "--bind", cursor, "--control", free_endpoint()]
    rig.set_environment("PYTHONPATH", str(EXAMPLES))
    rig.start("own", ["serve", *given, "--record", str(recording)], module="own_source")
    subscriber = Subscriber(cursor)
    rig.await_line("own", "its source cannot be opened, and is tried again: OSError: the device", READY_S)
    unplugged.unlink()
    rig.await_line("own", "attached M1: layout events, 96 channels", READY_S)
    first = subscriber.until(lambda m: not m["flags"] and m["n"] > 10)
    unplugged.touch()
    away = subscriber.until(lambda m: m["flags"] & FAILSAFE)
    rig.await_line("own", "stream M1: its source is gone: the device does not answer; fail-safe", READY_S)
    unplugged.unlink()
    back = subscriber.until(lambda m: not m["flags"] and m["n"] > 10)
    assert first["bin"] < away["bin"] < back["bin"]
    rig.end("own")
    subscriber.take()
    assert_once_in_order(subscriber.messages)
    subscriber.close()
    session = read_session(recording)
    assert [entry.kind for entry in session.log].count("attached") == 2
    assert session.n_channels == N_CHANNELS


def test_a_source_is_recorded(lsl_config: str, tmp_path: Path) -> None:
    stream = StreamDescription("device", "Spikes", 3, 0.0, "int32", source_id="rig", n_channels=4)
    sent = np.array([[i % 4, 0, i] for i in range(300)], np.int32)

    class Device:
        """Sends all at once, and ends the recording when it is asked for more and all is written."""

        stream: StreamDescription
        at = closed = 0

        def pull(self, samples: NDArray[Any], time: NDArray[np.float64], timeout_s: float) -> int:
            n, self.at = len(sent) - self.at, len(sent)
            recording.stopping = not n
            samples[:n] = sent[len(sent) - n :]
            time[:n] = local_clock() - 1e-5 * np.arange(n, 0, -1)
            return n

        def close(self) -> None:
            self.closed += 1

    device = Device()
    device.stream = stream
    lines: list[str] = []
    recording = StreamRecording(
        arrays=[ArraySettings(stream="M1")],
        output=tmp_path / "today.h5",
        print_line=lines.append,
        sources={"M1": lambda: device},
    )
    recording.run()
    session = read_session(tmp_path / "today.h5")
    assert session.events is not None
    np.testing.assert_array_equal(session.events.channel, sent[:, 0])
    assert device.closed == 1
    assert any("source rig on" in line for line in lines)
