"""Scores on what was learnt from stand beside the held-out ones, and a fall is named."""

from __future__ import annotations

import numpy as np
import pytest

from rtdecode.calibrate.fitting.scores import Scores, mean_of


def scores(held_out: list[float], before: list[float]) -> Scores:
    of = np.array(held_out)
    return Scores(of, of, np.array(before), np.tile(np.array(before), (5, 1)))


@pytest.mark.parametrize(
    ("held_out", "before", "falls"),
    [
        ([0.7, 0.6], [0.75, 0.7], False),
        ([-3.0, 0.6], [0.75, 0.7], True),
        ([np.nan, 0.6], [0.75, 0.7], False),
        ([np.nan, np.nan], [0.75, 0.7], False),
        ([0.3], [0.61], True),
        ([0.9], [0.2], False),
    ],
)
def test_a_fall_is_named(held_out: list[float], before: list[float], falls: bool) -> None:
    assert (scores(held_out, before).fall() is not None) == falls


def test_means_are_over_the_sessions_that_have_a_score() -> None:
    mean = mean_of([scores([0.4, np.nan], [0.5, 0.5]), scores([0.6, 0.2], [0.7, 0.9])])
    assert mean.r2.tolist() == [0.5, 0.2]
    assert mean.training_r2.tolist() == [0.6, 0.7]
    assert mean.blocks_r2.shape == (5, 2)
