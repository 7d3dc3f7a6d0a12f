"""A watched folder: which files are swapped in, and when they are complete."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtdecode.errors import RtdecodeError
from rtdecode.serve.watch import FolderWatch, Stamp, Watcher, model_files

A, B = Path("a.safetensors"), Path("b.safetensors")


def test_existing_files_are_ignored() -> None:
    there: dict[Path, Stamp] = {A: (10, 1, 1)}
    folder = FolderWatch(there)
    assert [folder.next_complete(there) for _ in range(3)] == [None] * 3


def test_a_file_is_returned_once_after_it_has_stopped_growing() -> None:
    folder = FolderWatch({})
    assert folder.next_complete({A: (10, 1, 1)}) is None
    assert folder.next_complete({A: (20, 2, 1)}) is None
    assert folder.next_complete({A: (20, 2, 1)}) == A
    assert folder.next_complete({A: (20, 2, 1)}) is None


def test_a_changed_file_is_returned_again() -> None:
    folder = FolderWatch({A: (10, 1, 1)})
    replaced: dict[Path, Stamp] = {A: (10, 1, 2)}
    assert folder.next_complete(replaced) is None
    assert folder.next_complete(replaced) == A
    folder.next_complete({})
    assert [folder.next_complete(replaced) for _ in range(3)] == [None, A, None], "gone and back"


def test_of_several_only_the_newest_is_returned() -> None:
    folder = FolderWatch({})
    both: dict[Path, Stamp] = {A: (10, 5, 1), B: (10, 3, 2)}
    assert folder.next_complete(both) is None
    assert [folder.next_complete(both) for _ in range(3)] == [A, None, None]


@given(st.lists(st.dictionaries(st.sampled_from([A, B]), st.sampled_from([(0, 0, 0), (1, 0, 0), (1, 1, 0)]))))
def test_a_file_is_returned_only_if_two_scans_agree(scans: list[dict[Path, Stamp]]) -> None:
    folder = FolderWatch({})
    before: dict[Path, Stamp] = {}
    for there in scans:
        found = folder.next_complete(there)
        assert found is None or there[found] == before[found]
        before = there


def test_only_models_that_the_gate_accepted_are_listed(tmp_path: Path) -> None:
    for name in ("a.safetensors", "a.refused.safetensors", ".a.safetensors", "a.h5", "a.safetensors.tmp"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "dangling.safetensors").symlink_to(tmp_path / "nowhere")
    assert list(model_files(tmp_path)) == [tmp_path / "a.safetensors"]


def test_a_missing_folder_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(RtdecodeError, match=r"--watch .*none: cannot be watched"):
        Watcher(tmp_path / "none", lambda path: None, print)


def test_new_files_are_swapped_in_and_failures_printed(tmp_path: Path) -> None:
    swapped: list[str] = []
    printed: list[str] = []
    done = threading.Event()

    def swap(path: str) -> None:
        swapped.append(path)
        if path.endswith("bad.safetensors"):
            raise RtdecodeError("is no model", where=path)
        done.set()

    def print_line(line: str) -> None:
        printed.append(line)
        done.set()

    watcher = Watcher(tmp_path, swap, print_line, every_s=0.005)
    watcher.start()
    (tmp_path / "good.safetensors").write_bytes(b"x")
    assert done.wait(20.0)
    done.clear()
    (tmp_path / "bad.safetensors").write_bytes(b"x")
    assert done.wait(20.0)
    watcher.stop()
    assert swapped == [str(tmp_path / "good.safetensors"), str(tmp_path / "bad.safetensors")]
    assert printed == [
        f"NOT SWAPPED: {tmp_path / 'bad.safetensors'}: is no model; the previous model continues"
    ]
