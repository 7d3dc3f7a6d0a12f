"""`--trials`: what is read, and what is refused."""

from __future__ import annotations

import pytest

from rtdecode.trial_rules import TrialRules, matches, read_rules


def test_rules_have_alternatives() -> None:
    rules = read_rules("start=go, stop=hit|miss*,success=hit")
    assert rules == TrialRules(("go",), ("hit", "miss*"), ("hit",))
    assert read_rules("stop=2,start=1").success == ()


@pytest.mark.parametrize(
    "text", ["", "go", "start=go", "start=go,stop=", "start=a,start=b,stop=c", "start=a,stop=b,win=c"]
)
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        read_rules(text)


def test_only_a_star_stands_for_more() -> None:
    assert matches("miss 3", ("hit", "miss*"))
    assert not matches("12", ("1",))
