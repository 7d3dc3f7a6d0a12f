"""The study's averages, seeds before sessions, and its CSV files: values read back are those written."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rtdecode.calibrate.evaluation.study.frames import COSTS, INDEX, OVERALL, StudyFrames, study_frames
from rtdecode.calibrate.evaluation.study.rows import (
    COLUMNS,
    CROSS_DAY,
    DECODING,
    SIMULATION,
    SINGLE_DAY,
    Row,
    pick,
)


def scored(rows: list[Row], table: dict[str, list[float | None]]) -> list[Row]:
    """A row for each session and seed of a table of mean R²s."""
    row = pick(rows, direction=DECODING, protocol=CROSS_DAY)[0]
    return [
        {**row, "test": [name], "seed": seed, "r2_mean": score}
        for name, scores in table.items()
        for seed, score in enumerate(scores)
    ]


def average(rows: list[Row], score: str = "r2_mean") -> tuple[pd.Series, dict[str, float]]:
    """The only average of a score, and its sessions' means by name."""
    frames = study_frames(rows)
    each = frames.sessions["mean"].xs(score, level="score").groupby(level="session").first().to_dict()
    return frames.averages.xs(score, level="score").iloc[0], each


def test_seeds_are_averaged_before_sessions(rows: list[Row]) -> None:
    # Three seeds of one day count no more than one of another.
    found, sessions = average(scored(rows, {"a": [0.9, 0.8, 0.7], "b": [0.2], "c": [0.5, 0.3]}))
    means = [np.mean([0.9, 0.8, 0.7]), 0.2, np.mean([0.5, 0.3])]
    assert sessions == pytest.approx(dict(zip("abc", means, strict=True)))
    assert found["mean"] == pytest.approx(np.mean(means))
    assert found["mean"] != pytest.approx(np.mean([0.9, 0.8, 0.7, 0.2, 0.5, 0.3]))
    assert found["sd_sessions"] == pytest.approx(np.std(means, ddof=1))
    pooled = (2 * np.var([0.9, 0.8, 0.7], ddof=1) + np.var([0.5, 0.3], ddof=1)) / 3
    assert found["sd_seeds"] == pytest.approx(math.sqrt(pooled))
    assert (found["sessions"], found["seeds"]) == (3, 3)


def test_rows_without_a_number_do_not_count(rows: list[Row]) -> None:
    found, sessions = average(scored(rows, {"a": [None, 0.6], "b": [math.nan], "c": [None, math.inf]}))
    assert sessions == {"a": 0.6}
    assert (found["mean"], found["sessions"], found["seeds"]) == (0.6, 1, 1)
    assert math.isnan(found["sd_sessions"])
    assert math.isnan(found["sd_seeds"])
    nothing = study_frames(scored(rows, {"a": [None]}))
    assert "r2_mean" not in nothing.averages.index.get_level_values("score")


def test_a_column_averages_its_protocol_direction_and_split(rows: list[Row], frames: StudyFrames) -> None:
    means = frames.sessions["mean"].groupby(level=INDEX, observed=True)
    for column in COLUMNS:
        for causality in ("causal", "offline", "offline-2d"):
            for name in ("gru", "alignnet", "alignnet, pretrained"):
                base = name.endswith("pretrained")
                days: dict[str, list[float]] = {}
                for row in rows:
                    if (
                        row["kind"] == name.split(",")[0] and (row["base"] is not None) == base
                        and row["form"] == causality and row["protocol"] == column.protocol
                        and row["direction"] == column.direction and row["split"] != "random"
                    ):  # fmt: skip
                        score = row["r2_mean"] if column.direction == DECODING else row["pcc_mean"]
                        days.setdefault(row["test"][0], []).append(score)
                key = frames.key(column, causality, name)
                assert (key in frames.averages.index) == bool(days)
                if days:
                    found = means.get_group(key).groupby(level="session").first().to_dict()
                    assert found == pytest.approx({day: np.mean(each) for day, each in days.items()})


