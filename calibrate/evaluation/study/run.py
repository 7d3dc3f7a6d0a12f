"""Run the study: every job once, cached on disk.

done = run_study(jobs, Path("study/"), workers=Workers(2))
done.results, done.missing
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from rtdecode.calibrate.evaluation.cache import JOBS, Done, digests_of, read_json, run_cached
from rtdecode.calibrate.evaluation.runner import Workers
from rtdecode.calibrate.evaluation.study.job import Finished, do_job
from rtdecode.calibrate.evaluation.study.plan import Job
from rtdecode.calibrate.evaluation.study.recipes import recipe
from rtdecode.calibrate.evaluation.study.rows import Row
from rtdecode.calibrate.progress import Progress, ignore
from rtdecode.files import make_folder, replace_file


@dataclass(frozen=True)
class RowFiles:
    """The cache of jobs: ID.json and ID.npz of each in a folder."""

    folder: Path

    def read(self, job_id: str) -> Row | None:
        """The row of a job; None if it or its trace is missing or damaged."""
        row = read_json(self.folder / f"{job_id}.json", job_id)
        if row is None or not (self.folder / f"{job_id}.npz").is_file():
            return None
        return cast(Row, row)

    def write(self, job_id: str, result: Finished) -> Row:
        """Write the row and the trace of a job."""
        # The trace first: with its row a job counts as done.
        replace_file(self.folder / f"{job_id}.npz", result.trace)
        row: Row = {**result.row, "job": job_id, "trace": f"{JOBS}/{job_id}.npz"}
        replace_file(self.folder / f"{job_id}.json", (json.dumps(row) + "\n").encode())
        return row


def run_study(
    jobs: Sequence[Job],
    folder: Path,
    *,
    workers: Workers | None = None,
    progress: Progress = ignore,
) -> Done[Row]:
    """Run all jobs that are not cached in the folder, each cached there as soon as it is done.

    A job that fails does not affect the others.

    Args:
        jobs: what to compute.
        folder: holds ID.json and ID.npz of each job in jobs/; created if missing.
        workers: see `run_jobs`. A cluster's workers read the sessions at the same paths.
        progress: called after each job.

    Raises:
        RtdecodeError: a file cannot be read or written, or no Dask scheduler answers.
    """
    store = RowFiles(folder / JOBS)
    by_id = dict(zip(_ids(jobs), map(_absolute, jobs), strict=True))
    make_folder(store.folder)
    return run_cached(do_job, by_id, store, workers=workers, progress=progress)


def _ids(jobs: Sequence[Job]) -> list[str]:
    digests = digests_of(
        {path for job in jobs for path in (*job.train, job.test, *([job.base] if job.base else []))}
    )
    return [
        job.id(digests, {} if job.base else recipe(job.kind, job.causality, job.direction)) for job in jobs
    ]


def _absolute(job: Job) -> Job:
    """The job with absolute paths: a worker may run in another folder."""
    return replace(
        job,
        train=tuple(path.resolve() for path in job.train),
        test=job.test.resolve(),
        base=job.base.resolve() if job.base is not None else None,
    )
