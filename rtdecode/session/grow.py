"""A session file that grows while a recording runs and survives a kill of the process at any moment.

    contents = Contents(n_channels=96, attrs={"subject": "Indy"}, events=True)
    with SessionWriter("live.h5", contents) as writer:
        writer.append_events(time, channel, unit)
        writer.flush()

Every dataset and attribute exists from the start, nothing is compressed, and each `flush` writes in an order
(`staged.py`) such that plain `h5py.File` opens the file after a kill. A file with the root attribute
`complete` 0 was not closed; the reader cuts each of its groups to its shortest dataset.
"""

from __future__ import annotations

import contextlib
import errno
import os
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtdecode.files import cannot_write, check_writable, part_of
from rtdecode.session.contents import (
    CHUNK_ROWS,
    EVENT_COLUMNS,
    FEATURE_ATTRS,
    LOG_COLUMNS,
    MARKER_COLUMNS,
    TRIAL_COLUMNS,
    Contents,
    DecodedRows,
    decoded_columns,
)
from rtdecode.session.layout import LogEntry, Markers, Trials
from rtdecode.session.log_text import log_texts, marker_rows
from rtdecode.session.samples import after_all_before, measure
from rtdecode.session.schema import ANNOUNCED, ANNOUNCED_PERIOD, FORMAT_VERSION, MAX_MODELS, MODELS_SO_FAR
from rtdecode.session.staged import StagedFile
from rtdecode.session.tables import Columns, GrowingTable
from rtdecode.session.write import detection_columns, out_attrs, strings, write_attrs, write_group

MODEL_ID_BYTES = 8

PAGE_BYTES = 4_096
"""The kernel copies a write page by page; what must change at once (an index node, a heap) fits in one."""

MAX_WAITING_BYTES = 64 << 20
"""About an hour of 96 channels."""


