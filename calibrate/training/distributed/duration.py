"""The length of a session, without reading it."""

from __future__ import annotations

from pathlib import Path

import h5py


def duration_s(path: Path | str) -> float:
    """Length of the session in `path` in seconds, from the ends of its columns.

    0 where it cannot be determined; `read_session` reports what is wrong with such a file.
    """
    lengths = [0.0]
    try:
        with h5py.File(path, "r") as file:
            if "counts" in file:
                counts = file["counts"]
                lengths.append(len(counts["values"]) * float(counts.attrs["bin_width_s"]))
            for name in ("behavior/time", "events/time", "features/time"):
                if name in file and len(file[name]):
                    lengths.append(float(file[name][-1] - file[name][0]))
    except (OSError, RuntimeError, LookupError, TypeError, ValueError):
        return 0.0
    return max(each if each < float("inf") else 0.0 for each in lengths)
