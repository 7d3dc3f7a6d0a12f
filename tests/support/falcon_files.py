"""Data sets in FALCON's format, by pynwb as the challenge's own preprocessing writes them: M1 and M2."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pynwb
from hdmf.common import VectorData, VectorIndex
from pynwb.behavior import BehavioralTimeSeries
from pynwb.misc import Units

BIN_S = 0.02
MUSCLES = tuple(f"muscle_{i:02d}" for i in range(16))


def write_m2(path: Path, seed: int, n_bins: int, *, n_channels: int = 96) -> Path:
    """Velocities of two fingers, stamped with the starts of their bins; two trials, a tenth masked."""
    start = np.arange(n_bins) * BIN_S
    values, times = _moved(seed, n_bins, 2, n_channels, start)
    return _write(path, "finger_vel", ("index", "mrs"), values, start, times)


def write_m1(path: Path, seed: int, n_bins: int, *, n_channels: int = 64) -> Path:
    """Activity of 16 muscles, stamped with the ends of their bins."""
    end = np.arange(1, n_bins + 1) * BIN_S
    values, times = _moved(seed, n_bins, len(MUSCLES), n_channels, end - BIN_S)
    return _write(path, "preprocessed_emg", MUSCLES, values, end, times)


def _moved(seed: int, n_bins: int, n_outputs: int, n_channels: int, start: np.ndarray) -> Any:
    """Smooth behaviour, and spikes that follow it, each well inside its bin."""
    # All files of a data set have the same array and the same two degrees of freedom.
    fixed = np.random.default_rng(0)
    tuning, mixing = fixed.normal(size=(2, n_channels)), fixed.normal(size=(2, n_outputs))
    rng = np.random.default_rng(seed)
    moved = np.sin(2 * np.pi * (np.array([0.5, 0.8]) * start[:, None] + rng.uniform(0, 1, 2)))
    counts = rng.poisson(np.exp(-1.5 + 0.8 * moved @ tuning).clip(max=3.0))
    times = [np.repeat(start, each) + rng.uniform(0.002, 0.018, each.sum()) for each in counts.T]
    return 0.01 * moved @ mixing, [np.sort(each) for each in times]


def _units(times: Any, end_s: float) -> Units:
    spikes = VectorData(name="spike_times", description="s", data=np.concatenate(times))
    observed = VectorData(name="obs_intervals", description="s", data=np.array([[0.0, end_s]] * len(times)))
    ends = {
        "spike_times": np.cumsum([len(each) for each in times]),
        "obs_intervals": np.arange(len(times)) + 1,
    }
    indices = [
        VectorIndex(name=f"{of.name}_index", target=of, data=ends[of.name]) for of in (spikes, observed)
    ]
    columns = [indices[0], spikes, indices[1], observed]
    return Units(
        name="units", description="units", columns=columns, colnames=list(ends), id=list(range(len(times)))
    )


def _write(
    path: Path, name: str, columns: tuple[str, ...], values: np.ndarray, stamps: np.ndarray, times: Any
) -> Path:
    file = pynwb.NWBFile(
        session_description="a data set in FALCON's format",
        identifier=path.stem,
        session_start_time=datetime(2020, 10, 19, tzinfo=UTC),
    )
    end_s = len(stamps) * BIN_S
    file.units = _units(times, end_s)
    container = BehavioralTimeSeries(name=name)
    for column, each in zip(columns, values.T, strict=True):
        container.create_timeseries(
            name=column, data=each, unit="AU", timestamps=stamps, comments=f"columns=[{column}]"
        )
    file.add_acquisition(container)
    mask = np.ones(len(stamps), bool)
    mask[: len(mask) // 10] = False
    file.add_acquisition(
        pynwb.TimeSeries(
            name="eval_mask", description="what is scored", data=mask, timestamps=stamps, unit="bool"
        )
    )
    file.add_trial(start_time=float(stamps[0]), stop_time=end_s / 2)
    file.add_trial(start_time=float(stamps[len(stamps) // 2]), stop_time=end_s)
    path.parent.mkdir(parents=True, exist_ok=True)
    with pynwb.NWBHDF5IO(str(path), "w") as io:
        io.write(file)
    return path
