"""Open what neo reads here: Open Ephys, Intan and Neuralynx."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from rtdecode.tools.files.recording import Recording
from rtdecode.tools.files.vendor.binary import first_bytes
from rtdecode.tools.files.vendor.neo import oebin
from rtdecode.tools.files.vendor.neo.mapped import EVERYTHING, mapped
from rtdecode.tools.files.vendor.neo.quiet import import_rawio, quiet

RHD, RHS = b"\x02\x27\x91\xc6", b"\xac\x27\x91\xd6"
NEURALYNX = b"######## Neuralynx"
OPEN_EPHYS = b"header.format = 'Open Ephys Data Format'"
#: Gaps up to this are bridged; longer ones begin a new segment.
GAP_MS = 100.0
#: Of Open Ephys' old format neo 0.14 gives no spike unless it is told the time, and miscounts them.
ALL_TIME = (-1e9, 1e9)


def is_neo(path: Path) -> bool:
    """Whether `path` is a file or folder of Open Ephys, Intan or Neuralynx."""
    return _system(path) is not None


def open_neo(path: Path) -> Recording:
    """What a file or folder holds.

    Raises:
        RtdecodeError: neo is not installed, or the file is damaged.
    """
    system, root = _system(path) or ("", path)
    rawio = import_rawio(path)
    with quiet(path):
        raw: Any
        if system.startswith("Intan"):
            raw = rawio.IntanRawIO(filename=str(path))
        elif system == "Neuralynx":
            raw = rawio.NeuralynxRawIO(dirname=str(root), keep_original_times=True, gap_tolerance_ms=GAP_MS)
        elif system == "Open Ephys binary":
            raw = rawio.OpenEphysBinaryRawIO(dirname=str(root))
        else:
            raw = rawio.OpenEphysRawIO(dirname=str(root))
        raw.parse_header()
    recording = mapped(raw, path, system, ALL_TIME if system == "Open Ephys" else EVERYTHING)
    if system == "Open Ephys binary":
        found = oebin.spikes(root)
        return replace(recording, spikes=(*recording.spikes, *found))
    return recording


def _system(path: Path) -> tuple[str, Path] | None:
    """The recording system, and the file or folder that neo opens for it."""
    if path.is_dir():
        # Below a folder of nodes, experiments and recordings; a disk is not searched.
        with suppress(OSError):  # a folder below that vanished
            if any(next(path.glob("*/" * depth + "structure.oebin"), None) for depth in range(5)):
                return "Open Ephys binary", path
        files = [each for each in path.iterdir() if each.suffix.lower() in (*_CHEETAH, *_LEGACY)]
        return next((found for each in files if (found := _system(each))), None)
    head = first_bytes(path, 64)
    if head[:4] in (RHD, RHS):
        return ("Intan RHD" if head[:4] == RHD else "Intan RHS"), path
    if head.startswith(NEURALYNX):
        return "Neuralynx", path.parent
    if head.startswith(OPEN_EPHYS):
        return "Open Ephys", path.parent
    return ("Open Ephys binary", path.parent) if path.name == "structure.oebin" else None


_CHEETAH = (".ncs", ".nse", ".ntt", ".nst", ".nev")
_LEGACY = (".continuous", ".spikes", ".events")
