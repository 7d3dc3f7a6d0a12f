"""The check of channels on real days, corrupted as arrays are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rtdecode.artifact import ModelArtifact, Output
from rtdecode.calibrate.channels.checkup import Channels, examine, listed
from rtdecode.calibrate.channels.noise import noise
from rtdecode.calibrate.channels.statistics import channel_tensors, with_statistics
from rtdecode.calibrate.data.sessions import read_labelled
from rtdecode.calibrate.fitting.fitters import same_day_filter

BIN_WIDTH_S, COUNT_MAX = 0.064, 64
CORRUPTED = (5, 17, 44, 60, 74)
VELOCITY = tuple(Output(name, "mm/s", 0.0, 100.0, "velocity") for name in ("vx", "vy"))

Counts = np.ndarray


def read(data_dir: Path, day: str) -> tuple[Counts, np.ndarray]:
    labelled = read_labelled(data_dir / "indy" / f"indy_{day}.h5", BIN_WIDTH_S, ("vx", "vy"))
    return labelled.binned.counts, labelled.targets


@pytest.fixture(scope="module")
def base(data_dir: Path) -> ModelArtifact:
    counts, targets = read(data_dir, "20161007_02")
    made = same_day_filter(counts, targets, VELOCITY, BIN_WIDTH_S)
    return with_statistics(made, channel_tensors(counts, targets, BIN_WIDTH_S, COUNT_MAX))


@pytest.fixture(scope="module")
def today(data_dir: Path) -> tuple[Counts, np.ndarray]:
    return read(data_dir, "20161014_04")


def found_in(counts: Counts, base: ModelArtifact) -> Channels:
    return examine(np.clip(counts, 0, 255).astype("u1"), None, base, BIN_WIDTH_S)


def hum(hz: float) -> Callable[[Counts], Counts]:
    """A regular source in place of spikes."""

    def corrupt(counts: Counts) -> Counts:
        time = np.arange(len(counts) + 1) * BIN_WIDTH_S
        for i, channel in enumerate(CORRUPTED):
            counts[:, channel] = np.diff(np.floor(time * hz + 0.17 * i))
        return counts

    return corrupt


def drawn(counts: Counts, per_bin: float, shared: bool) -> np.ndarray:
    shape = (len(counts), 1 if shared else len(CORRUPTED))
    return np.random.default_rng(1).random(shape) < per_bin


def bursts(counts: Counts) -> Counts:
    counts[:, CORRUPTED] += 20 * drawn(counts, 0.064, shared=False)
    return counts


def shared_bursts(counts: Counts) -> Counts:
    counts[:, CORRUPTED] += 8 * drawn(counts, 0.13, shared=True)
    return counts


def bad_contact(counts: Counts) -> Counts:
    counts[:, CORRUPTED] *= (np.arange(len(counts)) // 500 % 2)[:, np.newaxis]
    return counts


def loud(counts: Counts) -> Counts:
    counts[:, CORRUPTED] = np.random.default_rng(1).poisson(250 * BIN_WIDTH_S, (len(counts), len(CORRUPTED)))
    return counts


def full(counts: Counts) -> Counts:
    counts[:, CORRUPTED] = np.where(drawn(counts, 0.03, shared=False), 200, counts[:, CORRUPTED])
    return counts


CORRUPTIONS = {
    "60 Hz": (hum(60.0), "as regular as a clock at 60 Hz"),
    "300 Hz": (hum(300.0), "above 200 Hz"),
    "bursts": (bursts, "bursts"),
    "shared bursts": (shared_bursts, ""),
    "bad contact": (bad_contact, "of the time"),
    "loud": (loud, "above 200 Hz"),
    "full": (full, "more than 1% of its bins full"),
}


@pytest.mark.parametrize("what", CORRUPTIONS)
def test_noise_is_found_on_its_channels_and_on_no_other(
    base: ModelArtifact, today: tuple[Counts, np.ndarray], what: str
) -> None:
    corrupt, why = CORRUPTIONS[what]
    found = found_in(corrupt(today[0].astype("i4")), base)
    assert tuple(np.flatnonzero(found.noisy)) == CORRUPTED
    assert all(why in found.why[channel] for channel in CORRUPTED)
    assert not found.reordered
    (note,) = [note for note in found.notes if "noisy" in note]
    assert note.startswith("5 of 96 channels are noisy: 5, ")
    assert not found.today.used[list(CORRUPTED)].any()


def test_an_unchanged_real_day_has_no_noise(base: ModelArtifact, today: tuple[Counts, np.ndarray]) -> None:
    found = examine(*today, base, BIN_WIDTH_S)
    assert not found.noisy.any()
    assert not found.reordered
    assert not any(oddity.serious for oddity in found.oddities)
    assert found.today.tuning is not None


def test_a_channel_that_was_off_for_most_of_a_real_day_is_found(data_dir: Path) -> None:
    counts, _ = read(data_dir, "20160630_01")
    fires = counts.mean(axis=0) > 0.05 * BIN_WIDTH_S
    assert noise(counts, BIN_WIDTH_S, COUNT_MAX, fires) == {72: "off for 63% of the time"}


def test_variance_is_compared_with_the_base_s(base: ModelArtifact, today: tuple[Counts, np.ndarray]) -> None:
    counts = today[0].astype("i4")
    rng = np.random.default_rng(0)
    counts[:, 44] = rng.poisson(rng.gamma(0.5, 4.0, len(counts)))
    assert found_in(counts, base).why == {44: "bursts, unlike in the base"}


def test_silent_and_new_channels_and_whole_banks_are_listed(
    base: ModelArtifact, today: tuple[Counts, np.ndarray]
) -> None:
    counts = today[0].copy()
    unused = int(np.flatnonzero(~np.array(base.channel_mask))[0])
    counts[:, 64:96] = 0
    counts[:, unused] = np.random.default_rng(0).poisson(0.5, len(counts))
    found = found_in(counts, base)
    used = np.array(base.channel_mask)
    np.testing.assert_array_equal(found.silent[64:], used[64:])
    np.testing.assert_array_equal(found.never[64:], ~used[64:])
    assert found.new[unused]
    (bank,) = [oddity for oddity in found.oddities if "silent" in oddity.what]
    assert "64–95 are silent as a whole, so check the connector" in bank.fix
    assert bank.serious


def test_noise_everywhere_is_the_rigs_and_is_not_masked(
    base: ModelArtifact, today: tuple[Counts, np.ndarray]
) -> None:
    counts = today[0].astype("i4")
    counts[:, :60] += 12 * (np.random.default_rng(0).random((len(counts), 1)) < 0.1)
    found = found_in(counts, base)
    assert len(found.why) > 40
    assert not found.noisy.any()
    assert any("too many to mask" in oddity.what and oddity.serious for oddity in found.oddities)


def test_bins_in_which_the_whole_array_fires_are_counted(
    base: ModelArtifact, today: tuple[Counts, np.ndarray]
) -> None:
    counts = today[0].astype("i4")
    struck = np.random.default_rng(0).choice(len(counts), 40, replace=False)
    counts[struck] += 6
    found = found_in(counts, base)
    assert found.shared_per_min == pytest.approx(40 / (len(counts) * BIN_WIDTH_S / 60), rel=0.1)
    assert any("most of the array fires at once" in note for note in found.notes)


def test_changed_thresholds_show_in_the_rates(base: ModelArtifact, today: tuple[Counts, np.ndarray]) -> None:
    counts = today[0] + np.random.default_rng(0).poisson(40 * BIN_WIDTH_S, today[0].shape)
    found = found_in(counts, base)
    assert any("times as much as in the base's last session" in note for note in found.notes)
    assert not found.noisy.any()


def test_swapped_banks_are_reported_with_what_to_do(
    base: ModelArtifact, today: tuple[Counts, np.ndarray]
) -> None:
    counts, targets = today
    swapped = counts[:, np.r_[32:64, 0:32, 64:96]]
    for labels in (targets, None):
        found = examine(swapped, labels, base, BIN_WIDTH_S)
        assert found.reordered == "0–31 and 32–63 are swapped"
        assert found.oddities[0].serious
        assert "check the connectors" in found.notes[0]


def test_channels_are_listed_in_runs() -> None:
    channels = np.zeros(40, bool)
    channels[[3, 7, 8, 20, 21, 22, 23]] = True
    assert listed(channels) == "3, 7, 8, 20–23"
    assert listed(np.zeros(4, bool)) == ""
