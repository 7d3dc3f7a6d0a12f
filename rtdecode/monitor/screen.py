"""The terminal monitor's picture as lines of text, for any size of terminal."""

from __future__ import annotations

from typing import Any

import numpy as np

from rtdecode.console.counters import counter_panel
from rtdecode.console.status_rows import about_rows, latency_parts, recording_row, state_row
from rtdecode.console.text_rows import Line, Part, Row, body_width, line_of, most_important
from rtdecode.monitor.dots import bar_lines, pooled
from rtdecode.monitor.latency import DECADES, LOWEST_MS, N_COLUMNS, PER_DECADE, Distribution
from rtdecode.monitor.panels import cursor_panel, raster_panel
from rtdecode.monitor.state import MonitorState

#: Pictures lower than this, or narrower together, are left out.
LEAST_PICTURE, LEAST_WIDTH = 6, 40

#: From this height bars are higher than one line, and there is room for all counters.
TALL = 40
BAR_LINES = 4

ENDING = "Ctrl-C ends this monitor, not the daemon"


def screen(
    state: MonitorState, now_s: float, width: int, height: int, unicode: bool, *, ending: str = ENDING
) -> list[Line]:
    """The picture now, at most `height` lines of at most `width` cells.

    Args:
        state: of the monitor.
        now_s: on the clock of the state.
        width, height: of the terminal, cells.
        unicode: whether it can show braille and blocks.
        ending: text about Ctrl-C.
    """
    status, tall = state.status_map, height >= TALL
    bars = BAR_LINES if tall else 1
    above = most_important(head(state, now_s, width), max(height // 3, 1))
    below = [*rate_rows(state, width, bars, unicode=unicode)]
    below += latency_rows(state, width, bars, unicode=unicode)
    if status:
        counters = counter_panel(status, state.recent, width, most=height if tall else 0)
        below += [*counters[: None if tall else 2], recording_row(status)]
    below.append(connection_row(state, ending))
    pictures = width >= LEAST_WIDTH
    below = most_important(below, height - len(above) - (LEAST_PICTURE if pictures else 0))
    body = height - len(above) - len(below)
    lines = [line_of(row, width) for row in above]
    if pictures and body >= LEAST_PICTURE:
        across = min(2 * (body - 2) + 2, width * 9 // 20)
        left = cursor_panel(state, now_s, across, body, unicode=unicode)
        right = raster_panel(state, width - across - 1, body, unicode=unicode)
        lines += [[*a, Part(" "), *b] for a, b in zip(left, right, strict=True)]
    lines += [line_of(row, width) for row in below]
    if state.alive(now_s):
        return lines
    # The daemon is gone: warnings are unchanged, the rest is dim.
    kept = ("bad", "now", "watch")
    return [[part if part.style in kept else part._replace(style="zero") for part in line] for line in lines]


def head(state: MonitorState, now_s: float, width: int) -> list[Row]:
    """State, connection, stream, model and warnings."""
    status, alert = state.status_map, state.alert(now_s)
    if not state.alive(now_s):
        rows = [Row(0, None, [Part(" NO DAEMON ", "bad"), Part(alert, "now", 1, cut=True)])]
    else:
        now: dict[str, Any] = {**status, "flags": state.flags(now_s)}
        if state.cursor is not None:
            now["bin"] = state.cursor.bin
        rows = [state_row(now, state.recent, ended=False)]
        if alert:
            rows.append(Row(0, None, [Part(alert, "now", cut=True)]))
    return [*rows, *(about_rows(status, width) if status else ())]


def rate_rows(state: MonitorState, width: int, n_lines: int, *, unicode: bool) -> list[Row]:
    """The rate of every channel over the last 2 s as bars, and the figures."""
    rates = state.raster.rates_hz()
    if not len(rates):
        return [Row(4, "rates Hz", [Part("no spikes received yet", "zero")])]
    silent = int((rates == 0).sum())
    figures = [
        Part(f"median {np.median(rates):.1f}"),
        Part(f"highest {rates.max():.0f} (channel {int(rates.argmax())})", "", 1),
        Part(f"{silent} of {len(rates)} silent" if silent else "", "past", 2),
    ]
    room = body_width(width)
    columns = min(room, len(rates)) if room < 2 * len(rates) else len(rates) * min(room // len(rates), 3)
    drawn = bar_lines(pooled(rates, columns) / max(float(rates.max()), 1.0), n_lines, unicode=unicode)
    rows = [Row(4, "rates Hz", figures)]
    return rows + [Row(5, "", [Part(line, "accent")]) for line in drawn]


def latency_rows(state: MonitorState, width: int, n_lines: int, *, unicode: bool) -> list[Row]:
    """Both latencies as histograms over log time, with their figures."""
    rows = []
    limit_ms = state.bin_width_s * 1e3
    for name, distribution in (
        ("decode ms", state.latencies.decode()),
        ("total ms", state.latencies.total()),
    ):
        rows += _histogram(name, distribution, limit_ms, n_lines, width, unicode=unicode)
    if body_width(width) >= N_COLUMNS:
        marks = "".join(f"{LOWEST_MS * 10**d:<{PER_DECADE}g}" for d in range(DECADES))
        about = "from the end of the bin (total) or its completion (decode) to the publication"
        rows.append(Row(7, "", [Part(marks, "label"), Part(about, "label", 1)]))
    return rows


def _histogram(
    name: str, distribution: Distribution, limit_ms: float, n_lines: int, width: int, *, unicode: bool
) -> list[Row]:
    figures = latency_parts(distribution.figures, limit_ms)
    if body_width(width) < N_COLUMNS:
        return [Row(3, name, figures)]
    heights = distribution.histogram / max(int(distribution.histogram.max()), 1)
    drawn = bar_lines(heights, n_lines, unicode=unicode)
    rows = [Row(6, "", [Part(line, "accent")]) for line in drawn[:-1]]
    return [*rows, Row(3, name, [Part(drawn[-1], "accent", 3), *figures])]


def connection_row(state: MonitorState, ending: str = ENDING) -> Row:
    """Losses on the way to this monitor, and its restarts."""
    parts = [Part(f"{state.missed:,} cursors missed here", "past" if state.missed else "zero")]
    if state.restarts:
        parts.append(Part(f"daemon restarted {state.restarts} times", "past", 1))
    if state.malformed:
        parts.append(Part(f"{state.malformed:,} unreadable: {state.problem}", "now", 2, cut=True))
    parts.append(Part(ending, "zero", 3))
    return Row(8, "monitor", parts)
