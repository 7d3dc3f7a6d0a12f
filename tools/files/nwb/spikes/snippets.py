"""Spikes as SpikeEventSeries: one a channel or electrode, whose waveforms are not read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from rtdecode.tools.files.nwb.access import opened
from rtdecode.tools.files.nwb.electrodes import electrodes_of
from rtdecode.tools.files.recording import F8, Rows, SpikeTimes, UnitTable


def snippets(path: Path, series: Mapping[str, h5py.Group], name: str) -> SpikeTimes:
    """The SpikeEventSeries of one folder of the file, by their paths: a row each."""
    places = list(series)
    electrodes = [electrodes_of(each, _n_electrodes(each)) for each in series.values()]
    return SpikeTimes(
        name=name,
        units=UnitTable(
            ids=tuple(place.rpartition("/")[2] for place in places),
            electrodes=tuple(each.labels[0] if len(each.labels) == 1 else "" for each in electrodes),
        ),
        n_spikes=sum(len(each["timestamps"]) for each in series.values()),
        read=lambda rows: _read(path, places, rows),
    )


def _n_electrodes(series: h5py.Group) -> int:
    return len(series["electrodes"]) if isinstance(series.get("electrodes"), h5py.Dataset) else 1


def _read(path: Path, places: Sequence[str], rows: Rows) -> tuple[F8, NDArray[np.uint32]]:
    with opened(path) as file:
        times = [
            np.asarray(file[places[row]]["timestamps"][()]).astype(np.float64).reshape(-1)
            for row in rows.tolist()
        ]
    counts = [len(each) for each in times]
    return np.concatenate([np.empty(0), *times]), np.repeat(np.asarray(rows, dtype=np.uint32), counts)
