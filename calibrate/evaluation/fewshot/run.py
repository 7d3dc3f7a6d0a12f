"""How a model of other days does on a new one, by the minutes of labels that it is given.

done = few_shot(["today.h5"], ["base.safetensors"], Path("few-shot/"), minutes=(0, 1, 4), workers=2)
done.scores, done.missing
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import read_artifact
from rtdecode.calibrate.adaptation.finetune_settings import FinetuneSettings
from rtdecode.calibrate.data.sessions import read_all
from rtdecode.calibrate.evaluation.cache import JOBS, Progress, digests_of, read_kept, run_kept
from rtdecode.calibrate.evaluation.fewshot.job import Measured, Score, do_job, scored
from rtdecode.calibrate.evaluation.fewshot.plan import MINUTES, Base, FewShotJob, check_asked, plan
from rtdecode.calibrate.training.devices import chosen_device
from rtdecode.files import make_folder, replace_file


@dataclass(frozen=True, eq=False)
class FewShot:
    """What came of the jobs.

    Attributes:
        scores: of the finished ones, by day, base, number of minutes and seed, in this order; a filter has
            but one seed.
        missing: of the others, what each was and why it is missing.
        computed: how many were done now; the others were there.
    """

    scores: list[Score]
    missing: list[str]
    computed: int


def few_shot(
    paths: Sequence[Path | str],
    bases: Sequence[Path | str],
    folder: Path,
    *,
    minutes: Sequence[float] = MINUTES,
    known: str = "last",
    seeds: Sequence[int] = (0,),
    wiener: bool = True,
    device: str = "auto",
    steps: int = FinetuneSettings.steps,
    workers: int | None = None,
    dask: str | None = None,
    progress: Progress | None = None,
) -> FewShot:
    """Score bases on the last fifth of each day, fine-tuned on some minutes of the day before it.

    With the last ones, as if someone had calibrated and then begun: what was recorded until the last fifth
    for as long as the longest of `minutes` gives the read-in by its spikes, and behaviour is known for the
    last `minutes` of that. With the first ones, the same of how the day began, as if someone had then gone
    on without calibrating again. 0 minutes are spikes only. Minutes that a day does not have before its last
    fifth are left out for that day.

    Each model of a day is a job, known by what decides over its score (`FewShotJob.id`) and kept as soon as
    it is done: what is in the folder is not computed again. One that fails costs itself alone.

    Args:
        paths: sessions that no base was trained on.
        bases: files of networks; all of one bin width and with the same outputs.
        folder: keeps ID.json of each job in jobs/; made if it is not there.
        minutes: of labels, 0 or more, in rising order.
        known: which minutes of a day, see `LABELLED_PARTS`.
        seeds: of fine-tuning.
        wiener: whether to put a Wiener filter beside them that is fitted to the same minutes.
        device: to train on.
        steps: batches of fine-tuning.
        workers: jobs at a time here; None for one on each core, or one where they train on a GPU.
        dask: see `run_jobs`. A cluster's workers read the same files by the same paths.
        progress: told how far the work is.

    Raises:
        RtdecodeError: a base is no network, was trained on one of the sessions, or does not fit another base
            or a session; a file cannot be read or written; no such device here, or no Dask scheduler answers.
    """
    files = [Path(base).resolve() for base in bases]
    artifacts = [read_artifact(file) for file in files]
    check_asked(artifacts, minutes, known, seeds)
    if dask is None and chosen_device(device).type != "cpu":
        workers = workers or 1
    digests = digests_of(files)
    first = artifacts[0]
    days = read_all(
        paths,
        first.bin_width_s,
        first.output_names,
        progress=None if progress is None else lambda what, _: progress(what, 0.0),
    )
    jobs = plan(
        days,
        [
            Base(path=file, sha256=digests[file], artifact=artifact)
            for file, artifact in zip(files, artifacts, strict=True)
        ],
        minutes=minutes,
        known=known,
        seeds=seeds,
        wiener=wiener,
        device=device,
        steps=steps,
    )
    del days, artifacts
    kept = folder / JOBS
    make_folder(kept)
    of_id = {job.id: job for job in jobs}
    done = run_kept(
        do_job,
        list(of_id),
        list(of_id.values()),
        kept=partial(_kept, kept, of_id),
        keep=partial(_keep, kept, of_id),
        workers=workers,
        dask=dask,
        progress=progress,
    )
    return FewShot(
        scores=[scored(job, done.results[job.id]) for job in jobs if job.id in done.results],
        missing=done.missing,
        computed=done.computed,
    )


def _kept(folder: Path, of_id: dict[str, FewShotJob], job_id: str) -> Measured | None:
    """What a job that is done found out; None where it is not, or what is there is not whole."""
    document = read_kept(folder / f"{job_id}.json", job_id)
    if document is None:
        return None
    try:
        measured = Measured(_scores(document["r2"]), _scores(document["pcc"]), float(document["seconds"]))
    except (LookupError, TypeError, ValueError):
        return None
    n_outputs = len(of_id[job_id].outputs)
    return measured if measured.r2.shape == measured.pcc.shape == (n_outputs,) else None


def _scores(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _keep(folder: Path, of_id: dict[str, FewShotJob], job_id: str, measured: Measured) -> Measured:
    document = scored(of_id[job_id], measured).as_json() | {"job": job_id}
    replace_file(folder / f"{job_id}.json", (json.dumps(document) + "\n").encode())
    return measured
