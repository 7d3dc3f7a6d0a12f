"""Lines of a screen as rich draws them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions
from rich.segment import Segment
from rich.style import Style

from rtdecode.console.text_rows import Line, clean

#: By the names that parts of a row use.
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


@dataclass(frozen=True)
class Drawing:
    """Lines that are fitted to the terminal when they are drawn.

    Attributes:
        lines: returns the lines for a terminal of this width and height, cells, and whether it can show
            braille and blocks.
    """

    lines: Callable[[int, int, bool], list[Line]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        unicode = options.encoding.startswith("utf")
        for i, line in enumerate(self.lines(options.max_width, options.size.height, unicode)):
            if i:
                yield Segment.line()
            for part in line:
                yield Segment(clean(part.text, options.encoding), STYLES[part.style])
