"""Channel statistics in models: rates, correlations and tuning, and the read-ins of older models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rtdecode.artifact import ModelArtifact, Output, read_artifact, write_artifact
from rtdecode.calibrate.channels.statistics import (
    channel_statistics,
    channel_tensors,
    kept_tuning,
    tuning_of,
    with_statistics,
)
from rtdecode.calibrate.fitting.fitters import same_day_filter
from rtdecode.errors import RtdecodeError
from rtdecode.model_store import bundled_models
from rtdecode.models.export.float16 import train_in_float16

BIN_WIDTH_S, COUNT_MAX, C = 0.02, 20, 6
OUTPUTS = (Output("vx", "mm/s", 0.0, 1.0, "velocity"), Output("vy", "mm/s", 0.0, 1.0, "velocity"))


def made(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Counts of channels tuned to the right, up, left and down, of one that is not, and of a dead one."""
    rng = np.random.default_rng(seed)
    slow = np.cumsum(rng.normal(size=(6000, 2)), axis=0)
    targets = np.stack([np.convolve(y - y.mean(), np.ones(50) / 50, "same") for y in slow.T], axis=1)
    targets /= targets.std(axis=0)
    prefers = np.array([[1, 0], [0, 1], [-1, 0], [0, -1], [0, 0]], float)
    rate = np.exp(0.8 * targets @ prefers.T) * 0.4
    counts = np.pad(rng.poisson(rate), ((0, 0), (0, 1)))
    return np.minimum(counts, 255).astype("u1"), targets.astype("f4")


@pytest.fixture(scope="module")
def artifact() -> ModelArtifact:
    counts, targets = made()
    return same_day_filter(counts, targets, OUTPUTS, BIN_WIDTH_S)


def test_statistics_survive_the_file_and_leave_the_id_unchanged(
    artifact: ModelArtifact, tmp_path: Path
) -> None:
    counts, targets = made()
    kept = with_statistics(artifact, channel_tensors(counts, targets, BIN_WIDTH_S, COUNT_MAX))
    assert kept.model_id == artifact.model_id
    write_artifact(tmp_path / "kept.safetensors", train_in_float16(kept))
    statistics = channel_statistics(read_artifact(tmp_path / "kept.safetensors"))
    clipped = np.minimum(counts, COUNT_MAX).astype("f8")
    np.testing.assert_allclose(statistics.mean, clipped.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(statistics.sd, clipped.std(axis=0), rtol=1e-6)
    summed = clipped[: len(clipped) // 3 * 3].reshape(-1, 3, C).sum(axis=1)[:, :5]
    np.testing.assert_allclose(statistics.correlation[:5, :5], np.corrcoef(summed.T), atol=1e-3)
    assert not statistics.correlation[5].any()
    assert statistics.tuning is not None
    assert list(statistics.used) == [True] * 5 + [False]


def test_tuning_is_the_direction_in_which_channels_fire() -> None:
    counts, targets = made()
    tuning = tuning_of(counts, targets, BIN_WIDTH_S, COUNT_MAX)
    depth, angle = tuning.depth_and_direction((0, 1))
    apart = np.angle(np.exp(1j * (angle[:4] - np.radians([0, 90, 180, -90]))))
    assert np.degrees(np.abs(apart)).max() < 25
    assert depth[:4].min() > 5 * depth[4]
    assert tuning.r2[:4].min() > 0.3 > 0.05 > tuning.r2[4]
    assert tuning.r2[5] == 0.0
    assert not tuning.slope[5].any()
    unlabelled = np.full_like(targets, np.nan)
    assert tuning_of(counts, unlabelled, BIN_WIDTH_S, COUNT_MAX) is None


def test_without_labels_the_base_s_tuning_is_kept(artifact: ModelArtifact) -> None:
    counts, targets = made()
    before = with_statistics(artifact, channel_tensors(counts, targets, BIN_WIDTH_S, COUNT_MAX))
    fresh = channel_tensors(made(1)[0], None, BIN_WIDTH_S, COUNT_MAX)
    assert channel_statistics(with_statistics(artifact, fresh)).tuning is None
    after = channel_statistics(with_statistics(artifact, kept_tuning(before) | fresh))
    tuning = channel_statistics(before).tuning
    np.testing.assert_array_equal(after.tuning.slope, tuning.slope)
    assert not np.array_equal(after.mean, channel_statistics(before).mean)


def test_rates_of_older_models_are_in_the_read_in() -> None:
    (path,) = [path for path in bundled_models() if path.name == "indy.safetensors"]
    bundled = read_artifact(path)
    bare = replace(bundled, train={k: v for k, v in bundled.train.items() if not k.startswith("channels.")})
    statistics = channel_statistics(bare)
    assert statistics.correlation is None
    assert statistics.tuning is None
    rates_hz = statistics.mean[statistics.used] / bundled.bin_width_s
    assert 3 < np.median(rates_hz) < 20
    assert rates_hz.max() < 100
    assert np.isnan(statistics.mean[~statistics.used]).all()
    nothing = channel_statistics(replace(bundled, train={}))
    assert np.isnan(nothing.mean).all()


def test_damaged_statistics_are_refused(artifact: ModelArtifact) -> None:
    kept = channel_tensors(*made(), BIN_WIDTH_S, COUNT_MAX)
    broken = with_statistics(artifact, kept | {"channels.together": np.zeros((2, 2), "f2")})
    with pytest.raises(
        RtdecodeError, match=r"train\.channels\.together is damaged: its shape is \[2, 2\], not \[6, 6\]"
    ):
        channel_statistics(broken)
