"""Run one job of a first-seconds evaluation: from the files of its day and its base to its score."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

from rtdecode.artifact import ModelArtifact
from rtdecode.calibrate.adaptation.ladder import take_checked
from rtdecode.calibrate.data.features import described_features, reading
from rtdecode.calibrate.data.metrics import pcc, r2
from rtdecode.calibrate.data.sessions import LabelledSession, read_labelled
from rtdecode.calibrate.data.split_session import SplitSession
from rtdecode.calibrate.decoding import decoded
from rtdecode.calibrate.evaluation.bases import planned_base
from rtdecode.calibrate.evaluation.cache import changed_file
from rtdecode.calibrate.evaluation.first_seconds.plan import FirstSecondsJob, first_seconds
from rtdecode.calibrate.evaluation.scores import Score
from rtdecode.calibrate.fitting.fit import fit_parts
from rtdecode.calibrate.run import Run
from rtdecode.calibrate.training.ensemble import one_thread
from rtdecode.kernels.arrays import F4


def do_job(job: FirstSecondsJob) -> Score[FirstSecondsJob]:
    """Learn from the first seconds of a day, decode all of it with the engine of `serve`, and score the rest.

    Runs on one core. The same job gives the same scores on one machine; `seconds` is measured.

    Raises:
        RtdecodeError: a file cannot be used or has changed since the jobs were planned, or the device does
            not exist.
    """
    day = read_labelled(job.test, job.bin_width_s, job.outputs)
    if day.sha256 != job.test_sha256:
        raise changed_file(job.test)
    values, seconds = decoded_day(job, day)
    test = first_seconds(day, job.seconds).test
    scored = values[test], day.targets[test]
    return Score(job, r2(*scored), pcc(*scored), seconds)


def decoded_day(job: FirstSecondsJob, day: LabelledSession) -> tuple[F4, float]:
    """Values f4[T, D] of all bins of the day, and the seconds that learning took.

    A value depends on the spikes up to its bin and, like the model, on the day's first seconds.
    """
    started = perf_counter()
    with one_thread():
        learn = _from_scratch if job.base is None else _calibrated
        model = learn(job, first_seconds(day, job.seconds))
        seconds = perf_counter() - started
        return decoded(model, reading(day, model.features).inputs, day.binned.starts), seconds


def _from_scratch(job: FirstSecondsJob, part: SplitSession) -> ModelArtifact:
    """As `fit`, with the rest of the day held out."""
    _, (fitted,) = fit_parts(job.kind, [part], job.fit, _run(job))
    return fitted.artifact


def _calibrated(job: FirstSecondsJob, part: SplitSession) -> ModelArtifact:
    """As `calibrate`, with the rest of the day held out and no gate."""
    assert job.base is not None
    assert job.rung is not None
    base = planned_base(job.base, job.base_sha256)
    names = [feature.name for feature in base.features]
    part = replace(part, of=reading(part.of, described_features([part.of], [part.end], names)))
    return take_checked(job.rung, base, part, _run(job), job.finetune)[0].artifact


def _run(job: FirstSecondsJob) -> Run:
    return Run(seed=job.seed, device=job.device, at_once=1)
