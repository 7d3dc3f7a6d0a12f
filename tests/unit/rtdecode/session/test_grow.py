"""The growing file: rows are appended, a full disk loses nothing, and no kill damages it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest

from rtdecode.artifact import FeatureColumn
from rtdecode.errors import RtdecodeError
from rtdecode.session.contents import CHUNK_ROWS, Contents, DecodedColumns, DecodedRows
from rtdecode.session.grow import SessionWriter
from rtdecode.session.layout import Detection, LogEntry, Markers, Session, Trials
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session

N_CHANNELS = 5
MODELS = ("aabbccdd", "11223344")
CONTENTS = Contents(
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
EVENTS_ONLY = Contents(n_channels=2, events=True)
FOUR_ROWS = dict.fromkeys(CHUNK_ROWS, 4)


def events(start: int, stop: int) -> tuple[np.ndarray, ...]:
    i = np.arange(start, stop)
    return i * 0.001, (i % N_CHANNELS).astype("u2"), (i % 7).astype("u1")


def samples(start: int, stop: int) -> tuple[np.ndarray, ...]:
    i = np.arange(start, stop)
    return i * 0.01, np.stack([i, -i], axis=1).astype("f4")


def bins(start: int, stop: int) -> DecodedRows:
    i = np.arange(start, stop)
    return DecodedRows(
        bin=i,
        t_bin=(i + 1) * 0.02,
        values=np.stack([i, 2 * i], axis=1).astype("f4"),
        flags=(i % 64).astype("u4"),
        model=((i // 50) % 2).astype("u1"),
        late=(i % 3).astype("u2"),
        lost=(i % 4).astype("u4"),
        counts=((i[:, np.newaxis] + np.arange(N_CHANNELS)) % 20).astype("u1"),
        out=np.stack([i / 2, -i, i % 7], axis=1).astype("f4"),
    )


def entries(start: int, stop: int) -> list[LogEntry]:
    return [
        LogEntry(i * 0.5, i, f"kind{i % 3}", {"i": i, "text": "é" * (i * 37 % 300)})
        for i in range(start, stop)
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "live.h5"


@dataclass
class Rows:
    """Numbers of rows."""

    events: int = 0
    samples: int = 0
    bins: int = 0
    entries: int = 0

    def append(self, writer: SessionWriter, more: tuple[int, int, int, int]) -> Rows:
        after = Rows(*(have + n for have, n in zip(self.all, more, strict=True)))
        writer.append_events(*events(self.events, after.events))
        writer.append_behavior(*samples(self.samples, after.samples))
        writer.append_decoded(bins(self.bins, after.bins))
        writer.append_log(entries(self.entries, after.entries))
        return after

    @property
    def all(self) -> tuple[int, int, int, int]:
        return self.events, self.samples, self.bins, self.entries

    @classmethod
    def checked(cls, session: Session) -> Rows:
        """Numbers of rows in `session`, which must be the first ones written."""
        found, moved, decoded = session.events, session.behavior, session.decoded
        rows = cls(len(found.time), len(moved.time), len(decoded.bin), len(session.log))
        assert (decoded.out.names, decoded.out.units) == (("a", "b", "c"), ("px", "px", ""))
        assert decoded.out.settings["matrix"][0] == [1.0, 0.5]
        columns = {**vars(decoded), "out": decoded.out.values}
        actual = [found.time, found.channel, found.unit, moved.time, moved.values]
        actual += [columns[name] for name in DecodedRows._fields]
        expected = [*events(0, rows.events), *samples(0, rows.samples), *bins(0, rows.bins)]
        for each, written in zip(actual, expected, strict=True):
            np.testing.assert_array_equal(each, written)
        assert list(session.log) == entries(0, rows.entries)
        return rows


def test_appended_rows_are_in_the_file(path: Path) -> None:
    rows = Rows()
    with SessionWriter(path, CONTENTS) as writer:
        for more in [(3, 2, 1, 1), (0, 0, 0, 0), (40_000, 1, 3_000, 0), (5, 6_000, 7, 130)]:
            rows = rows.append(writer, more)
            writer.flush()
            session = read_session(path)
            assert Rows.checked(session) == rows
            assert not session.complete
    writer.close()
    session = read_session(path)
    assert Rows.checked(session) == rows
    assert session.complete
    assert session.attrs == CONTENTS.attrs
    assert (session.decoded.origin_s, session.decoded.models) == (1.5, MODELS)
    assert session.decoded.names == ("x", "y")
    assert (session.behavior.names, session.behavior.units) == (("x", "y"), ("mm", "mm"))


def test_only_the_requested_groups_exist(path: Path) -> None:
    with SessionWriter(path, Contents(n_channels=2, counts=(0.001, 7.5))) as writer:
        writer.append_counts(np.array([[1, 0], [300, -1]]))
        writer.append_counts(np.zeros((3, 2), "f4"))
    session = read_session(path)
    assert session.events is session.behavior is session.decoded is None
    assert session.counts.values.tolist() == [[1, 0], [255, 0], [0, 0], [0, 0], [0, 0]]
    assert (session.counts.bin_width_s, session.counts.t0_s) == (0.001, 7.5)


@pytest.mark.parametrize(("rate_hz", "written_s"), [(48.0, 1 / 48.0), (49.9, 1 / 49.9), (49.99, 0.02)])
def test_counts_have_the_true_width_of_their_source(path: Path, rate_hz: float, written_s: float) -> None:
    end = 7.0 + np.arange(1, 1001) / rate_hz + np.random.default_rng(0).uniform(-1e-3, 1e-3, 1000)
    with SessionWriter(path, Contents(n_channels=2, counts=(0.02, 7.0))) as writer:
        for at in range(0, 1000, 300):
            writer.append_counts(np.ones((len(end[at : at + 300]), 2)), end[at : at + 300])
        writer.flush()
        assert read_session(path).counts.bin_width_s == 0.02
    counts = read_session(path).counts
    assert counts.bin_width_s == pytest.approx(written_s, rel=1e-4)
    assert counts.nominal_width_s == 0.02
    assert counts.t0_s == pytest.approx(7.0, abs=1e-3)
    np.testing.assert_array_equal(counts.end, end)


POWER = (FeatureColumn("a", "power", "uV"), FeatureColumn("b", "count", "")), 0.01
OF_CODES = DecodedColumns(n_outputs=2, origin_s=0.0, models=MODELS, n_features=2)
FEATURES_ALONE = Contents(n_channels=0, features=POWER, decoded=OF_CODES)


def coded(start: int, stop: int) -> DecodedRows:
    i = np.arange(start, stop)
    codes = np.stack([i % 100, -(i % 127)], axis=1).astype("i1")
    return bins(start, stop)._replace(counts=np.zeros((len(i), 0)), out=None, codes=codes)


def test_features_alone_have_no_channels_and_lack_what_was_lost(path: Path) -> None:
    time = 7.0 + np.delete(np.arange(1, 1001), np.arange(500, 600)) * 0.0101
    values = np.full((900, 2), np.nan, "f4")
    with SessionWriter(path, FEATURES_ALONE) as writer:
        assert writer.append_features(time[:100], values[:100]) == 100
        assert writer.append_features(time[98:], values[98:]) == 800
        writer.append_decoded(coded(0, 4))
        writer.flush()
        assert read_session(path).features.period_s == 0.01
    session = read_session(path)
    np.testing.assert_array_equal(session.features.time, time)
    assert session.features.period_s == pytest.approx(0.0101)
    assert session.features.nominal_period_s == 0.01
    assert (session.features.names, session.features.kinds) == (("a", "b"), ("power", "count"))
    assert session.decoded.counts.shape == (4, 0)
    assert session.decoded.codes.tolist() == [[0, 0], [1, -1], [2, -2], [3, -3]]
    with h5py.File(path) as file:
        assert file.attrs["format_version"] == 2


def test_units_are_optional(path: Path) -> None:
    with SessionWriter(path, EVENTS_ONLY) as writer:
        writer.append_events([0.2, 0.1], [1, 0])
    recorded = read_session(path).events
    assert (recorded.time.tolist(), recorded.unit.tolist()) == ([0.1, 0.2], [0, 0])


def test_invalid_behaviour_samples_are_left_out_and_counted(path: Path) -> None:
    with SessionWriter(path, Contents(n_channels=1, events=True, behavior=(("x",), ("mm",)))) as writer:
        writer.append_behavior([0.1, 0.2, 0.2, np.nan, 0.15, 0.3], [[1], [np.nan], [2], [3], [4], [5]])
        writer.append_behavior([0.3, 0.25, 0.4], [[6], [7], [8]])
        assert writer.behavior_dropped == 5
    behavior = read_session(path).behavior
    assert behavior.time.tolist() == [0.1, 0.2, 0.3, 0.4]
    assert behavior.values.ravel().tolist() == [1, 2, 5, 8]


def test_a_value_of_behaviour_that_is_not_finite_is_nan_in_its_column(path: Path) -> None:
    contents = Contents(n_channels=1, events=True, behavior=(("x", "y"), ("mm",) * 2))
    with SessionWriter(path, contents) as writer:
        writer.append_behavior([0.1, 0.2, 0.3], [[1, np.nan], [np.inf, 4], [np.nan, np.inf]])
        assert writer.behavior_dropped == 1
    np.testing.assert_array_equal(read_session(path).behavior.values, [[1, np.nan], [np.nan, 4]])


def test_markers_and_trials(path: Path) -> None:
    contents = Contents(n_channels=1, events=True, markers=True, trials=True)
    texts = (
        "go",
        '{"part": 1, "parts": 2, "text": "x"}',
        "café \N{GRINNING FACE}",
        "é" * 2000 + '{"part": 1}',
        '{"event": "end", "path": "' + "\\\\" * 800 + '"}',
    )
    columns = {"target": np.array([[1, 2]]), "radius": [3.5], "success": [1]}
    with SessionWriter(path, contents) as writer:
        writer.append_markers(Markers(np.array([5.0, 2, 3, 4, 1]), texts))
        writer.append_trials(Trials(np.array([1.0]), np.array([4.0]), columns))
    session = read_session(path)
    assert session.markers.text == (texts[4], texts[1], texts[2], texts[3], texts[0])
    assert session.markers.time.tolist() == [1, 2, 3, 4, 5]
    assert session.trials.columns["target"].tolist() == [[1, 2]]
    assert session.trials.columns["success"].tolist() == [1]
    write_session(path, session)
    assert read_session(path).markers.text == session.markers.text


@pytest.mark.parametrize("weights", [None, np.eye(2, dtype=np.float32)])
def test_a_detection_is_in_the_file_from_the_start(path: Path, weights: np.ndarray | None) -> None:
    detection = Detection({"rate_hz": 3e4}, np.array([1.5, 0.0]), weights)
    with SessionWriter(path, Contents(n_channels=2, events=True, detection=detection)) as writer:
        writer.append_events([0.5], [1])
        writer.flush()
        read = read_session(path)
        assert not read.complete
        assert read.detection is not None
        assert read.detection.settings == {"rate_hz": 3e4}
        np.testing.assert_array_equal(read.detection.noise, detection.noise)
        np.testing.assert_equal(read.detection.weights, weights)


def test_rows_of_the_wrong_shape_are_refused_before_anything_grows(path: Path) -> None:
    with SessionWriter(path, CONTENTS) as writer:
        good = bins(0, 3)
        with pytest.raises(ValueError, match="does not fit"):
            writer.append_decoded(good._replace(counts=np.zeros((3, N_CHANNELS + 1), "u1")))
        with pytest.raises(ValueError, match="does not fit"):
            writer.append_events([0.1, 0.2], [1], [0])
        writer.append_decoded(good)
    assert Rows.checked(read_session(path)) == Rows(bins=3)


def test_an_existing_recording_is_only_replaced_on_request(path: Path) -> None:
    path.write_bytes(b"precious")
    with pytest.raises(RtdecodeError, match="exists already") as raised:
        SessionWriter(path, EVENTS_ONLY)
    assert raised.value.fix == "choose another name, such as live.2.h5"
    assert path.read_bytes() == b"precious"
    SessionWriter(path, EVENTS_ONLY, overwrite=True).close()
    assert read_session(path).complete


@pytest.mark.parametrize("name", ["missing/live.h5", "file/live.h5", "."])
def test_a_recording_that_cannot_be_created_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RtdecodeError, match="cannot be written") as raised:
        SessionWriter(tmp_path / name, CONTENTS)
    assert raised.value.fix
    assert sorted(os.listdir(tmp_path)) == ["file"]


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A disk that refuses every write until `undo()`."""

    def refuse(fd: int, block: bytes, at: int) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", refuse)
        yield patched


