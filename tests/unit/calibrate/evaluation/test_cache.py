"""Jobs that are kept: none is done twice, and an interruption costs those under way alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jobwork import Numbered, unlucky_or_killed_once

from rtdecode.calibrate.evaluation.cache import Done, digests_of, id_of, read_kept, run_kept
from rtdecode.errors import RtdecodeError


def run(
    folder: Path, numbers: list[int], keep: Callable[[str, int], int] | None = None, **options: Any
) -> Done[int]:
    def kept(job_id: str) -> int | None:
        document = read_kept(folder / job_id, job_id)
        return None if document is None else int(document["result"])

    def write(job_id: str, result: int) -> int:
        (folder / job_id).write_text(json.dumps({"job": job_id, "result": result}))
        return result

    jobs = [Numbered(number, str(folder)) for number in numbers]
    ids = [f"id{number}" for number in numbers]
    return run_kept(unlucky_or_killed_once, ids, jobs, kept=kept, keep=keep or write, workers=2, **options)


def tries(folder: Path) -> dict[int, int]:
    found = [int(path.stem) for path in folder.glob("[0-9]*.*")]
    return {number: found.count(number) for number in sorted(set(found))}


def test_a_killed_process_and_a_failure_cost_their_own_jobs_alone(tmp_path: Path) -> None:
    done = run(tmp_path, [4, 13, 2, 3, 4])
    assert done.results == {"id4": 4, "id2": 2, "id3": 3}
    assert list(done.results) == ["id4", "id2", "id3"]
    assert done.missing == ["number 13: 13: is unlucky. Fix: take another one"]
    assert done.computed == 3
    assert tries(tmp_path) == {2: 2, 3: 1, 4: 1}
    again = run(tmp_path, [4, 13, 2, 3, 4, 5])
    assert (again.computed, again.results["id5"]) == (1, 5)
    assert tries(tmp_path) == {2: 2, 3: 1, 4: 1, 5: 1}


def test_what_was_kept_before_an_interruption_is_not_done_again(tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []

    def interrupt(what: str, done: float) -> None:
        told.append((what, done))
        if what.startswith("2 of"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, [0, 1, 3, 4, 5], progress=interrupt)
    assert told[0] == ("0 of 5 jobs were done before", 0.0)
    assert [what.partition(",")[0] for what, _ in told[1:]] == ["1 of 5 jobs", "2 of 5 jobs"]
    kept = sorted(path.name for path in tmp_path.glob("id*"))
    assert len(kept) == 2
    # One that was being written when the power went.
    (tmp_path / kept[0]).write_text('{"job": "id')
    again = run(tmp_path, [0, 1, 3, 4, 5])
    assert again.computed == 4
    assert again.results == {f"id{number}": number for number in (0, 1, 3, 4, 5)}


def test_what_cannot_be_kept_ends_the_jobs(tmp_path: Path) -> None:
    def full(_job: str, _result: int) -> int:
        raise RtdecodeError("cannot be written (No space left on device)")

    with pytest.raises(RtdecodeError, match="No space left"):
        run(tmp_path, [0, 1, 3], keep=full)


def test_a_file_is_of_the_job_that_it_names(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    assert read_kept(path, "a") is None
    for text in ("", "[]", '{"job": "b"}', "\xff", "[" * 100_000):
        path.write_text(text, encoding="latin-1")
        assert read_kept(path, "a") is None
    path.write_text('{"job": "a", "r2": [null]}')
    assert read_kept(path, "a") == {"job": "a", "r2": [None]}


def test_an_id_is_of_all_that_is_described_in_whatever_order() -> None:
    assert id_of({"a": 1, "b": (2, None)}) == id_of({"b": [2, None], "a": 1})
    assert id_of({"a": 1}) != id_of({"a": 2})
    assert len(id_of({})) == 16


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert digests_of([tmp_path / "a"])[tmp_path / "a"].startswith("ba7816bf")
    with pytest.raises(RtdecodeError, match=r"b: cannot be read \(No such file or directory\)\. Fix: check"):
        digests_of([tmp_path / "b"])