def test_scores_of_outputs_have_names_of_their_own(rows: list[Row]) -> None:
    row = pick(rows, direction=DECODING)[0]
    line = study_frames(
        [{**row, "outputs": ["x", "mean", "pooled", "vy"], "r2": [0.1, 0.2, None, 0.4]}]
    ).jobs.iloc[0]
    assert (line["r2_x"], line["r2_output_mean"], line["r2_mean"]) == (0.1, 0.2, row["r2_mean"])
    assert math.isnan(line["r2_pooled"])
    assert line["pcc_output_pooled"] == row["pcc"][2]


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def number(text: str) -> float | None:
    return float(text) if text else None


def test_every_job_is_read_back_with_all_its_digits(rows: list[Row], frames: StudyFrames) -> None:
    lines = read(frames.results_csv())
    assert len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        for name in (*OVERALL, *COSTS):
            assert number(line[name]) == row[name]  # type: ignore[literal-required]
        for i, output in enumerate(("x", "y", "vx", "vy")):
            own = (row["r2"][i], row["pcc"][i]) if row["direction"] == DECODING else (None, None)
            assert (number(line[f"r2_{output}"]), number(line[f"pcc_{output}"])) == own
        assert (line["job"], line["kind"], line["form"], line["protocol"], line["direction"]) == (
            row["job"], row["kind"], row["form"], row["protocol"], row["direction"],
        )  # fmt: skip
        assert line["train"].split(" ") == row["train"]
        assert line["base"] == (row["base"] or "")
        assert int(line["seed"]) == row["seed"]
        assert int(line["n_outputs"]) == len(row["outputs"])
        if row["direction"] == SIMULATION:
            recorded, simulated = row["firing"]["recorded"], row["firing"]["simulated"]
            assert number(line["firing_recorded"]) == pytest.approx(np.mean(np.array(recorded, float)))
            assert number(line["firing_pcc"]) == pytest.approx(np.corrcoef(recorded, simulated)[0, 1])
            assert number(line["rate_simulated_hz"]) == pytest.approx(
                np.mean(np.array(row["rate_hz"]["simulated"], float))
            )
        else:
            assert line["firing_recorded"] == line["rate_recorded_hz"] == ""


def test_the_summary_has_the_means_and_both_deviations(frames: StudyFrames) -> None:
    lines = read(frames.summary_csv())
    keys = ("kind", "form", "pretrained", "protocol", "split", "direction", "score")
    assert len({tuple(line[key] for key in keys) for line in lines}) == len(lines)
    found = {tuple(line[key] for key in keys): line for line in lines}
    for score in ("r2_vx", "r2_mean", "r2_weighted", "pcc_pooled"):
        line = found["gru", "causal", "False", SINGLE_DAY, "random", DECODING, score]
        expected = frames.averages.loc["causal", "gru", SINGLE_DAY, "random", DECODING, score]
        for name in ("mean", "sd_sessions", "sd_seeds"):
            assert float(line[name]) == expected[name]
        assert (line["sessions"], line["seeds"]) == ("4", "2")
    assert any(line["pretrained"] == "True" and line["split"] == "" for line in lines)


def test_missing_numbers_are_empty_cells(rows: list[Row]) -> None:
    (row, *_) = pick(rows, direction=DECODING)
    bare: Row = {**row, "r2": [None] * 4, "r2_mean": None, "sparsity": None, "trace": None, "split": None}
    frames = study_frames([bare])
    (line,) = read(frames.results_csv())
    assert line["r2_x"] == line["r2_mean"] == line["sparsity"] == line["trace"] == line["split"] == ""
    lines = read(frames.summary_csv())
    assert "r2_mean" not in {line["score"] for line in lines}
    assert {line["sd_sessions"] for line in lines} == {line["sd_seeds"] for line in lines} == {""}
    empty = study_frames([])
    assert read(empty.results_csv()) == read(empty.summary_csv()) == []


def test_names_with_commas_quotes_and_lines_survive(rows: list[Row], tmp_path: Path) -> None:
    strange = 'a,"b"\nc'
    path = tmp_path / "results.csv"
    frames = study_frames([{**rows[0], "test": [strange], "outputs": ["x", strange, "vx", "vy"]}])
    path.write_bytes(frames.results_csv().encode())
    with path.open(newline="", encoding="utf-8") as file:
        (line,) = csv.DictReader(file)
    assert line["test"] == strange
    assert number(line[f"r2_{strange}"]) == rows[0]["r2"][1]
