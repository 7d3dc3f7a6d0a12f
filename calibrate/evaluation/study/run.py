"""The paper's comparison on anyone's sessions: every job once, kept on disk, and what they come to.

study = run_study(jobs, Path("study/"), workers=2)
study.rows, study.missing
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

from rtdecode.calibrate.evaluation.cache import JOBS, Progress, digests_of, read_kept, run_kept
from rtdecode.calibrate.evaluation.study.job import Finished, do_job
from rtdecode.calibrate.evaluation.study.plan import Job
from rtdecode.calibrate.evaluation.study.recipes import recipe
from rtdecode.calibrate.evaluation.study.rows import Row
from rtdecode.files import make_folder, replace_file


@dataclass(frozen=True, eq=False)
class Study:
    """What came of the jobs.

    Attributes:
        rows: of the finished ones, in the order of the plan.
        missing: of the others, what each was and why it is missing.
        computed: how many were done now; the others were there.
    """

    rows: list[Row]
    missing: list[str]
    computed: int


def run_study(
    jobs: Sequence[Job],
    folder: Path,
    *,
    workers: int | None = None,
    dask: str | None = None,
    progress: Progress | None = None,
) -> Study:
    """Do all jobs that are not in the folder yet, each kept there as soon as it is done.

    A job is known by what decides over its result (`Job.id`). One that fails costs itself alone.

    Args:
        jobs: what to do.
        folder: keeps ID.json and ID.npz of each in jobs/; made if it is not there.
        workers, dask: see `run_jobs`. A cluster's workers read the sessions by the same paths.
        progress: told how far the work is.

    Raises:
        RtdecodeError: a file cannot be read or written, or no Dask scheduler answers.
    """
    ids = _ids(jobs)
    kept = folder / JOBS
    make_folder(kept)
    done = run_kept(
        do_job,
        ids,
        [_absolute(job) for job in jobs],
        kept=partial(_kept, kept),
        keep=partial(_keep, kept),
        workers=workers,
        dask=dask,
        progress=progress,
    )
    return Study(rows=list(done.results.values()), missing=done.missing, computed=done.computed)


def _ids(jobs: Sequence[Job]) -> list[str]:
    digests = digests_of(
        {path for job in jobs for path in (*job.train, job.test, *([job.base] if job.base else []))}
    )
    return [job.id(digests, {} if job.base else recipe(job.kind, job.form, job.direction)) for job in jobs]


def _absolute(job: Job) -> Job:
    """A worker may stand in another folder."""
    return replace(
        job,
        train=tuple(path.resolve() for path in job.train),
        test=job.test.resolve(),
        base=job.base.resolve() if job.base is not None else None,
    )


def _kept(folder: Path, job_id: str) -> Row | None:
    """The row of a job that is done; None where it is not, or what is there is not whole."""
    row = read_kept(folder / f"{job_id}.json", job_id)
    if row is None or not (folder / f"{job_id}.npz").is_file():
        return None
    return cast(Row, row)


def _keep(folder: Path, job_id: str, finished: Finished) -> Row:
    # The trace first: a row says that the job is done.
    replace_file(folder / f"{job_id}.npz", finished.trace)
    row: Row = {**finished.row, "job": job_id, "trace": f"{JOBS}/{job_id}.npz"}
    replace_file(folder / f"{job_id}.json", (json.dumps(row) + "\n").encode())
    return row
