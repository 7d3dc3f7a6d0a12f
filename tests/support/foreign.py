"""Recordings of other programs in memory, with known content."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.tools.files.recording import F8, BinnedSpikes, Recording, Rows, Series, SpikeTimes, UnitTable

UNITS = UnitTable(
    ids=("1011", "1012", "1021", "2011"),
    electrodes=("101", "101", "102", "201"),
    numbers=np.array([1, 2, 0, 255]),
    arrays=("M1", "M1", "M1", "PMd"),
    position=np.array([[0, 0], [0, 0], [0.4, 0], [9, 9]], "f4"),
    columns={"quality": np.array(["good", "bad", "good", "good"]), "snr": np.array([4.0, 1.5, 3.0, 2.0])},
)
SECONDS = 60.0
RNG = np.random.default_rng(3)
TIMES = [np.sort(RNG.uniform(10, 10 + SECONDS, n)) for n in (600, 500, 400, 300)]


def spike_times(times: list[F8] = TIMES, units: UnitTable = UNITS, **changes: Any) -> SpikeTimes:
    """Spikes of these times, a list for each unit."""

    def read(rows: Rows) -> tuple[F8, NDArray[np.uint32]]:
        chosen = [times[row] for row in rows]
        return np.concatenate(chosen), np.repeat(np.asarray(rows, np.uint32), [len(each) for each in chosen])

    return replace(SpikeTimes("units", units, sum(map(len, times)), read), **changes)


def binned(stamp: F8, values: NDArray[Any], units: UnitTable = UNITS, **changes: Any) -> BinnedSpikes:
    """Bins of these stamps and values [T, units]."""

    def read(columns: Rows) -> tuple[F8, F8]:
        return stamp, values[:, columns].astype(np.float64)

    return replace(BinnedSpikes("bins", units, len(stamp), None, None, read), **changes)


def series(
    name: str = "hand",
    time: F8 | None = None,
    values: NDArray[Any] | None = None,
    columns: tuple[str, ...] = ("x", "y"),
    role: str = "behavior",
    unit: str = "mm",
) -> Series:
    """Samples of these values; by default a circle at 100 Hz."""
    at = np.arange(10, 10 + SECONDS, 0.01) if time is None else time
    of = np.stack([np.sin(at), np.cos(at)], axis=1) if values is None else values
    return Series(name, columns, (unit,) * len(columns), len(at), 100.0, role, lambda: (at, of.astype("f8")))


def recording(**parts: Any) -> Recording:
    """A recording with spikes and a hand, or other parts."""
    return Recording(
        Path("foreign.xyz"), "XYZ 1", **{"spikes": (spike_times(),), "series": (series(),)} | parts
    )
