"""The study's Wiener filter is the one of `fit` and of the gate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from simulated_days import simulated_day

from rtdecode.calibrate.decoding import decoded
from rtdecode.calibrate.evaluation.study.data import study_set
from rtdecode.calibrate.evaluation.study.learners import fit
from rtdecode.calibrate.evaluation.study.plan import Job, StudySettings, plan
from rtdecode.calibrate.evaluation.study.rows import DECODING
from rtdecode.calibrate.evaluation.study.wiener import wiener_artifact, wiener_filter
from rtdecode.calibrate.fitting.fitters import same_day_filter


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulated_day(tmp_path_factory.mktemp("day") / "day.h5", 16, mean_rate_hz=40.0)


def job_of(day: Path, direction: str, causality: str, bin_width_s: float = 0.05) -> Job:
    settings = StudySettings(
        protocols=("single-day",), kinds=("wiener",), causalities=(causality,), directions=(direction,),
        bin_width_s=bin_width_s, outputs=("x", "y", "vx", "vy"), steps=3, members=1,
    )  # fmt: skip
    (job,) = plan([day], settings)
    return job


@pytest.mark.parametrize("bin_width_s", [0.02, 0.064])
def test_on_one_day_the_causal_decoder_is_that_of_fit_and_of_the_gate(day: Path, bin_width_s: float) -> None:
    job = job_of(day, DECODING, "causal", bin_width_s)
    data = study_set(job)
    artifact = wiener_artifact(data, wiener_filter(data, decoding=True, causal=True))
    end = int(np.flatnonzero(data.test.train_bins)[-1]) + 1
    targets = np.where(data.test.train_bins[:, np.newaxis], data.test.recorded.targets, np.float32(np.nan))
    gate = same_day_filter(data.test.counts[:end], targets[:end], data.outputs, bin_width_s)
    weight = gate.run["weight"]
    assert artifact.channel_mask == gate.channel_mask
    np.testing.assert_allclose(artifact.run["weight"], weight, rtol=1e-3, atol=1e-4 * np.abs(weight).max())
    values = [decoded(model, data.test.counts) for model in (artifact, gate)]
    np.testing.assert_allclose(*values, atol=1e-3 * np.abs(values[1]).max())
    np.testing.assert_array_equal(fit(job).values, values[0])


@pytest.mark.parametrize("decoding", [True, False])
def test_centred_filters_read_half_the_history_on_both_sides(day: Path, decoding: bool) -> None:
    data = study_set(job_of(day, DECODING, "causal"))
    causal = wiener_filter(data, decoding=decoding, causal=True).edges
    centred = wiener_filter(data, decoding=decoding, causal=False).edges
    assert causal[0] == 0
    assert -centred[0] == centred[-1] - 1
    assert centred[-1] == pytest.approx(causal[-1] / 2, abs=3)
