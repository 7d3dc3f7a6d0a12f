"""A folder whose new models take over: which files count, and when they are whole."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtdecode.errors import RtdecodeError
from rtdecode.serve import watch
from rtdecode.serve.watch import FolderWatch, Stamp, Watcher, look

A, B = Path("a.safetensors"), Path("b.safetensors")


def test_what_is_there_already_is_left_alone() -> None:
    there: dict[Path, Stamp] = {A: (10, 1, 1)}
    folder = FolderWatch(there)
    assert [folder.settled(there) for _ in range(3)] == [None] * 3


def test_a_file_counts_once_it_has_stopped_growing_and_once() -> None:
    folder = FolderWatch({})
    assert folder.settled({A: (10, 1, 1)}) is None
    assert folder.settled({A: (20, 2, 1)}) is None
    assert folder.settled({A: (20, 2, 1)}) == A
    assert folder.settled({A: (20, 2, 1)}) is None


def test_a_file_that_changes_counts_again() -> None:
    folder = FolderWatch({A: (10, 1, 1)})
    replaced: dict[Path, Stamp] = {A: (10, 1, 2)}
    assert folder.settled(replaced) is None
    assert folder.settled(replaced) == A
    folder.settled({})
    assert [folder.settled(replaced) for _ in range(3)] == [None, A, None], "gone and back"


def test_of_several_the_newest_counts_and_the_others_never() -> None:
    folder = FolderWatch({})
    both: dict[Path, Stamp] = {A: (10, 5, 1), B: (10, 3, 2)}
    assert folder.settled(both) is None
    assert [folder.settled(both) for _ in range(3)] == [A, None, None]


@given(st.lists(st.dictionaries(st.sampled_from([A, B]), st.sampled_from([(0, 0, 0), (1, 0, 0), (1, 1, 0)]))))
def test_nothing_counts_that_was_not_the_same_in_two_looks(looks: list[dict[Path, Stamp]]) -> None:
    folder = FolderWatch({})
    before: dict[Path, Stamp] = {}
    for there in looks:
        found = folder.settled(there)
        assert found is None or there[found] == before[found]
        before = there


def test_only_models_that_no_gate_refused_are_looked_at(tmp_path: Path) -> None:
    for name in ("a.safetensors", "a.refused.safetensors", ".a.safetensors", "a.h5", "a.safetensors.tmp"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "dangling.safetensors").symlink_to(tmp_path / "nowhere")
    assert list(look(tmp_path)) == [tmp_path / "a.safetensors"]


def test_a_folder_that_is_not_there_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(RtdecodeError, match=r"--watch .*none: cannot be watched"):
        Watcher(tmp_path / "none", lambda path: None, print)


def test_what_comes_in_is_swapped_and_what_goes_wrong_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "LOOK_EVERY_S", 0.005)
    swapped: list[str] = []
    said: list[str] = []
    done = threading.Event()

    def swap(path: str) -> None:
        swapped.append(path)
        if path.endswith("bad.safetensors"):
            raise RtdecodeError("is no model", where=path)
        done.set()

    def print_line(line: str) -> None:
        said.append(line)
        done.set()

    watcher = Watcher(tmp_path, swap, print_line)
    watcher.start()
    (tmp_path / "good.safetensors").write_bytes(b"x")
    assert done.wait(20.0)
    done.clear()
    (tmp_path / "bad.safetensors").write_bytes(b"x")
    assert done.wait(20.0)
    watcher.stop()
    assert swapped == [str(tmp_path / "good.safetensors"), str(tmp_path / "bad.safetensors")]
    assert said == [f"NOT SWAPPED: {tmp_path / 'bad.safetensors'}: is no model; the model before goes on"]
