"""The growing file: what was appended is there, what the disk refuses waits, and no kill can spoil it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest

from rtdecode.errors import RtdecodeError
from rtdecode.session import grow
from rtdecode.session.grow import DecodedColumns, SessionWriter
from rtdecode.session.layout import LogEntry, Session
from rtdecode.session.read import read_session

N_CHANNELS = 5
MODELS = ("aabbccdd", "11223344")


def events(start: int, stop: int) -> tuple[np.ndarray, ...]:
    i = np.arange(start, stop)
    return i * 0.001, (i % N_CHANNELS).astype("u2"), (i % 7).astype("u1")


def samples(start: int, stop: int) -> tuple[np.ndarray, ...]:
    i = np.arange(start, stop)
    return i * 0.01, np.stack([i, -i], axis=1).astype("f4")


def bins(start: int, stop: int) -> tuple[np.ndarray, ...]:
    i = np.arange(start, stop)
    return (
        i,
        (i + 1) * 0.02,
        np.stack([i, 2 * i], axis=1).astype("f4"),
        (i % 64).astype("u4"),
        ((i // 50) % 2).astype("u1"),
        (i % 3).astype("u2"),
        (i % 4).astype("u4"),
        ((i[:, np.newaxis] + np.arange(N_CHANNELS)) % 20).astype("u1"),
        np.stack([i / 2, -i, i % 7], axis=1).astype("f4"),
    )


def entries(start: int, stop: int) -> list[LogEntry]:
    return [
        LogEntry(i * 0.5, i, f"kind{i % 3}", {"i": i, "text": "é" * (i * 37 % 300)})
        for i in range(start, stop)
    ]


def open_writer(path: Path) -> SessionWriter:
    return SessionWriter(
        path,
        n_channels=N_CHANNELS,
        attrs={"subject": "Indy", "task": "random targets"},
        behavior=(("x", "y"), ("mm", "mm")),
        decoded=DecodedColumns(
            n_outputs=2,
            origin_s=1.5,
            models=MODELS,
            names=("x", "y"),
            out_names=("a", "b", "c"),
            out_units=("px", "px", ""),
            out_settings={"control": "velocity", "matrix": [[1.0, 0.5], [0.0, 2.0], [1.0, 1.0]]},
        ),
        events=True,
    )


@dataclass
class Rows:
    """How much of each kind there is."""

    events: int = 0
    samples: int = 0
    bins: int = 0
    entries: int = 0

    def append(self, writer: SessionWriter, more: tuple[int, int, int, int]) -> Rows:
        after = Rows(*(have + n for have, n in zip(self.all, more, strict=True)))
        writer.append_events(*events(self.events, after.events))
        writer.append_behavior(*samples(self.samples, after.samples))
        writer.append_decoded(*bins(self.bins, after.bins))
        writer.append_log(entries(self.entries, after.entries))
        return after

    @property
    def all(self) -> tuple[int, int, int, int]:
        return self.events, self.samples, self.bins, self.entries

    @classmethod
    def checked(cls, session: Session) -> Rows:
        """How many rows `session` holds, after making sure that they are the first ones written."""
        assert session.events is not None
        assert session.behavior is not None
        assert session.decoded is not None
        rows = cls(
            len(session.events.time), len(session.behavior.time), len(session.decoded.bin), len(session.log)
        )
        pairs = [
            *zip(
                (session.events.time, session.events.channel, session.events.unit),
                events(0, rows.events),
                strict=True,
            ),
            *zip((session.behavior.time, session.behavior.values), samples(0, rows.samples), strict=True),
        ]
        decoded = session.decoded
        assert decoded.out is not None
        assert (decoded.out.names, decoded.out.units) == (("a", "b", "c"), ("px", "px", ""))
        assert decoded.out.settings["matrix"][0] == [1.0, 0.5]
        columns = (
            decoded.bin, decoded.t_bin, decoded.values, decoded.flags,
            decoded.model, decoded.late, decoded.lost, decoded.counts, decoded.out.values,
        )  # fmt: skip
        pairs += zip(columns, bins(0, rows.bins), strict=True)
        for actual, expected in pairs:
            np.testing.assert_array_equal(actual, expected)
        assert list(session.log) == entries(0, rows.entries)
        return rows


def test_what_was_appended_is_there(tmp_path: Path) -> None:
    path = tmp_path / "live.h5"
    rows = Rows()
    with open_writer(path) as writer:
        for more in [(3, 2, 1, 1), (0, 0, 0, 0), (40_000, 1, 3_000, 0), (5, 6_000, 7, 130)]:
            rows = rows.append(writer, more)
            writer.flush()
            session = read_session(path)
            assert Rows.checked(session) == rows
            assert not session.complete
    session = read_session(path)
    assert Rows.checked(session) == rows
    assert session.complete
    assert session.attrs == {"subject": "Indy", "task": "random targets"}
    assert session.decoded is not None
    assert (session.decoded.origin_s, session.decoded.models, session.decoded.names) == (
        1.5,
        MODELS,
        ("x", "y"),
    )
    assert session.behavior is not None
    assert (session.behavior.names, session.behavior.units) == (("x", "y"), ("mm", "mm"))


def test_only_the_parts_asked_for_exist(tmp_path: Path) -> None:
    with SessionWriter(tmp_path / "c.h5", n_channels=2, attrs={}, counts=(0.001, 7.5)) as writer:
        writer.append_counts(np.array([[1, 0], [300, -1]]))
        writer.append_counts(np.zeros((3, 2), "f4"))
    session = read_session(tmp_path / "c.h5")
    assert session.events is session.behavior is session.decoded is None
    assert session.counts is not None
    assert session.counts.values.tolist() == [[1, 0], [255, 0], [0, 0], [0, 0], [0, 0]]
    assert (session.counts.bin_width_s, session.counts.t0_s) == (0.001, 7.5)


def test_units_are_optional(tmp_path: Path) -> None:
    with SessionWriter(tmp_path / "e.h5", n_channels=2, attrs={}, events=True) as writer:
        writer.append_events([0.2, 0.1], [1, 0])
    session = read_session(tmp_path / "e.h5")
    assert session.events is not None
    assert session.events.time.tolist() == [0.1, 0.2]
    assert session.events.unit is not None
    assert session.events.unit.tolist() == [0, 0]


def test_behaviour_no_reader_could_use_is_left_out_and_counted(tmp_path: Path) -> None:
    with SessionWriter(
        tmp_path / "b.h5", n_channels=1, attrs={}, events=True, behavior=(("x",), ("mm",))
    ) as writer:
        writer.append_behavior([0.1, 0.2, 0.2, np.nan, 0.15, 0.3], [[1], [np.nan], [2], [3], [4], [5]])
        writer.append_behavior([0.3, 0.25, 0.4], [[6], [7], [8]])
        assert writer.behavior_dropped == 5
    behavior = read_session(tmp_path / "b.h5").behavior
    assert behavior is not None
    assert behavior.time.tolist() == [0.1, 0.2, 0.3, 0.4]
    assert behavior.values.ravel().tolist() == [1, 2, 5, 8]


def test_rows_of_the_wrong_shape_are_refused_before_anything_grows(tmp_path: Path) -> None:
    with open_writer(tmp_path / "live.h5") as writer:
        good = bins(0, 3)
        with pytest.raises(ValueError, match="does not fit"):
            writer.append_decoded(*good[:-2], np.zeros((3, N_CHANNELS + 1), "u1"), good[-1])
        with pytest.raises(ValueError, match="does not fit"):
            writer.append_events([0.1, 0.2], [1], [0])
        writer.append_decoded(*good)
    assert Rows.checked(read_session(tmp_path / "live.h5")) == Rows(bins=3)


def test_an_existing_recording_is_never_overwritten_by_accident(tmp_path: Path) -> None:
    path = tmp_path / "live.h5"
    path.write_bytes(b"precious")
    with pytest.raises(RtdecodeError, match="exists already") as raised:
        open_writer(path)
    assert raised.value.fix == "choose another name"
    assert path.read_bytes() == b"precious"
    SessionWriter(path, n_channels=1, attrs={}, events=True, overwrite=True).close()
    assert read_session(path).complete


@pytest.mark.parametrize("name", ["missing/live.h5", "file/live.h5", "."])
def test_where_no_recording_can_be_made(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RtdecodeError, match="cannot be written") as raised:
        open_writer(tmp_path / name)
    assert raised.value.fix
    assert sorted(os.listdir(tmp_path)) == ["file"]


def test_close_may_come_twice(tmp_path: Path) -> None:
    writer = open_writer(tmp_path / "live.h5")
    writer.close()
    writer.close()
    assert read_session(tmp_path / "live.h5").complete


def refuse(fd: int, block: bytes, at: int) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_loses_nothing_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "live.h5"
    with open_writer(path) as writer:
        before = Rows().append(writer, (10, 10, 10, 1))
        writer.flush()
        rows = before
        with monkeypatch.context() as full:
            full.setattr(os, "pwrite", refuse)
            for _ in range(5):
                rows = rows.append(writer, (5_000, 10, 1_000, 1))
                with pytest.raises(OSError, match="No space left"):
                    writer.flush()
                assert Rows.checked(read_session(path)) == before
        writer.flush()
        assert Rows.checked(read_session(path)) == rows
    assert Rows.checked(read_session(path)) == rows


def test_memory_does_not_fill_up_in_place_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grow, "MAX_WAITING_BYTES", 100_000)
    path = tmp_path / "live.h5"
    with open_writer(path) as writer:
        rows = Rows(events=20_000)
        with monkeypatch.context() as full:
            full.setattr(os, "pwrite", refuse)
            writer.append_events(*events(0, 20_000))
            for append in (
                lambda: writer.append_events(*events(0, 1)),
                lambda: writer.append_behavior(*samples(0, 1)),
                lambda: writer.append_decoded(*bins(0, 1)),
                lambda: writer.append_log(entries(0, 1)),
            ):
                with pytest.raises(OSError, match="no more can wait in memory"):
                    append()
        writer.flush()
        rows = rows.append(writer, (1, 1, 1, 1))
    assert Rows.checked(read_session(path)) == rows


def test_closing_on_a_full_disk_says_so_and_leaves_a_sound_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "live.h5"
    writer = open_writer(path)
    rows = Rows().append(writer, (10, 10, 10, 1))
    writer.flush()
    rows.append(writer, (10, 10, 10, 1))
    with monkeypatch.context() as full:
        full.setattr(os, "pwrite", refuse)
        with pytest.raises(OSError, match="No space left"):
            writer.close()
    session = read_session(path)
    assert Rows.checked(session) == rows
    assert not session.complete


def test_a_process_that_forgets_to_close_ends_well(tmp_path: Path) -> None:
    code = (
        "import sys; from rtdecode.session.grow import SessionWriter\n"
        "kept = SessionWriter(sys.argv[1], n_channels=1, attrs={}, events=True)\n"
        "kept.append_events([0.5], [0]); kept.flush()"
    )
    path = tmp_path / "live.h5"
    ended = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    session = read_session(path)
    assert not session.complete
    assert session.events is not None
    assert session.events.time.tolist() == [0.5]


def test_another_process_may_read_while_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "live.h5"
    with open_writer(path) as writer:
        writer.append_events(*events(0, 9))
        writer.flush()
        code = "import sys, h5py; print(len(h5py.File(sys.argv[1])['events/time']))"
        ended = subprocess.run(
            [sys.executable, "-c", code, path], capture_output=True, text=True, check=False
        )
        assert ended.stdout == "9\n"


@dataclass
class Tape:
    """Every change to the file on disk, in order, and after which of them a flush had promised which rows."""

    steps: list[tuple[int, bytes | None]]
    marks: list[tuple[int, Rows]]

    def mark(self, rows: Rows) -> None:
        self.marks.append((len(self.steps), rows))

    def promised(self, step: int) -> tuple[Rows, Rows]:
        """What must be in the file after `step`, and what may be."""
        last = bisect_right([at for at, _ in self.marks], step) - 1
        return self.marks[last][1], self.marks[min(last + 1, len(self.marks) - 1)][1]


@pytest.fixture
def tape(monkeypatch: pytest.MonkeyPatch) -> Iterator[Tape]:
    tape = Tape([], [])
    pwrite, ftruncate = os.pwrite, os.ftruncate

    def taped_pwrite(fd: int, block: memoryview, at: int) -> int:
        tape.steps.append((at, bytes(block)))
        return pwrite(fd, block, at)

    def taped_ftruncate(fd: int, size: int) -> None:
        tape.steps.append((size, None))
        ftruncate(fd, size)

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", taped_pwrite)
        patched.setattr(os, "ftruncate", taped_ftruncate)
        yield tape


def play_and_check(tape: Tape, path: Path, wanted: Callable[[int], bool]) -> int:
    """Replay the tape, and after each wanted step (and within, wherever a page ends) read as after a kill."""
    with open(path, "wb", buffering=0) as image:
        checked = 0

        def check(step: int) -> None:
            nonlocal checked
            with h5py.File(path) as file:
                assert set(file) == {"events", "behavior", "decoded", "log"}
            found = Rows.checked(read_session(path))
            at_least, at_most = tape.promised(step)
            for low, rows, high in zip(at_least.all, found.all, at_most.all, strict=True):
                assert low <= rows <= high
            checked += 1

        for step, (at, block) in enumerate(tape.steps):
            look = step >= tape.marks[0][0] and wanted(step)
            if block is None:
                image.truncate(at)
            else:
                for done in range(4096 - at % 4096, len(block), 4096):
                    image.seek(at)
                    image.write(block[:done])
                    if look:
                        check(step)
                image.seek(at)
                image.write(block)
            if look:
                check(step + 1)
        return checked


def test_a_kill_between_any_two_writes_spoils_nothing(
    tmp_path: Path, tape: Tape, monkeypatch: pytest.MonkeyPatch
) -> None:
    for rows_of_a_chunk in ("EVENT_ROWS", "SAMPLE_ROWS", "BIN_ROWS", "LOG_ROWS"):
        monkeypatch.setattr(grow, rows_of_a_chunk, 4)
    rng = np.random.default_rng(0)
    rows = Rows()
    writer = open_writer(tmp_path / "live.h5")
    tape.mark(rows)
    for _ in range(16):
        e, s, b, n = (int(n) for n in rng.integers(0, [14, 6, 7, 3]))
        rows = rows.append(writer, (e, s, b, n))
        writer.flush()
        tape.mark(rows)
    writer.close()
    tape.mark(rows)
    assert play_and_check(tape, tmp_path / "killed.h5", lambda step: True) > 600


def test_a_kill_while_models_are_added_leaves_no_row_without_its_model(tmp_path: Path, tape: Tape) -> None:
    writer = open_writer(tmp_path / "live.h5")
    begun = len(tape.steps)
    models = list(MODELS)
    for i in range(20):
        models.append(f"{i:08x}")
        writer.list_models(models)
        columns = list(bins(2 * i, 2 * i + 2))
        columns[4] = np.full(2, len(models) - 1, "u1")
        writer.append_decoded(*columns)
        writer.flush()
    writer.close()
    image = tmp_path / "killed.h5"
    seen = set()
    with open(image, "wb", buffering=0) as file:
        for step, (at, block) in enumerate(tape.steps):
            if block is None:
                file.truncate(at)
            else:
                file.seek(at)
                file.write(block)
            if step >= begun:
                decoded = read_session(image).decoded
                assert decoded is not None
                assert decoded.models == tuple(models[: len(decoded.models)])
                seen.add(len(decoded.models))
    assert seen == set(range(len(MODELS), len(models) + 1))
    assert decoded is not None
    assert decoded.model.tolist() == [2 + i // 2 for i in range(40)]
    with h5py.File(image) as closed:
        assert closed["decoded"].attrs["models"].tolist() == models


def test_models_are_texts_for_any_reader(tmp_path: Path) -> None:
    path = tmp_path / "live.h5"
    with open_writer(path) as writer:
        writer.append_decoded(*bins(0, 3))
        with h5py.File(path) as growing:
            assert growing["decoded"].attrs["models"].tolist() == list(MODELS)
        writer.list_models([*MODELS, "00000007"])
    with h5py.File(path) as closed:
        assert closed["decoded"].attrs["models"].tolist() == [*MODELS, "00000007"]


def test_the_list_of_models_takes_as_many_as_a_row_can_name(tmp_path: Path) -> None:
    path = tmp_path / "live.h5"
    models = [f"{i:08x}" for i in range(256)]
    with open_writer(path) as writer:
        writer.list_models(models)
    decoded = read_session(path).decoded
    assert decoded is not None
    assert decoded.models == tuple(models)


def test_a_kill_while_an_index_splits_spoils_nothing(
    tmp_path: Path, tape: Tape, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An index node holds 64 chunks. The 65th splits the root, and about 60 later a leaf below it splits:
    # there a wrong order of writes would lose rows that were safe long ago.
    monkeypatch.setattr(grow, "EVENT_ROWS", 1)
    rows = Rows()
    writer = open_writer(tmp_path / "live.h5")
    tape.mark(rows)
    splits: list[range] = []
    for _ in range(66):
        start = len(tape.steps)
        rows = rows.append(writer, (2, 0, 0, 0))
        writer.flush()
        tape.mark(rows)
        steps = range(start, len(tape.steps))
        if sum(is_branch(tape.steps[step][1]) for step in steps):
            splits.append(steps)
    writer.close()
    tape.mark(rows)
    assert len(splits) >= 2
    checked = play_and_check(
        tape, tmp_path / "killed.h5", lambda step: any(step in steps for steps in splits)
    )
    assert checked > 50


def is_branch(block: bytes | None) -> bool:
    """Whether `block` is an index node above the leaves."""
    return block is not None and block.startswith(b"TREE") and block[4] == 1 and block[5] > 0
