"""A small NWB file by h5py, as many writers leave them: spikes of units, and a hand."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

SECONDS = 40.0


def write_small_nwb(path: Path, *, n_units: int = 6, behaviors: tuple[str, ...] = ("hand",)) -> Path:
    """Write a file of `n_units` units that fire with a hand's movement, for 40 s."""
    rng = np.random.default_rng(1)
    at = np.arange(0, SECONDS, 0.02)
    place = np.stack([np.sin(at), np.cos(1.3 * at)], axis=1)
    times = [np.sort(rng.uniform(0, SECONDS, int(SECONDS * (10 + unit)))) for unit in range(n_units)]
    with h5py.File(path, "w") as file:
        file.attrs.update(nwb_version="2.7.0", neurodata_type="NWBFile", namespace="core")
        units = file.create_group("units")
        units.attrs.update(neurodata_type="Units", namespace="hdmf-common", colnames=["spike_times"])
        units["spike_times"] = np.concatenate(times)
        units["spike_times_index"] = np.cumsum([len(each) for each in times]).astype("u4")
        units["spike_times_index"].attrs["target"] = units["spike_times"].ref
        units["id"] = np.arange(n_units) * 10
        behavior = file.create_group("processing/behavior")
        behavior.attrs["neurodata_type"] = "ProcessingModule"
        for name in behaviors:
            series = behavior.create_group(name)
            series.attrs.update(neurodata_type="TimeSeries", comments="columns=[x,y]", description="a hand")
            series["data"] = place
            series["data"].attrs.update(unit="m", conversion=0.5)
            series["timestamps"] = at
    return path
