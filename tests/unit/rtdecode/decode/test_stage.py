"""One bin through decoder and fail-safe: stepped, skipped, warmed, and reset when it is not finite."""

from __future__ import annotations

import numpy as np
import pytest
from decoding import artifact_of
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact, Output
from rtdecode.decode.load import load_decoder
from rtdecode.decode.stage import DecodeStage
from rtdecode.messages import Flag
from rtdecode.serve.warmup import compile_kernels

OUTPUTS = (Output("x", "mm", 40.0, 3.0, "position"), Output("vx", "mm/s", 7.0, 9.0, "velocity"))
POISON = 99


class SummingDecoder:
    """x is the sum of all counts since the reset, vx the sum of this bin's; NaN on a count of 99."""

    n_channels, n_outputs, clipped = 3, 2, 0

    def __init__(self) -> None:
        self.total, self.steps, self.resets = 0.0, 0, 0

    def reset(self) -> None:
        self.total, self.resets = 0.0, self.resets + 1

    def step(self, counts: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
        self.steps += 1
        self.total += np.nan if (counts == POISON).any() else float(counts.sum())
        out[:] = self.total, counts.sum()


def counts(*values: int) -> NDArray[np.uint8]:
    return np.array(values, np.uint8)


@pytest.fixture
def stage() -> DecodeStage:
    return DecodeStage(SummingDecoder(), artifact_of("summing", n_channels=3, outputs=OUTPUTS, run={}))


def test_a_step_gives_the_decoders_value(stage: DecodeStage) -> None:
    assert stage.step(counts(1, 2, 3), Flag.STALE) == Flag.STALE
    assert stage.value.tolist() == [6, 6]
    assert stage.step(counts(1, 0, 0), 0) == 0
    assert stage.value.tolist() == [7, 1]


def test_the_value_is_always_the_same_array(stage: DecodeStage) -> None:
    value = stage.value
    stage.step(counts(1, 2, 3), 0)
    stage.skip(0)
    stage.step(counts(POISON, 0, 0), 0)
    assert stage.value is value


def test_before_the_first_bin_the_means_are_held(stage: DecodeStage) -> None:
    assert stage.value.tolist() == [40, 0]
    assert stage.step(counts(1, 2, 3), Flag.PAUSED) == Flag.PAUSED
    assert stage.value.tolist() == [40, 0]
    assert stage.skip(Flag.FAILSAFE) == Flag.FAILSAFE
    assert stage.value.tolist() == [40, 0]


def test_the_decoder_steps_while_its_value_is_held(stage: DecodeStage) -> None:
    stage.step(counts(1, 0, 0), 0)
    stage.step(counts(2, 0, 0), Flag.PAUSED)
    assert stage.value.tolist() == [1, 0]
    stage.step(counts(3, 0, 0), 0)
    assert stage.value.tolist() == [6, 3]


def test_the_decoder_does_not_step_in_an_outage(stage: DecodeStage) -> None:
    stage.step(counts(1, 0, 0), 0)
    for _ in range(3):
        assert stage.skip(Flag.FAILSAFE) == Flag.FAILSAFE
        assert stage.value.tolist() == [1, 0]
    stage.step(counts(2, 0, 0), 0)
    assert stage.value.tolist() == [3, 2]
    assert stage.decoder.steps == 2


def test_backlog_warms_the_decoder_and_is_not_published(stage: DecodeStage) -> None:
    stage.warm(counts(5, 0, 0))
    assert stage.value.tolist() == [40, 0]
    stage.step(counts(1, 0, 0), 0)
    assert stage.value.tolist() == [6, 1]


def test_a_reset_keeps_the_held_value(stage: DecodeStage) -> None:
    stage.step(counts(5, 0, 0), 0)
    stage.reset()
    stage.skip(Flag.FAILSAFE)
    assert stage.value.tolist() == [5, 0]
    stage.step(counts(1, 0, 0), 0)
    assert stage.value.tolist() == [1, 1]


def test_a_value_that_is_not_finite_is_held_and_resets_the_decoder(stage: DecodeStage) -> None:
    stage.step(counts(5, 0, 0), 0)
    assert stage.step(counts(POISON, 0, 0), Flag.GAP) == Flag.GAP | Flag.FAILSAFE
    assert stage.value.tolist() == [5, 0]
    assert stage.nonfinite == 1
    assert stage.decoder.resets == 1
    assert stage.step(counts(1, 1, 0), 0) == 0
    assert stage.value.tolist() == [2, 2]
    assert stage.nonfinite == 1


def test_a_value_that_is_not_finite_is_counted_while_paused(stage: DecodeStage) -> None:
    assert stage.step(counts(POISON, 0, 0), Flag.PAUSED) == Flag.PAUSED | Flag.FAILSAFE
    assert stage.nonfinite == 1
    assert stage.value.tolist() == [40, 0]


def test_backlog_that_is_not_finite_holds_one_bin_at_most(stage: DecodeStage) -> None:
    stage.warm(counts(POISON, 0, 0))
    stage.step(counts(1, 0, 0), 0)
    assert np.isfinite(stage.value).all()
    assert stage.step(counts(1, 0, 0), 0) == 0
    assert np.isfinite(stage.value).all()
    assert stage.value[1] == 1


def make_filter() -> ModelArtifact:
    run = {"weight": np.ones((3, 4, 2), np.float32), "bias": np.array([-5.0, 6.0])}
    return artifact_of("wiener", n_channels=3, outputs=OUTPUTS, count_max=20, run=run)


def test_compiling_the_kernels_leaves_the_stage_as_it_was() -> None:
    artifact = make_filter()
    rehearsed, fresh = (DecodeStage(load_decoder(artifact), artifact) for _ in range(2))
    compile_kernels(rehearsed, artifact)
    # Until the first value is published the means go out, live as offline.
    assert rehearsed.value.tolist() == fresh.value.tolist() == [40, 0]
    assert (rehearsed.nonfinite, rehearsed.decoder.clipped) == (0, 0)
    np.testing.assert_array_equal(rehearsed.decoder.state()["pending"], fresh.decoder.state()["pending"])


def test_another_decoder_continues_after_the_bins_it_lacked(stage: DecodeStage) -> None:
    for i in range(5):
        stage.step(counts(i, 1, 0), 0)
    other = SummingDecoder()
    before = stage.decoder
    assert stage.adopt(other, 3) is before
    assert stage.decoder is other
    assert stage.value.tolist() == [15, 5], "warming publishes nothing"
    stage.step(counts(10, 0, 0), 0)
    assert stage.value.tolist() == [2 + 3 + 4 + 3 + 10, 10]
    assert stage.recent.stepped == 6


def test_a_decoder_that_lacks_more_bins_than_are_kept_is_not_adopted(stage: DecodeStage) -> None:
    stage.step(counts(1, 0, 0), 0)
    before = stage.decoder
    with pytest.raises(ValueError, match="2 bins of 1"):
        stage.adopt(SummingDecoder(), 2)
    assert stage.decoder is before
    stage.reset()
    assert stage.recent.stepped == 0


def test_clipped_counts_add_up_over_decoders_and_those_of_warming_do_not_count() -> None:
    artifact = make_filter()
    stage = DecodeStage(load_decoder(artifact), artifact)
    for _ in range(4):
        stage.step(counts(30, 1, 0), 0)
    assert stage.clipped == 4
    stage.adopt(load_decoder(artifact), 3)
    assert stage.clipped == 4
    stage.adopt(stage.decoder, 2)
    assert stage.clipped == 4
    stage.step(counts(30, 30, 0), 0)
    assert stage.clipped == 6
