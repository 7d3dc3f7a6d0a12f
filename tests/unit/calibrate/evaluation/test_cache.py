"""Cached jobs: none is computed twice, and an interruption loses the running ones only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from jobwork import Numbered, unlucky_or_killed_once

from rtdecode.calibrate.evaluation.cache import Done, digests_of, id_of, read_json, run_cached
from rtdecode.calibrate.evaluation.runner import Workers
from rtdecode.errors import RtdecodeError


@dataclass
class Files:
    """The cache: one file a job."""

    folder: Path

    def read(self, job_id: str) -> int | None:
        document = read_json(self.folder / job_id, job_id)
        return None if document is None else int(document["result"])

    def write(self, job_id: str, result: int) -> int:
        (self.folder / job_id).write_text(json.dumps({"job": job_id, "result": result}))
        return result


class Full(Files):
    """A cache on a full disk."""

    def write(self, job_id: str, result: int) -> int:
        raise RtdecodeError("cannot be written (No space left on device)", fix="make space")


def run(folder: Path, numbers: list[int], store: Files | None = None, **options: Any) -> Done[int]:
    jobs = {f"id{number}": Numbered(number, str(folder)) for number in numbers}
    return run_cached(unlucky_or_killed_once, jobs, store or Files(folder), workers=Workers(2), **options)


def tries(folder: Path) -> dict[int, int]:
    found = [int(path.stem) for path in folder.glob("[0-9]*.*")]
    return {number: found.count(number) for number in sorted(set(found))}


def test_a_killed_process_and_a_failure_affect_their_own_jobs_only(tmp_path: Path) -> None:
    done = run(tmp_path, [4, 13, 2, 3, 4])
    assert done.results == [4, 2, 3]
    assert done.missing == ["number 13: 13: is unlucky. Fix: take another one"]
    assert done.computed == 3
    assert tries(tmp_path) == {2: 2, 3: 1, 4: 1}
    again = run(tmp_path, [4, 13, 2, 3, 4, 5])
    assert (again.computed, again.results[-1]) == (1, 5)
    assert tries(tmp_path) == {2: 2, 3: 1, 4: 1, 5: 1}


def test_jobs_cached_before_an_interruption_are_not_computed_again(tmp_path: Path) -> None:
    reported: list[tuple[str, float]] = []

    def interrupt(what: str, done: float) -> None:
        reported.append((what, done))
        if what.startswith("2 of"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, [0, 1, 3, 4, 5], progress=interrupt)
    assert reported[0] == ("0 of 5 jobs were done before", 0.0)
    assert [what.partition(",")[0] for what, _ in reported[1:]] == ["1 of 5 jobs", "2 of 5 jobs"]
    cached = sorted(path.name for path in tmp_path.glob("id*"))
    assert len(cached) == 2
    # One was being written when the power failed.
    (tmp_path / cached[0]).write_text('{"job": "id')
    again = run(tmp_path, [0, 1, 3, 4, 5])
    assert again.computed == 4
    assert again.results == [0, 1, 3, 4, 5]


def test_a_result_that_cannot_be_written_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(RtdecodeError, match="No space left"):
        run(tmp_path, [0, 1, 3], Full(tmp_path))


def test_a_file_of_another_job_or_a_damaged_one_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    assert read_json(path, "a") is None
    for text in ("", "[]", '{"job": "b"}', "\xff", "[" * 100_000):
        path.write_text(text, encoding="latin-1")
        assert read_json(path, "a") is None
    path.write_text('{"job": "a", "r2": [null]}')
    assert read_json(path, "a") == {"job": "a", "r2": [None]}


def test_an_id_depends_on_the_values_and_not_on_their_order() -> None:
    assert id_of({"a": 1, "b": (2, None)}) == id_of({"b": [2, None], "a": 1})
    assert id_of({"a": 1}) != id_of({"a": 2})
    assert len(id_of({})) == 16


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert digests_of([tmp_path / "a"])[tmp_path / "a"].startswith("ba7816bf")
    with pytest.raises(RtdecodeError, match=r"b: cannot be read \(No such file or directory\)\. Fix: check"):
        digests_of([tmp_path / "b"])
