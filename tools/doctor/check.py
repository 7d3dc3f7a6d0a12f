"""What a check of `rtdecode doctor` is made of: a measurement in a child process, and a judgement of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

#: What a measurement found: numbers and texts that JSON can carry, under the names `--json` gives them.
Figures = dict[str, Any]


class Verdict(StrEnum):
    """FAIL: `serve` cannot work or will not be in time. WARN: it will work, but."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


SEVERITY = (Verdict.OK, Verdict.WARN, Verdict.FAIL)


@dataclass(frozen=True)
class Finding:
    """The judgement of one check.

    Attributes:
        verdict: ok, warn or fail.
        found: what was found, with figures and units, on one line.
        fix: what to do about it, on one line; None if all is well.
    """

    verdict: Verdict
    found: str
    fix: str | None = None


def conclude(found: str, *complaints: tuple[Verdict, str] | None) -> Finding:
    """The worst of the complaints, each a verdict and a fix; ok where all are None."""
    made = sorted((c for c in complaints if c), key=lambda c: -SEVERITY.index(c[0]))
    if not made:
        return Finding(Verdict.OK, found)
    return Finding(made[0][0], found, "; ".join(fix for _, fix in made))


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The most severe one; ok where there are none."""
    return max(verdicts, key=SEVERITY.index, default=Verdict.OK)


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of the doctor's list.

    Attributes:
        name: as it is printed.
        measure: "module:function" in rtdecode.tools, run in a child process.
        judge: a pure function of the figures.
        fix: what to do if the measurement itself breaks down.
        arguments: of the function, as JSON can carry them.
        environment: variables of the child's own.
    """

    name: str
    measure: str
    judge: Callable[[Figures], Finding]
    fix: str = "run `rtdecode doctor` again; if it stays so, report it with this line"
    arguments: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


def quantiles_ms(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p99 and max in ms, rounded to a microsecond; the nearest rank, at least one value."""
    ranked = sorted(seconds)

    def rank(q: float) -> float:
        return round(ranked[math.ceil(q * len(ranked)) - 1] * 1e3, 3)

    return {"p50": rank(0.5), "p99": rank(0.99), "max": rank(1.0)}
