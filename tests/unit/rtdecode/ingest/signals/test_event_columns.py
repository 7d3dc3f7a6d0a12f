"""Which column is what: as it is typed, and by the labels of a stream."""

from __future__ import annotations

import pytest

from rtdecode.ingest.signals.event_columns import RowColumns, labelled_columns, read_columns


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("channel=0,unit=1,seq=-", RowColumns(0, 1, None)),
        (" unit = 0 , channel=2", RowColumns(2, 0, None)),
        ("channel=3,seq=0", RowColumns(3, None, 0)),
    ],
)
def test_columns_as_they_are_typed(text: str, columns: RowColumns) -> None:
    assert read_columns(text) == columns == read_columns(str(columns))


@pytest.mark.parametrize(
    "text",
    ["", "0,1,2", "channel=", "channel=-1", "channel=-", "unit=1", "channel=1,unit=1", "channel=0,channel=1",
     "channel=0,wave=3", "channel=0;unit=1"],
)  # fmt: skip
def test_columns_that_are_not_clear_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must "):
        read_columns(text)


def test_columns_by_labels() -> None:
    assert labelled_columns(("unit", " Channel", "x", "SEQ")) == RowColumns(1, 0, 3)
    assert labelled_columns(("channel", "seq")) == RowColumns(0, None, 1)
    assert labelled_columns(("channel", "amplitude")) is None
    assert labelled_columns(("channel", "channel", "unit")) is None
