"""Run one job of a few-shot evaluation: from the files of its day and its base to its score."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

import numpy as np

from rtdecode.artifact import ModelArtifact
from rtdecode.calibrate.adaptation.finetune import NewDay, adapt
from rtdecode.calibrate.adaptation.finetune_settings import FINETUNING
from rtdecode.calibrate.data.metrics import pcc, r2
from rtdecode.calibrate.data.sessions import LabelledSession, describe_outputs, read_labelled
from rtdecode.calibrate.data.splits import FewShotSplit, few_shot_split
from rtdecode.calibrate.decoding import decoded
from rtdecode.calibrate.evaluation.bases import planned_base
from rtdecode.calibrate.evaluation.cache import changed_file
from rtdecode.calibrate.evaluation.fewshot.plan import FewShotJob
from rtdecode.calibrate.evaluation.scores import Score
from rtdecode.calibrate.fitting.fitters import same_day_filter
from rtdecode.calibrate.run import Run
from rtdecode.calibrate.training.build import add_session, export_members
from rtdecode.calibrate.training.ensemble import one_thread
from rtdecode.models.ensemble.load import networks_of
from rtdecode.session.bins import starts_in


def do_job(job: FewShotJob) -> Score[FewShotJob]:
    """Fit a model to the labelled minutes of a day, decode the day with the engine of `serve`, and score it.

    Runs on one core. The same job gives the same scores on one machine; `seconds` is measured.

    Raises:
        RtdecodeError: a file cannot be used or has changed since the jobs were planned, or the device does
            not exist.
    """
    with one_thread():
        day = read_labelled(job.test, job.bin_width_s, job.outputs)
        if day.sha256 != job.test_sha256:
            raise changed_file(job.test)
        time = few_shot_split(day.labelled_bins, day.binned.bin_width_s, job.labelled)
        fit = _filtered if job.base is None else _tuned
        fitted, seconds = fit(job, day, time)
        values = np.full(day.targets.shape, np.nan, np.float32)
        values[:, [day.names.index(name) for name in fitted.output_names]] = decoded(
            fitted, day.binned.counts, day.binned.starts
        )
    scored = values[time.test], day.targets[time.test]
    return Score(job, r2(*scored), pcc(*scored), seconds)


def _tuned(job: FewShotJob, day: LabelledSession, time: FewShotSplit) -> tuple[ModelArtifact, float]:
    """The base, re-normalised and fine-tuned, and the seconds that took."""
    assert job.base is not None
    base = planned_base(job.base, job.base_sha256)
    nets, counts = networks_of(base), day.binned.counts
    started = perf_counter()
    add_session(nets, job.session, counts[time.of(job.read_in_minutes)], job.bin_width_s, where=str(day.path))
    if job.minutes:
        bins = time.of(job.minutes)
        adapt(
            nets,
            NewDay(
                job.session,
                counts[bins],
                day.targets[bins],
                job.bin_width_s,
                starts_in(day.binned.starts, bins),
            ),
            Run(seed=job.seed, device=job.device, at_once=1),
            replace(FINETUNING, steps=job.steps),
        )
    fitted = export_members(nets, job.session, job.bin_width_s, base.outputs)
    return fitted, perf_counter() - started


def _filtered(job: FewShotJob, day: LabelledSession, time: FewShotSplit) -> tuple[ModelArtifact, float]:
    """A Wiener filter of the outputs that are known in the same minutes, and the seconds that took."""
    started = perf_counter()
    bins = time.of(job.minutes)
    known = np.flatnonzero(np.isfinite(day.targets[bins]).any(axis=0))
    if known.size:
        names, units = (tuple(texts[i] for i in known) for texts in (day.names, day.units))
        day = replace(day, names=names, units=units, targets=day.targets[:, known])
    train = np.zeros_like(day.labelled_bins)
    train[bins] = day.labelled_bins[bins]
    outputs = describe_outputs([day], [train])
    fitted = same_day_filter(
        day.binned.counts[bins],
        day.targets[bins],
        outputs,
        job.bin_width_s,
        starts=starts_in(day.binned.starts, bins),
    )
    return fitted, perf_counter() - started
