"""The parts of a check of `rtdecode doctor`: a measurement in a child process, and a judgement of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

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


@dataclass
class Problems:
    """What is not ok in the figures of a check: verdict (warn or fail) and fix of each problem."""

    fixes: list[tuple[Verdict, str]] = field(default_factory=list)

    def add(self, fix: str, *, fail: bool = False) -> None:
        """Add a problem by its fix, on one line; a warning unless it is a failure."""
        self.fixes.append((Verdict.FAIL if fail else Verdict.WARN, fix))

    def finding(self, found: str) -> Finding:
        """The worst verdict and all fixes, the most severe first; ok without a problem."""
        if not self.fixes:
            return Finding(Verdict.OK, found)
        fixes = sorted(self.fixes, key=lambda problem: -SEVERITY.index(problem[0]))
        return Finding(fixes[0][0], found, "; ".join(fix for _, fix in fixes))


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
