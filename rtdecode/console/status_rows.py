"""A status map as rows of text, with emphasis on what happens now.

Every part of the map may be missing or None: much is, until the stream is found.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from itertools import groupby, zip_longest
from operator import itemgetter
from pathlib import PurePath
from typing import Any

from rtdecode.console.counters import counter_panel
from rtdecode.console.history import LATENCY_WINDOW, Recent, under
from rtdecode.console.text_rows import Part, Row, body_width, most_important

#: A recording further behind than this has a slow disk, and is not merely between two flushes.
BEHIND_S = 2.0

#: Style and meaning of each state.
STATES = {
    "waiting": ("watch", "nothing is published yet"),
    "running": ("good", ""),
    "stale": ("watch", "no input; values are flagged"),
    "failsafe": ("bad", "position held, velocity 0"),
    "reconnecting": ("bad", "position held, velocity 0"),
    "paused": ("bad", "on request; position held, velocity 0"),
}

QUANTILES = {"p50": "p50", "p90": "p90", "p99": "p99", "p999": "p99.9", "max": "max"}
QUANTILE_RANKS = {"p50": 0, "p99": 1, "max": 2, "p999": 3, "p90": 4}


def duration(seconds: float) -> str:
    """5 s, 12:34, 1:02:03 or 2 d 1:02:03."""
    minutes, s = divmod(int(seconds), 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    if not minutes:
        return f"{s} s"
    return (f"{days} d " if days else "") + (f"{h}:{m:02}:{s:02}" if hours else f"{m}:{s:02}")


def status_rows(status: dict[str, Any], recent: Recent, *, ended: bool, width: int, height: int) -> list[Row]:
    """A status map as rows, no more than a terminal of `width` by `height` has room for.

    Some lines stay free for printed lines. If there is too little room for the table of all counters,
    only those that are not zero are shown; rows are dropped after that.

    Args:
        status: as built by rtdecode.serve.reporting.status.
        recent: recent changes.
        ended: whether the daemon has stopped and this was its last status.
        width, height: of the terminal, cells.
    """
    limit = max(1, height - max(1, height // 6))
    above = [state_row(status, recent, ended), *about_rows(status, width), rate_row(status)]
    above.append(latency_row(status))
    below = [recording_row(status), footer_row(status)]
    counters = counter_panel(status, recent, width, limit - len(above) - len(below) - 2)
    space = Row(9, None, ())
    return most_important([*above, space, *counters, space, *below], limit)


def about_rows(status: dict[str, Any], width: int) -> list[Row]:
    """Stream, model, outputs and warnings."""
    return [*stream_rows(status), *model_rows(status), *warning_rows(status, width)]


def state_row(status: dict[str, Any], recent: Recent, ended: bool) -> Row:
    """The state, and what it means for the cursor."""
    state, flags = status.get("state") or "unknown", list(status.get("flags") or ())
    if status.get("paused") and state != "paused" and "PAUSED" not in flags:
        flags.append("PAUSED")
    style, meaning = STATES.get(state, ("ended", ""))[0], meaning_of(status)
    shown = [Part(f" {state.upper()} ", style)]
    if ended:
        shown, meaning = [Part(" STOPPED ", "ended"), Part(f"was {state.upper()}", "", 1)], ""
    if recent.state_s is not None:
        shown.append(Part(f"for {duration(recent.state_s)}", "", 3))
    if state != "waiting" and status.get("bin") is not None:
        shown.append(Part(f"bin {status['bin']:,}", "", 5))
    others = " ".join(flag for flag in flags if flag != state.upper())
    return Row(0, None, [*shown, Part(others, "now", 2), Part(meaning, "", 4, cut=True)])


def meaning_of(status: dict[str, Any]) -> str:
    """What the state means for the cursor, and why it is so."""
    _, meaning = STATES.get(status.get("state") or "unknown", ("", ""))
    return "; ".join(part for part in (status.get("reason"), meaning) if part)


def filled(form: str, value: Any, rank: int, *, cut: bool = False) -> Part:
    """A part with a value, empty without one."""
    return Part("" if value in (None, "") else form.format(value), "", rank, cut)


def stream_rows(status: dict[str, Any]) -> Iterator[Row]:
    """The stream and its timing; of several arrays, those of each, and why one is away."""
    arrays = status.get("arrays")
    for stream in arrays if isinstance(arrays, list) and arrays else [under(status, "stream")]:
        if isinstance(stream, dict):
            yield from _rows_of_stream(stream)


def _rows_of_stream(stream: dict[str, Any]) -> Iterator[Row]:
    name = Part(str(stream.get("name") or "?"), "title", cut=True)
    if not stream.get("attached"):
        why = filled("{}", stream.get("reason") or None, 2, cut=True)
        yield Row(3, "stream", [name, Part("searching", "now", 1), why, *_source_parts(stream)])
        return
    about = [
        filled("{}", stream.get("layout"), 1),
        filled("{} channels", stream.get("n_channels") or None, 2),
        filled("{:g} Hz", stream.get("rate_hz") or None, 3),
        *_source_parts(stream),
    ]
    yield Row(3, "stream", [name, filled("{}", stream.get("reason") or None, 1, cut=True), *about])
    timing = [filled("clock {:+,.3f} ms", stream.get("clock_correction_ms"), 1)]
    delivery = under(stream, "delivery_ms")
    measured = [key for key in QUANTILES if delivery.get(key) is not None]
    for key in measured:
        before, after = "delivery " if key == measured[0] else "", " ms" if key == measured[-1] else ""
        text = f"{before}{QUANTILES[key]} {delivery[key]:.2f}{after}"
        timing.append(Part(text, "", 4 if key == "p99" else 3))
    timing.append(filled("grace {:.2f} ms", stream.get("grace_ms"), 2))
    if any(part.text for part in timing):
        yield Row(6, "", timing)


def _source_parts(stream: dict[str, Any]) -> list[Part]:
    return [
        filled("source {}", stream.get("source_id"), 4, cut=True),
        filled("on {}", stream.get("hostname"), 5, cut=True),
    ]


def model_rows(status: dict[str, Any]) -> Iterator[Row]:
    """The model, and the outputs of the output stage and over LSL."""
    model, width_s = under(status, "model"), status.get("bin_width_s")
    about = [Part(str(model.get("id") or "?")), filled("{}", model.get("kind"), 2)]
    about.append(filled("{} features", model.get("n_features") or None, 3))
    about.append(filled("{:g} ms bins", width_s * 1e3 if width_s else None, 3))
    yield Row(5, "model", [*about, Part(with_units(status), "", 1, cut=True)])
    published = [Part(with_units(under(status, "out")), "", 1, cut=True)]
    published.append(filled("LSL stream {}", status.get("lsl_out"), 0, cut=True))
    if any(part.text for part in published):
        yield Row(7, "output", published)


def with_units(outputs: dict[str, Any]) -> str:
    """`names` and `units` as x, y (mm)  vx, vy (mm/s)."""
    pairs = zip_longest(outputs.get("names") or (), outputs.get("units") or ())
    groups = [(units, [str(name) for name, _ in of]) for units, of in groupby(pairs, key=itemgetter(1))]
    return "  ".join(", ".join(names) + (f" ({units})" if units else "") for units, names in groups)


def rate_row(status: dict[str, Any]) -> Row:
    """Samples and bins per second, over the last second."""
    rates, bin_width_s = under(status, "rates"), status.get("bin_width_s")
    samples, bins = rates.get("events_hz") or 0.0, rates.get("bins_hz") or 0.0
    due = f" of {1 / bin_width_s:.1f}" if bin_width_s else ""
    return Row(4, "rates", [Part(f"{samples:,.0f} samples/s"), Part(f"{bins:.1f}{due} bins/s", "", 1)])


def latency_row(status: dict[str, Any]) -> Row:
    """Time from the end of a bin to its publication."""
    shown = latency_parts(under(status, "latency_ms", "publish"), (status.get("bin_width_s") or 1.0) * 1e3)
    if n := under(status, "counters").get("bins"):
        shown += [Part("after bin end", "", 5), Part(f"last {min(n, LATENCY_WINDOW):,} bins", "", 6)]
    return Row(2, "latency ms", shown)


def latency_parts(figures: Mapping[str, float | None], limit_ms: float) -> list[Part]:
    """Percentiles of a latency, ms; red if longer than `limit_ms`, of a bin."""
    return [
        Part(f"{name} {ms:.2f}", "now" if ms > limit_ms else "", QUANTILE_RANKS[key])
        for key, name in QUANTILES.items()
        if (ms := figures.get(key)) is not None
    ] or [Part("no bin yet", "zero")]


def recording_row(status: dict[str, Any]) -> Row:
    """The session file, its length, and its delay."""
    recording = under(status, "recording")
    if not recording:
        return Row(5, "recording", [Part("off", "zero")])
    path, written = PurePath(recording.get("path") or "?"), recording.get("bins") or 0
    error, warnings = recording.get("error"), status.get("warnings") or ()
    shown = [Part(" NOT RECORDING ", "bad"), Part(path.name, "", 1, cut=True)] if error else []
    if error and not any(error in warning for warning in warnings):
        shown.append(Part(error, "now", 2, cut=True))
    if not error:
        shown.append(Part(path.name, "title", cut=True))
    shown.append(Part(f"{written:,} bins", "", 3))
    behind_s = ((under(status, "counters").get("bins") or 0) - written) * (status.get("bin_width_s") or 0.0)
    if behind_s > 0:
        behind = f"{behind_s:.1f} s" if behind_s < 60 else duration(behind_s)
        shown.append(Part(f"{behind} behind", "now" if behind_s > BEHIND_S else "", 4))
    for key, name in (("dropped", "dropped"), ("behavior_dropped", "behaviour dropped")):
        if recording.get(key):
            shown.append(Part(f"{name} {recording[key]:,}", "now", 2))
    folder = "" if path.parent == PurePath() else f"in {path.parent}"
    return Row(1 if error else 2, "recording", [*shown, Part(folder, "", 5, cut=True)])


def warning_rows(status: dict[str, Any], width: int) -> Iterator[Row]:
    """Each warning in full, wrapped."""
    room = max(body_width(width), 1)
    for warning in status.get("warnings") or ():
        for i, line in enumerate(textwrap.wrap(str(warning), room, break_on_hyphens=False)):
            yield Row(3 if i else 1, "" if i else "warning", [Part(line, "now", cut=True)])


def footer_row(status: dict[str, Any]) -> Row:
    """Uptime and endpoints of the daemon."""
    ends = under(status, "endpoints").items()
    shown = [Part(f"{name} {end}", "", 1 + i) for i, (name, end) in enumerate(ends)]
    return Row(8, "uptime", [Part(duration(status.get("uptime_s") or 0.0)), *shown])
