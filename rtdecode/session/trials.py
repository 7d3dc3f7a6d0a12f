"""Trials from the markers of a task.

    trials, summary = find_trials(session.markers, read_rules("start=go,stop=end,success=hit"))

A marker that is a JSON object is known by its `event`, else its `type`, and may carry the `target` [x, y],
the `radius` and the `success` of its trial; any other is known by its text.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rtdecode.session.layout import Markers, Trials
from rtdecode.session.log_text import json_object
from rtdecode.trial_rules import TrialRules, matches

#: Of the events that there were, so many are named where none begins a trial.
MOST_NAMED = 10

NO_TARGET = (math.nan, math.nan)


@dataclass
class _Trial:
    start_s: float
    stop_s: float = math.nan
    success: bool | None = None
    own: dict[str, Any] = field(default_factory=dict)
    before: dict[str, Any] = field(default_factory=dict)


def find_trials(markers: Markers, rules: TrialRules) -> tuple[Trials, str]:
    """The trials of a task, with success, target f4[k, 2] (NaN without one) and radius (0 without one).

    A trial lasts from a marker of `start` to the next one of `stop`. Its target is that of the first marker
    in it that has one, else of the last one between it and the trial before. A marker of `success` may come
    after its trial, before the next one.

    Returns:
        The trials, and a sentence about them.
    """
    done: list[_Trial] = []
    current: _Trial | None = None
    before: dict[str, Any] = {}
    events: Counter[str] = Counter()
    n_unstopped = 0
    for at_s, text in sorted(zip(markers.time.tolist(), markers.text, strict=True), key=lambda each: each[0]):
        data = json_object(text)
        event = text if data is None else str(data.get("event", data.get("type", "")))
        facts = _facts(data or {})
        starts, stops, succeeds = (
            matches(event, names) for names in (rules.start, rules.stop, rules.success)
        )
        events[event] += 1
        concerned = current or (done[-1] if done and succeeds else None)
        if concerned is not None:
            concerned.own = facts | concerned.own
            concerned.success = True if succeeds else facts.get("success", concerned.success)
        elif not stops and not starts:
            before |= facts
        if current is not None and stops:
            current.stop_s = at_s
            done.append(current)
            current, before = None, {}
        if starts:
            n_unstopped += current is not None
            current = _Trial(at_s, own=facts, before=before)
    n_unstopped += current is not None
    return _columns(done), _summary(done, n_unstopped, rules, events)


def _facts(data: Mapping[str, Any]) -> dict[str, Any]:
    """What a marker tells about its trial."""
    facts: dict[str, Any] = {}
    target, radius, success = data.get("target"), data.get("radius"), data.get("success")
    if (
        isinstance(target, list)
        and len(target) == 2
        and all(isinstance(each, int | float) for each in target)
    ):
        facts["target"] = target
    if isinstance(radius, int | float):
        facts["radius"] = radius
    if isinstance(success, int | float):
        facts["success"] = success > 0
    return facts


def _columns(trials: list[_Trial]) -> Trials:
    facts = [each.before | each.own for each in trials]
    # Where nothing tells of success, a trial that ended counts as one.
    judged = any(each.success is not None for each in trials)
    return Trials(
        np.array([each.start_s for each in trials], np.float64),
        np.array([each.stop_s for each in trials], np.float64),
        {
            "success": np.array([bool(each.success) or not judged for each in trials], np.uint8),
            "target": np.array([each.get("target", NO_TARGET) for each in facts], np.float32).reshape(-1, 2),
            "radius": np.array([each.get("radius", 0.0) for each in facts], np.float32),
        },
    )


def _summary(trials: list[_Trial], n_unstopped: int, rules: TrialRules, events: Counter[str]) -> str:
    if not trials and not n_unstopped:
        seen = ", ".join(f"{event[:40]} ({n})" for event, n in events.most_common(MOST_NAMED)) or "none"
        return f"no trials: no marker is {' or '.join(rules.start)}; the markers were {seen}"
    columns = _columns(trials).columns
    line = f"{len(trials)} trials, {int(columns['success'].sum())} successful, "
    line += f"{int(np.isfinite(columns['target']).all(axis=1).sum())} with a target"
    return line + (f"; {n_unstopped} that did not stop left out" if n_unstopped else "")
