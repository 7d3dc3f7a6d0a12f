"""Whose channels a session has is read, or refused in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtdecode.artifact import ElectrodeArray
from rtdecode.errors import RtdecodeError
from rtdecode.session.arrays import arrays_attrs, labels_attrs, session_arrays, session_labels
from rtdecode.session.layout import Events, Session
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session

TWO = (ElectrodeArray("M1", 3), ElectrodeArray("PMd, left", 2))


def with_attrs(attrs: dict[str, str]) -> Session:
    return Session(5, events=Events(np.arange(3.0), np.arange(3, dtype=np.uint16)), attrs=attrs)


def test_arrays_are_read_back(tmp_path: Path) -> None:
    write_session(tmp_path / "two.h5", with_attrs(arrays_attrs(TWO)))
    assert session_arrays(read_session(tmp_path / "two.h5")) == TWO
    assert session_arrays(with_attrs(arrays_attrs(()))) == ()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("M1, PMd", "is not JSON"),
        ("[" * 50_000, "is not JSON"),
        ('["M1", "PMd"]', "the arrays cannot be read"),
        ("5", "the arrays cannot be read"),
        ('[{"name": "M1"}]', "the arrays cannot be read"),
        ('[{"name": "M1", "n_channels": 2.5}]', "has 2.5 channels"),
        ('[{"name": "M1", "n_channels": 4}]', "have 4 channels together, and there are 5"),
    ],
)
def test_anything_else_is_refused_with_the_file(tmp_path: Path, text: str, what: str) -> None:
    write_session(tmp_path / "odd.h5", with_attrs({"arrays": text}))
    with pytest.raises(RtdecodeError, match=rf"odd\.h5:/ \(arrays\): .*{what}.*Fix: "):
        read_session(tmp_path / "odd.h5")


def test_labels_of_channels_are_read_back_or_refused(tmp_path: Path) -> None:
    labels = ("e1", "e2", "e3", "é4", "e5")
    write_session(tmp_path / "labelled.h5", with_attrs(labels_attrs(labels)))
    assert session_labels(read_session(tmp_path / "labelled.h5")) == labels
    assert session_labels(with_attrs({})) == labels_attrs(()).get("none", ())
    for text in ("e1, e2", "[" * 50_000, '["e1"]', '["e1", "e2", "e3", "e4", 5]'):
        write_session(tmp_path / "odd.h5", with_attrs({"channel_labels": text}))
        with pytest.raises(RtdecodeError, match=r"channel_labels\): is no list of 5 texts in JSON\. Fix: "):
            read_session(tmp_path / "odd.h5")
