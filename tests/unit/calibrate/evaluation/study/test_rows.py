"""Selecting, naming and ordering the study's rows."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rtdecode.calibrate.evaluation.study.rows import (
    DECODING,
    Row,
    causalities_of,
    channel_correlation,
    firing_pair,
    listed,
    main_split,
    names_of,
    number_of,
    pick,
)


@pytest.fixture
def row(rows: list[Row]) -> Row:
    return next(row for row in rows if row["direction"] == DECODING)


def test_the_main_split_is_the_random_one_only_without_another(rows: list[Row]) -> None:
    assert main_split(rows) == "chronological"
    assert main_split(pick(rows, split="random")) == "random"


def test_kinds_are_in_the_order_of_the_paper_and_unknown_ones_last(row: Row) -> None:
    rows: list[Row] = [{**row, "kind": kind} for kind in ("new", "alignnet", "wiener", "mlp")]
    rows.append({**row, "kind": "alignnet", "base": "0123abcd"})
    assert names_of(rows) == ["wiener", "mlp", "alignnet", "alignnet, pretrained", "new"]
    assert causalities_of([{**row, "form": form} for form in ("offline-2d", "odd", "causal")]) == [
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
    assert [number_of(value) for value in (math.nan, math.inf, 1.0)] == ["–", "–", "1.000"]
