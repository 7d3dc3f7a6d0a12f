"""Rasters and labelled floats are recorded as the spikes that they are; voltage and markers are not taken."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pylsl
import pytest
from commands import document_here
from wrong_source import Playing

from rtdecode.session.layout import Events, Session
from rtdecode.session.read import read_session
from rtdecode.tools.loopback import LoopbackRig

N_CHANNELS, RATE_HZ, DURATION_S = 32, 2000.0, 5.0


@pytest.fixture
def session() -> Session:
    """Spikes of 32 channels, one a sample of the raster at most."""
    rng = np.random.default_rng(7)
    sample = np.sort(rng.choice(int(RATE_HZ * DURATION_S), 3000, replace=False))
    time = (sample + 0.5) / RATE_HZ
    return Session(N_CHANNELS, events=Events(time, rng.integers(0, N_CHANNELS, 3000).astype(np.uint16), None))


class Raster:
    """Ones at 2 kHz, or with `voltage` something else."""

    def __init__(self, name: str, *, voltage: bool = False) -> None:
        info = pylsl.StreamInfo(
            name, "Raster", N_CHANNELS, RATE_HZ, "int16", "volts" if voltage else "raster"
        )
        self.outlet, self._sent, self._voltage = pylsl.StreamOutlet(info), 0, voltage

    def push_until(self, session: Session, t: float, begun_s: float) -> None:
        events, upto = session.events, int(t * RATE_HZ)
        if events is None or upto <= self._sent:
            return
        rows = np.zeros((upto - self._sent, N_CHANNELS), np.int16)
        first, last = np.searchsorted(events.time, [self._sent / RATE_HZ, upto / RATE_HZ])
        at = (events.time[first:last] * RATE_HZ).astype(int) - self._sent
        rows[at, events.channel[first:last]] = 1
        if self._voltage:
            rows -= 40
        # Stamped by the last sample, as chunks of a regular stream are.
        self.outlet.push_chunk(rows.tolist(), begun_s + (upto - 0.5) / RATE_HZ)
        self._sent = upto


class Floats:
    """Rows of unit, channel from 1 and amplitude, with labels."""

    def __init__(self, name: str) -> None:
        info = pylsl.StreamInfo(name, "Ephys", 3, 0.0, "float32", "floats")
        info.desc().append_child_value("n_channels", str(N_CHANNELS))
        columns = info.desc().append_child("channels")
        for label in ("unit", "channel", "amplitude"):
            columns.append_child("channel").append_child_value("label", label)
        self.outlet, self._sent = pylsl.StreamOutlet(info), 0

    def push_until(self, session: Session, t: float, begun_s: float) -> None:
        events = session.events
        assert events is not None
        upto = int(np.searchsorted(events.time, t))
        for i in range(self._sent, upto):
            row = [1.0, float(events.channel[i]) + 1.0, -51.5]
            self.outlet.push_sample(row, begun_s + float(events.time[i]))
        self._sent = upto


def matched(path: Path, session: Session) -> int:
    """Number of events recorded, each at its place in the session by time and channel."""
    found = read_session(path).events
    assert found is not None
    assert session.events is not None
    n = len(found.time)
    first = 3000 - n
    kept = replace(session.events, time=session.events.time[first:], channel=session.events.channel[first:])
    np.testing.assert_array_equal(found.channel, kept.channel)
    np.testing.assert_allclose(np.diff(found.time), np.diff(kept.time), atol=2e-4)
    return n


def test_rasters_and_labelled_floats_are_recorded_and_voltage_and_markers_are_not(
    rig: LoopbackRig, stream: str, session: Session
) -> None:
    codes = pylsl.StreamOutlet(pylsl.StreamInfo(f"{stream}-volts", "Markers", 1, 0.0, "int32", "codes"))
    names: dict[str, list[str]] = {"raster": [], "floats": ["--first-channel", "1"], "volts": []}
    sources: list[Any] = [Raster(f"{stream}-raster"), Floats(f"{stream}-floats")]
    for name, options in names.items():
        given = ["record", "--stream", f"{stream}-{name}", "--output", str(rig.folder / f"{name}.h5")]
        rig.start(name, [*given, *options])
    for name in ("raster", "floats"):
        rig.await_line(name, "recording", 30)
    playing = Playing(session, [*sources, Raster(f"{stream}-volts", voltage=True)])
    with playing:
        rig.await_line("volts", "look like voltage", 20)

        time.sleep(DURATION_S + 1.0)
        for name in names:
            rig.end(name)
    for name, layout in (("raster", "raster"), ("floats", "events (channel=1,unit=0,seq=-)")):
        assert f"as {layout} to" in rig.stderr(name)
        assert matched(rig.folder / f"{name}.h5", session) > 2500
    assert not (rig.folder / "volts.h5").exists()
    assert codes is not None


def test_a_raster_is_decoded_live_as_offline(
    rig: LoopbackRig, serve: Any, replay: Any, simulated_session: Path, simulated_model: Path
) -> None:
    recording, again = rig.folder / "live.h5", rig.folder / "again.h5"
    served = serve(simulated_model, "--record", str(recording))
    replay(simulated_session, "--layout", "raster", "--period", "0.5", "--wait", "30", "--speed", "1")
    served.subscriber.until(lambda m: m["bin"] >= 300)
    status = served.request(cmd="status")
    served.end()
    assert status["stream"]["layout"] == "raster"
    assert status["stream"]["effective_rate_hz"] == pytest.approx(2000.0, rel=1e-3)
    assert status["warnings"] == []
    assert status["counters"]["spikes"] > 500
    assert status["counters"]["lost"] == status["counters"]["late_dropped"] == 0
    document_here("decode", recording, "--model", simulated_model, "--output", again)
    live, offline = read_session(recording).decoded, read_session(again).decoded
    assert live is not None
    assert offline is not None
    np.testing.assert_array_equal(live.values, offline.values)
