"""Something about a session that a person should know before a day is spent on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

#: Root attribute of a session file that keeps them, JSON.
FINDINGS = "findings"


@dataclass(frozen=True)
class Finding:
    """One of them.

    Attributes:
        kind: one word for programs: time_unit, clock, trial_time, rates, firing, merged_units, constant,
            no_samples, ending.
        what: what it looks like, a sentence.
        fix: what to do, in the imperative; "" where nothing has to be done.
    """

    kind: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.what}. Fix: {self.fix}" if self.fix else self.what


def findings_attrs(findings: Sequence[Finding]) -> dict[str, str]:
    """The attribute of a file that keeps findings; empty where there are none."""
    return {FINDINGS: json.dumps([asdict(each) for each in findings], ensure_ascii=False)} if findings else {}
