"""Bridges between emulated acquisition systems and LSL: every spike once, with its time, through faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pylsl
import pytest
from bridged import Bridged, Faults, errors_ms
from commands import refusal, rtdecode
from openephys_emulator import OpenEphysEmulator

from rtdecode.tools.loopback import LoopbackRig, free_endpoint


@pytest.fixture
def port() -> int:
    return int(free_endpoint().rpartition(":")[2])


@pytest.fixture
def openephys(port: int) -> Iterator[Callable[..., OpenEphysEmulator]]:
    made: list[OpenEphysEmulator] = []

    def make(**given: object) -> OpenEphysEmulator:
        made.append(OpenEphysEmulator(port, spikes_hz=2000.0, **given))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for emulator in made:
        emulator.close()


def test_openephys_through_losses_and_a_restart(
    rig: LoopbackRig, stream: str, port: int, openephys: Callable[..., OpenEphysEmulator]
) -> None:
    bridge = Bridged(rig, stream, "openephys", "--channels", "96", "--port", str(port))
    assert (bridge.info.type(), bridge.info.desc().child_value("n_channels")) == ("Spikes", "96")
    emulator = openephys(faults=Faults(drop=0.01, garble=0.01, delay=0.1))
    for _ in range(2):
        emulator.start()
        bridge.receive(3.0)
        emulator.stop()
    bridge.receive(0.5)
    status, sent = bridge.end(), emulator.sent
    assert np.quantile(np.abs(errors_ms(bridge, sent)), 0.99) < 1.0
    assert (status["segments"], status["held"]) == (2, 0)
    assert emulator.beats > 2
    assert status["spikes"] == sum(sent.whole)
    assert status["lost_spikes"] == sent.lost() > 0
    # What is lost leaves a gap in the running number.
    assert bridge.rows[-1, 2] + 1 - len(bridge.rows) == sent.lost()
    assert sum(status["garbled"].values()) > 0


def test_openephys_sends_continuous_data_beside_the_spikes(
    rig: LoopbackRig, stream: str, port: int, openephys: Callable[..., OpenEphysEmulator]
) -> None:
    raw = f"{stream}-raw"
    bridge = Bridged(
        rig, stream, "openephys", "--channels", "96", "--port", str(port), "--continuous", raw
    )
    emulator = openephys(n_continuous=2)
    emulator.start()
    (info,) = pylsl.resolve_byprop("name", raw, timeout=10)
    inlet = pylsl.StreamInlet(info, recover=False)
    inlet.open_stream(10)
    bridge.receive(2.5)
    values, stamps = map(np.array, inlet.pull_chunk(0.0, max_samples=200_000))
    status = bridge.end()
    assert (status["lost_spikes"], status["lost_samples"], status["garbled"]) == (0, 0, {})
    assert (info.nominal_srate(), info.channel_format()) == (30_000, pylsl.cf_float32)
    assert (values[:, 1] - values[:, 0] == 1000).all()
    # A value says which sample it is, of a thousand.
    off = (stamps - emulator.begun_s) * emulator.rate_hz - values[:, 0]
    error_ms = 1e3 * ((off + 500) % 1000 - 500) / emulator.rate_hz
    assert np.quantile(np.abs(error_ms), 0.99) < 1.0
    assert len(errors_ms(bridge, emulator.sent, range(len(bridge.rows)))) > 2000


def test_a_wrong_sampling_rate_is_refused(
    rig: LoopbackRig, stream: str, port: int, openephys: Callable[..., OpenEphysEmulator]
) -> None:
    given = ["--stream", stream, "--channels", "96", "--port", str(port), "--rate", "25000"]
    process = rig.start("bridge", ["bridge", "openephys", *given])
    openephys(n_continuous=1).start()
    assert process.wait(30) == 1
    assert "has 30000 Hz, but --rate is 25000. Fix: give --rate 30000" in rig.stderr("bridge")


def test_names_of_electrodes_are_checked() -> None:
    given = ("--stream", "M1", "--channels", 2, "--electrodes", "no-such.txt")
    assert "no-such.txt" in refusal(rtdecode("bridge", "openephys", *given))
