"""Styles of text on a terminal, by the names that parts of a row use."""

from __future__ import annotations

from rich.style import Style

STYLES = {
    name: Style.parse(style)
    for name, style in {
        "": "none",
        "label": "dim",
        "zero": "dim",
        "title": "bold",
        "good": "bold reverse green",
        "watch": "bold reverse yellow",
        "bad": "bold reverse red",
        "ended": "bold reverse",
        "past": "yellow",
        "now": "bold red",
        "accent": "bold cyan",
        "trail": "dim cyan",
        "target": "green",
    }.items()
}
