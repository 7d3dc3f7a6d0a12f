"""Read what LabRecorder wrote: XDF files, as they are and compressed (.xdfz)."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.ingest.signals.layouts import (
    NUMERIC_FORMATS,
    Layout,
    StreamDescription,
    choose_layout,
    is_features,
    is_markers,
)
from rtdecode.ingest.signals.raster import no_raster
from rtdecode.session.doctor.values import LEAST_RATE_HZ, ValueJudge
from rtdecode.tools.files.recording import BinnedSpikes, MarkerList, Recording, Series, SpikeTimes
from rtdecode.tools.files.xdf.beside import SIGNALS, markers, series
from rtdecode.tools.files.xdf.chunks import GZIP, MAGIC, Contents, opened, scan
from rtdecode.tools.files.xdf.decode import DTYPES
from rtdecode.tools.files.xdf.samples import StreamFile
from rtdecode.tools.files.xdf.spikes import Found, counts, raster, single_spikes
from rtdecode.tools.files.xdf.streams import OBSERVED, describe, named

#: Samples, from all over the file, by whose values counts are told from behaviour.
N_JUDGED = 5_000

#: Counts are kept up to here.
MOST_COUNT = 255


def is_xdf(path: Path) -> bool:
    """Whether a file is XDF, by its first bytes."""
    try:
        with path.open("rb") as file:
            head = file.read(4)
        if head[:2] == GZIP:
            with gzip.open(path, "rb") as plain:
                head = plain.read(4)
    except (OSError, EOFError, zlib.error):
        return False
    return head == MAGIC


def open_xdf(path: Path) -> Recording:
    """What an XDF file holds.

    Raises:
        RtdecodeError: it holds no stream that can be read, or pyxdf is not installed.
    """
    with opened(path) as file:
        contents = scan(file)
    described = {
        number: stream
        for number, chunks in contents.streams.items()
        if chunks.header is not None and (stream := describe(chunks.header)) is not None
    }
    if not described:
        lost = "; ".join(contents.lost)
        raise RtdecodeError(
            "is XDF and holds no stream that can be read" + (f": {lost}" if lost else ""),
            where=str(path),
            fix="take the copy of the recorder's own disk",
        )
    sorter = _Sorter()
    for number, stream in named(described).items():
        sorter.take(StreamFile(path, stream, contents.streams[number]))
    for number in contents.streams.keys() - described.keys():
        sorter.others.append((f"stream {number}", "its description cannot be read"))
    return Recording(
        path,
        f"XDF {_of_header(contents, 'version')}".strip(),
        tuple(sorter.spikes),
        tuple(sorter.series),
        markers=tuple(sorter.markers),
        observed=sorter.observed,
        attrs={"date": date} if (date := _of_header(contents, "datetime")) else {},
        notes=(*contents.lost, *_unfinished(contents), *sorter.notes),
        others=tuple(sorter.others),
    )


@dataclass
class _Sorter:
    """Finds out what each stream is; attributes as of `Recording`."""

    spikes: list[SpikeTimes | BinnedSpikes] = field(default_factory=list)
    series: list[Series] = field(default_factory=list)
    markers: list[MarkerList] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    others: list[tuple[str, str]] = field(default_factory=list)
    observed: NDArray[np.float64] | None = None

    def take(self, file: StreamFile) -> None:
        """Take one stream."""
        stream = file.stream
        if stream.format != "string":
            row_bytes = stream.n_columns * np.dtype(DTYPES[stream.format]).itemsize
            if lost := file.chunks.leave_out_damaged(row_bytes):
                self.notes.append(f"{stream.name}: {lost:,} samples are in damaged chunks, and lost")
        n = file.chunks.n_samples
        if not n:
            self.others.append((stream.name, "it has no samples"))
            return
        if not file.chunks.clock_offsets:
            self.notes.append(f"{stream.name}: has no clock offsets, so its stamps are taken as they are")
        if resets := file.chunks.n_clock_resets:
            self.notes.append(
                f"{stream.name}: the clock of its source was reset {resets} times, with a hole each time"
            )
        if stream.format == "string" or is_markers(replace(stream, rate_hz=0.0)):
            self.markers.append(markers(file))
            if lost := n - len(self.markers[-1].time):
                self.notes.append(f"{stream.name}: {lost:,} samples are in damaged chunks, and lost")
            return
        if stream.type == OBSERVED and (stream.n_columns, stream.rate_hz) == (1, 0.0):
            samples = file.load()
            self.observed = np.stack((samples.time, samples.values[:, 0]), axis=1).astype(np.float64)
            return
        layout = _layout(stream)
        if layout is None and "spik" in stream.type.lower() and not stream.rate_hz:
            self.others.append((stream.name, f"{stream}: no labels say which column is the channel"))
        elif layout is None or layout is Layout.FEATURES:
            self.series.append(series(file))
        elif layout is Layout.COUNTS:
            self._take_counts(file)
        elif layout in (Layout.RASTER, Layout.BROADBAND):
            self._take_fast(file)
        else:
            self._add(single_spikes(file, layout))

    def _add(self, found: Found) -> None:
        self.spikes.append(found.spikes)
        self.notes += found.notes

    def _take_counts(self, file: StreamFile) -> None:
        """Counts and behaviour have one shape: their type or their values tell them apart."""
        stream = file.stream
        kind, name = stream.type.lower(), stream.name.lower()
        announced = "spik" in kind or "spik" in name or "count" in kind
        if not announced and (stream.n_columns < 2 or stream.rate_hz < LEAST_RATE_HZ or kind in SIGNALS):
            self.series.append(series(file))
            return
        values, judge = file.load(about=N_JUDGED).values, ValueJudge(stream.rate_hz)
        judge.see(values)
        counted = bool(np.all(values >= 0)) and not judge.fractions
        if announced or judge.are_rates or (counted and 0 < values.max(initial=0) <= MOST_COUNT):
            self._add(counts(file))
            if not announced:
                self.series.append(series(file, "other"))
        else:
            self.series.append(series(file))

    def _take_fast(self, file: StreamFile) -> None:
        found, _ = (
            ("voltage", "") if "float" in file.stream.format else no_raster(file.load(about=N_JUDGED).values)
        )
        if found:
            self.others.append(
                (file.stream.name, f"{file.stream}: raw voltage, whose spikes are not detected")
            )
        else:
            self._add(raster(file))


def _layout(stream: StreamDescription) -> Layout | None:
    """The layout of spikes that a stream would be read as live, None for none."""
    if is_features(stream) and stream.format in NUMERIC_FORMATS:
        return Layout.FEATURES
    try:
        return choose_layout(stream)
    except RtdecodeError:
        return None


def _unfinished(contents: Contents) -> list[str]:
    """Whether the recorder ended before it closed the file, and what is missing by its own count."""
    without = [chunks for chunks in contents.streams.values() if chunks.footer_n is None]
    notes = ["the recorder did not close the file: its end may be missing"] if without else []
    missing = sum(
        max(0, chunks.footer_n - chunks.n_samples)
        for chunks in contents.streams.values()
        if chunks.footer_n is not None
    )
    if missing:
        notes.append(f"{missing:,} samples that the recorder counted are not in the file")
    return notes


def _of_header(contents: Contents, field_name: str) -> str:
    return "" if contents.header is None else (contents.header.findtext(field_name) or "").strip()
