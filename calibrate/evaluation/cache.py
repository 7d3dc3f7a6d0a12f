"""Jobs whose results are kept in a folder, so that the same command goes on where it was interrupted.

done = run_kept(do_job, ids, jobs, kept=read_result, keep=write_result, workers=2)
done.results, done.missing
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from rtdecode.calibrate.data.sessions import file_sha256
from rtdecode.calibrate.evaluation.runner import Failure, run_jobs
from rtdecode.errors import RtdecodeError

JOBS = "jobs"
"""Of the folder that a command writes to, the one where its jobs are kept."""

Progress = Callable[[str, float], None]
"""Called with what is being done and how much of the whole is done, 0 to 1."""


class Named(Protocol):
    """A job that people can tell from the others."""

    @property
    def name(self) -> str:
        """For people."""


Item = TypeVar("Item", bound=Named)
Result = TypeVar("Result")
Kept = TypeVar("Kept")


@dataclass(frozen=True, eq=False)
class Done(Generic[Kept]):
    """What came of the jobs.

    Attributes:
        results: of the finished ones by their ids, in the order of the jobs.
        missing: of the others, what each was and why it is missing.
        computed: how many were done now; the others were there.
    """

    results: dict[str, Kept]
    missing: list[str]
    computed: int


def run_kept(
    work: Callable[[Item], Result],
    ids: Sequence[str],
    items: Sequence[Item],
    *,
    kept: Callable[[str], Kept | None],
    keep: Callable[[str, Result], Kept],
    workers: int | None = None,
    dask: str | None = None,
    progress: Progress | None = None,
) -> Done[Kept]:
    """Do all jobs that are not kept yet, and keep each as soon as it is done.

    One that fails costs itself alone. Two with one id are one job.

    Args:
        work: does a job, see `run_jobs`.
        ids: of the jobs; each says all that decides over the result.
        items: the jobs.
        kept: what is kept of a job, by its id; None where it is not done, or what is there is not whole.
        keep: puts what came of a job where `kept` finds it, all of it or nothing, and returns the same.
        workers, dask: see `run_jobs`.
        progress: told how far the work is.

    Raises:
        RtdecodeError: no Dask scheduler answers, or as `keep`.
    """
    report: Progress = progress if progress is not None else _ignore
    named = dict(zip(ids, items, strict=True))
    found = {job_id: kept(job_id) for job_id in named}
    results = {job_id: result for job_id, result in found.items() if result is not None}
    todo = [job_id for job_id in named if job_id not in results]
    failed: dict[str, str] = {}
    report(f"{len(results)} of {len(named)} jobs were done before", len(results) / max(1, len(named)))
    items_todo = [named[job_id] for job_id in todo]
    with closing(run_jobs(work, items_todo, workers=workers, dask=dask)) as outcomes:
        for index, outcome in outcomes:
            job_id = todo[index]
            if isinstance(outcome, Failure):
                failed[job_id] = outcome.reason
            else:
                results[job_id] = keep(job_id, outcome)
            n_done = len(results) + len(failed)
            report(f"{n_done} of {len(named)} jobs, {named[job_id].name}", n_done / len(named))
    return Done(
        results={job_id: results[job_id] for job_id in named if job_id in results},
        missing=[f"{named[job_id].name}: {reason}" for job_id, reason in failed.items()],
        computed=len(todo) - len(failed),
    )


def id_of(described: Mapping[str, Any]) -> str:
    """16 hex digits of a job's description, as JSON can hold it: all that decides over its result."""
    return hashlib.sha256(json.dumps(dict(described), sort_keys=True).encode()).hexdigest()[:16]


def digests_of(files: Iterable[Path]) -> dict[Path, str]:
    """SHA-256 of each file, in hexadecimal.

    Raises:
        RtdecodeError: one cannot be read.
    """
    digests = {}
    for path in files:
        try:
            digests[path] = file_sha256(path)
        except OSError as error:
            raise RtdecodeError(
                f"cannot be read ({error.strerror or error})", where=str(path), fix="check the path"
            ) from error
    return digests


def read_kept(path: Path, job_id: str) -> dict[str, Any] | None:
    """What is kept of a job as JSON, if it says that it is this one's; None if not, or if it is damaged."""
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and document.get("job") == job_id else None


def _ignore(_what: str, _done: float) -> None:
    pass
