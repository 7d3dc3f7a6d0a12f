"""Run one job of a few-shot evaluation: from the files of its day and its base to its score."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from rtdecode.artifact import ModelArtifact, read_artifact
from rtdecode.calibrate.adaptation.finetune import NewDay, adapt
from rtdecode.calibrate.adaptation.finetune_settings import FINETUNING
from rtdecode.calibrate.data.metrics import nullable, pcc, r2
from rtdecode.calibrate.data.sessions import LabelledSession, describe_outputs, file_sha256, read_labelled
from rtdecode.calibrate.data.splits import FewShotSplit, few_shot_split
from rtdecode.calibrate.decoding import decoded
from rtdecode.calibrate.evaluation.fewshot.plan import PROTOCOL, FewShotJob
from rtdecode.calibrate.fitting.fitters import same_day_filter
from rtdecode.calibrate.run import Run
from rtdecode.calibrate.training.build import add_session, export_members
from rtdecode.calibrate.training.ensemble import one_thread
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import F8
from rtdecode.models.ensemble.load import networks_of
from rtdecode.session.bins import starts_in


@dataclass(frozen=True, eq=False)
class Score:
    """A finished job.

    Attributes:
        job: that was done.
        r2, pcc: f8[D], over the last fifth of the day; NaN without a score.
        seconds: time of fitting to the day.
    """

    job: FewShotJob
    r2: F8
    pcc: F8
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """As `rtdecode evaluate --json` prints it."""
        job = self.job
        return {
            "kind": job.kind,
            "causal": True,
            "protocol": PROTOCOL,
            "model": job.model,
            "train": list(job.train),
            "test": [job.session],
            "minutes": job.minutes,
            "known": job.labelled,
            "seed": job.seed,
            "direction": "spikes to behaviour",
            "outputs": list(job.outputs),
            "r2": nullable(self.r2),
            "pcc": nullable(self.pcc),
            "seconds": self.seconds,
        }


def do_job(job: FewShotJob) -> Score:
    """Fit a model to the labelled minutes of a day, decode the day with the engine of `serve`, and score it.

    Runs on one core. The same job gives the same scores on one machine; `seconds` is measured.

    Raises:
        RtdecodeError: a file cannot be used or has changed since the jobs were planned, or the device does
            not exist.
    """
    with one_thread():
        day = read_labelled(job.test, job.bin_width_s, job.outputs)
        if day.sha256 != job.test_sha256:
            raise _changed_file(job.test)
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
    base = read_artifact(job.base)
    if file_sha256(job.base) != job.base_sha256:
        raise _changed_file(job.base)
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


def _changed_file(path: Path) -> RtdecodeError:
    return RtdecodeError(
        "has changed since the jobs were planned",
        where=str(path),
        fix="run the command again; a cluster's workers need the same files at the same paths",
    )
