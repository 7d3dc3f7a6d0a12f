"""Splits are chronological, complete, and of the requested size."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtdecode.calibrate.data.splits import LAST_FIFTH, chronological_split, few_shot_split
from rtdecode.cli.calibrate.fit import fit
from rtdecode.errors import RtdecodeError


@given(labelled=st.lists(st.booleans(), max_size=200), holdout=st.floats(0.01, 0.5))
def test_every_labelled_bin_is_in_one_part_and_the_test_part_is_last(
    labelled: list[bool], holdout: float
) -> None:
    bins = np.array(labelled, dtype=np.bool_)
    training, test = chronological_split(bins, holdout)
    np.testing.assert_array_equal(training | test, bins)
    assert not (training & test).any()
    assert test.sum() == round(holdout * bins.sum())
    if training.any() and test.any():
        assert np.flatnonzero(training)[-1] < np.flatnonzero(test)[0]


@pytest.mark.parametrize("holdout", [0.0, -0.1, 0.51, 1.0, float("nan")])
def test_a_holdout_outside_0_to_half_is_refused(holdout: float) -> None:
    with pytest.raises(RtdecodeError, match="the held-out fraction must be above 0"):
        chronological_split(np.ones(10, np.bool_), holdout)


def test_the_minutes_of_a_few_shot_split_are_before_its_last_fifth() -> None:
    labelled = np.ones(3000, np.bool_)
    labelled[:500] = False
    for part, minutes in (("last", slice(1900, 2500)), ("first", slice(500, 1100))):
        split = few_shot_split(labelled, 0.1, part)
        assert np.flatnonzero(split.test).tolist() == list(range(2500, 3000))
        assert split.of(1.0) == minutes
        assert split.has(3.3)
        assert not split.has(3.4)
        assert split.of(9.0) == slice(500, 2500)


def test_the_default_of_the_command_line_is_the_last_fifth() -> None:
    assert inspect.signature(fit).parameters["holdout"].default == LAST_FIFTH
