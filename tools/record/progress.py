"""What a recording shows while it runs and at its end."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

from rtdecode.serve.reporting.losses import fates_line
from rtdecode.tools.record.tally import Fates, Tally

SHOW_EVERY_S = 1.0
LINE_EVERY_S = 10.0


class Progress:
    """A line about the recording every second on a terminal, else every ten; warnings when they arise.

    Args:
        print_line: prints a line.
        show: shows a text in place of the one before; None where that is not possible.
    """

    def __init__(self, print_line: Callable[[str], None], show: Callable[[str], None] | None) -> None:
        self._print_line, self._show = print_line, show
        self._begun_s = self._shown_s = time.monotonic()
        self._due_s = self._begun_s + SHOW_EVERY_S
        self._before: dict[str, int] = {}
        self._line_s = self._begun_s
        self._reported: set[str] = set()

    def update(self, tally: Tally) -> None:
        """Show how the recording stands, if it is time to."""
        now = time.monotonic()
        if now < self._due_s:
            return
        self._due_s = now + SHOW_EVERY_S
        self._print_notices(tally)
        current = set()
        for warning in tally.warnings():
            # Its numbers change, what it is about does not.
            about = re.sub(r"[\d.,]+", "#", warning)
            current.add(about)
            if about not in self._reported:
                self._print_line(f"warning: {warning}")
        self._reported = current
        if self._show is None and now - self._line_s < LINE_EVERY_S:
            return
        self._line_s = now
        (self._show or self._print_line)(self._line(tally, now))

    def _print_notices(self, tally: Tally) -> None:
        for notice in tally.beside.notices():
            self._print_line(notice)

    def _line(self, tally: Tally, now: float) -> str:
        fates = tally.fates()
        elapsed_s = max(now - self._shown_s, 1e-9)
        minutes, seconds = divmod(int(now - self._begun_s), 60)
        line = f"{minutes}:{seconds:02d}"
        for what, of in fates.items():
            rate_hz = (of.received - self._before.get(what, 0)) / elapsed_s
            line += f"  {what} {of.received:,}" + (f" ({rate_hz:.0f}/s)" if what != "markers" else "")
        self._before, self._shown_s = {what: of.received for what, of in fates.items()}, now
        return line + (f"  warnings {len(self._reported)}" if self._reported else "")

    def finish(self, tally: Tally, output: Path | None) -> None:
        """Print what was received, written, and left out by reason; `output` None where there is no file."""
        self._print_notices(tally)
        fates = tally.fates()
        for what, of in fates.items():
            self._print_line(f"{what}: {_told(of)}")
        if trials := tally.trials():
            self._print_line(f"trials: {trials}")
        if units := tally.units():
            self._print_line("units: " + ", ".join(f"{unit}: {n:,}" for unit, n in units.items()))
        for warning in tally.warnings():
            self._print_line(f"warning: {warning}")
        if output is None:
            self._print_line(
                "nothing was recorded: it ended before a first sample, or while noise was measured"
            )
        else:
            written = sum(fates[what].written for what in ("spikes", "features") if what in fates)
            self._print_line(f"recorded {written} samples ({tally.lost()} lost) to {output}")


def _told(fates: Fates) -> str:
    return fates_line(fates.received, f"{fates.written:,} written", fates.left_out)
