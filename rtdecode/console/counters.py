"""Rows of counters: totals and recent gains, faults first."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from operator import itemgetter
from typing import Any, NamedTuple

from rtdecode.console.history import Recent, under
from rtdecode.console.text_rows import Part, Row, body_width

#: Counters of each column.
GROUPS = {
    "published": (
        "bins",
        "spikes",
        "stale",
        "failsafe",
        "catch_up",
        "nonfinite",
        "clipped",
        "broken_off",
        "backlog_spikes",
    ),
    "input": (
        "received",
        "lost",
        "duplicates",
        "out_of_order",
        "out_of_range",
        "not_a_count",
        "renumbered",
        "dropped_units",
        "binned",
    ),
    "timing": (
        "late_carried",
        "late_dropped",
        "late_samples",
        "future",
        "discarded",
        "reconnects",
        "clock_jumps",
        "backlog_bins",
    ),
}

#: Counters that few streams have: with those of the input, where they are not zero.
RARE = ("not_whole", "unmapped", "quiet", "features_missing", "features_beyond")
LISTED = frozenset((*RARE, *(key for group in GROUPS.values() for key in group)))

#: Names that are not the key with spaces.
NAMES = {
    "failsafe": "fail-safe",
    "catch_up": "catch-up",
    "nonfinite": "non-finite",
    "backlog_bins": "warm-up bins",
    "features_missing": "unknown",
    "features_beyond": "beyond 8 SD",
    "backlog_spikes": "in warm-up",
    "dropped_units": "unit dropped",
}

#: Counters that grow in normal operation.
ORDINARY = frozenset(
    (
        "bins",
        "spikes",
        "received",
        "quiet",
        "binned",
        "backlog_bins",
        "backlog_spikes",
        "late_carried",
        "clipped",
    )
)


class Cell(NamedTuple):
    """Widths of a counter in the table, cells: name, total, gain, and space to the next column."""

    name: int
    total: int
    gain: int
    gap: int

    @property
    def table_width(self) -> int:
        return len(GROUPS) * (self.name + self.total + self.gain + self.gap) - self.gap


NARROW = Cell(12, 7, 6, 2)
WIDE = Cell(14, 14, 10, 4)


def count(n: int, room: int) -> str:
    """A number in `room` characters, exact if possible: 12,345 or 12345, else 12.3k or 12k."""
    exact = f"{n:,}"
    if len(exact) <= room:
        return exact
    power = exact.count(",")
    rounded = (f"{n / 1000**p:.{digits}f}{' kMGTPE'[p]}" for p in (power, power + 1) for digits in (2, 1, 0))
    return next((text for text in (str(n), *rounded) if len(text) <= room), exact)


class Counter(NamedTuple):
    """A counter: its key, its name on a screen, its total, its recent increase and the style of both.

    The style is red while a fault happens, yellow after one, dim without any.
    """

    key: str
    name: str
    total: int
    gained: int
    style: str


def groups_of(status: dict[str, Any], recent: Recent) -> Iterator[tuple[str, list[Counter]]]:
    """Title and counters of each group; any not in GROUPS are in the last."""
    totals = under(status, "counters")
    others = tuple(key for key in totals if key not in LISTED)
    more = {"timing": others, "input": tuple(key for key in RARE if totals.get(key))}
    for title, keys in GROUPS.items():
        counters = []
        for key in keys + more.get(title, ()):
            total, gained = totals.get(key) or 0, recent.gained.get(key, 0)
            fault = "" if key in ORDINARY else "now" if gained > 0 else "past"
            name = NAMES.get(key, key.replace("_", " "))
            counters.append(Counter(key, name, total, gained, fault if total else "zero"))
        yield title, counters


def counter_table(status: dict[str, Any], recent: Recent, cell: Cell) -> list[Row]:
    """All counters in columns, zeros dim: total and recent gain."""
    columns = []
    for title, counters in groups_of(status, recent):
        span = f"{recent.span_s:.0f} s"
        span = f"last {span}" if len(span) + 5 < cell.gain else span
        column = [Part(f"{title:<{cell.name}}{'total':>{cell.total}}{span:>{cell.gain}}", "label")]
        for _, name, total, gained, style in counters:
            gain = ("+" if gained > 0 else "") + count(gained, cell.gain - 2) if gained else ""
            text = f"{name[: cell.name]:<{cell.name}}{count(total, cell.total - 1):>{cell.total}}"
            column.append(Part(f"{text}{gain:>{cell.gain}}", style))
        columns.append(column)
    blank = Part(" " * (cell.name + cell.total + cell.gain))
    return [Row(2, None, line, " " * cell.gap) for line in zip_longest(*columns, fillvalue=blank)]


def counter_panel(status: dict[str, Any], recent: Recent, width: int, most: int) -> list[Row]:
    """All counters in columns if these are at most `most` rows, else those that are not zero."""
    cell = WIDE if width >= WIDE.table_width else NARROW
    columns = counter_table(status, recent, cell)
    if width >= cell.table_width and len(columns) <= most:
        return columns
    return counter_rows(status, recent, body_width(width))


def counter_rows(status: dict[str, Any], recent: Recent, room: int) -> list[Row]:
    """Bins, samples and other counters that are not zero, current faults first, on lines of `room` cells."""
    parts_of: dict[str, list[tuple[int, Part]]] = {"published": [], "input": []}
    for title, counters in groups_of(status, recent):
        for key, name, total, gained, style in counters:
            head = key in ("bins", "received")
            if head or (total and key != "spikes"):
                text = f"{name} {total:,}" + (f" {gained:+,}" if gained else "")
                urgency = 0 if head else {"now": 1, "past": 2}.get(style, 3)
                parts_of["published" if title == "published" else "input"].append(
                    (urgency, Part(text, style, cut=True))
                )
    shown = []
    for label, parts in parts_of.items():
        lines: list[list[Part]] = [[]]
        for _, part in sorted(parts, key=itemgetter(0)):
            if lines[-1] and sum(len(other.text) + 2 for other in lines[-1]) + len(part.text) > room:
                lines.append([])
            lines[-1].append(part)
        shown.append(Row(2, label, lines[0]))
        shown += [Row(3 if line[0].style else 6, "", line) for line in lines[1:]]
    return shown
