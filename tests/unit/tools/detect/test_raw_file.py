"""Voltage is found in each kind of file, in either order, and what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from rtdecode.errors import RtdecodeError
from rtdecode.session.layout import Events, Session
from rtdecode.session.write import write_session
from rtdecode.tools.detect.raw_file import opened
from rtdecode.tools.detect.voltage import RawOptions

VOLTAGE = np.arange(-300, 300, dtype=np.int16).reshape(200, 3)
BINARY = RawOptions(n_channels=3, rate_hz=30_000.0, dtype="int16")
RATE = RawOptions(rate_hz=30_000.0)


def write(path: Path, kind: str, array: np.ndarray) -> Path:
    if kind == "h5":
        with h5py.File(path, "w") as file:
            file["a/voltage"], file["a/time"] = array, np.zeros(200)
    elif kind == "bin":
        array.tofile(path)
    else:
        with path.open("wb") as binary:
            if kind == "npy":
                np.save(binary, array)
            else:
                np.savez_compressed(binary, voltage=array)
    return path


@pytest.mark.parametrize("kind", ["h5", "npy", "npz", "bin"])
@pytest.mark.parametrize("order", ["C", "F", "channel-major"])
def test_each_kind_of_file_is_read_in_pieces(tmp_path: Path, kind: str, order: str) -> None:
    array = VOLTAGE.T.copy() if order == "channel-major" else np.array(VOLTAGE, order=order)  # type: ignore[call-overload]
    path = write(tmp_path / "raw", kind, array)
    stated = BINARY if kind == "bin" else RATE
    if kind == "bin" and order == "channel-major":
        stated = RawOptions(n_channels=3, rate_hz=30_000.0, dtype="int16", channel_major=True)
    with opened(path, stated) as raw:
        assert (raw.n_samples, raw.n_channels, raw.rate_hz, raw.start_s) == (200, 3, 30_000.0, 0.0)
        assert raw.channel_major == (order == "channel-major")
        np.testing.assert_array_equal(
            np.concatenate([raw.read(begin, begin + 70) for begin in range(0, 200, 70)]), VOLTAGE
        )
        assert not raw.notes


def test_other_types_and_byte_orders_are_read(tmp_path: Path) -> None:
    for dtype in (">i2", "<f4", "u2"):
        path = write(tmp_path / "raw", "npy", np.abs(VOLTAGE).astype(dtype))
        with opened(path, RATE) as raw:
            np.testing.assert_array_equal(raw.read(0, 200), np.abs(VOLTAGE))
    path = write(tmp_path / "raw", "bin", VOLTAGE.astype("<f4"))
    with opened(path, RawOptions(n_channels=3, rate_hz=3e4, dtype="float32")) as raw:
        np.testing.assert_array_equal(raw.read(0, 200), VOLTAGE)


def test_rate_and_start_of_nwb_are_used(tmp_path: Path) -> None:
    path = tmp_path / "day.nwb"
    with h5py.File(path, "w") as file:
        file["acquisition/ElectricalSeries/data"] = VOLTAGE
        file["acquisition/ElectricalSeries/starting_time"] = 12.5
        file["acquisition/ElectricalSeries/starting_time"].attrs["rate"] = 24_414.0625
        file["acquisition/position/data"] = np.zeros((300, 2))
    for name in ("/acquisition/ElectricalSeries", "acquisition/ElectricalSeries/data"):
        with opened(path, RawOptions(dataset=name)) as raw:
            assert (raw.rate_hz, raw.start_s, raw.n_channels) == (24_414.0625, 12.5, 3)
            assert raw.where == f"{path}:/acquisition/ElectricalSeries/data"
    with opened(path, RawOptions(dataset=name, rate_hz=24_414.0, start_s=-1.0)) as raw:
        assert (raw.rate_hz, raw.start_s) == (24_414.0, -1.0)
    with (
        pytest.raises(RtdecodeError, match=r"states a rate of 24414\.1 Hz, and --rate is 30000"),
        opened(path, RawOptions(dataset=name, rate_hz=3e4)),
    ):
        pass
    with pytest.raises(RtdecodeError, match=r"2 2-D arrays.*--dataset: /acquisition/E.*, /acquisition/pos"):
        opened(path, RATE).__enter__()
    with pytest.raises(RtdecodeError, match="lacks a dataset acquisition"):
        opened(path, RawOptions(dataset="acquisition")).__enter__()
    with h5py.File(path, "a") as file:
        file["acquisition/ElectricalSeries"].attrs["neurodata_type"] = "ElectricalSeries"
    with opened(path, RawOptions()) as raw:
        assert raw.where.endswith("ElectricalSeries/data")


def test_float32_that_is_read_as_integers_is_noted(tmp_path: Path) -> None:
    volts = np.random.default_rng(0).normal(size=(2000, 4)).astype(np.float32)
    path = write(tmp_path / "raw", "bin", volts)
    with opened(path, RawOptions(n_channels=4, rate_hz=3e4, dtype="int16")) as raw:
        assert raw.notes == ("the values look like float32, and are read as int16",)
    for counts in (np.round(40 * volts), np.round(40 * volts) + 500, np.zeros((2000, 4)), 3000 * volts):
        path = write(tmp_path / "raw", "bin", counts.astype(np.int16))
        with opened(path, RawOptions(n_channels=4, rate_hz=3e4, dtype="int16")) as raw:
            assert not raw.notes


def test_another_number_of_channels_is_noted(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    t = np.arange(3000)[:, np.newaxis] / 30_000
    potential = 200 * np.sin(2 * np.pi * 20 * t + rng.uniform(0, 6, 24))
    path = write(tmp_path / "raw", "bin", (potential + 10 * rng.normal(size=(3000, 24))).astype(np.int16))
    for n_channels, notes in ((16, 1), (20, 1), (24, 0), (48, 0), (30, 1)):
        with opened(path, RawOptions(n_channels=n_channels, rate_hz=3e4, dtype="int16")) as raw:
            assert len(raw.notes) == notes
            assert not notes or "the values repeat every 24" in raw.notes[0]
    white = write(tmp_path / "white", "bin", (10 * rng.normal(size=(3000, 24))).astype(np.int16))
    with opened(white, RawOptions(n_channels=16, rate_hz=3e4, dtype="int16")) as raw:
        assert not raw.notes


@pytest.mark.parametrize(
    ("kind", "array", "stated", "what"),
    [
        ("bin", VOLTAGE, RATE, "does not state its channels. Fix: give --channels 96"),
        ("bin", VOLTAGE, RawOptions(n_channels=3, rate_hz=3e4), "does not state its dtype"),
        ("bin", VOLTAGE, RawOptions(n_channels=3, dtype="int16"), "does not state its rate"),
        (
            "bin",
            VOLTAGE,
            RawOptions(n_channels=7, rate_hz=3e4, dtype="int16"),
            "holds 1200 bytes, not a whole number of samples: one of 7 channels in int16 is 14 bytes, and 10",
        ),
        ("bin", VOLTAGE[:0], BINARY, "is empty"),
        ("bin", np.frombuffer(b"NEURALCD" + b"\0\1" * 296, np.int16), BINARY, "is a Blackrock .nsx file"),
        ("npy", VOLTAGE, RawOptions(), "does not state its rate. Fix: give it, such as --rate"),
        ("npy", VOLTAGE, BINARY, "cannot use --dtype"),
        ("npy", VOLTAGE, RawOptions(rate_hz=3e4, dataset="x"), "cannot use --dataset"),
        ("npy", VOLTAGE, RawOptions(rate_hz=3e4, n_channels=4), "has 3 channels, not 4"),
        ("npy", VOLTAGE, RawOptions(rate_hz=3e4, start_s=np.nan), "starts at nan s"),
        ("npy", VOLTAGE[:20], RATE, "either could be the channels"),
        ("npy", VOLTAGE.ravel(), RATE, r"has shape \(600,\)"),
        ("npy", VOLTAGE > 0, RATE, "holds bool"),
        ("npy", VOLTAGE.astype(complex), RATE, "holds complex128"),
        ("npy", VOLTAGE.astype(object), RATE, "cannot be read"),
        ("h5", VOLTAGE, RawOptions(), "does not state its rate"),
        ("h5", VOLTAGE, RawOptions(dataset="a/b"), "lacks a dataset a/b.*--dataset: /a/voltage"),
        ("h5", VOLTAGE[0], RATE, "holds no 2-D arrays"),
        ("npz", VOLTAGE, RawOptions(rate_hz=3e4, dataset="x"), "none called x.*--dataset: voltage"),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, kind: str, array: np.ndarray, stated: RawOptions, what: str
) -> None:
    path = write(tmp_path / "raw", kind, array)
    with pytest.raises(RtdecodeError, match=what), opened(path, stated):
        pass


def test_an_odd_number_of_values_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "raw", "bin", VOLTAGE[:5])
    with opened(path, BINARY) as raw:
        assert raw.n_samples == 5


def test_shapes_of_either_order_are_decided_by_what_is_stated(tmp_path: Path) -> None:
    path = write(tmp_path / "raw", "npy", VOLTAGE[:20])
    with opened(path, RawOptions(rate_hz=3e4, n_channels=3)) as raw:
        assert (raw.n_channels, raw.channel_major) == (3, False)
    with opened(path, RawOptions(rate_hz=3e4, n_channels=20)) as raw:
        assert (raw.n_channels, raw.channel_major) == (20, True)
    with opened(path, RawOptions(rate_hz=3e4, channel_major=True)) as raw:
        assert (raw.n_channels, raw.n_samples) == (20, 3)


def test_a_session_and_what_is_no_file_are_refused(tmp_path: Path) -> None:
    session = tmp_path / "s.h5"
    write_session(session, Session(2, Events(np.zeros(1), np.zeros(1, np.uint16))))
    cut = tmp_path / "cut.npz"
    write(tmp_path / "raw", "npz", VOLTAGE)
    cut.write_bytes((tmp_path / "raw").read_bytes()[:200])
    for path, what in (
        (session, "is a session file, which holds spikes"),
        (tmp_path / "none", "cannot be read"),
        (tmp_path, "cannot be read"),
        (cut, "is damaged"),
    ):
        with pytest.raises(RtdecodeError, match=what), opened(path, RATE):
            pass
