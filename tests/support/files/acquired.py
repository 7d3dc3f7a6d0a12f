"""Write small recordings of Open Ephys (binary) and Intan (RHD 2.0) by their published layouts."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def write_open_ephys(root: Path, samples: NDArray[np.int16], first: int, spikes: NDArray[np.int64]) -> Path:
    """One recording at 30 kHz of CH1 and ADC1.

    Args:
        root: folder of the recording node.
        samples: i2[n, 2].
        first: number of the first sample.
        spikes: i8[k, 3], sample number, electrode from 1 and cluster of each.

    Returns:
        The folder of the recording.
    """
    folder = root / "experiment1" / "recording1"
    names = (
        "continuous/Acquisition_Board-100.0",
        "spikes/Spikes-100.0",
        "events/Acquisition_Board-100.0/TTL",
    )
    continuous, spiked, ttl = (folder / name for name in names)
    for each in (continuous, spiked, ttl):
        each.mkdir(parents=True)
    (continuous / "continuous.dat").write_bytes(samples.astype("<i2").tobytes())
    numbers = first + np.arange(len(samples))
    arrays = {continuous: {"sample_numbers": numbers, "timestamps": numbers / 30_000}}
    arrays[spiked] = {"sample_numbers": spikes[:, 0], "timestamps": spikes[:, 0] / 30_000}
    arrays[spiked] |= {"electrode_indices": spikes[:, 1].astype("u2"), "clusters": spikes[:, 2].astype("u2")}
    edges = first + np.array([300, 600, 900, 1500])
    arrays[ttl] = {
        "sample_numbers": edges,
        "timestamps": edges / 30_000,
        "states": np.array([1, -1, 1, -1], "i2"),
    }
    arrays[ttl]["full_words"] = np.array([1, 0, 1, 0], "u8")
    for place, named in arrays.items():
        for name, array in named.items():
            np.save(place / f"{name}.npy", array)
    source = {
        "source_processor_name": "Acquisition Board",
        "source_processor_id": 100,
        "stream_name": "Board",
    }
    source |= {"recorded_processor": "Record Node", "recorded_processor_id": 101, "sample_rate": 30_000}
    channels = [
        {"channel_name": "CH1", "bit_volts": 0.195, "units": ""},
        {"channel_name": "ADC1", "bit_volts": 0.0005, "units": "V"},
    ]
    described = {
        "GUI version": "0.6.4",
        "continuous": [
            source | {"folder_name": "Acquisition_Board-100.0/", "num_channels": 2, "channels": channels}
        ],
        "events": [
            source | {"folder_name": "Acquisition_Board-100.0/TTL/", "channel_name": "TTL", "type": "int16"}
        ],
        "spikes": [source | {"folder_name": "Spikes-100.0/", "name": "Spikes", "num_channels": 1}],
    }
    (folder / "structure.oebin").write_text(json.dumps(described))
    return folder


def write_rhd(path: Path, voltage: NDArray[np.uint16], adc: NDArray[np.uint16]) -> None:
    """An RHD file at 20 kHz of one electrode and one input of the board, u2[n] each, n a multiple of 128."""

    def text(said: str) -> bytes:
        encoded = said.encode("utf-16-le")
        return struct.pack("<I", len(encoded)) + encoded

    header = struct.pack("<Ihh", 0xC6912702, 2, 0) + struct.pack("<fh6fhff", 20_000, 0, *(0.0,) * 6, 0, 0, 0)
    header += text("") * 3 + struct.pack("<hh", 0, 0) + text("") + struct.pack("<h", 1)
    header += text("Port A") + text("A") + struct.pack("<hhh", 1, 2, 1)
    for name, kind in (("A-000", 0), ("ANALOG-IN-1", 3)):
        header += text(name) * 2 + struct.pack("<10hff", 0, 0, kind, 1, 0, 0, 0, 0, 0, 0, 0, 0)
    blocks = b""
    for first in range(0, len(voltage), 128):
        part = slice(first, first + 128)
        stamps = np.arange(first, first + 128, dtype="<i4")
        blocks += stamps.tobytes() + voltage[part].astype("<u2").tobytes() + adc[part].astype("<u2").tobytes()
    path.write_bytes(header + blocks)


def write_legacy_open_ephys(folder: Path, spikes: NDArray[np.int64], first: int) -> None:
    """A recording of Open Ephys before its binary format: 100_CH1 and the single electrode SE0 at 30 kHz.

    Args:
        folder: of the recording.
        spikes: i8[k, 2], sample number and sorted unit of each.
        first: number of the first of 1,024 samples.
    """
    folder.mkdir()
    said = "header.format = 'Open Ephys Data Format';\nheader.version = 0.4;\nheader.header_bytes = 1024;\n"
    said += "header.date_created = '30-Nov-2026 91500';\n"
    said += "header.sampleRate = 30000;\nheader.blockLength = 1024;\nheader.bufferSize = 1024;\n"
    one = (said + "header.bitVolts = 0.195;\nheader.num_channels = 1;\n").encode().ljust(1024)
    block = struct.pack("<qHH", first, 1024, 0) + bytes(2048) + bytes(range(9)) + b"\xff"
    (folder / "100_CH1.continuous").write_bytes(one + block)
    shape = (0, 1, 4)  # source, channels and samples of a waveform
    data = b"".join(
        struct.pack(
            "<BqqHHHHHH3B2fH4HfHH",
            4,
            at,
            0,
            *shape,
            unit,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            30_000,
            1,
            2,
            3,
            4,
            1000,
            0,
            0,
        )
        for at, unit in spikes.tolist()
    )
    (folder / "SE0.spikes").write_bytes(one + data)


def write_neuralynx(folder: Path, spikes: NDArray[np.int64], events: dict[int, str]) -> None:
    """A folder of Cheetah 5.6 with a single electrode and its events.

    Args:
        folder: of the recording.
        spikes: i8[k, 2], microseconds and cluster of each.
        events: text by microseconds.
    """
    folder.mkdir()
    lines = ["######## Neuralynx Data File Header", "## File Name C:\\day\\SE1.nse"]
    lines += ["## Time Opened (m/d/y): 11/28/2016  (h:m:s.ms) 21:50:33.322"]
    lines += ["## Time Closed (m/d/y): 11/28/2016  (h:m:s.ms) 22:44:41.145", "-CheetahRev 5.6.3"]
    lines += ["-SamplingFrequency 32000", "-ADMaxValue 32767", "-ADBitVolts 0.0000000305", "-NumADChannels 1"]
    lines += ["-InputRange 1000", "-InputInverted True", "-WaveformLength 32"]
    electrode, all_events = (
        "\r\n".join([*lines, *named, ""]).encode().ljust(1 << 14, b"\0")
        for named in (["-AcqEntName SE1", "-ADChannel 7"], ["-AcqEntName Events"])
    )
    data = (struct.pack("<QII8I32h", at, 7, unit, *(0,) * 40) for at, unit in spikes.tolist())
    (folder / "SE1.nse").write_bytes(electrode + b"".join(data))
    rows = (
        struct.pack("<hhhQhhhhh8i128s", 0, 0, 2, at, 11, 0, 0, 0, 0, *(0,) * 8, text.encode())
        for at, text in events.items()
    )
    (folder / "Events.nev").write_bytes(all_events + b"".join(rows))