@pytest.fixture
def begun(path: Path) -> tuple[SessionWriter, Rows]:
    """A writer with some rows on disk, before `full_disk`."""
    writer = SessionWriter(path, CONTENTS, max_waiting_bytes=1_000_000)
    rows = Rows().append(writer, (10, 10, 10, 1))
    writer.flush()
    return writer, rows


def test_a_full_disk_loses_nothing_once_there_is_room(
    path: Path, begun: tuple[SessionWriter, Rows], full_disk: pytest.MonkeyPatch
) -> None:
    writer, before = begun
    rows = before
    for _ in range(5):
        rows = rows.append(writer, (5_000, 10, 1_000, 1))
        with pytest.raises(OSError, match="No space left"):
            writer.flush()
        assert Rows.checked(read_session(path)) == before
    full_disk.undo()
    writer.flush()
    assert Rows.checked(read_session(path)) == rows
    writer.close()
    assert Rows.checked(read_session(path)) == rows


def test_what_waits_in_memory_is_limited(
    path: Path, begun: tuple[SessionWriter, Rows], full_disk: pytest.MonkeyPatch
) -> None:
    writer, rows = begun
    writer.append_events(*events(10, 200_000))
    for append in (
        lambda: writer.append_events(*events(0, 1)),
        lambda: writer.append_behavior(*samples(0, 1)),
        lambda: writer.append_decoded(bins(0, 1)),
        lambda: writer.append_log(entries(0, 1)),
    ):
        with pytest.raises(OSError, match="no more can wait in memory"):
            append()
    full_disk.undo()
    writer.flush()
    rows.events = 200_000
    rows = rows.append(writer, (1, 1, 1, 1))
    writer.close()
    assert Rows.checked(read_session(path)) == rows


