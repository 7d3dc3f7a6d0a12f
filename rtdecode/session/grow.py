"""A session file that grows while a recording runs and survives the death of the process at any moment.

    with SessionWriter("live.h5", n_channels=96, attrs={"subject": "Indy"}, events=True) as writer:
        writer.append_events(time, channel, unit)
        writer.flush()

Every dataset and attribute exists from the start, nothing is compressed, and each `flush` brings what was
appended to disk in an order (`staged.py`) such that plain `h5py.File` opens what a kill leaves. A file whose
root attribute `complete` is 0 was not closed; the reader cuts each of its groups to its shortest dataset.
"""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.session.layout import LogEntry
from rtdecode.session.log_text import LOG_DATA_BYTES, LOG_KIND_BYTES, log_texts
from rtdecode.session.schema import MAX_MODELS, MODELS_SO_FAR
from rtdecode.session.staged import StagedFile
from rtdecode.session.tables import GrowingTable
from rtdecode.session.write import cannot_write, out_attrs, strings, write_attrs

EVENT_ROWS = 32_768
BIN_ROWS = 2_048
SAMPLE_ROWS = 4_096
LOG_ROWS = 64

MODEL_ID_BYTES = 8

PAGE_BYTES = 4_096
"""The kernel copies a write page by page; what must change at once (an index node, a heap) lies in one."""

MAX_WAITING_BYTES = 64 << 20
"""What may wait in memory for a disk that refuses writes: about an hour of 96 channels."""


@dataclass(frozen=True)
class DecodedColumns:
    """What `/decoded` will hold.

    Attributes:
        n_outputs: columns of `values`.
        origin_s: start of bin 0, seconds.
        models: model_id of each model known so far (`SessionWriter.list_models` adds to them).
        names: of the outputs.
        out_names, out_units: of the output stage's axes; empty without one.
        out_settings: the stage's `[output]` table.
    """

    n_outputs: int
    origin_s: float
    models: tuple[str, ...]
    names: tuple[str, ...] = ()
    out_names: tuple[str, ...] = ()
    out_units: tuple[str, ...] = ()
    out_settings: Mapping[str, Any] = field(default_factory=dict)


