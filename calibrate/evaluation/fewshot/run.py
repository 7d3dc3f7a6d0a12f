"""Score pretrained models on new days, by the number of labelled minutes they are fine-tuned on.

done = few_shot(["today.h5"], ["base.safetensors"], Path("few-shot/"), FewShotSettings(minutes=(0, 1, 4)))
done.results, done.missing
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rtdecode.artifact import check_counts_alone, read_artifact
from rtdecode.calibrate.data.sessions import read_all, session_notes
from rtdecode.calibrate.evaluation.cache import JOBS, Done, digests_of, read_json, run_cached
from rtdecode.calibrate.evaluation.fewshot.job import Score, do_job
from rtdecode.calibrate.evaluation.fewshot.plan import (
    Base,
    FewShotJob,
    FewShotSettings,
    check_settings,
    plan,
)
from rtdecode.calibrate.evaluation.runner import Workers
from rtdecode.calibrate.progress import Progress, ignore
from rtdecode.calibrate.training.devices import chosen_device
from rtdecode.files import make_folder, replace_file


@dataclass(frozen=True)
class ScoreFiles:
    """The cache of jobs: ID.json of each in a folder."""

    folder: Path
    jobs: Mapping[str, FewShotJob]

    def read(self, job_id: str) -> Score | None:
        """The result of a job; None if it is missing or damaged."""
        document, job = read_json(self.folder / f"{job_id}.json", job_id), self.jobs[job_id]
        if document is None:
            return None
        try:
            r2, pcc = (np.array(document[name], np.float64) for name in ("r2", "pcc"))
            seconds = float(document["seconds"])
        except (LookupError, TypeError, ValueError):
            return None
        return Score(job, r2, pcc, seconds) if r2.shape == pcc.shape == (len(job.outputs),) else None

    def write(self, job_id: str, result: Score) -> Score:
        """Write the result of a job."""
        document = result.as_json() | {"job": job_id}
        replace_file(self.folder / f"{job_id}.json", (json.dumps(document) + "\n").encode())
        return result


def few_shot(
    paths: Sequence[Path | str],
    bases: Sequence[Path | str],
    folder: Path,
    settings: FewShotSettings | None = None,
    *,
    workers: Workers | None = None,
    progress: Progress = ignore,
) -> Done[Score]:
    """Score bases on the last fifth of each day, fine-tuned on some labelled minutes before it.

    With `labelled="last"`, as if the user had calibrated and then started: the longest of `minutes` before
    the last fifth give the read-in by their spikes, and the last `minutes` of these are labelled. With
    "first", the same at the start of the day, as if the user had gone on without calibrating again. 0 minutes
    are spikes only.

    Each model of a day is a job with an id (`FewShotJob.id`), cached as soon as it is done: a cached job is
    not computed again, and a job that fails does not affect the others.

    Args:
        paths: sessions that no base was trained on.
        bases: files of networks, all of one bin width and with the same outputs.
        folder: holds ID.json of each job in jobs/; created if missing.
        settings: what to evaluate.
        workers: see `run_jobs`; by default one job on each core, or one at a time where they train on a GPU.
            A cluster's workers read the same files at the same paths.
        progress: called after each file that is read and each job.

    Returns:
        Scores by day, base, number of minutes and seed, in this order; a filter has one seed only.

    Raises:
        RtdecodeError: a base is not a network, was trained on one of the sessions, or does not fit another
            base or a session; a file cannot be read or written; the device does not exist here, or no Dask
            scheduler answers.
    """
    settings = settings or FewShotSettings()
    files = [Path(base).resolve() for base in bases]
    artifacts = [read_artifact(file) for file in files]
    for artifact in artifacts:
        check_counts_alone(artifact, "few-shot evaluation")
    check_settings(artifacts, settings)
    workers = limited(workers or Workers(), settings.device)
    digests = digests_of(files)
    first = artifacts[0]
    days = read_all(
        paths,
        first.bin_width_s,
        first.output_names,
        progress=lambda what, _: progress(what, 0.0),
    )
    planned = plan(
        days,
        [
            Base(path=file, sha256=digests[file], artifact=artifact)
            for file, artifact in zip(files, artifacts, strict=True)
        ],
        settings,
    )
    notes = session_notes(days, seed=0)
    del days, artifacts
    jobs = {job.id: job for job in planned}
    store = ScoreFiles(folder / JOBS, jobs)
    make_folder(store.folder)
    return replace(run_cached(do_job, jobs, store, workers=workers, progress=progress), notes=notes)


def limited(workers: Workers, device: str) -> Workers:
    """The workers; one at a time here, unless a number was given, where jobs would share this machine's GPU.

    Raises:
        RtdecodeError: the device does not exist on this machine, which is to run the jobs.
    """
    if workers.dask is None and chosen_device(device).type != "cpu" and workers.n is None:
        return replace(workers, n=1)
    return workers
