"""The paper's comparison on anyone's sessions: every job once, kept on disk, and what they come to.

study = run_study(jobs, Path("study/"), workers=2)
study.rows, study.missing
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from rtdecode.artifact import replace_file
from rtdecode.calibrate.jobs import Failure, run_jobs
from rtdecode.calibrate.sessions import file_sha256
from rtdecode.calibrate.studyjob import Finished, do_job
from rtdecode.calibrate.studyplan import Job
from rtdecode.calibrate.studyrows import Row
from rtdecode.calibrate.studysizes import recipe
from rtdecode.errors import RtdecodeError
from rtdecode.files import make_folder

JOBS = "jobs"

Progress = Callable[[str, float], None]
"""Called with what is being done and how much of the whole is done, 0 to 1."""


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
    report: Progress = progress if progress is not None else _ignore
    ids = _ids(jobs)
    kept = folder / JOBS
    make_folder(kept)
    rows: dict[str, Row] = {}
    for job_id in ids:
        row = _kept(kept, job_id)
        if row is not None:
            rows[job_id] = row
    todo = {job_id: job for job_id, job in zip(ids, jobs, strict=True) if job_id not in rows}
    names, items = list(todo), [_absolute(job) for job in todo.values()]
    failed: dict[str, str] = {}
    report(f"{len(rows)} of {len(set(ids))} jobs were done before", len(rows) / max(1, len(set(ids))))
    for index, outcome in run_jobs(do_job, items, workers=workers, dask=dask):
        job_id = names[index]
        if isinstance(outcome, Failure):
            failed[job_id] = outcome.reason
        else:
            rows[job_id] = _keep(kept, job_id, outcome)
        done = len(rows) + len(failed)
        report(f"{done} of {len(set(ids))} jobs, {todo[job_id].name}", done / len(set(ids)))
    named = {job_id: job.name for job_id, job in zip(ids, jobs, strict=True)}
    return Study(
        rows=[rows[job_id] for job_id in dict.fromkeys(ids) if job_id in rows],
        missing=[f"{named[job_id]}: {reason}" for job_id, reason in failed.items()],
        computed=len(todo) - len(failed),
    )


def _ids(jobs: Sequence[Job]) -> list[str]:
    files = {path for job in jobs for path in (*job.train, job.test, *([job.base] if job.base else []))}
    digests = {}
    for path in files:
        try:
            digests[path] = file_sha256(path)
        except OSError as error:
            raise RtdecodeError(
                f"cannot be read ({error.strerror or error})", where=str(path), mend="check the path"
            ) from error
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
    try:
        row = json.loads((folder / f"{job_id}.json").read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(row, dict) or row.get("job") != job_id or not (folder / f"{job_id}.npz").is_file():
        return None
    return cast(Row, row)


def _keep(folder: Path, job_id: str, finished: Finished) -> Row:
    # The trace first: a row says that the job is done.
    replace_file(folder / f"{job_id}.npz", finished.trace)
    row: Row = {**finished.row, "job": job_id, "trace": f"{JOBS}/{job_id}.npz"}
    replace_file(folder / f"{job_id}.json", (json.dumps(row) + "\n").encode())
    return row


def _ignore(_what: str, _done: float) -> None:
    pass
