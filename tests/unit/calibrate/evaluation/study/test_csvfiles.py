"""The study's CSV files: what is read back from them is what was written."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from studies import simulated_study

from rtdecode.calibrate.evaluation.study.csvfiles import results_csv, summary_csv
from rtdecode.calibrate.evaluation.study.rows import (
    DECODING,
    SIMULATION,
    SINGLE_DAY,
    Row,
    average,
    costs_of,
    pick,
    scores_of,
)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    return simulated_study(tmp_path_factory.mktemp("study"), n_bins=300, kinds=["gru", "alignnet"])


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def number(text: str) -> float | None:
    return float(text) if text else None


def test_every_job_comes_back_with_all_its_digits(rows: list[Row]) -> None:
    lines = read(results_csv(rows))
    assert len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        assert {name: number(line[name]) for name in scores_of(row)} == scores_of(row)
        assert {name: number(line[name]) for name in costs_of(row)} == costs_of(row)
        assert (line["job"], line["kind"], line["form"], line["protocol"], line["direction"]) == (
            row["job"], row["kind"], row["form"], row["protocol"], row["direction"],
        )  # fmt: skip
        assert line["train"].split(" ") == row["train"]
        assert line["base"] == (row["base"] or "")
        assert int(line["seed"]) == row["seed"]
        assert int(line["n_outputs"]) == len(row["outputs"])
        if row["direction"] == SIMULATION:
            assert row["firing"] is not None
            assert row["rate_hz"] is not None
            assert line["r2_x"] == ""
            recorded, simulated = row["firing"]["recorded"], row["firing"]["simulated"]
            assert number(line["firing_recorded"]) == pytest.approx(np.mean(np.array(recorded, float)))
            assert number(line["firing_pcc"]) == pytest.approx(np.corrcoef(recorded, simulated)[0, 1])
            assert number(line["rate_simulated_hz"]) == pytest.approx(
                np.mean(np.array(row["rate_hz"]["simulated"], float))
            )
        else:
            assert line["firing_recorded"] == line["rate_recorded_hz"] == ""


def test_the_summary_has_the_means_and_both_deviations(rows: list[Row]) -> None:
    lines = read(summary_csv(rows))
    keys = ("kind", "form", "pretrained", "protocol", "split", "direction", "score")
    assert len({tuple(line[key] for key in keys) for line in lines}) == len(lines)
    found = {tuple(line[key] for key in keys): line for line in lines}
    for score in ("r2_vx", "r2_mean", "r2_weighted", "pcc_pooled"):
        line = found["gru", "causal", "False", SINGLE_DAY, "random", DECODING, score]
        jobs = pick(rows, form="causal", name="gru", protocol=SINGLE_DAY, split="random", direction=DECODING)
        wanted = average(jobs, lambda row, score=score: scores_of(row)[score])
        assert (float(line["mean"]), float(line["sd_sessions"]), float(line["sd_seeds"])) == (
            wanted.mean, wanted.sd, wanted.sd_seeds,
        )  # fmt: skip
        assert (line["sessions"], line["seeds"]) == ("4", "2")
    assert any(line["pretrained"] == "True" and line["split"] == "" for line in lines)


def test_missing_numbers_are_empty_cells(rows: list[Row]) -> None:
    (row, *_) = pick(rows, direction=DECODING)
    bare: Row = {**row, "r2": [None] * 4, "r2_mean": None, "sparsity": None, "trace": None, "split": None}
    (line,) = read(results_csv([bare]))
    assert line["r2_x"] == line["r2_mean"] == line["sparsity"] == line["trace"] == line["split"] == ""
    lines = read(summary_csv([bare]))
    assert "r2_mean" not in {line["score"] for line in lines}
    assert {line["sd_sessions"] for line in lines} == {line["sd_seeds"] for line in lines} == {""}
    assert read(results_csv([])) == read(summary_csv([])) == []


def test_names_with_commas_quotes_and_lines_survive(rows: list[Row], tmp_path: Path) -> None:
    strange = 'a,"b"\nc'
    path = tmp_path / "results.csv"
    path.write_bytes(
        results_csv([{**rows[0], "test": [strange], "outputs": ["x", strange, "vx", "vy"]}]).encode()
    )
    with path.open(newline="", encoding="utf-8") as file:
        (line,) = csv.DictReader(file)
    assert line["test"] == strange
    assert number(line[f"r2_{strange}"]) == rows[0]["r2"][1]
