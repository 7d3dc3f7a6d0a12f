"""A file gives the spikes of its chunks; gaps of its stamps are gaps; the command writes a session."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner
from voltage import RATE_HZ, recording

from rtdecode.cli.commands import app
from rtdecode.detection.detector import SpikeDetector
from rtdecode.detection.power import join_bins
from rtdecode.detection.settings import DetectionSettings, PowerSettings
from rtdecode.errors import RtdecodeError
from rtdecode.session.read import read_session
from rtdecode.tools.detect.raw_file import opened
from rtdecode.tools.detect.run import PIECE_BYTES, detect
from rtdecode.tools.detect.voltage import RawOptions

SAMPLES = np.round(recording(1.0, 4, 5)[0]).astype(np.int16)
HOW = DetectionSettings(noise_s=0.4)


def run(*arguments: object) -> Any:
    result = CliRunner().invoke(app, ["detect", *map(str, arguments), "--json"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "raw.bin"
    SAMPLES.tofile(path)
    return path


BINARY = ("--channels", 4, "--rate", 30_000, "--dtype", "int16")


def test_the_command_writes_what_live_detects(tmp_path: Path, raw: Path) -> None:
    live = SpikeDetector(4, RATE_HZ, HOW)
    chunks = [live.process(SAMPLES[begin : begin + 30]).crossings for begin in range(0, len(SAMPLES), 30)]
    sample = np.concatenate([chunk.sample for chunk in chunks])
    assert sample.size > 40
    output = tmp_path / "s.h5"
    told = run(raw, "--output", output, *BINARY, "--noise-seconds", 0.4, "--start", 100)
    session = read_session(output)
    assert session.events is not None
    np.testing.assert_array_equal(session.events.time, 100.0 + sample / RATE_HZ)
    np.testing.assert_array_equal(session.events.channel, np.concatenate([c.channel for c in chunks]))
    assert session.detection is not None
    assert live.measured is not None
    np.testing.assert_array_equal(session.detection.noise, live.measured.noise)
    assert session.detection.settings["threshold_sd"] == -4.5
    assert session.attrs["source"] == told["source"] == str(raw)
    assert told["spikes"] == sample.size
    assert (told["samples"], told["gaps"], told["unknown"]) == (30_000, 0, [0] * 4)
    # Again with what was measured, without measuring: the same file.
    run(raw, "--output", tmp_path / "t.h5", *BINARY, "--start", 100, "--like", output)
    again = read_session(tmp_path / "t.h5")
    assert again.events is not None
    np.testing.assert_array_equal(again.events.time, session.events.time)


def test_options_reach_the_settings(tmp_path: Path, raw: Path) -> None:
    options = ("--reference", "lrr", "--threshold", "-3.5", "--refractory", 2, "--band", 250, 5000)
    more = ("--filter-order", 1, "--polarity", "both", "--noise-seconds", 0.5)
    told = run(raw, "--output", tmp_path / "s.h5", *BINARY, *options, *more)
    assert told["settings"] == {
        "low_hz": 250.0,
        "high_hz": 5000.0,
        "order": 1,
        "threshold_sd": -3.5,
        "polarity": "both",
        "refractory_s": 0.002,
        "reference": "lrr",
        "noise_s": 0.5,
    }
    detection = read_session(tmp_path / "s.h5").detection
    assert detection is not None
    assert detection.weights is not None


def test_a_name_that_exists_is_replaced_only_with_overwrite(tmp_path: Path, raw: Path) -> None:
    output = tmp_path / "s.h5"
    output.write_text("mine")
    with pytest.raises(RtdecodeError, match="exists already"):
        run(raw, "--output", output, *BINARY)
    assert output.read_text() == "mine"
    with pytest.raises(RtdecodeError, match="is read or written by this command already"):
        run(raw, "--output", raw, *BINARY, "--overwrite")
    run(raw, "--output", output, *BINARY, "--overwrite")
    assert read_session(output).n_channels == 4


def test_an_end_in_the_middle_leaves_nothing(
    tmp_path: Path, raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: SpikeDetector, samples: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(SpikeDetector, "process", interrupted)
    line = ["detect", str(raw), "--output", str(tmp_path / "s.h5"), *map(str, BINARY)]
    result = CliRunner().invoke(app, line)
    assert result.exit_code != 0
    assert [path.name for path in tmp_path.iterdir()] == ["raw.bin"]


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (("--threshold", "4.5"), "--threshold: must be negative"),
        (("--reference", "mean"), "--reference: must be one of none, car, median, lrr"),
        (("--band", "3000", "300"), "--band: must be positive, low below high"),
        (("--band", "300", "20000"), "raw.bin: a rate of 30000 Hz cannot hold a band up to 20000 Hz"),
        (("--rate", "4000"), "raw.bin: a rate of 4000 Hz cannot hold a band up to 3000 Hz"),
        (("--reference", "lrr", "--noise-seconds", "0.007"), "raw.bin: .* too few for the regression"),
    ],
)
def test_impossible_settings_are_named_by_option(
    tmp_path: Path, raw: Path, options: tuple[str, ...], what: str
) -> None:
    with pytest.raises(RtdecodeError, match=what):
        run(raw, "--output", tmp_path / "s.h5", *BINARY, *options)
    assert not (tmp_path / "s.h5").exists()


def test_a_session_of_other_voltage_is_refused(tmp_path: Path, raw: Path) -> None:
    like = tmp_path / "s.h5"
    run(raw, "--output", like, *BINARY)
    with pytest.raises(RtdecodeError, match="was detected at 30000 Hz, and"):
        run(raw, "--output", tmp_path / "t.h5", *BINARY, "--rate", 20_000, "--like", like)
    with pytest.raises(RtdecodeError, match="noise of 4 channels is given, and samples of 2"):
        run(raw, "--output", tmp_path / "t.h5", *BINARY, "--channels", 2, "--like", like)
    result = CliRunner().invoke(
        app,
        ["detect", str(raw), "--output", str(tmp_path / "t.h5"), "--like", str(like), "--threshold", "-4"],
    )
    assert result.exit_code == 2


@pytest.mark.parametrize("piece_bytes", [PIECE_BYTES, 4001 * 8])
def test_gaps_of_the_stamps_are_not_taken_for_voltage(tmp_path: Path, piece_bytes: int) -> None:
    stamps = 50.0 + np.arange(len(SAMPLES)) / 30_000.3
    stamps[12_000:] += 0.01
    stamps[20_000:] += 3600.0
    path = tmp_path / "day.nwb"
    with h5py.File(path, "w") as file:
        file["acquisition/v/data"], file["acquisition/v/timestamps"] = SAMPLES.T, stamps
    with opened(path, RawOptions()) as voltage:
        assert voltage.channel_major
        assert voltage.rate_hz == pytest.approx(30_000.3, rel=1e-6)
        found = detect(voltage, HOW, piece_bytes=piece_bytes)
    expected = SpikeDetector(4, voltage.rate_hz, HOW)
    parts = []
    for begin, end in ((0, 12_000), (12_000, 20_000), (20_000, 30_000)):
        parts.append((begin, expected.process(SAMPLES[begin:end]).crossings))
        expected.skip(1)
    time = np.concatenate([stamps[part.sample - number] for number, (_, part) in enumerate(parts)])
    assert found.session.events is not None
    np.testing.assert_array_equal(found.session.events.time, time)
    assert found.n_gaps == 2
    assert found.n_lost == 300 + round(3600 * 30_000.3)
    with opened(path, RawOptions()) as voltage:
        power = PowerSettings(bin_width_s=0.005)
        features = detect(voltage, HOW, None, power, piece_bytes=piece_bytes).session.features
    assert features is not None
    # The end of a bin has the stamp of the sample after it, also behind a gap.
    for at in (20, 70, 110, 180):
        end = round(float(np.interp(features.time[at], stamps, np.arange(len(stamps)))))
        assert features.time[at] == pytest.approx(stamps[end], abs=0.5 / 30_000)
    assert (np.diff(features.time) > 0.0049).all()
    stamps[25_000] = stamps[24_999]
    with h5py.File(path, "a") as file:
        file["acquisition/v/timestamps"][...] = stamps
    with opened(path, RawOptions()) as voltage, pytest.raises(RtdecodeError, match="stamp of sample 25000"):
        detect(voltage, HOW)


def test_power_becomes_features(tmp_path: Path, raw: Path) -> None:
    path, again = tmp_path / "s.h5", tmp_path / "t.h5"
    told = run(raw, "--output", path, *BINARY, "--power", "rms", "--power-bin", "10", "--start", "5")
    power = PowerSettings(measure="rms", bin_width_s=0.01)
    assert told["power"] == asdict(power)
    expected = SpikeDetector(4, 30_000.0, power=power)
    parts = [expected.process(SAMPLES).power, expected.finish().power]
    bins = join_bins([part for part in parts if part is not None], 4)
    features = read_session(path).features
    assert features is not None
    np.testing.assert_array_equal(features.values, bins.values)
    np.testing.assert_allclose(features.time, 5.0 + (bins.bin + 1) * 0.01)
    assert features.names == ("power 0", "power 1", "power 2", "power 3")
    assert features.kinds == ("power",) * 4
    assert features.period_s == 0.01
    run(raw, "--output", again, *BINARY, "--like", path, "--start", "5")
    same = read_session(again).features
    assert same is not None
    np.testing.assert_array_equal(same.values, features.values)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (("--power", "mean"), "--power: must be one of absolute, rms"),
        (("--power", "rms", "--power-band", "900", "300"), "--power-band: must be positive, low below high"),
    ],
)
def test_impossible_power_is_named_by_option(
    tmp_path: Path, raw: Path, options: tuple[str, ...], what: str
) -> None:
    with pytest.raises(RtdecodeError, match=what):
        run(raw, "--output", tmp_path / "s.h5", *BINARY, *options)


def test_dead_channels_and_unknown_samples_are_noted(tmp_path: Path) -> None:
    samples = SAMPLES.astype(np.float32)
    samples[:, 2] = 7.0
    samples[20_000:20_010, 1] = np.nan
    np.save(tmp_path / "raw.npy", samples)
    told = run(tmp_path / "raw.npy", "--output", tmp_path / "s.h5", "--rate", 30_000)
    assert "no spikes, on channel 2" in told["notes"][0]
    assert told["notes"][1].startswith("10 samples are NaN, infinite or at the limit of the converter, on ch")
    assert told["unknown"] == [0, 10, 0, 0]
