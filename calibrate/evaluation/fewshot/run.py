"""Score pretrained models on new days, by the number of labelled minutes they are fine-tuned on.

done = few_shot(["today.h5"], ["base.safetensors"], Path("few-shot/"), FewShotSettings(minutes=(0, 1, 4)))
done.results, done.missing
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rtdecode.artifact import check_counts_alone
from rtdecode.calibrate.data.sessions import read_all, session_notes
from rtdecode.calibrate.evaluation.bases import read_bases
from rtdecode.calibrate.evaluation.cache import Done
from rtdecode.calibrate.evaluation.fewshot.job import do_job
from rtdecode.calibrate.evaluation.fewshot.plan import FewShotJob, FewShotSettings, check_settings, plan
from rtdecode.calibrate.evaluation.runner import Workers
from rtdecode.calibrate.evaluation.scored import limited, score_jobs
from rtdecode.calibrate.evaluation.scores import Score
from rtdecode.calibrate.progress import Progress, ignore


def few_shot(
    paths: Sequence[Path | str],
    bases: Sequence[Path | str],
    folder: Path,
    settings: FewShotSettings | None = None,
    *,
    workers: Workers | None = None,
    progress: Progress = ignore,
) -> Done[Score[FewShotJob]]:
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
    read = read_bases(bases)
    for base in read:
        check_counts_alone(base.artifact, "few-shot evaluation")
    check_settings([base.artifact for base in read], settings)
    workers = limited(workers or Workers(), settings.device)
    first = read[0].artifact
    days = read_all(
        paths,
        first.bin_width_s,
        first.output_names,
        progress=lambda what, _: progress(what, 0.0),
    )
    planned = plan(days, read, settings)
    notes = session_notes(days, seed=0)
    del days, read
    return replace(score_jobs(do_job, planned, folder, workers, progress), notes=notes)
