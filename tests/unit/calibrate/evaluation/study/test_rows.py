"""The study's averages: seeds before sessions, against plain NumPy, and whatever is missing left out."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from studies import simulated_study

from rtdecode.calibrate.evaluation.study.rows import (
    COLUMNS,
    DECODING,
    SIMULATION,
    Row,
    average,
    channel_correlation,
    column_average,
    finite,
    firing_pair,
    forms_of,
    listed,
    main_split,
    names_of,
    pick,
    scores_of,
)


@pytest.fixture(scope="module")
def row(tmp_path_factory: pytest.TempPathFactory) -> Row:
    study = simulated_study(
        tmp_path_factory.mktemp("study"), sessions=["day1"], seeds=[0], kinds=["gru"], n_bins=200
    )
    return next(row for row in study if row["direction"] == DECODING)


def scored(row: Row, table: dict[str, list[float | None]]) -> list[Row]:
    """A row for each session and seed of a table of mean R²s."""
    return [
        {**row, "test": [name], "seed": seed, "r2_mean": score}
        for name, scores in table.items()
        for seed, score in enumerate(scores)
    ]


def test_seeds_are_averaged_before_sessions(row: Row) -> None:
    # Three seeds of one day count no more than one of another.
    table: dict[str, list[float | None]] = {"a": [0.9, 0.8, 0.7], "b": [0.2], "c": [0.5, 0.3]}
    found = average(scored(row, table), lambda row: row["r2_mean"])
    means = [np.mean([0.9, 0.8, 0.7]), 0.2, np.mean([0.5, 0.3])]
    assert found.sessions == pytest.approx(dict(zip("abc", means, strict=True)))
    assert found.mean == pytest.approx(np.mean(means))
    assert found.mean != pytest.approx(np.mean([0.9, 0.8, 0.7, 0.2, 0.5, 0.3]))
    assert found.sd == pytest.approx(np.std(means, ddof=1))
    pooled = (2 * np.var([0.9, 0.8, 0.7], ddof=1) + np.var([0.5, 0.3], ddof=1)) / 3
    assert found.sd_seeds == pytest.approx(math.sqrt(pooled))
    assert found.seeds == 3


def test_rows_without_a_number_do_not_count(row: Row) -> None:
    found = average(scored(row, {"a": [None, 0.6], "b": [math.nan], "c": [None]}), lambda row: row["r2_mean"])
    assert found.sessions == {"a": 0.6}
    assert (found.mean, found.seeds) == (0.6, 1)
    assert math.isnan(found.sd)
    assert math.isnan(found.sd_seeds)
    nothing = average(scored(row, {"a": [None]}), lambda row: row["r2_mean"])
    assert nothing.sessions == {}
    assert math.isnan(nothing.mean)


def test_a_column_is_of_its_protocol_direction_and_split(tmp_path: Path) -> None:
    rows = simulated_study(tmp_path, kinds=["gru", "alignnet"], n_bins=300)
    assert main_split(rows) == "chronological"
    for column in COLUMNS:
        for form in forms_of(rows):
            for name in ("gru", "alignnet", "alignnet, pretrained"):
                base = name.endswith("pretrained")
                chosen = [
                    row
                    for row in rows
                    if row["kind"] == name.split(",")[0] and (row["base"] is not None) == base
                    and row["form"] == form and row["protocol"] == column.protocol
                    and row["direction"] == column.direction and row["split"] != "random"
                ]  # fmt: skip
                score = "r2_mean" if column.direction == DECODING else "pcc_mean"
                days: dict[str, list[float]] = {}
                for row in chosen:
                    days.setdefault(row["test"][0], []).append(row[score])
                found = column_average(rows, column, "chronological", form, name)
                assert found.sessions == pytest.approx({day: np.mean(each) for day, each in days.items()})
    assert main_split(pick(rows, split="random")) == "random"


def test_scores_of_outputs_have_names_of_their_own(row: Row) -> None:
    named = scores_of({**row, "outputs": ["x", "mean", "pooled", "vy"], "r2": [0.1, 0.2, None, 0.4]})
    assert named["r2_x"] == 0.1
    assert named["r2_output_mean"] == 0.2
    assert named["r2_pooled"] is None
    assert named["r2_mean"] == row["r2_mean"]
    assert named["pcc_output_pooled"] == row["pcc"][2]
    spikes = scores_of({**row, "direction": SIMULATION})
    assert set(spikes) == {"r2_mean", "r2_weighted", "pcc_mean", "pcc_pooled"}


def test_kinds_stand_as_in_the_paper_and_unknown_ones_last(row: Row) -> None:
    rows: list[Row] = [{**row, "kind": kind} for kind in ("new", "alignnet", "wiener", "mlp")]
    rows.append({**row, "kind": "alignnet", "base": "0123abcd"})
    assert names_of(rows) == ["wiener", "mlp", "alignnet", "alignnet, pretrained", "new"]
    assert forms_of([{**row, "form": form} for form in ("offline-2d", "odd", "causal")]) == [
        "causal", "offline-2d", "odd",
    ]  # fmt: skip


def test_channels_without_a_number_are_left_out_of_a_correlation() -> None:
    recorded, simulated = firing_pair(
        {"recorded": [0.1, None, 0.5, 0.2], "simulated": [0.2, 0.3, math.nan, 0.1]}
    )
    assert recorded.tolist() == [0.1, 0.2]
    assert simulated.tolist() == [0.2, 0.1]
    assert channel_correlation(recorded, simulated) == pytest.approx(-1.0)
    assert math.isnan(channel_correlation(recorded, np.zeros(2)))


def test_words() -> None:
    assert [listed(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "", "a", "a and b", "a, b and c",
    ]  # fmt: skip
    assert [finite(value) for value in (None, math.nan, math.inf, 1)] == [None, None, None, 1.0]
