"""Spikes of Open Ephys' binary format, which neo leaves out: arrays of NumPy beside structure.oebin."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.tools.files.recording import SpikeTimes
from rtdecode.tools.files.tables.arrays import DAMAGED
from rtdecode.tools.files.tables.labels import Labels
from rtdecode.tools.files.vendor.binary import broken


def spikes(root: Path) -> tuple[SpikeTimes, ...]:
    """All spikes of the recordings below a folder: a source for each folder of spikes.

    Raises:
        RtdecodeError: the description or an array is damaged, or a folder holds several recordings.
    """
    structures = sorted(root.rglob("structure.oebin"))
    if len(structures) > 1 and any(_streams(each) for each in structures):
        first = structures[0].parent
        raise broken(
            root, f"it holds {len(structures)} recordings with spikes: name the folder of one, {first}"
        )
    return tuple(_source(folder, stream) for each in structures for folder, stream in _streams(each))


def _streams(structure: Path) -> list[tuple[Path, dict[str, Any]]]:
    """The folder and description of each stream of spikes."""
    try:
        described = json.loads(structure.read_text("utf-8"))
        found = [
            (structure.parent / "spikes" / each["folder_name"], dict(each))
            for each in described.get("spikes", [])
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise broken(structure, f"its description of spikes is damaged: {error}") from error
    return [(folder, each) for folder, each in found if folder.is_dir()]


def _source(folder: Path, stream: dict[str, Any]) -> SpikeTimes:
    """Electrodes count from 1 in their array; files since version 0.6 have seconds, before that samples."""
    electrodes = _array(folder, "electrode_indices", "spike_electrode_indices")
    clusters = _array(folder, "clusters", "spike_clusters")
    if (folder / "sample_numbers.npy").exists():
        time = _array(folder, "timestamps").astype(np.float64)
    else:
        time = _array(folder, "spike_times").astype(np.float64) / _rate(folder, stream)
    if not len(time) == len(electrodes) == len(clusters):
        raise broken(
            folder, f"it has {len(time)} times, {len(electrodes)} electrodes and {len(clusters)} clusters"
        )
    labels = Labels()
    pairs = np.stack((electrodes.astype(np.int64), clusters.astype(np.int64)), axis=1)
    met, inverse = np.unique(pairs, axis=0, return_inverse=True)
    number = labels.number((str(electrode), str(cluster)) for electrode, cluster in met.tolist())
    return labels.spikes(folder.name, time, number[inverse.ravel()])


def _rate(folder: Path, stream: dict[str, Any]) -> float:
    try:
        rate = float(stream["sample_rate"])
    except (KeyError, TypeError, ValueError) as error:
        raise broken(folder, "its description has no sample_rate") from error
    if not rate > 0:
        raise broken(folder, f"its description has the sample_rate {rate:g}")
    return rate


def _array(folder: Path, *names: str) -> NDArray[Any]:
    for path in (folder / f"{name}.npy" for name in names):
        if path.exists():
            try:
                array: NDArray[Any] = np.load(path, allow_pickle=False).ravel()
            except DAMAGED as error:
                raise broken(path, str(error)) from error
            if array.dtype.kind not in "iuf":
                raise broken(path, f"it holds {array.dtype}, not numbers")
            return array
    raise broken(folder, f"it has no {names[0]}.npy")
