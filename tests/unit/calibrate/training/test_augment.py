"""Augmented batches: each fault by itself, what is unchanged, what repeats."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rtdecode.calibrate.training.augment import augmented
from rtdecode.calibrate.training.settings import Augmentation
from rtdecode.calibrate.training.windows import Batch

BIN_WIDTH_S = 0.02
NOTHING = Augmentation(
    bin_width_s=BIN_WIDTH_S, windows=1.0, gain=0.0, baseline=0.0, dead=0.0, noisy=0.0, artefacts_hz=0.0
)
USUAL = Augmentation(bin_width_s=BIN_WIDTH_S)
COUNT_MAX = 20


def windows(n_windows: int = 8, n_channels: int = 12, n_bins: int = 60, seed: int = 0) -> Batch:
    """Poisson counts of 3 spikes a bin."""
    counts = torch.from_numpy(
        np.random.default_rng(seed).poisson(3.0, (n_windows, n_channels, n_bins)).astype(np.float32)
    )
    return Batch(
        counts, torch.zeros(n_windows, 2, n_bins), torch.ones(n_windows, 1, n_bins), ["a"] * n_windows
    )


def sd_of(batch: Batch) -> torch.Tensor:
    return batch.counts.std(dim=(0, 2))[None, :, None]


def changed_counts(batch: Batch, augmentation: Augmentation, seed: int = 0) -> torch.Tensor:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return augmented(batch, sd_of(batch), COUNT_MAX, augmentation).counts


def test_without_augmentation_nothing_changes() -> None:
    batch = windows()
    assert torch.equal(changed_counts(batch, NOTHING), batch.counts)


def test_a_seed_repeats_and_the_batch_is_unchanged() -> None:
    batch = windows()
    before = batch.counts.clone()
    first, again, other = (changed_counts(batch, USUAL, seed) for seed in (4, 4, 5))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(batch.counts, before)


def test_only_some_windows_are_augmented() -> None:
    batch = windows(200)
    changed = (changed_counts(batch, replace(USUAL, windows=0.3)) != batch.counts).any(dim=(1, 2))
    assert 0.2 < changed.float().mean() < 0.4


def test_gain_and_baseline_last_for_the_window() -> None:
    batch = windows()
    louder = changed_counts(batch, replace(NOTHING, gain=0.2))
    ratio = (louder / batch.counts)[batch.counts > 0].reshape(-1)
    assert ratio.std() > 0.1
    for channel, original in zip(louder.flatten(0, 1), batch.counts.flatten(0, 1), strict=True):
        ratios = (channel / original)[(original > 0) & (channel < COUNT_MAX)]
        torch.testing.assert_close(ratios, ratios[:1].expand(len(ratios)))
    higher = changed_counts(batch, replace(NOTHING, baseline=0.3))
    for channel, original in zip(higher.flatten(0, 1), batch.counts.flatten(0, 1), strict=True):
        assert (channel - original)[channel > 0].std() < 1e-5


def test_dead_channels_are_silent_and_noisy_ones_lose_their_spikes() -> None:
    batch = windows(64)
    dead = (changed_counts(batch, replace(NOTHING, dead=0.25)) == 0).all(dim=2)
    assert 0.15 < dead.float().mean() < 0.35
    noisy = changed_counts(batch, replace(NOTHING, noisy=0.25, noise=2.0))
    changed = (noisy != batch.counts).any(dim=2)
    assert 0.15 < changed.float().mean() < 0.35
    rows, original = noisy[changed], batch.counts[changed]
    assert abs(np.corrcoef(rows.flatten(), original.flatten())[0, 1]) < 0.05
    top = 2.0 * float(sd_of(batch).max())
    assert rows.max() <= top
    assert rows.max() > 0.9 * top


def test_an_artefact_is_on_most_channels_at_once_and_does_not_last() -> None:
    batch = windows(64, n_channels=40)
    moved = replace(NOTHING, artefacts_hz=0.5, artefact=4.0, artefact_s=0.06)
    added = changed_counts(batch, moved) - batch.counts
    bins = (added > 0).any(dim=1)
    assert 0.005 < bins.float().mean() < 0.04
    hit = (added > 0).float().mean(dim=1)[bins]
    assert 0.6 < hit.mean() < 0.95
    longest = max(len(run) for window in bins for run in "".join("x" if b else " " for b in window).split())
    assert longest < 10


def test_artefacts_are_as_frequent_and_as_long_at_any_bin_width() -> None:
    covered, longest_s = [], []
    for bin_width_s in (0.02, 0.064):
        batch = windows(64, n_channels=40, n_bins=round(20.0 / bin_width_s))
        chewing = replace(NOTHING, bin_width_s=bin_width_s, artefacts_hz=0.2, artefact_s=0.64)
        hit = (changed_counts(batch, chewing) != batch.counts).any(dim=1)
        covered.append(float(hit.float().mean()))
        runs = ["".join("x" if b else " " for b in window).split() for window in hit]
        longest_s.append(bin_width_s * max(len(run) for window in runs for run in window))
    # Starts times mean length: about 0.2 Hz · 0.33 s.
    assert covered == [pytest.approx(0.066, rel=0.3)] * 2
    assert all(0.5 < seconds < 2.0 for seconds in longest_s)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), n_bins=st.integers(1, 12), strength=st.floats(0.0, 5.0))
def test_counts_stay_counts_of_the_model(seed: int, n_bins: int, strength: float) -> None:
    batch = windows(3, 5, n_bins, seed)
    strong = {"gain": strength, "baseline": strength, "artefacts_hz": 15.0, "artefact_s": 0.4}
    faults = replace(NOTHING, dead=0.2, noisy=0.2, **strong)
    sd = torch.ones(1, 5, 1)
    sd[0, 2] = 0.0
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        out = augmented(batch, sd, COUNT_MAX, faults)
    assert out.counts.shape == batch.counts.shape
    assert torch.isfinite(out.counts).all()
    assert out.counts.min() >= 0
    assert out.counts.max() <= COUNT_MAX
    assert (out.counts[:, 2] == 0).all()
    assert out.targets is batch.targets
    assert out.weight is batch.weight
