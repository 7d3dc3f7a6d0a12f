"""Open tables: a CSV file, or a folder of them; an NPZ or NPY file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rtdecode.tools.files.recording import Recording, Series
from rtdecode.tools.files.tables.arrays import is_numpy
from rtdecode.tools.files.tables.csv_table import csv_recording
from rtdecode.tools.files.tables.electrodes import with_electrodes
from rtdecode.tools.files.tables.npz import npz_recording
from rtdecode.tools.files.tables.own import electrodes_of
from rtdecode.tools.files.tables.text import looks_like_table, text_encoding

ENDINGS = (".csv", ".tsv")


def is_csv(path: Path) -> bool:
    """Whether `path` is a table in text, by its structure, or a folder of such tables."""
    if path.is_dir():
        return any(is_csv(each) for each in _tables(path))
    return looks_like_table(path) or (path.suffix.lower() in ENDINGS and text_encoding(path) is not None)


def open_csv(path: Path) -> Recording:
    """What a table holds, or all tables of a folder.

    Raises:
        RtdecodeError: it is no table, or has neither times nor a column for each channel.
    """
    if not path.is_dir():
        return csv_recording(path)
    files = sorted(_tables(path))
    parts = [csv_recording(each) for each in files]
    tables = [electrodes for each in files if (electrodes := electrodes_of(each))]
    spikes = [each for part in parts for each in part.spikes]
    return Recording(
        path,
        "CSV",
        tuple(with_electrodes(each, tables[0]) for each in spikes) if tables else tuple(spikes),
        tuple(_of_file(part.path, each) for part in parts for each in part.series),
        tuple(each for part in parts for each in part.trials),
        tuple(each for part in parts for each in part.markers),
        next((part.observed for part in parts if part.observed is not None), None),
        attrs={key: text for part in parts for key, text in part.attrs.items()},
        notes=tuple(note for part in parts for note in part.notes),
        others=tuple((f"{part.path.stem}/{name}", why) for part in parts for name, why in part.others),
    )


def is_npz(path: Path) -> bool:
    """Whether a file is NPZ or NPY, by its structure."""
    return is_numpy(path)


def open_npz(path: Path) -> Recording:
    """What the arrays of an NPZ file, or the one of an NPY file, are.

    Raises:
        RtdecodeError: none is known by its name, or they do not go together.
    """
    return npz_recording(path)


def _tables(folder: Path) -> list[Path]:
    return [each for each in folder.iterdir() if each.suffix.lower() in ENDINGS and each.is_file()]


def _of_file(path: Path, series: Series) -> Series:
    return series if series.name == path.stem else replace(series, name=f"{path.stem}/{series.name}")
