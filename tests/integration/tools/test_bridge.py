"""Bridges between emulated acquisition systems and LSL: every spike once, with its time, through faults."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pylsl
import pytest
from blackrock_emulator import BlackrockEmulator
from bridged import Bridged, Faults, errors_ms
from intan_emulator import IntanEmulator
from numpy.typing import NDArray
from openephys_emulator import OpenEphysEmulator
from spikeglx_emulator import SpikeGlxEmulator

from rtdecode.tools.loopback import LoopbackRig, free_endpoint


@pytest.fixture
def port() -> int:
    return int(free_endpoint().rpartition(":")[2])


@pytest.fixture
def openephys(port: int) -> Iterator[Callable[..., OpenEphysEmulator]]:
    made: list[OpenEphysEmulator] = []

    def make(**given: Any) -> OpenEphysEmulator:
        made.append(OpenEphysEmulator(port, spikes_hz=2000.0, **given))
        return made[-1]

    yield make
    for emulator in made:
        emulator.close()


@pytest.fixture
def intan() -> Iterator[Callable[..., IntanEmulator]]:
    made: list[IntanEmulator] = []

    def make(**given: Any) -> IntanEmulator:
        ports = [int(free_endpoint().rpartition(":")[2]) for _ in range(3)]
        made.append(IntanEmulator((ports[0], ports[1], ports[2]), **given))
        return made[-1]

    yield make
    for emulator in made:
        emulator.close()


@pytest.fixture
def blackrock() -> Iterator[Callable[..., BlackrockEmulator]]:
    made: list[BlackrockEmulator] = []

    def make(ports: tuple[int, int], **given: Any) -> BlackrockEmulator:
        made.append(BlackrockEmulator(ports, spikes_hz=2000.0, spare_monitors=True, **given))
        return made[-1]

    yield make
    for emulator in made:
        emulator.close()


@pytest.fixture
def spikeglx(port: int) -> Iterator[SpikeGlxEmulator]:
    emulator = SpikeGlxEmulator(port)
    yield emulator
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
    # What is held for its stamps comes after 3 s at most.
    sent = emulator.sent
    bridge.receive(5.0, sum(sent.whole))
    status = bridge.end()
    assert np.abs(errors_ms(bridge, sent, numbered=True)).max() < status["limit_ms"]
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
    bridge = Bridged(rig, stream, "openephys", "--channels", "96", "--port", str(port), "--continuous", raw)
    emulator = openephys(n_continuous=2)
    emulator.start()
    (info,) = pylsl.resolve_byprop("name", raw, timeout=10)
    inlet = pylsl.StreamInlet(info, recover=False)
    inlet.open_stream(10)
    bridge.receive(2.5)
    values, stamps = inlet.pull_chunk(0.0, max_samples=200_000, as_numpy=True)
    status = bridge.end()
    assert (status["lost_spikes"], status["lost_samples"], status["garbled"]) == (0, 0, {})
    assert (info.nominal_srate(), info.channel_format()) == (30_000, pylsl.cf_float32)
    assert (values[:, 1] - values[:, 0] == 1000).all()
    errors = stamp_errors_ms(values[:, 0], stamps, emulator.begun_s, emulator)
    assert errors.max() < status["limit_ms"]


def test_intan_through_losses_and_a_restart(
    rig: LoopbackRig, stream: str, intan: Callable[..., IntanEmulator]
) -> None:
    faults = Faults(drop=0.01, garble=0.01, delay=0.05)
    emulator = intan(n_channels=8, spikes_hz=2000.0, faults=faults, first_sample=2**32 - 60_000)
    emulator.start()
    raw = f"{stream}-raw"
    given = ("intan", "--port", str(emulator.command_port), "--run", "--continuous", raw)
    bridge = Bridged(rig, stream, *given)
    assert (bridge.info.type(), bridge.info.desc().child_value("n_channels")) == ("Spikes", "8")
    (info,) = pylsl.resolve_byprop("name", raw, timeout=10)
    inlet = pylsl.StreamInlet(info, recover=False)
    inlet.open_stream(10)
    bridge.receive(2.8)
    emulator.stop()
    bridge.receive(1.0)
    values, stamps = inlet.pull_chunk(0.0, max_samples=200_000, as_numpy=True)
    begun_s = emulator.begun_s
    emulator.start()
    bridge.receive(3.2)
    emulator.stop()
    sent = emulator.sent
    bridge.receive(5.0, sum(sent.whole))
    status = bridge.end()
    assert np.abs(errors_ms(bridge, sent)).max() < status["limit_ms"]
    assert (status["segments"], status["held"]) == (2, 0)
    # Each end of the program cuts off a record.
    lost = np.count_nonzero(~np.array(sent.whole)) + 2
    assert status["lost_spikes"] == lost
    assert bridge.rows[-1, 2] + 1 - len(bridge.rows) in (lost, lost - 1)
    assert status["lost_samples"] == emulator.dropped > 0

    assert (info.nominal_srate(), info.channel_format()) == (30_000, pylsl.cf_int16)
    assert (np.diff(values, axis=1) == 10).all()
    assert stamp_errors_ms(values[:, 0], stamps, begun_s, emulator).max() < status["limit_ms"]


@pytest.mark.parametrize("gemini", [True, False])
def test_blackrock_through_losses_and_a_restart(
    rig: LoopbackRig, stream: str, port: int, blackrock: Callable[..., BlackrockEmulator], gemini: bool
) -> None:
    control_port = int(free_endpoint().rpartition(":")[2])
    faults = Faults(drop=0.01, garble=0.01, delay=0.02)
    device: dict[str, Any] = {"gemini": True} if gemini else {"gemini": False, "protocol": "3.11"}
    if not gemini:
        # Its numbers wrap around within a start.
        device |= {"first_sample": 2**32 - 60_000, "continuous": True}
    # It is there to be asked when the bridge begins.
    emulator = blackrock((control_port, port), first_channel=129, faults=faults, **device)
    given: tuple[str, ...] = ("--host", "127.0.0.1", "--port", str(port))
    given += ("--control-port", str(control_port))
    given += () if gemini else ("--protocol", "3.11")
    bridge = Bridged(rig, stream, "blackrock", "--channels", "129:224", *given)
    assert (bridge.info.type(), bridge.info.desc().child_value("n_channels")) == ("Spikes", "96")
    for _ in range(2):
        emulator.start()
        bridge.receive(3.0)
        emulator.stop()
    sent = emulator.sent
    bridge.receive(5.0, sum(sent.whole))
    status = bridge.end()
    assert np.abs(errors_ms(bridge, sent)).max() < status["limit_ms"]
    # A Gemini's clock runs on when its monitors begin anew.
    assert (status["segments"], status["held"]) == (1 if gemini else 2, 0)
    assert status["lost_spikes"] == emulator.lost > 0
    # What is lost leaves a gap in the running number; the last loss may have come after the last spike.
    assert 0 <= emulator.lost - (bridge.rows[-1, 2] + 1 - len(bridge.rows)) < 20
    assert len(status["garbled"]) >= 4


def test_spikeglx_through_broken_replies_a_slow_reader_and_another_run(
    rig: LoopbackRig, stream: str, port: int, spikeglx: SpikeGlxEmulator
) -> None:
    given = ["--stream", stream, "--port", str(port), "--channels", "1:3", "--json"]
    rig.start("bridge", ["bridge", "spikeglx", *given])
    rig.await_line("bridge", "start a run", 30)
    spikeglx.begin_run()
    (info,) = pylsl.resolve_byprop("name", stream, timeout=30)
    inlet = pylsl.StreamInlet(info, recover=False)
    inlet.open_stream(10)
    spikeglx.garble = 0.01
    begun_s = spikeglx.begun_s
    time.sleep(2.5)
    spikeglx.end_run()
    time.sleep(0.5)
    first, first_stamps = inlet.pull_chunk(0.0, max_samples=200_000, as_numpy=True)
    spikeglx.begin_run()
    time.sleep(2.5)
    spikeglx.forget()
    time.sleep(0.5)
    second, second_stamps = inlet.pull_chunk(0.0, max_samples=200_000, as_numpy=True)
    *_, status = map(json.loads, rig.end("bridge").splitlines())
    assert (info.nominal_srate(), info.channel_format()) == (30_000, pylsl.cf_int16)
    assert (status["segments"], status["spikes"]) == (2, 0)
    assert set(status["garbled"]) == {"reply cannot be read"}
    # A sample is lost only where the buffer was, also through connections that broke.
    assert (np.diff(first[:, 0]) % 1000 == 1).all()
    (lost,) = np.nonzero(np.diff(second[:, 0]) % 1000 != 1)
    assert len(lost) <= 1
    assert (status["lost_samples"] > 0) == bool(len(lost))
    assert (np.diff(first, axis=1) == 10).all()
    for values, stamps, run_s in ((first, first_stamps, begun_s), (second, second_stamps, spikeglx.begun_s)):
        errors = phase_errors_ms(values[:, 0] - 10, stamps - run_s, spikeglx.rate_hz)
        assert errors.max() < max(1.0, status["clock_bound_ms"])


def stamp_errors_ms(
    values: NDArray[Any], stamps: NDArray[Any], begun_s: float, emulator: OpenEphysEmulator | IntanEmulator
) -> NDArray[np.float64]:
    """Errors of the stamps of an emulator's first start."""
    first_s = begun_s + emulator.sent.late_s[0] - emulator.first_sample / emulator.rate_hz
    return phase_errors_ms(values, stamps - first_s, emulator.rate_hz)


def phase_errors_ms(values: NDArray[Any], stamps: NDArray[Any], rate_hz: float) -> NDArray[np.float64]:
    """Errors of the stamps of values that say which sample they are, of a thousand."""
    assert len(values) > 10_000
    off = stamps * rate_hz - values
    return np.abs(1e3 * ((off + 500) % 1000 - 500) / rate_hz)


def test_a_wrong_sampling_rate_is_refused(
    rig: LoopbackRig, stream: str, port: int, openephys: Callable[..., OpenEphysEmulator]
) -> None:
    given = ["--stream", stream, "--channels", "96", "--port", str(port), "--rate", "25000"]
    process = rig.start("bridge", ["bridge", "openephys", *given])
    openephys(n_continuous=1).start()
    assert process.wait(30) == 1
    assert "has 30000 Hz, but --rate is 25000. Fix: give --rate 30000" in rig.stderr("bridge")
