"""A session that is exported as tables and read again has every spike, stamp and value that it had."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtdecode.session.layout import (
    Behavior,
    Counts,
    Decoded,
    DecodedOut,
    Electrodes,
    Events,
    Features,
    Markers,
    Session,
    Trials,
)
from rtdecode.tools.files.export.csv import write_csv
from rtdecode.tools.files.export.npz import write_npz
from rtdecode.tools.files.recording import BinnedSpikes, Recording, SpikeTimes
from rtdecode.tools.files.tables.open import is_csv, is_npz, open_csv, open_npz

RNG = np.random.default_rng(0)


def f4(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


@pytest.fixture(scope="module")
def session() -> Session:
    values = f4(50, 2)
    values[3, 1] = np.nan
    n, bins = 50, 30
    return Session(
        6,
        events=Events(
            np.sort(RNG.uniform(1e6, 1e6 + 9, 200)),
            RNG.integers(0, 5, 200).astype(np.uint16),
            RNG.integers(0, 3, 200).astype(np.uint8),
        ),
        counts=Counts(RNG.integers(0, 300, (40, 6)).astype(np.uint16), 0.02, 1e6 + 0.1),
        features=Features(
            np.arange(n) * 0.02, f4(n, 3), ("e1", "e2", "x [raw]"), ("power",) * 3, ("µV²", "µV²", ""), 0.02
        ),
        behavior=Behavior(np.cumsum(RNG.uniform(0.01, 0.02, n)), values, ("x", "cursor_x"), ("mm", "")),
        trials=Trials(
            np.array([1.0, 3]), np.array([2.0, 4]), {"target": f4(2, 2), "block": np.array(["a", "b, c"])}
        ),
        markers=Markers(np.array([1.5, 2.5]), ("go", 'say "stop"\nnow')),
        decoded=Decoded(
            bin=np.arange(bins),
            t_bin=np.arange(1, bins + 1) * 0.02,
            values=f4(bins, 2),
            flags=np.arange(bins, dtype=np.uint32),
            model=np.repeat([0, 1], 15).astype(np.uint8),
            late=np.zeros(bins, np.uint16),
            lost=np.zeros(bins, np.uint32),
            counts=np.ones((bins, 6), np.uint8),
            origin_s=0.0,
            models=("m-1", "m-2"),
            names=("vx", "vy"),
            out=DecodedOut(f4(bins, 1), ("a",), ("cm",), {}),
        ),
        observed=np.array([[1e6, 1e6 + 4], [1e6 + 5, 1e6 + 9]]),
        electrodes=Electrodes(
            tuple(f"e{i}" for i in range(6)), x=f4(6), y=f4(6), array=("M1", "M1", "M1", "PMd", "PMd", "PMd")
        ),
        attrs={"subject": "N", "task": "reach"},
    )


@pytest.fixture(scope="module", params=["csv", "npz"])
def recording(
    request: pytest.FixtureRequest, session: Session, tmp_path_factory: pytest.TempPathFactory
) -> Recording:
    path = tmp_path_factory.mktemp("export") / "today.npz"
    if request.param == "npz":
        write_npz(path, session)
        assert is_npz(path)
        return open_npz(path)
    files = write_csv(path.parent / "today", session)
    assert len(files) == 9
    assert is_csv(path.parent / "today")
    return open_csv(path.parent / "today")


def test_spikes(session: Session, recording: Recording) -> None:
    assert session.events is not None
    assert session.events.unit is not None
    (source,) = [each for each in recording.spikes if isinstance(each, SpikeTimes)]
    time, row = source.read(np.arange(len(source.units.ids)))
    np.testing.assert_array_equal(time, session.events.time)
    assert [source.units.electrodes[r] for r in row] == [f"e{channel}" for channel in session.events.channel]
    assert source.units.numbers is not None
    np.testing.assert_array_equal(source.units.numbers[row], session.events.unit)
    assert set(source.units.electrodes) == {f"e{channel}" for channel in range(6)}


def test_counts(session: Session, recording: Recording) -> None:
    assert session.counts is not None
    (source,) = [each for each in recording.spikes if isinstance(each, BinnedSpikes)]
    stamps, values = source.read(np.arange(6))
    np.testing.assert_array_equal(values, session.counts.values)
    np.testing.assert_array_equal(stamps, session.counts.t0_s + np.arange(40) * 0.02)
    assert (source.bin_width_s, source.stamps) == (0.02, "start")


@pytest.mark.parametrize(("name", "role"), [("behavior", "behavior"), ("features", "signal")])
def test_samples(session: Session, recording: Recording, name: str, role: str) -> None:
    expected = getattr(session, name)
    (series,) = [each for each in recording.series if each.name == name]
    time, values = series.read()
    np.testing.assert_array_equal(time, expected.time)
    np.testing.assert_array_equal(values, expected.values.astype(np.float64))
    assert (series.columns, series.units, series.role) == (expected.names, expected.units, role)
    features = name == "features"
    assert (series.kinds, series.stamps) == ((expected.kinds, "end") if features else ((), ""))


def test_electrodes_and_observed_time(session: Session, recording: Recording) -> None:
    assert session.electrodes is not None
    np.testing.assert_array_equal(recording.observed, session.observed)  # type: ignore[arg-type]
    (counts,) = [each for each in recording.spikes if isinstance(each, BinnedSpikes)]
    assert (counts.units.electrodes, counts.units.arrays) == (
        session.electrodes.label,
        session.electrodes.array,
    )
    assert counts.units.position is not None
    np.testing.assert_array_equal(counts.units.position[:, 0], session.electrodes.x)


def test_trials_and_markers(session: Session, recording: Recording) -> None:
    assert session.trials is not None
    assert session.markers is not None
    ((trials,), (markers,)) = recording.trials, recording.markers
    assert (trials.start.tolist(), trials.stop.tolist()) == ([1, 3], [2, 4])
    np.testing.assert_array_equal(trials.columns["target"], session.trials.columns["target"])
    assert trials.columns["block"].tolist() == ["a", "b, c"]
    assert (markers.time.tolist(), markers.text) == ([1.5, 2.5], session.markers.text)


def test_decoded_values(session: Session, recording: Recording) -> None:
    assert session.decoded is not None
    assert session.decoded.out is not None
    read = {
        column.removeprefix("out_"): values
        for series in recording.series
        if series.name.startswith("decoded")
        for column, values in zip(series.columns, series.read()[1].T, strict=True)
    }
    assert {series.role for series in recording.series if series.name.startswith("decoded")} == {"other"}
    np.testing.assert_array_equal(np.stack([read["vx"], read["vy"]], axis=1), session.decoded.values)
    np.testing.assert_array_equal(read["flags"], session.decoded.flags)
    np.testing.assert_array_equal(read["a"], session.decoded.out.values[:, 0])


def test_models_and_attributes_are_there(session: Session, tmp_path: Path) -> None:
    write_csv(tmp_path, session)
    decoded = tmp_path / "decoded.csv"
    assert [line.rsplit(",", 1)[1] for line in decoded.read_text().splitlines()[15:19]] == [
        "m-1",
        "m-1",
        "m-2",
        "m-2",
    ]
    assert open_csv(decoded).attrs == {"subject": "N", "task": "reach"}
    write_npz(tmp_path / "a.npz", session)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert arrays["decoded/models"].tolist() == ["m-1", "m-2"]
        np.testing.assert_array_equal(arrays["decoded/values"], session.decoded.values)  # type: ignore[union-attr]
    assert open_npz(tmp_path / "a.npz").attrs == {"subject": "N", "task": "reach"}
