"""The split is chronological, complete, and as large as asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtdecode.calibrate.data.splits import chronological_split
from rtdecode.errors import RtdecodeError


@given(labelled=st.lists(st.booleans(), max_size=200), holdout=st.floats(0.01, 0.5))
def test_every_labelled_bin_is_in_one_part_and_the_held_out_ones_are_last(
    labelled: list[bool], holdout: float
) -> None:
    known = np.array(labelled, dtype=np.bool_)
    train, held_out = chronological_split(known, holdout)
    np.testing.assert_array_equal(train | held_out, known)
    assert not (train & held_out).any()
    assert held_out.sum() == round(holdout * known.sum())
    if train.any() and held_out.any():
        assert np.flatnonzero(train)[-1] < np.flatnonzero(held_out)[0]


@pytest.mark.parametrize("holdout", [0.0, -0.1, 0.51, 1.0, float("nan")])
def test_a_holdout_outside_0_to_half_is_refused(holdout: float) -> None:
    with pytest.raises(RtdecodeError, match="a hold-out of"):
        chronological_split(np.ones(10, np.bool_), holdout)
