"""Columns are grouped by the rows in which they are known."""

from __future__ import annotations

import numpy as np

from rtdecode.models.linear.known import columns_by_rows


def test_columns_are_grouped_by_the_rows_in_which_they_are_known() -> None:
    known = np.array([[1, 0, 1, 0, 0], [1, 1, 1, 0, 1]], bool)
    found = [(np.flatnonzero(columns).tolist(), rows.tolist()) for columns, rows in columns_by_rows(known)]
    assert found == [([0, 2], [True, True]), ([1, 4], [False, True]), ([3], [False, False])]
