"""Score models on the days of whose first seconds they have learnt.

settings = FirstSecondsSettings(bin_width_s=0.064, kinds=("wiener", "kalman"))
jobs, notes = read_and_plan(["today.h5"], [], settings)
done = first_seconds_scores(jobs, Path("scores/"))
done.results, done.missing
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rtdecode.calibrate.data.sessions import read_all, session_notes
from rtdecode.calibrate.evaluation.bases import Base
from rtdecode.calibrate.evaluation.cache import Done
from rtdecode.calibrate.evaluation.first_seconds.job import do_job
from rtdecode.calibrate.evaluation.first_seconds.plan import (
    FirstSecondsJob,
    FirstSecondsSettings,
    check_settings,
    plan,
)
from rtdecode.calibrate.evaluation.runner import Workers
from rtdecode.calibrate.evaluation.scored import limited, score_jobs
from rtdecode.calibrate.evaluation.scores import Score
from rtdecode.calibrate.progress import Progress, ignore


def read_and_plan(
    paths: Sequence[Path | str],
    bases: Sequence[Base],
    settings: FirstSecondsSettings,
    progress: Progress = ignore,
) -> tuple[list[FirstSecondsJob], list[str]]:
    """The jobs of these days, and notes about what was left out of them.

    Kinds are learnt from scratch as `fit` does, bases are calibrated as `calibrate` does. The rest of the day
    is decoded once, bin by bin, and neither trained on nor validated with.

    Args:
        paths: sessions that no base was trained on.
        bases: networks of the settings' bin width and outputs.
        settings: what to evaluate.
        progress: called after each file that is read.

    Raises:
        RtdecodeError: settings, bases and days do not fit each other (`check_settings`, `plan`), or a file
            cannot be read.
    """
    check_settings(bases, settings)
    outputs = bases[0].artifact.output_names if bases else settings.outputs
    days = read_all(paths, settings.bin_width_s, outputs, progress=lambda what, _: progress(what, 0.0))
    return plan(days, bases, settings), session_notes(days, seed=0)


def first_seconds_scores(
    jobs: Sequence[FirstSecondsJob],
    folder: Path,
    *,
    workers: Workers | None = None,
    progress: Progress = ignore,
) -> Done[Score[FirstSecondsJob]]:
    """Run the jobs, each cached as soon as it is done; a job that fails does not affect the others.

    Args:
        jobs: in the order of the scores.
        folder: holds ID.json of each job in jobs/; created if missing.
        workers: see `few_shot`.
        progress: called after each job.

    Raises:
        RtdecodeError: a file cannot be written, the device does not exist here, or no Dask scheduler answers.
    """
    device = next((job.device for job in jobs if job.is_trained), "cpu")
    return score_jobs(do_job, jobs, folder, limited(workers or Workers(), device), progress)