class SessionWriter:
    """Append to a new session file; use it from one thread.

    Appending and flushing never wait for the disk while they hold the GIL. `append_*` and `flush` raise
    OSError (disk full, unplugged): what could not be written waits in memory, the next `flush` tries again,
    and the file on disk stays valid, so a caller may report it and continue. `append_*` refuses rows once
    `max_waiting_bytes` wait.

    Args:
        path: the file to create.
        contents: groups and attributes of the file.
        overwrite: replace an existing file.
        chunk_rows: rows of a chunk in each group.
        max_waiting_bytes: what may wait in memory while the disk refuses writes.

    Attributes:
        behavior_dropped: behaviour samples left out because nothing in them was finite or they were not after
            the one before; no reader could use them.
        counts_t0_s: start of row 0 of /counts, s.

    Raises:
        RtdecodeError: the file exists, or cannot be created.
    """

    def __init__(
        self,
        path: Path | str,
        contents: Contents,
        *,
        overwrite: bool = False,
        chunk_rows: Mapping[str, int] = CHUNK_ROWS,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        self.path = Path(path)
        self.behavior_dropped = 0
        self._max_waiting_bytes = max_waiting_bytes
        self._models: tuple[str, ...] = ()
        self._last_sample_s = self._last_features_s = -np.inf
        check_writable(self.path, overwrite=overwrite)
        unfinished = part_of(self.path)
        try:
            descriptor = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except OSError as error:
            raise cannot_write(self.path, error) from error
        self._staged = StagedFile(descriptor)
        self._file = h5py.File(
            self._staged,
            "w",
            libver="earliest",
            rdcc_nbytes=0,
            alignment_threshold=PAGE_BYTES // 2,
            alignment_interval=PAGE_BYTES,
        )
        # HDF5 must release a Python file before the interpreter ends, even without a call of close().
        self._release = weakref.finalize(self, _release, self._file, descriptor)
        try:
            version = FORMAT_VERSION if contents.features is not None else 1
            write_attrs(self._file, contents.n_channels, contents.attrs, version)
            self._file.attrs["complete"] = np.uint8(0)
            self._create_tables(contents, chunk_rows)
            self.flush()
            os.replace(unfinished, self.path)
        except (OSError, ValueError) as error:
            self._release()
            with contextlib.suppress(OSError):
                unfinished.unlink()
            raise cannot_write(self.path, error) from error

    def append_events(self, time: ArrayLike, channel: ArrayLike, unit: ArrayLike | None = None) -> None:
        """Append n events, in any order of time: f8[n] (s), u2[n] and u1[n] (zeros if None)."""
        self._require_room()
        self._events.append(time, channel, np.zeros(np.shape(channel), np.uint8) if unit is None else unit)

    def append_counts(self, values: ArrayLike, end: ArrayLike | None = None) -> None:
        """Append rows of the counts stream.

        Args:
            values: integers [n, n_channels]; they saturate at 255.
            end: f8[n], when each row ends by the stamps of the source, s, increasing; None for rows that are
                the announced width apart.
        """
        self._require_room()
        values = np.clip(values, 0, np.iinfo(np.uint8).max)
        if end is None:
            rows = self._counts.rows + np.arange(1, len(values) + 1)
            end = self.counts_t0_s + rows * self._announced_width_s
        self._counts.append(values, end)

    def append_behavior(self, time: ArrayLike, values: ArrayLike) -> None:
        """Append m samples: time f8[m] (s), values f4[m, d]; what is not finite becomes NaN.

        Samples without a finite value, and those that are not after the ones before, are left out.
        """
        self._require_room()
        time, values = np.asarray(time, np.float64), np.asarray(values, np.float32)
        values = np.where(np.isfinite(values), values, np.float32(np.nan))
        usable = np.isfinite(time) & ~np.isnan(values).all(axis=1)
        usable, self._last_sample_s = after_all_before(time, usable, self._last_sample_s)
        self.behavior_dropped += int(usable.size - np.count_nonzero(usable))
        self._behavior.append(time[usable], values[usable])

    def append_features(self, time: ArrayLike, values: ArrayLike) -> int:
        """Append samples of features: time f8[T] (s), their ends, and values f4[T, F], NaN where unknown.

        Returns:
            How many; those that are not after the ones before are left out.
        """
        self._require_room()
        time, values = np.asarray(time, np.float64), np.asarray(values, np.float32)
        usable, self._last_features_s = after_all_before(time, np.isfinite(time), self._last_features_s)
        self._features.append(time[usable], values[usable])
        return int(np.count_nonzero(usable))

    def append_markers(self, markers: Markers) -> None:
        """Append markers, in any order of time; one of more than 1,024 bytes takes several rows."""
        self._require_room()
        time, texts = marker_rows(markers)
        self._markers.append(time, [text.encode() for text in texts])

    def append_trials(self, trials: Trials) -> None:
        """Append trials that have all TRIAL_COLUMNS."""
        self._require_room()
        columns = {"start": trials.start, "stop": trials.stop, **trials.columns}
        self._trials.append(*(columns[name] for name in TRIAL_COLUMNS))

    def append_decoded(self, rows: DecodedRows) -> None:
        """Append T bins."""
        self._require_room()
        self._decoded.append(*(column for column in rows if column is not None))

    def list_models(self, models: Sequence[str]) -> None:
        """Set the models of /decoded: the earlier ones first, then new ones; MAX_MODELS at most.

        On disk before any row that is appended later. The attribute `models` follows when the file is closed.
        """
        if tuple(models) != self._models:
            self.flush()
            self._models = tuple(models)
            self._file["decoded"].attrs.modify(MODELS_SO_FAR, _padded(self._models))
            self.flush()

    def append_log(self, entries: Sequence[LogEntry]) -> None:
        """Append entries to /log; data longer than a row's 1,024 bytes of JSON takes several rows."""
        self._require_room()
        rows = [(entry, text) for entry in entries for text in log_texts(entry.data)]
        self._log.append(
            [entry.time for entry, _ in rows],
            [entry.bin for entry, _ in rows],
            [entry.kind.encode() for entry, _ in rows],
            [text.encode() for _, text in rows],
        )

    def flush(self) -> None:
        """Write everything appended so far to the file.

        Raises:
            OSError: the disk refused; nothing is lost, call it again later.
        """
        self._staged.expect_headers(True)
        try:
            self._file.flush()
        finally:
            self._staged.expect_headers(False)
        self._staged.commit()

    def close(self) -> None:
        """Flush, mark the file complete, and close it; more calls do nothing.

        Raises:
            OSError: the disk refused; the file is as after the last successful flush.
        """
        if not self._release.alive:
            return
        try:
            self.flush()
            self._list_swapped_in()
            measure(self._file)
            self._file.attrs.modify("complete", np.uint8(1))
            self.flush()
        finally:
            self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _list_swapped_in(self) -> None:
        if not self._models or len(self._file["decoded"].attrs["models"]) == len(self._models):
            return
        attrs = self._file["decoded"].attrs
        # After a kill between these two lines readers use the other attribute.
        del attrs["models"]
        attrs["models"] = strings(self._models)
        self.flush()

    def _require_room(self) -> None:
        if self._staged.waiting_bytes > self._max_waiting_bytes:
            raise OSError(
                errno.ENOSPC, "the disk refuses writes and no more can wait in memory", str(self.path)
            )

    def _create_tables(self, contents: Contents, chunk_rows: Mapping[str, int]) -> None:
        def table(name: str, columns: Columns, **attrs: Any) -> GrowingTable:
            group = self._file.create_group(name)
            for attr, value in attrs.items():
                group.attrs[attr] = value
            return GrowingTable(group, columns, chunk_rows[name])

        columns: Columns
        if contents.events:
            self._events = table("events", EVENT_COLUMNS)
        if contents.counts is not None:
            self._announced_width_s, self.counts_t0_s = bin_width_s, t0_s = contents.counts
            columns = {"values": ("u1", (contents.n_channels,)), "end": ("f8", ())}
            of_counts = {"bin_width_s": bin_width_s, "t0_s": t0_s, ANNOUNCED: bin_width_s}
            self._counts = table("counts", columns, **of_counts)
        if contents.features is not None:
            of_features, period_s = contents.features
            columns = {"time": ("f8", ()), "values": ("f4", (len(of_features),))}
            texts = {
                attr: strings([getattr(each, own) for each in of_features])
                for attr, own in FEATURE_ATTRS.items()
            }
            self._features = table(
                "features", columns, **texts, period_s=period_s, **{ANNOUNCED_PERIOD: period_s}
            )
        if contents.behavior is not None:
            names, units = contents.behavior
            columns = {"time": ("f8", ()), "values": ("f4", (len(names),))}
            self._behavior = table("behavior", columns, names=strings(names), units=strings(units))
        if (decoded := contents.decoded) is not None:
            self._models = tuple(decoded.models)
            attrs: dict[str, Any] = {
                "origin_s": decoded.origin_s,
                "names": strings(decoded.names),
                "models": strings(decoded.models),
                # A longer text, or one more of them, would move things in the file.
                MODELS_SO_FAR: _padded(self._models),
            }
            if decoded.out_names:
                attrs |= out_attrs(decoded.out_names, decoded.out_units, decoded.out_settings)
            self._decoded = table("decoded", decoded_columns(decoded, contents.n_channels), **attrs)
        if contents.markers:
            self._markers = table("markers", MARKER_COLUMNS)
        if contents.trials:
            self._trials = table("trials", TRIAL_COLUMNS)
        if contents.detection is not None:
            write_group(self._file.create_group("detection"), *detection_columns(contents.detection))
        self._log = table("log", LOG_COLUMNS)


def _padded(models: Sequence[str]) -> NDArray[np.bytes_]:
    """Model ids as S8[MAX_MODELS], the last ones empty."""
    ids = np.zeros(MAX_MODELS, f"S{MODEL_ID_BYTES}")
    ids[: len(models)] = [model.encode() for model in models]
    return ids


def _release(file: h5py.File, descriptor: int) -> None:
    file.close()
    os.close(descriptor)
