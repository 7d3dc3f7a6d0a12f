"""Log data as JSON, in one row and in parts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtdecode.session.layout import LogEntry
from rtdecode.session.log_text import LOG_DATA_BYTES, join_parts, json_object, log_texts, to_json


def test_any_log_data_becomes_json() -> None:
    data = {"rates": np.array([1.5, np.nan]), "bin": np.int64(3), "path": Path("a.h5"), "gap_s": float("inf")}
    assert to_json(data) == '{"rates": [1.5, null], "bin": 3, "path": "a.h5", "gap_s": null}'
    assert to_json({"text": "NaN as text"}) == '{"text": "NaN as text"}'


@given(
    st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.text()), max_size=4),
    st.integers(0, 2000),
)
def test_data_of_any_length_are_read_back_from_rows_that_fit(data: dict[str, object], more: int) -> None:
    data = {**data, "padding": '"\\\u00e9' * more}
    texts = log_texts(data)
    assert all(len(text.encode()) <= LOG_DATA_BYTES and json_object(text) is not None for text in texts)
    rows = [LogEntry(1.5, 7, "adapt", json.loads(text)) for text in texts]
    other = LogEntry(2.0, 8, "gap", {"part": 1})
    assert join_parts([other, *rows, other]) == [other, LogEntry(1.5, 7, "adapt", data), other]
    # A recorder killed before the last row of an entry: the entry is left out, the others are kept.
    if len(rows) > 1:
        assert join_parts([other, *rows[:-1]]) == [other]
        assert join_parts([*rows[:-1], *rows]) == [LogEntry(1.5, 7, "adapt", data)]


def test_parts_that_are_no_json_object_are_refused() -> None:
    with pytest.raises(ValueError, match="not an object"):
        join_parts([LogEntry(0.0, 0, "adapt", {"part": 0, "parts": 1, "text": "[1, 2]"})])
