"""The parts of a check of `rtdecode doctor`: a measurement in a child process, and a judgement of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

#: Results of a measurement as JSON values, under the names that `--json` prints.
Figures = dict[str, Any]


class Verdict(StrEnum):
    """FAIL: `serve` cannot work or will be late. WARN: works, with reduced performance."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


SEVERITY = (Verdict.OK, Verdict.WARN, Verdict.FAIL)


@dataclass(frozen=True)
class Finding:
    """The judgement of one check.

    Attributes:
        verdict: ok, warn or fail.
        found: the result, with figures and units, on one line.
        fix: how to fix it, on one line; None if the verdict is ok.
    """

    verdict: Verdict
    found: str
    fix: str | None = None


class Problem(NamedTuple):
    """Something that is not ok, and how to fix it."""

    verdict: Verdict
    fix: str


def problem(fix: str, *, warn: bool = False, fail: bool = False) -> Problem | None:
    """A problem of the more severe condition that holds; None if neither does."""
    if not (warn or fail):
        return None
    return Problem(Verdict.FAIL if fail else Verdict.WARN, fix)


def conclude(found: str, *problems: Problem | None) -> Finding:
    """The worst verdict and all fixes, the most severe first; ok if all problems are None."""
    present = sorted((p for p in problems if p), key=lambda p: -SEVERITY.index(p.verdict))
    if not present:
        return Finding(Verdict.OK, found)
    return Finding(present[0].verdict, found, "; ".join(p.fix for p in present))


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The most severe verdict; ok if there is none."""
    return max(verdicts, key=SEVERITY.index, default=Verdict.OK)


@dataclass(frozen=True)
class Check:
    """One line of the doctor's list.

    Attributes:
        name: as printed.
        measure: function in rtdecode.tools.doctor.checks that a child process calls.
        judge: pure function of the figures.
        fix: how to fix it if the measurement itself fails.
        arguments: keyword arguments of `measure`, as JSON values.
        environment: additional environment variables of the child.
    """

    name: str
    measure: Callable[..., Figures]
    judge: Callable[[Figures], Finding]
    fix: str = "run `rtdecode doctor` again; if this persists, report it with this line"
    arguments: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


def quantiles_ms(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p99 and max in ms by nearest rank, rounded to 1 µs; needs at least one value."""
    ranked = sorted(seconds)

    def rank(q: float) -> float:
        return round(ranked[math.ceil(q * len(ranked)) - 1] * 1e3, 3)

    return {"p50": rank(0.5), "p99": rank(0.99), "max": rank(1.0)}
