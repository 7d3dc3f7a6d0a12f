"""Read where the animal was: Trodes' .videoPositionTracking, a text header and packed records."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import F8
from rtdecode.tools.files.recording import Recording, Series

START, END = b"<Start settings>", b"<End settings>"

#: The header is shorter.
MOST_HEADER = 1 << 16

#: Types of fields, by their names in the header, in bytes of the file.
TYPES = {
    f"{kind}{8 * n}": f"<{kind[0]}{n}"
    for kind in ("uint", "int", "float")
    for n in (1, 2, 4, 8)
    if kind != "float" or n > 2
} | {"single": "<f4", "double": "<f8"}


def is_trodes(path: Path) -> bool:
    """Whether a file is one of Trodes with a header of settings, by its first bytes."""
    try:
        with path.open("rb") as file:
            return file.read(len(START)) == START
    except OSError:
        return False


def open_trodes(path: Path) -> Recording:
    """The positions in a file.

    Raises:
        RtdecodeError: it holds others than positions, or its header is damaged.
    """
    with path.open("rb") as file:
        head = file.read(MOST_HEADER)
    end = head.find(END)
    end = head.find(b"\n", end) + 1 if end >= 0 else 0
    settings = {
        key.strip().lower(): value.strip()
        for key, _, value in (line.partition(":") for line in head[:end].decode("latin-1").splitlines())
    }
    fields = re.findall(r"<(\w+) (\w+)>", settings.get("fields", ""))
    clock = settings.get("clockrate", "")
    names = [name for name, _ in fields]
    known = all(kind in TYPES for _, kind in fields) and len({*names}) == len(names)
    if not (end and clock.isdigit() and int(clock) and known and "time" in names and "xloc" in names):
        raise RtdecodeError(
            "is a file of Trodes without positions: its header names no time, xloc and clockrate",
            where=str(path),
            fix="name a file .videoPositionTracking",
        )
    record = np.dtype([(name, TYPES[kind]) for name, kind in fields])
    n, rest = divmod(path.stat().st_size - end, record.itemsize)
    columns = [name for name in names if name != "time"]

    def read() -> tuple[F8, F8]:
        records = np.fromfile(path, record, n, offset=end)
        time = records["time"].astype(np.float64) / int(clock)
        return time, np.stack([records[name].astype(np.float64) for name in columns], axis=1)

    time, _ = read()
    step_s = float(np.median(np.diff(time))) if n > 1 else 0.0
    position = Series(
        "position",
        tuple(name.replace("loc", "") for name in columns),
        ("pixel",) * len(columns),
        n,
        1.0 / step_s if step_s > 0 else None,
        "behavior",
        read,
    )
    notes = (f"the file ends in the middle of a record: its last {rest} bytes are lost",) if rest else ()
    return Recording(path, "Trodes position tracking", series=(position,), notes=notes)
