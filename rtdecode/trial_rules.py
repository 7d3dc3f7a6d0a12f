"""Which markers of a task begin and end its trials: `--trials start=go,stop=end|abort,success=hit`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrialRules:
    """Which events begin and end a trial, and which mark its success.

    Each is a tuple of names; one that ends with `*` stands for all that begin with what is before it.
    """

    start: tuple[str, ...]
    stop: tuple[str, ...]
    success: tuple[str, ...] = ()


def read_rules(text: str) -> TrialRules:
    """Rules from a text such as `start=go,stop=end|abort*,success=hit`.

    Raises:
        ValueError: it is none.
    """
    rules: dict[str, tuple[str, ...]] = {}
    for part in text.split(","):
        key, _, names = (each.strip() for each in part.partition("="))
        alternatives = tuple(name.strip() for name in names.split("|"))
        if key not in ("start", "stop", "success") or key in rules or not all(alternatives):
            raise ValueError(f"must be like start=go,stop=end|abort,success=hit, and {part.strip()!r} is not")
        rules[key] = alternatives
    if not {"start", "stop"} <= rules.keys():
        raise ValueError(f"must name the markers of start and of stop, not {text}")
    return TrialRules(**rules)


def matches(event: str, names: tuple[str, ...]) -> bool:
    """Whether an event has one of these names."""
    return any(event.startswith(name[:-1]) if name.endswith("*") else event == name for name in names)
