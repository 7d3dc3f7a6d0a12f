"""Trials from markers, as tasks send them."""

from __future__ import annotations

import json

import numpy as np

from rtdecode.session.layout import Markers, Trials
from rtdecode.session.trials import find_trials
from rtdecode.trial_rules import read_rules


def found(rules: str, *texts: object) -> tuple[Trials, str]:
    """Of markers a second apart, from 1 s on."""
    told = tuple(text if isinstance(text, str) else json.dumps(text) for text in texts)
    return find_trials(Markers(np.arange(1.0, len(told) + 1), told), read_rules(rules))


def test_a_trial_lasts_from_start_to_stop() -> None:
    trials, summary = found(
        "start=go,stop=end,success=hit",
        "end",
        "cue",
        "go",
        "hit",
        "end",
        "go",
        "end",
        "go",
        "end",
        "hit",
        "go",
    )
    assert trials.start.tolist() == [3, 6, 8]
    assert trials.stop.tolist() == [5, 7, 9]
    # The last success comes after the end of its trial.
    assert trials.columns["success"].tolist() == [1, 0, 1]
    assert np.isnan(trials.columns["target"]).all()
    assert summary == "3 trials, 2 successful, 0 with a target; 1 that did not stop left out"


def test_json_markers_name_events_and_carry_targets() -> None:
    trials, _ = found(
        "start=go,stop=hit|miss,success=hit",
        {"event": "cue", "target": [1, 2], "radius": 5},
        {"event": "go"},
        {"event": "hit"},
        {"type": "go", "target": [3, 4.5]},
        {"event": "enter", "target": [9, 9]},
        {"event": "miss"},
        "go",
        {"event": "hit", "target": ["a", 1]},
    )
    np.testing.assert_array_equal(trials.columns["target"], [[1, 2], [3, 4.5], [np.nan, np.nan]])
    assert trials.columns["radius"].tolist() == [5, 0, 0]
    assert trials.columns["success"].tolist() == [1, 0, 1]


def test_integers_and_success_in_json_and_one_event_for_both_ends() -> None:
    trials, _ = found("start=1,stop=2", "1", "12", "2", "1", "2")
    assert (trials.start.tolist(), trials.columns["success"].tolist()) == ([1, 4], [1, 1])
    trials, _ = found(
        "start=trial,stop=trial", {"event": "trial"}, {"event": "end", "success": False}, {"event": "trial"}
    )
    assert (trials.stop.tolist(), trials.columns["success"].tolist()) == ([3], [0])


def test_markers_need_not_be_in_order() -> None:
    trials, _ = find_trials(Markers(np.array([2.0, 1.0]), ("end", "go")), read_rules("start=go,stop=end"))
    assert (trials.start.tolist(), trials.stop.tolist()) == ([1], [2])


def test_rules_that_fit_no_marker_are_told_what_there_is() -> None:
    trials, summary = found("start=go,stop=end", "Go", "End", "Go")
    assert len(trials.start) == 0
    assert summary == "no trials: no marker is go; the markers were Go (2), End (1)"
