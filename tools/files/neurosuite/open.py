"""Open a Neurosuite session: all files of one name."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.tools.files.recording import F8, MarkerList, Recording, Series, SpikeTimes, UnitTable
from rtdecode.tools.files.tables.labels import spikes_of
from rtdecode.tools.files.vendor.binary import first_bytes

_PART = re.compile(r"^(.+)\.(?:res|clu)\.(\d+)$")
_RATE = re.compile(r"<acquisitionSystem>.*?<samplingRate>\s*([\d.]+)\s*</samplingRate>", re.DOTALL)
_LFP_RATE = re.compile(r"<lfpSamplingRate>\s*([\d.]+)\s*</lfpSamplingRate>")
#: A position is recorded once in so many samples of the local field potential.
LFP_OF_POSITION = 32
#: What the clusters of Klusters below 2 are.
NOISE, MUA = 0, 1


def is_neurosuite(path: Path) -> bool:
    """Whether `path` is one of the files of a session with spikes, or a folder of one session."""
    stem = _stem(path)
    return stem is not None and bool(_shanks(stem))


def open_neurosuite(path: Path) -> Recording:
    """What the files of a session hold.

    Raises:
        RtdecodeError: a file is missing, damaged or does not fit another.
    """
    stem = _stem(path)
    shanks = _shanks(stem) if stem else []
    if stem is None or not shanks:
        raise RtdecodeError(
            "is no file of a Neurosuite session", where=str(path), fix="name its .res or .clu file"
        )
    described = _beside(stem, ".xml")
    if not described.is_file():
        raise RtdecodeError(
            "is needed for the sampling rate and is not there",
            where=str(described),
            fix="copy it from the folder of the recording",
        )
    said = described.read_text("utf-8", errors="replace")
    rate = _number(_RATE, said)
    if not rate:
        raise RtdecodeError(
            "has no sampling rate of the acquisition system",
            where=str(described),
            fix="export it from NDManager",
        )
    position, lfp_rate = _beside(stem, ".whl"), _number(_LFP_RATE, said)
    series = (_position(position, lfp_rate / LFP_OF_POSITION),) if position.is_file() and lfp_rate else ()
    raw = [each for each in (_beside(stem, ".dat"), _beside(stem, ".fil")) if each.is_file()]
    return Recording(
        path,
        "Neurosuite",
        (_spikes(stem, shanks, rate),),
        series,
        markers=tuple(
            _markers(each) for each in sorted(stem.parent.glob(f"{_glob(stem.name)}.*evt*")) if each.is_file()
        ),
        notes=(
            "unit 0 of a shank is noise and unit 1 the activity of several neurons: see the column quality",
        ),
        others=tuple(
            (each.name, f"voltage at {rate:g} Hz: find spikes in it with rtdecode detect") for each in raw
        ),
    )


def _stem(path: Path) -> Path | None:
    """The path of a session's files without their endings."""
    if path.is_dir():
        stems = {stem for each in path.iterdir() if not each.is_dir() and (stem := _stem(each))}
        return stems.pop() if len(stems) == 1 else None
    if match := _PART.match(path.name):
        return path.with_name(match[1])
    return (
        path.with_suffix("") if path.suffix == ".xml" and b"<parameters" in first_bytes(path, 1024) else None
    )


def _beside(stem: Path, ending: str) -> Path:
    return stem.with_name(stem.name + ending)


def _glob(name: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", name)


def _shanks(stem: Path) -> list[int]:
    """The numbers of the shanks that have both files."""
    names = {each.name for each in stem.parent.glob(f"{_glob(stem.name)}.*")}
    found = [_PART.match(name) for name in names]
    numbers = {int(match[2]) for match in found if match and match[1] == stem.name}
    return sorted(n for n in numbers if {f"{stem.name}.res.{n}", f"{stem.name}.clu.{n}"} <= names)


def _number(pattern: re.Pattern[str], said: str) -> float:
    match = pattern.search(said)
    try:
        return float(match[1]) if match else 0.0
    except ValueError:
        return 0.0


def _spikes(stem: Path, shanks: list[int], rate: float) -> SpikeTimes:
    times, keys = [np.zeros(0)], [np.zeros((0, 2), np.int64)]
    for shank in shanks:
        samples = _table(_beside(stem, f".res.{shank}"))[:, 0]
        clusters = _table(_beside(stem, f".clu.{shank}"))[1:, 0]  # the first line counts the clusters
        if len(samples) != len(clusters):
            raise RtdecodeError(
                f"holds {len(samples)} spikes, and its .clu file {len(clusters)}",
                where=str(_beside(stem, f".res.{shank}")),
                fix="copy both files of the shank from one place",
            )
        times.append(samples / rate)
        keys.append(np.stack((np.full(len(clusters), shank), clusters), axis=1).astype(np.int64))
    units, row = np.unique(np.concatenate(keys), axis=0, return_inverse=True)
    qualities = np.array(
        ["noise" if n == NOISE else "mua" if n == MUA else "unit" for n in units[:, 1]], np.str_
    )
    table = UnitTable(
        tuple(f"{shank}/{number}" for shank, number in units.tolist()),
        tuple(map(str, units[:, 0].tolist())),
        units[:, 1],
        columns={"shank": units[:, 0], "quality": qualities},
    )
    return spikes_of("spikes", table, np.concatenate(times), row.ravel().astype(np.uint32))


def _position(path: Path, rate: float) -> Series:
    """The lights of the animal in a .whl file, -1 where none was seen."""
    n_columns = min(len(_table(path, 1).T), 4)

    def read() -> tuple[F8, F8]:
        values = _table(path)[:, :n_columns]
        return np.arange(len(values)) / rate, np.where(values < 0, np.nan, values)

    with path.open("rb") as file:
        n_samples = sum(1 for line in file if line.strip())
    columns = ("x", "y", "x2", "y2")[:n_columns]
    note = f"its samples are taken to be at {rate:g} Hz from 0 s on"
    return Series("position", columns, ("",) * n_columns, n_samples, rate, "behavior", read, note=note)


def _markers(path: Path) -> MarkerList:
    """The lines of an event file: milliseconds and a text."""
    times, texts = [], []
    for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        time, _, said = line.strip().replace("\t", " ").partition(" ")
        try:
            times.append(float(time) / 1000)
        except ValueError as error:
            what = f"begins with {time[:40]!r}, not with milliseconds"
            raise RtdecodeError(
                what, where=f"{path}, line {number}", fix="export the events again"
            ) from error
        texts.append(said.strip())
    return MarkerList(path.name, np.array(times, np.float64), tuple(texts))


def _table(path: Path, rows: int | None = None) -> NDArray[np.float64]:
    """f8[n, columns], the numbers of a text file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a file without a line is a shank without a spike
            return np.loadtxt(path, np.float64, ndmin=2, max_rows=rows, encoding="latin-1")
    except (OSError, ValueError) as error:
        raise RtdecodeError(
            f"holds no table of numbers: {error}", where=str(path), fix="copy it again"
        ) from error
