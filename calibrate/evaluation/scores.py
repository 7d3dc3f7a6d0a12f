"""Scores of the jobs of `evaluate`, and their cache."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from rtdecode.calibrate.data.metrics import nullable
from rtdecode.calibrate.evaluation.cache import read_json
from rtdecode.files import replace_file
from rtdecode.kernels.arrays import F8


class ScoredJob(Protocol):
    """A model to fit to a day and to score on it."""

    @property
    def id(self) -> str:
        """16 hex digits of everything that determines the result."""

    @property
    def name(self) -> str:
        """Description for messages."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the D behaviour columns."""

    def as_json(self) -> dict[str, Any]:
        """As `rtdecode evaluate --json` prints it, without scores."""


Job = TypeVar("Job", bound=ScoredJob)


@dataclass(frozen=True, eq=False)
class Score(Generic[Job]):
    """A finished job.

    Attributes:
        job: that was done.
        r2, pcc: f8[D], over the bins of the day that are scored; NaN without a score.
        seconds: time of fitting to the day.
    """

    job: Job
    r2: F8
    pcc: F8
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """As `rtdecode evaluate --json` prints it."""
        scores = {"r2": nullable(self.r2), "pcc": nullable(self.pcc), "seconds": self.seconds}
        return self.job.as_json() | scores


@dataclass(frozen=True)
class ScoreFiles(Generic[Job]):
    """The cache of jobs: ID.json of each in a folder."""

    folder: Path
    jobs: Mapping[str, Job]

    def read(self, job_id: str) -> Score[Job] | None:
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

    def write(self, job_id: str, result: Score[Job]) -> Score[Job]:
        """Write the result of a job."""
        document = result.as_json() | {"job": job_id}
        replace_file(self.folder / f"{job_id}.json", (json.dumps(document) + "\n").encode())
        return result