def test_closing_on_a_full_disk_raises_and_leaves_a_valid_file(
    path: Path, begun: tuple[SessionWriter, Rows], full_disk: pytest.MonkeyPatch
) -> None:
    writer, rows = begun
    rows.append(writer, (10, 10, 10, 1))
    with pytest.raises(OSError, match="No space left"):
        writer.close()
    session = read_session(path)
    assert Rows.checked(session) == rows
    assert not session.complete


def run_python(code: str, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)


def test_a_process_may_end_without_closing(path: Path) -> None:
    ended = run_python(
        "import sys; from rtdecode.session.contents import Contents\n"
        "from rtdecode.session.grow import SessionWriter\n"
        "kept = SessionWriter(sys.argv[1], Contents(n_channels=1, events=True))\n"
        "kept.append_events([0.5], [0]); kept.flush()",
        path,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    session = read_session(path)
    assert not session.complete
    assert session.events.time.tolist() == [0.5]


def test_another_process_can_read_a_growing_file(path: Path) -> None:
    with SessionWriter(path, CONTENTS) as writer:
        writer.append_events(*events(0, 9))
        writer.flush()
        ended = run_python("import sys, h5py; print(len(h5py.File(sys.argv[1])['events/time']))", path)
        assert ended.stdout == "9\n"


@dataclass
class Tape:
    """Every write to the file, in order, and the rows on disk after each flush."""

    steps: list[tuple[int, bytes | None]]
    marks: list[tuple[int, Rows]]

    def mark(self, rows: Rows) -> None:
        self.marks.append((len(self.steps), rows))

    def promised(self, step: int) -> tuple[Rows, Rows]:
        """The rows that must be in the file after `step`, and those that may be."""
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


def play(tape: Tape, path: Path) -> Iterator[tuple[int, int]]:
    """Write the tape again; after each write, and at page ends within it: the step, and the whole ones."""
    with open(path, "wb", buffering=0) as image:
        for step, (at, block) in enumerate(tape.steps):
            if block is None:
                image.truncate(at)
            else:
                for done in range(4096 - at % 4096, len(block), 4096):
                    image.seek(at)
                    image.write(block[:done])
                    yield step, step
                image.seek(at)
                image.write(block)
            yield step, step + 1


def play_and_check(tape: Tape, path: Path, checks: Callable[[int], bool]) -> int:
    """Play the tape; read as after a kill around the checked steps. How often that was."""
    checked = 0
    for step, whole in play(tape, path):
        if step < tape.marks[0][0] or not checks(step):
            continue
        with h5py.File(path) as file:
            assert set(file) == {"events", "behavior", "decoded", "log"}
        found = Rows.checked(read_session(path))
        at_least, at_most = tape.promised(whole)
        for low, rows, high in zip(at_least.all, found.all, at_most.all, strict=True):
            assert low <= rows <= high
        checked += 1
    return checked


def record(tape: Tape, writer: SessionWriter, batches: Iterable[tuple[int, int, int, int]]) -> None:
    """Append and flush the batches one by one, with a mark after each, and close."""
    rows = Rows()
    tape.mark(rows)
    for more in batches:
        rows = rows.append(writer, more)
        writer.flush()
        tape.mark(rows)
    writer.close()
    tape.mark(rows)


def test_a_kill_between_any_two_writes_damages_nothing(path: Path, tape: Tape) -> None:
    batches = np.random.default_rng(0).integers(0, [14, 6, 7, 3], (16, 4)).tolist()
    record(tape, SessionWriter(path, CONTENTS, chunk_rows=FOUR_ROWS), batches)
    assert play_and_check(tape, path.with_name("killed.h5"), lambda step: True) > 600


def test_a_kill_while_features_are_written_damages_nothing(path: Path, tape: Tape) -> None:
    writer = SessionWriter(path, FEATURES_ALONE, chunk_rows=FOUR_ROWS)
    begun = len(tape.steps)
    for i in range(4):
        writer.append_features(*samples(3 * i, 3 * i + 3))
        writer.append_decoded(coded(2 * i, 2 * i + 2))
        writer.flush()
    writer.close()
    image = path.with_name("killed.h5")
    seen = set()
    for step, _ in play(tape, image):
        if step >= begun:
            session = read_session(image)
            time, values = samples(0, len(session.features.time))
            np.testing.assert_array_equal(session.features.time, time)
            np.testing.assert_array_equal(session.features.values, values)
            n = len(session.decoded.bin)
            assert session.decoded.codes.tolist() == coded(0, n).codes.tolist()
            seen.add((len(time), n))
    assert (0, 0) in seen
    assert (12, 8) in seen


def test_a_kill_while_models_are_added_leaves_no_row_without_its_model(path: Path, tape: Tape) -> None:
    writer = SessionWriter(path, CONTENTS)
    begun = len(tape.steps)
    models = list(MODELS)
    for i in range(20):
        models.append(f"{i:08x}")
        writer.list_models(models)
        writer.append_decoded(bins(2 * i, 2 * i + 2)._replace(model=np.full(2, len(models) - 1, "u1")))
        writer.flush()
    writer.close()
    image = path.with_name("killed.h5")
    seen = set()
    for step, _ in play(tape, image):
        if step >= begun:
            decoded = read_session(image).decoded
            assert decoded.models == tuple(models[: len(decoded.models)])
            seen.add(len(decoded.models))
    assert seen == set(range(len(MODELS), len(models) + 1))
    assert decoded.model.tolist() == [2 + i // 2 for i in range(40)]
    with h5py.File(image) as closed:
        assert closed["decoded"].attrs["models"].tolist() == models


def test_a_kill_while_markers_and_trials_are_written_damages_nothing(path: Path, tape: Tape) -> None:
    contents = Contents(n_channels=1, events=True, markers=True, trials=True)
    writer = SessionWriter(path, contents, chunk_rows=FOUR_ROWS)
    begun, texts = len(tape.steps), tuple(f"{i} " + "x" * 400 * i for i in range(8))
    for i, text in enumerate(texts):
        writer.append_markers(Markers(np.array([float(i)]), (text,)))
        writer.flush()
    rows = np.arange(3.0)
    writer.append_trials(Trials(rows, rows, {"success": rows, "target": np.ones((3, 2)), "radius": rows}))
    writer.close()
    image = path.with_name("killed.h5")
    seen = set()
    for step, _ in play(tape, image):
        if step >= begun:
            session = read_session(image)
            assert session.markers.text == texts[: len(session.markers.text)]
            assert session.trials.start.tolist() == rows[: len(session.trials.start)].tolist()
            seen.add((len(session.markers.text), len(session.trials.start)))
    assert seen == {(n, 0) for n in range(9)} | {(8, 3)}


def test_models_are_strings_for_any_reader(path: Path) -> None:
    with SessionWriter(path, CONTENTS) as writer:
        writer.append_decoded(bins(0, 3))
        with h5py.File(path) as growing:
            assert growing["decoded"].attrs["models"].tolist() == list(MODELS)
        writer.list_models([*MODELS, "00000007"])
    with h5py.File(path) as closed:
        assert closed["decoded"].attrs["models"].tolist() == [*MODELS, "00000007"]


def test_the_list_of_models_has_room_for_256(path: Path) -> None:
    models = [f"{i:08x}" for i in range(256)]
    with SessionWriter(path, CONTENTS) as writer:
        writer.list_models(models)
    decoded = read_session(path).decoded
    assert decoded.models == tuple(models)


def test_a_kill_while_an_index_splits_damages_nothing(path: Path, tape: Tape) -> None:
    # An index node holds 64 chunks. The 65th splits the root, and about 60 later a leaf below it splits:
    # there a wrong order of writes would lose rows that were on disk long ago.
    writer = SessionWriter(path, CONTENTS, chunk_rows=CHUNK_ROWS | {"events": 1})
    record(tape, writer, [(2, 0, 0, 0)] * 66)
    flushes = [range(start, stop) for (start, _), (stop, _) in pairwise(tape.marks)]
    splits = [steps for steps in flushes[:-1] if any(is_branch(tape.steps[step][1]) for step in steps)]
    assert len(splits) >= 2
    split_steps = {step for steps in splits for step in steps}
    assert play_and_check(tape, path.with_name("killed.h5"), split_steps.__contains__) > 50


def is_branch(block: bytes | None) -> bool:
    """Whether `block` is an index node above the leaves."""
    return block is not None and block.startswith(b"TREE") and block[4] == 1 and block[5] > 0