class SessionWriter:
    """Append to a new session file; use it from one thread.

    Appending and flushing never wait for the disk while they hold the GIL. `append_*` and `flush` let OSError
    through (disk full, unplugged): what could not be written waits in memory, the next `flush` tries again,
    and the file on disk stays sound, so a caller may go on and say so. Only after 64 MiB wait does `append_*`
    refuse.

    Args:
        path: the file to create.
        n_channels: 1 to 65,535.
        attrs: root attributes (subject, session_id, date, task, license, source, …).
        behavior: names and units of the behaviour's columns, or None for no /behavior.
        decoded: what /decoded holds, or None for none.
        counts: (bin_width_s, t0_s) where the source is a stream of counts, or None for no /counts.
        events: whether there is /events.
        overwrite: replace an existing file.

    Attributes:
        behavior_dropped: behaviour samples left out because they were not finite or not after the one before;
            no reader could use them.

    Raises:
        RtdecodeError: the file exists, or cannot be created.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        n_channels: int,
        attrs: Mapping[str, str],
        behavior: tuple[Sequence[str], Sequence[str]] | None = None,
        decoded: DecodedColumns | None = None,
        counts: tuple[float, float] | None = None,
        events: bool = False,
        overwrite: bool = False,
    ) -> None:
        self.path = Path(path)
        self.behavior_dropped = 0
        self._models: tuple[str, ...] = ()
        self._last_sample_s = -np.inf
        if self.path.is_file() and not overwrite:
            raise RtdecodeError("exists already", where=str(self.path), fix="choose another name")
        if self.path.is_dir():
            raise cannot_write(self.path, IsADirectoryError())
        unfinished = self.path.with_name(f".{self.path.name}.{uuid.uuid4().hex[:8]}.tmp")
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
        # HDF5 must let go of a Python file before the interpreter ends, also when nobody called close().
        self._release = weakref.finalize(self, _release, self._file, descriptor)
        try:
            write_attrs(self._file, n_channels, attrs)
            self._file.attrs["complete"] = np.uint8(0)
            self._create_tables(n_channels, behavior, decoded, counts, events)
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

    def append_counts(self, values: ArrayLike) -> None:
        """Append rows of the counts stream, whole numbers [n, n_channels]; they saturate at 255."""
        self._require_room()
        self._counts.append(np.clip(values, 0, np.iinfo(np.uint8).max))

    def append_behavior(self, time: ArrayLike, values: ArrayLike) -> None:
        """Append m samples: time f8[m] (s), values f4[m, d]; samples no reader could use are left out."""
        self._require_room()
        time, values = np.asarray(time, np.float64), np.asarray(values, np.float32)
        usable = np.isfinite(time) & np.isfinite(values).all(axis=1)
        # Each time must be after all before it, not only after its neighbour.
        latest = np.maximum.accumulate(np.append(self._last_sample_s, np.where(usable, time, -np.inf)))
        usable &= time > latest[:-1]
        self._last_sample_s = float(latest[-1])
        self.behavior_dropped += int(usable.size - np.count_nonzero(usable))
        self._behavior.append(time[usable], values[usable])

    def append_decoded(
        self,
        bin: ArrayLike,
        t_bin: ArrayLike,
        values: ArrayLike,
        flags: ArrayLike,
        model: ArrayLike,
        late: ArrayLike,
        lost: ArrayLike,
        counts: ArrayLike,
        out: ArrayLike | None = None,
    ) -> None:
        """Append T bins, in the dtypes and shapes of `layout.Decoded`; `out` if the file has that column."""
        self._require_room()
        more = () if out is None else (out,)
        self._decoded.append(bin, t_bin, values, flags, model, late, lost, counts, *more)

    def list_models(self, models: Sequence[str]) -> None:
        """Let /decoded know these models, of which those known already come first; MAX_MODELS at most.

        On disk before any row that is appended later. The attribute `models` follows when the file is closed.
        """
        if tuple(models) != self._models:
            self.flush()
            self._models = tuple(models)
            self._file["decoded"].attrs.modify(MODELS_SO_FAR, _with_room(self._models))
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
        """Bring everything appended so far to the file.

        Raises:
            OSError: the disk refused; nothing is lost, try again later.
        """
        self._staged.expect_headers(True)
        try:
            self._file.flush()
        finally:
            self._staged.expect_headers(False)
        self._staged.commit()

    def close(self) -> None:
        """Flush, mark the file complete, and let go of it; more calls do nothing.

        Raises:
            OSError: the disk refused; the file holds what the last successful flush left.
        """
        if not self._release.alive:
            return
        try:
            self.flush()
            self._list_swapped_in()
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
        # A kill in between leaves the file without it: readers take the other one then.
        del attrs["models"]
        attrs["models"] = strings(self._models)
        self.flush()

    def _require_room(self) -> None:
        if self._staged.waiting_bytes > MAX_WAITING_BYTES:
            raise OSError(
                errno.ENOSPC, "the disk refuses writes and no more can wait in memory", str(self.path)
            )

    def _create_tables(
        self,
        n_channels: int,
        behavior: tuple[Sequence[str], Sequence[str]] | None,
        decoded: DecodedColumns | None,
        counts: tuple[float, float] | None,
        events: bool,
    ) -> None:
        if events:
            columns: dict[str, tuple[str, tuple[int, ...]]] = {
                "time": ("f8", ()),
                "channel": ("u2", ()),
                "unit": ("u1", ()),
            }
            self._events = GrowingTable(self._file.create_group("events"), columns, EVENT_ROWS)
        if counts is not None:
            group = self._file.create_group("counts")
            group.attrs["bin_width_s"], group.attrs["t0_s"] = counts
            self._counts = GrowingTable(group, {"values": ("u1", (n_channels,))}, BIN_ROWS)
        if behavior is not None:
            names, units = behavior
            group = self._file.create_group("behavior")
            group.attrs["names"], group.attrs["units"] = strings(names), strings(units)
            self._behavior = GrowingTable(
                group, {"time": ("f8", ()), "values": ("f4", (len(names),))}, SAMPLE_ROWS
            )
        if decoded is not None:
            group = self._file.create_group("decoded")
            group.attrs["origin_s"] = decoded.origin_s
            group.attrs["names"] = strings(decoded.names)
            group.attrs["models"] = strings(decoded.models)
            self._models = tuple(decoded.models)
            # A text of another length, or one more of them, would move things in the file.
            group.attrs[MODELS_SO_FAR] = _with_room(self._models)
            columns = {
                "bin": ("i8", ()),
                "t_bin": ("f8", ()),
                "values": ("f4", (decoded.n_outputs,)),
                "flags": ("u4", ()),
                "model": ("u1", ()),
                "late": ("u2", ()),
                "lost": ("u4", ()),
                "counts": ("u1", (n_channels,)),
            }
            if decoded.out_names:
                columns["out"] = ("f4", (len(decoded.out_names),))
                for name, value in out_attrs(
                    decoded.out_names, decoded.out_units, decoded.out_settings
                ).items():
                    group.attrs[name] = value
            self._decoded = GrowingTable(group, columns, BIN_ROWS)
        columns = {
            "time": ("f8", ()),
            "bin": ("i8", ()),
            "kind": (f"S{LOG_KIND_BYTES}", ()),
            "data": (f"S{LOG_DATA_BYTES}", ()),
        }
        self._log = GrowingTable(self._file.create_group("log"), columns, LOG_ROWS)


def _with_room(models: Sequence[str]) -> NDArray[np.bytes_]:
    """S8[MAX_MODELS], the last ones empty."""
    ids = np.zeros(MAX_MODELS, f"S{MODEL_ID_BYTES}")
    ids[: len(models)] = [model.encode() for model in models]
    return ids


def _release(file: h5py.File, descriptor: int) -> None:
    file.close()
    os.close(descriptor)
