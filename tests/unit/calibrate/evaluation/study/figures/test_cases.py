"""Cases of the figures: without gaps, of different sessions, the same whenever they are drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from studies import BIN_WIDTH_S, SESSIONS

from rtdecode.calibrate.evaluation.study.figures.cases import (
    Trace,
    companion,
    draw_cases,
    read_trace,
    shown_rows,
)
from rtdecode.calibrate.evaluation.study.rows import CROSS_DAY, DECODING, SINGLE_DAY, Row, pick
from rtdecode.errors import RtdecodeError


def test_the_causal_alignnet_of_the_last_part_is_shown(folder: Path, rows: list[Row]) -> None:
    shown = shown_rows(pick(rows, protocol=SINGLE_DAY, direction=DECODING), folder)
    assert {(row["kind"], row["form"], row["split"]) for row in shown} == {
        ("alignnet", "causal", "chronological")
    }
    across = pick(rows, protocol=CROSS_DAY, direction=DECODING)
    assert {row["base"] for row in shown_rows(across, folder)} == {None}
    # Without traces of other jobs.
    pretrained = [row for row in across if row["base"] is not None or row["kind"] == "gru"]
    assert {row["base"] for row in shown_rows(pretrained, folder)} == {"abcd1230", "abcd1231"}
    offline = pick(rows, protocol=SINGLE_DAY, direction=DECODING, causality="offline-2d")
    assert {row["form"] for row in shown_rows(offline, folder)} == {"offline-2d"}
    assert shown_rows([{**row, "trace": None} for row in rows], folder) == []


def test_sessions_differ_and_the_draw_is_repeated(folder: Path, rows: list[Row]) -> None:
    shown = shown_rows(pick(rows, protocol=SINGLE_DAY, direction=DECODING), folder)
    cases = draw_cases(shown, folder, 3, 100)
    assert len({case.row["test"][0] for case in cases}) == 3
    assert all(len(case.trace.t_s) == 100 for case in cases)
    again = draw_cases(list(reversed(shown)), folder, 3, 100)
    assert [case.row["job"] for case in again] == [case.row["job"] for case in cases]
    assert all(np.array_equal(a.trace.t_s, b.trace.t_s) for a, b in zip(cases, again, strict=True))
    drawn = {
        tuple(case.row["test"][0] for case in draw_cases(shown, folder, 3, 100, seed=s)) for s in range(9)
    }
    assert len(drawn) > 1
    # More cases than sessions: each once before any twice.
    eight = [case.row["test"][0] for case in draw_cases(shown, folder, 9, 100)]
    assert len(eight) == 8
    assert sorted(eight[:4]) == sorted(eight[4:]) == sorted(SESSIONS)


def test_a_segment_has_no_gap(folder: Path, rows: list[Row]) -> None:
    split = pick(
        rows, protocol=SINGLE_DAY, direction=DECODING, split="random", causality="causal", name="alignnet"
    )
    for seed in range(20):
        for case in draw_cases(split, folder, 2, 40, seed=seed):
            assert len(case.trace.t_s) == 40
            assert np.allclose(np.diff(case.trace.t_s), BIN_WIDTH_S)
            whole = read_trace(folder, case.row)
            first = int(np.flatnonzero(whole.t_s == case.trace.t_s[0])[0])
            assert np.array_equal(case.trace.values, whole.values[first : first + 40])
    # Where no run is that long, the longest one is taken.
    long = draw_cases(split, folder, 1, 10_000)[0].trace.t_s
    assert np.allclose(np.diff(long), BIN_WIDTH_S)
    assert len(long) >= 50


def test_the_companion_has_the_same_bins_of_the_same_job(folder: Path, rows: list[Row]) -> None:
    shown = shown_rows(pick(rows, protocol=CROSS_DAY, direction=DECODING), folder)
    (case, *_) = draw_cases(shown, folder, 2, 120)
    pair = companion(case, rows, folder, "offline")
    same = ("test", "train", "seed", "protocol", "direction", "kind")
    assert all(pair.row[key] == case.row[key] for key in same)
    assert pair.row["form"] == "offline"
    assert np.array_equal(pair.trace.t_s, case.trace.t_s)
    assert np.array_equal(pair.trace.targets, case.trace.targets)
    assert not np.array_equal(pair.trace.values, case.trace.values)
    assert companion(case, pick(rows, causality="causal"), folder, "offline") is None


def test_bins_meet_by_their_time() -> None:
    t_s = np.array([1.0, 1.02, 1.04, 2.0])
    column = np.arange(4, dtype=np.float32)[:, None]
    trace = Trace(t_s, column, column)
    assert trace.cut(np.array([1.021, 1.039]), 0.02).values.ravel().tolist() == [1.0, 2.0]
    assert trace.cut(np.array([2.001]), 0.02).values.ravel().tolist() == [3.0]
    assert len(trace.cut(np.array([1.5]), 0.02).t_s) == len(trace.cut(np.zeros(0), 0.02).t_s) == 0


def test_a_damaged_trace_is_refused_by_name_and_a_missing_one_is_none(
    tmp_path: Path, rows: list[Row]
) -> None:
    row: Row = {**rows[0], "trace": "jobs/x.npz"}
    assert read_trace(tmp_path, row) is None
    (tmp_path / "jobs").mkdir()
    path = tmp_path / "jobs" / "x.npz"
    path.write_bytes(b"PK\x03\x04 no more")
    with pytest.raises(RtdecodeError, match="cannot be read as a trace"):
        read_trace(tmp_path, row)
    np.savez(path, t_s=np.zeros(3), values=np.zeros((3, 2), "f4"), targets=np.zeros((3, 4), "f4"))
    with pytest.raises(RtdecodeError, match=r"values of shape \[3, 2\]"):
        read_trace(tmp_path, row)
    np.savez(path, t_s=np.zeros(3), values=np.zeros((3, 4), "f4"))
    with pytest.raises(RtdecodeError, match="cannot be read as a trace"):
        read_trace(tmp_path, row)
