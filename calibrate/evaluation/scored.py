"""Run the jobs of a protocol of `evaluate`, each cached as its score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from rtdecode.calibrate.evaluation.cache import JOBS, Done, run_cached
from rtdecode.calibrate.evaluation.runner import Workers
from rtdecode.calibrate.evaluation.scores import Job, Score, ScoreFiles
from rtdecode.calibrate.progress import Progress
from rtdecode.calibrate.training.devices import chosen_device
from rtdecode.files import make_folder


def score_jobs(
    work: Callable[[Job], Score[Job]],
    planned: Sequence[Job],
    folder: Path,
    workers: Workers,
    progress: Progress,
) -> Done[Score[Job]]:
    """Run all jobs that are not cached in the folder's jobs/; arguments and errors as of `run_cached`."""
    jobs = {job.id: job for job in planned}
    store = ScoreFiles(folder / JOBS, jobs)
    make_folder(store.folder)
    return run_cached(work, jobs, store, workers=workers, progress=progress)


def limited(workers: Workers, device: str) -> Workers:
    """The workers; one at a time here, unless a number was given, where jobs would share this machine's GPU.

    Raises:
        RtdecodeError: the device does not exist on this machine, which is to run the jobs.
    """
    if workers.dask is None and chosen_device(device).type != "cpu" and workers.n is None:
        return replace(workers, n=1)
    return workers
