"""Writing: everything is read back, and a failure leaves the old file."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from rtdecode.errors import RtdecodeError
from rtdecode.session.arrays import session_labels
from rtdecode.session.layout import (
    Behavior,
    Counts,
    Decoded,
    DecodedOut,
    Detection,
    Electrodes,
    Events,
    LogEntry,
    Markers,
    Session,
    Trials,
)
from rtdecode.session.read import read_session
from rtdecode.session.schema import OWN_ATTRS
from rtdecode.session.write import write_session

SECONDS = st.floats(-1e6, 1e6)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def array(dtype: str, shape: tuple[int, ...], **limits: Any) -> st.SearchStrategy[np.ndarray]:
    elements = npst.from_dtype(np.dtype(dtype), allow_nan=False, allow_infinity=False, **limits)
    return npst.arrays(dtype, shape, elements=elements)


def increasing(n: int) -> st.SearchStrategy[np.ndarray]:
    return st.lists(SECONDS, min_size=n, max_size=n, unique=True).map(
        lambda times: np.array(sorted(times), "f8")
    )


@st.composite
def sessions(draw: st.DrawFn) -> Session:
    n_channels = draw(st.integers(1, 5))
    rows = st.integers(0, 6)

    def events() -> Events:
        n = draw(rows)
        time = np.sort(draw(npst.arrays("f8", n, elements=SECONDS)))
        unit = draw(st.none() | array("u1", (n,)) | array("u2", (n,), min_value=256))
        unit = unit.astype("u1") if unit is not None and not n else unit
        return Events(time, draw(array("u2", (n,), max_value=n_channels - 1)), unit)

    def counts() -> Counts:
        values = draw(array(draw(st.sampled_from(["u1", "u2"])), (draw(rows), n_channels)))
        return Counts(values, draw(st.floats(1e-4, 10)), draw(SECONDS))

    def behavior() -> Behavior:
        n, d = draw(rows), draw(st.integers(1, 3))
        names, units = (tuple(draw(st.lists(TEXT, min_size=d, max_size=d))) for _ in range(2))
        return Behavior(draw(increasing(n)), draw(array("f4", (n, d))), names, units)

    def trials() -> Trials:
        n = draw(rows)
        start = draw(npst.arrays("f8", n, elements=SECONDS))
        columns = {"target": draw(array("f4", (n, 2))), "success": draw(array("u1", (n,)))}
        columns["block"] = np.array(draw(st.lists(TEXT, min_size=n, max_size=n)), dtype=np.str_)
        return Trials(start, start + draw(st.floats(0, 10)), columns)

    def decoded() -> Decoded:
        n, d = draw(rows), draw(st.integers(1, 3))
        m = draw(st.integers(1, 3))
        labels = [tuple(draw(st.lists(TEXT, min_size=m, max_size=m))) for _ in range(2)]
        settings = draw(st.dictionaries(st.text(), JSON, max_size=3))
        out = DecodedOut(draw(array("f4", (n, m))), labels[0], labels[1], settings)
        models = tuple(
            draw(st.lists(st.text("0123456789abcdef", min_size=8, max_size=8), min_size=1, max_size=3))
        )
        return Decoded(
            bin=draw(array("i8", (n,))),
            t_bin=draw(npst.arrays("f8", n, elements=SECONDS)),
            values=draw(array("f4", (n, d))),
            flags=draw(array("u4", (n,))),
            model=draw(array("u1", (n,), max_value=len(models) - 1)),
            late=draw(array("u2", (n,))),
            lost=draw(array("u4", (n,))),
            counts=draw(array("u1", (n, n_channels))),
            origin_s=draw(SECONDS),
            models=models,
            names=tuple(draw(st.lists(TEXT, max_size=3))),
            out=out if draw(st.booleans()) else None,
        )

    def detection() -> Detection:
        noise = np.abs(draw(array("f8", (n_channels,))))
        weights = draw(st.none() | array("f4", (n_channels, n_channels)))
        return Detection(draw(st.dictionaries(st.text(), JSON, max_size=3)), noise, weights)

    def observed() -> np.ndarray:
        return draw(increasing(2 * draw(st.integers(1, 3)))).reshape(-1, 2)

    def electrodes() -> Electrodes:
        texts = [tuple(draw(st.lists(TEXT, min_size=n_channels, max_size=n_channels))) for _ in range(3)]
        x, y = (draw(st.none() | array("f4", (n_channels,))) for _ in range(2))
        return Electrodes(texts[0], draw(st.sampled_from([(), texts[1]])), x, y, texts[2])

    spikes = draw(st.sets(st.sampled_from(["events", "counts", "decoded"]), min_size=1))
    entries = st.builds(
        LogEntry, SECONDS, st.integers(0, 2**62), TEXT, st.dictionaries(st.text(), JSON, max_size=3)
    )
    texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
    attr_names = texts.filter(lambda name: name not in {*OWN_ATTRS, "arrays"})
    return Session(
        n_channels=n_channels,
        events=events() if "events" in spikes else None,
        counts=counts() if "counts" in spikes else None,
        behavior=behavior() if draw(st.booleans()) else None,
        trials=trials() if draw(st.booleans()) else None,
        decoded=decoded() if "decoded" in spikes else None,
        log=tuple(draw(st.lists(entries, max_size=3))),
        detection=detection() if draw(st.booleans()) else None,
        observed=observed() if draw(st.booleans()) else None,
        electrodes=electrodes() if draw(st.booleans()) else None,
        attrs=draw(st.dictionaries(attr_names, TEXT, max_size=3)),
        complete=draw(st.booleans()),
    )


def assert_same(actual: Any, expected: Any) -> None:
    """Equal to the last bit and in dtype, through dataclasses, tuples and dicts."""
    if isinstance(expected, np.ndarray):
        assert actual.shape == expected.shape
        if expected.dtype.kind == "U":
            assert actual.tolist() == expected.tolist()
        else:
            assert actual.dtype == expected.dtype
            assert actual.tobytes() == expected.tobytes()
    elif isinstance(expected, dict):
        assert actual.keys() == expected.keys()
        for key, value in expected.items():
            assert_same(actual[key], value)
    elif dataclasses.is_dataclass(expected) and not isinstance(expected, LogEntry):
        for field in dataclasses.fields(expected):
            if field.name not in ("path", "notes"):
                assert_same(getattr(actual, field.name), getattr(expected, field.name))
    else:
        assert actual == expected


@given(session=sessions())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_everything_is_read_back(tmp_path: Path, session: Session) -> None:
    path = tmp_path / "session.h5"
    write_session(path, session)
    assert_same(read_session(path), session)


def spikes(n: int = 3) -> Session:
    return Session(2, events=Events(np.arange(n, dtype="f8"), np.zeros(n, "u2")), attrs={"subject": "Indy"})


def test_large_arrays_are_read_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n = 400_000
    session = Session(
        96,
        events=Events(np.sort(rng.random(n)), rng.integers(0, 96, n).astype("u2")),
        counts=Counts(rng.poisson(0.3, (30_000, 96)).astype("u1"), 0.02, 0.0),
    )
    write_session(tmp_path / "large.h5", session)
    assert_same(read_session(tmp_path / "large.h5"), session)


def test_plain_h5py_reads_the_documented_layout(tmp_path: Path) -> None:
    write_session(tmp_path / "plain.h5", spikes())
    with h5py.File(tmp_path / "plain.h5") as file:
        assert file.attrs["format"] == "rtdecode-session"
        assert file.attrs["format_version"] == 1
        assert file.attrs["n_channels"] == 2
        assert file.attrs["complete"] == 1
        assert file["events/time"].dtype == np.float64
        assert file["events/channel"].dtype == np.uint16


def test_a_file_is_of_version_2_only_if_it_holds_what_version_1_does_not_know(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    labels = Electrodes(("e1", "e2"), ("1001", "1012"))
    for change, version, dtype in (
        ({}, 1, "u1"),
        ({"observed": np.array([[0.0, 1.5]])}, 2, "u1"),
        ({"electrodes": labels}, 2, "u1"),
        ({"events": Events(np.arange(3.0), np.zeros(3, "u2"), np.array([0, 9, 255], "u2"))}, 1, "u1"),
        ({"events": Events(np.arange(3.0), np.zeros(3, "u2"), np.array([0, 1, 256], "u2"))}, 2, "u2"),
    ):
        write_session(path, dataclasses.replace(spikes(), **change))
        with h5py.File(path) as file:
            assert file.attrs["format_version"] == version
            assert "unit" not in file["events"] or file["events/unit"].dtype == dtype
    write_session(path, dataclasses.replace(spikes(), electrodes=labels))
    assert session_labels(read_session(path)) == ("e1", "e2")


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("missing/today.h5", "create "),
        ("file/today.h5", "name a file in a folder"),
        ("folder", "give the name of a file"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path, name: str, fix: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(RtdecodeError, match="cannot be written") as raised:
        write_session(tmp_path / name, spikes())
    assert raised.value.where == str(tmp_path / name)
    assert fix in (raised.value.fix or "")
    assert "\n" not in str(raised.value)


def test_a_failure_leaves_only_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "today.h5"
    write_session(path, spikes(3))

    def disk_full(source: object, target: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "replace", disk_full)
    with pytest.raises(RtdecodeError, match="No space left on device"):
        write_session(path, spikes(5))
    events = read_session(path).events
    assert len(events.time) == 3
    assert os.listdir(tmp_path) == ["today.h5"]


def test_names_of_files_may_be_as_long_as_the_disk_allows_and_no_text(tmp_path: Path) -> None:
    for name in (b"a" * 252 + b".h5", b"\xff\xfe.h5"):
        path = tmp_path / os.fsdecode(name)
        write_session(path, dataclasses.replace(spikes(), attrs={"session_id": path.stem}))
        assert read_session(path).name.startswith(("aaa", "\\udcff"))


def test_a_marker_with_a_nul_is_read_back_and_written_again(tmp_path: Path) -> None:
    markers = Markers(np.arange(3.0), ("go\0z", "", "end\0"))
    first, second = tmp_path / "a.h5", tmp_path / "b.h5"
    write_session(first, dataclasses.replace(spikes(), markers=markers))
    write_session(second, read_session(first))
    assert read_session(second).markers.text == markers.text


def test_an_invalid_session_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "bad.h5"
    bad_channel = Session(2, events=Events(np.zeros(1), np.array([2], "u2")))
    bad_unit = Session(2, events=Events(np.zeros(1), np.zeros(1, "u2"), np.array([-1])))
    for session, problem in [
        (bad_channel, "channel 2 at row 0"),
        (bad_unit, "holds -1, outside 0 to 65535"),
        (Session(2), "holds no spikes"),
        (dataclasses.replace(spikes(), n_channels=0), "n_channels is 0"),
        (
            dataclasses.replace(spikes(), attrs={"format": "mine"}),
            "format is reserved by the format",
        ),
    ]:
        with pytest.raises(RtdecodeError, match=problem) as raised:
            write_session(path, session)
        assert "--repair" not in str(raised.value)
    assert not path.exists()
