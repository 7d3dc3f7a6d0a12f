"""Settings of `serve` out of their range are refused with their flag."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from rtdecode.errors import RtdecodeError
from rtdecode.ingest.signals.event_columns import RowColumns
from rtdecode.ingest.signals.layouts import Layout
from rtdecode.serve.settings import FLAGS, STALE_AFTER_S, ServeSettings
from rtdecode.trial_rules import TrialRules


def make_settings(**changes: Any) -> ServeSettings:
    return ServeSettings(**({"streams": ("M1",)} | changes))


def test_defaults() -> None:
    settings = make_settings()
    assert (settings.bind, settings.control) == ("tcp://127.0.0.1:5556", "tcp://127.0.0.1:5557")
    assert (settings.grace_s, settings.carry_late, settings.failsafe_after_s) == (None, True, 1.0)
    assert (settings.model, settings.layout, settings.record, settings.behavior) == (None,) * 4
    assert STALE_AFTER_S == 0.25


@pytest.mark.parametrize("name", sorted(FLAGS.keys() - {"stream"}))
def test_the_default_of_a_flag_is_that_of_its_field(name: str) -> None:
    flag = FLAGS[name]
    read = flag.default if flag.read is None or flag.default is None else flag.read(flag.default)
    assert read == getattr(make_settings(), flag.field)


@pytest.mark.parametrize(
    "changes",
    [
        {"timeout_s": math.inf},
        {"timeout_s": 0.001},
        {"grace_s": 0.0},
        {"grace_s": 1.0},
        {"failsafe_after_s": STALE_AFTER_S},
        {"failsafe_after_s": math.inf},
        {"record": Path("today.h5"), "behavior": "hand"},
        {"insecure": True, "bind": "tcp://*:5556"},
    ],
)
def test_values_within_their_range_are_accepted(changes: dict[str, Any]) -> None:
    settings = make_settings(**changes)
    assert {name: getattr(settings, name) for name in changes} == changes


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"timeout_s": 0.0}, "--timeout: must be above 0"),
        ({"timeout_s": -1.0}, "--timeout: must be above 0"),
        ({"timeout_s": math.nan}, "--timeout: must be above 0"),
        ({"grace_s": -0.001}, "--grace: must be auto, or 0 to 1000 milliseconds"),
        ({"grace_s": 1.001}, "--grace: must be auto"),
        ({"grace_s": math.nan}, "--grace: must be auto"),
        ({"failsafe_after_s": 0.249}, r"--failsafe-after: must be at least 0\.25 s"),
        ({"failsafe_after_s": math.nan}, "--failsafe-after: must be"),
        ({"behavior": "hand"}, r"--behavior: a behaviour stream can only be recorded\. Fix: add --record"),
        ({"markers": "task"}, r"--markers: a marker stream can only be recorded\. Fix: add --record"),
        ({"trials": TrialRules(("a",), ("b",))}, r"--trials: .* made of markers\. Fix: add --markers"),
        (
            {"layout": Layout.COUNTS, "drop_units": frozenset({255})},
            "--layout counts: samples of layout counts have no sorted units",
        ),
        ({"layout": Layout.SNIPPETS, "columns": RowColumns(2)}, r"--columns: is about the layout events"),
        ({"layout": Layout.COUNTS, "first_channel": 1}, r"--first-channel: counts have a column for each"),
        ({"columns": RowColumns(), "drop_units": frozenset({255})}, r"--drop-units: the columns channel=0,"),
        ({"threshold": 4.5}, "--threshold: must be negative, such as -4.5. Fix: correct --threshold"),
        (
            {"layout": Layout.COUNTS, "polarity": "both"},
            "--layout counts: --polarity is about spikes in volt",
        ),
        ({"bind": "5556"}, "--bind: .5556. is not an endpoint. Fix: write it like tcp://127"),
        ({"control": "tcp://*:5557"}, "--control: .* can be reached from other machines.*Fix: .*--insecure"),
        ({"control": "nonsense", "insecure": True}, "--control: .nonsense. is not an endpoint"),
    ],
)
def test_values_out_of_range_are_refused_with_their_flag(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(RtdecodeError, match=complaint):
        make_settings(**changes)
