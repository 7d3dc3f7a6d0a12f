"""A detection is read back from a session file, and gives the same spikes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from voltage import RATE_HZ, recording

from rtdecode.detection.detector import SpikeDetector
from rtdecode.detection.recorded import detection_of, recorded
from rtdecode.detection.settings import DetectionSettings, Measured, PowerSettings
from rtdecode.errors import RtdecodeError
from rtdecode.session.layout import Events, Session
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session


@pytest.mark.parametrize("reference", ["none", "car", "lrr"])
def test_a_recorded_detection_gives_the_same_spikes(tmp_path: Path, reference: str) -> None:
    samples, _ = recording(0.5, 3, 4)
    how = DetectionSettings(reference=reference, noise_s=0.2, threshold_sd=-3.7)  # type: ignore[arg-type]
    live = SpikeDetector(3, RATE_HZ, how)
    found = live.process(samples).crossings
    assert live.measured is not None
    of_power = PowerSettings(measure="rms", bin_width_s=0.005)
    kept = recorded(RATE_HZ, how, live.measured, of_power)
    path = tmp_path / "s.h5"
    write_session(path, Session(3, Events(found.sample / RATE_HZ, found.channel), detection=kept))
    rate_hz, settings, measured, power = detection_of(read_session(path))
    assert power == of_power
    assert (rate_hz, settings) == (RATE_HZ, how)
    again = SpikeDetector(3, rate_hz, settings, measured).process(samples).crossings
    assert again.sample.size > 20
    np.testing.assert_array_equal(again.sample, found.sample)
    np.testing.assert_array_equal(again.channel, found.channel)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "s.h5"
    session = Session(3, Events(np.zeros(1), np.zeros(1, np.uint16)))
    with pytest.raises(RtdecodeError, match="does not say how its events were detected"):
        detection_of(session)
    write_session(
        path, replace(session, detection=recorded(RATE_HZ, DetectionSettings(), Measured(np.ones(3))))
    )
    with h5py.File(path, "a") as file:
        file["detection"].attrs["settings"] = '{"rate_hz": 30000.0, "wavelet": 3}'
    with pytest.raises(RtdecodeError, match="settings of detection that cannot be read"):
        detection_of(read_session(path))
    with h5py.File(path, "a") as file:
        file["detection/noise"][1] = np.nan
    with pytest.raises(RtdecodeError, match="noise: holds NaN or infinity"):
        read_session(path)
    with h5py.File(path, "a") as file:
        file["detection/noise"][1] = 1.0
        file["detection/weights"] = np.zeros((3, 2))
    with pytest.raises(RtdecodeError, match="weights: has shape"):
        read_session(path)
    with h5py.File(path, "a") as file:
        del file["detection/weights"]
        file["detection"].attrs["settings"] = "[]"
    with pytest.raises(RtdecodeError, match="settings is not a JSON object"):
        read_session(path)
