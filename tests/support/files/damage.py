"""Damaged copies of a file, which a reader reads or refuses in one line."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rtdecode.errors import RtdecodeError
from rtdecode.tools.files.recording import Recording


def n_refused(
    path: Path, knows: Callable[[Path], bool], opens: Callable[[Path], Recording], copies: int
) -> int:
    """Cut and scramble a file, and read everything of each copy.

    Args:
        path: of the whole file, which is damaged in its place.
        knows, opens: of its reader.
        copies: how many, of which every third is cut, and the others have up to five wrong bytes.

    Returns:
        In how many `RtdecodeError` of one line was raised; any other error is not caught.
    """
    whole, rng, refused = path.read_bytes(), random.Random(0), 0
    for n in range(copies):
        damaged = bytearray(whole)
        for _ in range(n % 6):
            damaged[rng.randrange(len(damaged))] = rng.choice([0, 10, 34, 44, 255, rng.randrange(256)])
        path.write_bytes(damaged[: rng.randrange(len(whole))] if n % 3 == 0 else damaged)
        try:
            if knows(path):
                read_all(opens(path))
        except RtdecodeError as error:
            refused += 1
            if "\n" in str(error):
                raise ValueError("an error of several lines") from error
    return refused


def read_all(recording: Recording) -> None:
    """Read every spike and sample."""
    for source in recording.spikes:
        source.read(np.arange(len(source.units.ids)))
    for series in recording.series:
        series.read()
