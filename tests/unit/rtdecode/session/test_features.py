"""Features in session files and in bins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtdecode.errors import RtdecodeError
from rtdecode.session.bins import bin_session, features_alone, features_at
from rtdecode.session.layout import Counts, Events, Features, Session
from rtdecode.session.read import read_session
from rtdecode.session.repair import repair_session
from rtdecode.session.write import write_session

WIDTH_S = 0.02


def features(time: np.ndarray, period_s: float, kinds: tuple[str, ...] = ("power", "count")) -> Features:  # type: ignore[type-arg]
    values = np.random.default_rng(0).normal(size=(len(time), len(kinds))).astype("f4")
    names = tuple(f"f{i}" for i in range(len(kinds)))
    return Features(time, values, names, kinds, ("uV",) * len(kinds), period_s)


def regular(n: int, period_s: float, start_s: float = 100.0) -> np.ndarray:  # type: ignore[type-arg]
    return start_s + np.arange(1, n + 1) * period_s


def test_a_file_with_features_is_version_2_and_others_stay_version_1(tmp_path: Path) -> None:
    recorded = features(regular(50, 0.01), 0.01)
    recorded = replace(recorded, announced_period_s=0.0101)
    session = Session(0, features=recorded)
    write_session(tmp_path / "f.h5", session)
    write_session(tmp_path / "e.h5", Session(3, events=Events(np.zeros(1), np.zeros(1, "u2"))))
    versions = [h5py.File(tmp_path / name).attrs["format_version"] for name in ("f.h5", "e.h5")]
    assert versions == [2, 1]
    read = read_session(tmp_path / "f.h5").features
    assert read is not None
    np.testing.assert_array_equal(read.values, recorded.values)
    np.testing.assert_array_equal(read.time, recorded.time)
    assert (read.names, read.kinds, read.units) == (recorded.names, recorded.kinds, recorded.units)
    assert (read.period_s, read.announced_period_s) == (0.01, 0.0101)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"kinds": ("power", "volts")}, "a kind 'volts'"),
        ({"names": ("a", "a")}, "twice the name 'a'"),
        ({"period_s": 0.0}, "period_s is 0.0"),
        ({"time": np.zeros(5)}, "time does not increase"),
        ({"units": ("uV",)}, "1 units for 2 columns"),
    ],
)
def test_bad_features_are_refused(tmp_path: Path, changes: dict[str, object], complaint: str) -> None:
    session = Session(0, features=replace(features(regular(5, 0.01), 0.01), **changes))  # type: ignore[arg-type]
    with pytest.raises(RtdecodeError, match=complaint):
        write_session(tmp_path / "f.h5", session)


@settings(max_examples=60, deadline=None)
@given(
    period_s=st.sampled_from([0.001, 0.005, 0.01, 0.02]),
    phase_s=st.floats(0.0, 0.02),
    jitter=st.floats(0.0, 0.3),
    seed=st.integers(0, 99),
)
def test_a_bin_is_the_mean_or_the_sum_of_its_samples(
    period_s: float, phase_s: float, jitter: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    time = regular(400, period_s) + jitter * period_s * rng.uniform(-1, 1, 400)
    recorded = features(time, period_s)
    edges = 100.0 + phase_s + np.arange(101) * WIDTH_S
    edges = edges[edges <= time[-1]]
    found = features_at(recorded, edges)
    middle = time - 0.5 * period_s
    for k in range(len(edges) - 1):
        inside = (middle >= edges[k]) & (middle < edges[k + 1])
        if inside.any():
            own = recorded.values[inside].astype("f8")
            np.testing.assert_allclose(found[k], [own[:, 0].mean(), own[:, 1].sum()], rtol=1e-12)
    assert not np.isnan(found[1:]).any()


def test_an_unknown_sample_is_unknown_in_its_column_alone_and_a_gap_is_not_filled() -> None:
    recorded = features(regular(100, WIDTH_S), WIDTH_S)
    values = recorded.values.copy()
    values[40:60, 0] = np.nan
    found, _ = features_alone(replace(recorded, values=values), WIDTH_S)
    np.testing.assert_array_equal(found[:, 1], values[:, 1])
    assert np.flatnonzero(np.isnan(found[:, 0])).tolist() == list(range(40, 60))


def test_features_alone_fill_bins_by_number_whatever_the_rate_of_their_clock() -> None:
    true_s = WIDTH_S * 1.06
    rng = np.random.default_rng(0)
    time = regular(500, true_s) + rng.uniform(-0.2, 0.2, 500) * true_s
    recorded = replace(features(time, true_s), announced_period_s=WIDTH_S)
    binned = bin_session(Session(0, features=recorded), WIDTH_S)
    assert binned.features is not None
    np.testing.assert_array_equal(binned.features[:, 0], recorded.values[:, 0])
    np.testing.assert_allclose(binned.t_bin, time)
    assert binned.counts.shape == (500, 0)


def test_lost_samples_leave_their_bins_unknown() -> None:
    kept = np.delete(np.arange(100), np.arange(30, 50))
    recorded = features(regular(100, WIDTH_S)[kept], WIDTH_S)
    binned = bin_session(Session(0, features=recorded), WIDTH_S)
    assert binned.features is not None
    assert len(binned.features) == 100
    # One bin is bridged by the value before it.
    assert np.flatnonzero(np.isnan(binned.features[:, 0])).tolist() == list(range(31, 50))
    assert binned.features[30, 0] == recorded.values[29, 0]


def test_features_follow_the_bins_of_counts() -> None:
    counts = np.random.default_rng(0).poisson(1.0, (200, 3)).astype("u1")
    own = Features(
        regular(200, WIDTH_S), counts.astype("f4"), ("a", "b", "c"), ("other",) * 3, ("",) * 3, WIDTH_S
    )
    session = Session(3, counts=Counts(counts, WIDTH_S, 100.0), features=own)
    for width_s in (WIDTH_S, 3 * WIDTH_S):
        binned = bin_session(session, width_s)
        assert binned.features is not None
        n = round(width_s / WIDTH_S)
        np.testing.assert_allclose(binned.features * n, binned.counts, rtol=1e-9)


def test_features_are_repaired_and_read_as_behaviour_is(tmp_path: Path) -> None:
    path = tmp_path / "f.h5"
    write_session(path, Session(0, features=features(regular(50, 0.01), 0.01)))
    with h5py.File(path, "r+") as file:
        values, time = file["features/values"][()], file["features/time"][()]
        values[7, 1], time[[30, 31]] = np.inf, time[[31, 30]]
        del file["features/values"]
        file["features/values"] = values.T
        file["features/time"][...] = time
    with pytest.raises(RtdecodeError, match="is transposed"):
        read_session(path)
    copy, done = repair_session(path)
    assert any("turned" in line for line in done)
    assert any("are not after the one before" in line for line in done), done
    repaired = read_session(copy)
    assert repaired.features is not None
    assert np.isnan(repaired.features.values[7]).tolist() == [False, True]
    assert any("/features is NaN" in note for note in repaired.notes)
