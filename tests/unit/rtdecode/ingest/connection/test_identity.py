"""Who may take the place of a source."""

from __future__ import annotations

import pytest

from rtdecode.ingest.connection.identity import is_random, named, same_source
from rtdecode.ingest.signals.layouts import StreamDescription


def source(source_id: str, host: str = "lab") -> StreamDescription:
    return StreamDescription("M1", "Spikes", 3, 0.0, "int32", source_id=source_id, hostname=host)


@pytest.mark.parametrize(
    ("known", "other", "same"),
    [
        (source("rig-a"), source("rig-a"), True),
        # The id is the source's own: it may have moved to another machine.
        (source("rig-a"), source("rig-a", "spare"), True),
        (source("rig-a"), source("rig-b"), False),
        (source("rig-a"), source(""), False),
        (source(""), source("rig-a"), False),
        (source(""), source(""), True),
        (source(""), source("", "other"), False),
        # Without an id, pylsl hashes the description, with another result in each process.
        (source("-5307143118024573137"), source("846930886111222333"), True),
        (source("-5307143118024573137"), source("846930886111222333", "other"), False),
        (source("-5307143118024573137"), source(""), True),
        (source("-5307143118024573137"), source("rig-a"), False),
        # A serial number is an id.
        (source("23016741"), source("23016742"), False),
    ],
)
def test_a_source_is_known_by_its_id_or_by_its_host(
    known: StreamDescription, other: StreamDescription, same: bool
) -> None:
    assert same_source(known, other) is same
    assert same_source(other, known) is same


def test_ids_are_random_where_no_one_chose_them() -> None:
    assert is_random("")
    assert is_random(str(-(2**62)))
    assert not is_random("amp-20161207-0001")
    assert not is_random("0012345")


def test_a_source_is_named_by_id_and_host() -> None:
    assert named(source("rig-a", "lab-pc")) == "rig-a on lab-pc"
    assert named(source("", "lab-pc")) == "unnamed on lab-pc"
