"""Jobs with results cached in a folder: an interrupted command resumes where it stopped.

done = run_cached(do_job, {job.id: job for job in jobs}, store, workers=Workers(2))
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
from rtdecode.calibrate.evaluation.runner import Failure, Workers, run_jobs
from rtdecode.calibrate.progress import Progress, ignore
from rtdecode.errors import RtdecodeError
from rtdecode.files import file_errors

JOBS = "jobs"
"""Name of the folder of cached jobs inside a command's output folder."""


class Named(Protocol):
    """A job with a name to print."""

    @property
    def name(self) -> str:
        """Description for messages."""


Item = TypeVar("Item", bound=Named)
Result = TypeVar("Result")
ResultIn = TypeVar("ResultIn", contravariant=True)
Cached = TypeVar("Cached")
CachedOut = TypeVar("CachedOut", covariant=True)


class Store(Protocol[ResultIn, CachedOut]):
    """Where results are cached."""

    def read(self, job_id: str) -> CachedOut | None:
        """The cached result of a job; None if it is missing or damaged."""

    def write(self, job_id: str, result: ResultIn) -> CachedOut:
        """Cache a result, completely or not at all, and return it as `read` does.

        Raises:
            RtdecodeError: it cannot be written.
        """


@dataclass(frozen=True, eq=False)
class Done(Generic[Cached]):
    """Results of the jobs.

    Attributes:
        results: of the finished jobs, in their order.
        missing: the name of each job without a result, and the reason.
        computed: number of jobs computed in this call; the others were cached.
        notes: what was left out of the sessions or their labels, a sentence each.
    """

    results: list[Cached]
    missing: list[str]
    computed: int
    notes: Sequence[str] = ()


def run_cached(
    work: Callable[[Item], Result],
    jobs: Mapping[str, Item],
    store: Store[Result, Cached],
    *,
    workers: Workers | None = None,
    progress: Progress = ignore,
) -> Done[Cached]:
    """Run all jobs that are not cached yet, and cache each as soon as it is done.

    A job that fails does not affect the others.

    Args:
        work: computes the result of a job, see `run_jobs`.
        jobs: by id; an id identifies everything that determines the result (`id_of`).
        store: the cache.
        workers: see `run_jobs`.
        progress: called after each job.

    Raises:
        RtdecodeError: no Dask scheduler answers, or as `Store.write`.
    """
    found = {job_id: store.read(job_id) for job_id in jobs}
    results = {job_id: result for job_id, result in found.items() if result is not None}
    todo = [job_id for job_id in jobs if job_id not in results]
    failed: dict[str, str] = {}
    progress(f"{len(results)} of {len(jobs)} jobs were done before", len(results) / max(1, len(jobs)))
    with closing(run_jobs(work, [jobs[job_id] for job_id in todo], workers)) as outcomes:
        for index, outcome in outcomes:
            job_id = todo[index]
            if isinstance(outcome, Failure):
                failed[job_id] = outcome.reason
            else:
                results[job_id] = store.write(job_id, outcome)
            n_done = len(results) + len(failed)
            progress(f"{n_done} of {len(jobs)} jobs, {jobs[job_id].name}", n_done / len(jobs))
    return Done(
        results=[results[job_id] for job_id in jobs if job_id in results],
        missing=[f"{jobs[job_id].name}: {reason}" for job_id, reason in failed.items()],
        computed=len(todo) - len(failed),
    )


def id_of(described: Mapping[str, Any]) -> str:
    """16 hex digits of the SHA-256 of everything that determines a job's result, as JSON."""
    return hashlib.sha256(json.dumps(dict(described), sort_keys=True).encode()).hexdigest()[:16]


def digests_of(files: Iterable[Path]) -> dict[Path, str]:
    """SHA-256 of each file, in hexadecimal.

    Raises:
        RtdecodeError: a file cannot be read.
    """
    digests = {}
    for path in files:
        with file_errors(path, "read", "check the path"):
            digests[path] = file_sha256(path)
    return digests


def changed_file(path: Path) -> RtdecodeError:
    """The error of a job whose file is not the one that it was planned for."""
    return RtdecodeError(
        "has changed since the jobs were planned",
        where=str(path),
        fix="run the command again; a cluster's workers need the same files at the same paths",
    )


def read_json(path: Path, job_id: str) -> dict[str, Any] | None:
    """The cached JSON document of a job; None if it is missing, damaged or of another job."""
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and document.get("job") == job_id else None
