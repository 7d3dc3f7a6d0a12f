"""The state of a monitor as one JSON map: a frame of the web page, a line of `monitor --json`."""

from __future__ import annotations

from typing import Any

from rtdecode.console.counters import groups_of
from rtdecode.console.history import under
from rtdecode.console.status_rows import STATES, meaning_of
from rtdecode.monitor.latency import DECADES, LOWEST_MS, PER_DECADE, Distribution
from rtdecode.monitor.state import MonitorState


def summary(state: MonitorState, now_s: float) -> dict[str, Any]:
    """Everything but pictures; None for unknown values."""
    status, cursor, task = state.status_map, state.cursor, state.task(now_s)
    name = status.get("state") or "unknown"
    return {
        "alive": state.alive(now_s),
        "link": state.link.value,
        "alert": state.alert(now_s),
        "state": name,
        "state_style": STATES.get(name, ("ended", ""))[0],
        "state_means": meaning_of(status),
        "state_s": state.recent.state_s,
        "paused": bool(status.get("paused")),
        "flags": state.flags(now_s),
        "warnings": status.get("warnings") or [],
        "bin": cursor.bin if cursor else None,
        "bin_width_s": state.bin_width_s,
        "uptime_s": status.get("uptime_s"),
        "names": status.get("names") or [],
        "units": status.get("units") or [],
        "value": cursor.value if cursor else None,
        "out": cursor.out if cursor and isinstance(cursor.out, list) else None,
        "model": under(status, "model"),
        "stream": under(status, "stream"),
        "recording": status.get("recording"),
        "input": under(status, "rates"),
        "rates_hz": [round(rate, 1) for rate in state.raster.rates_hz().tolist()],
        "latency_ms": {
            "bins": len(state.latencies),
            "decode": _latency(state.latencies.decode()),
            "total": _latency(state.latencies.total()),
        },
        "counters": [
            {"group": title, **counter._asdict()}
            for title, counters in groups_of(status, state.recent)
            for counter in counters
            if status
        ],
        "task": task
        and {key: getattr(task, key) for key in ("target", "radius", "state", "trial", "success_rate")},
        "missed": state.missed,
        "restarts": state.restarts,
        "malformed": state.malformed,
        "problem": state.problem,
    }


def frame(state: MonitorState, now_s: float, since_bin: int) -> dict[str, Any]:
    """A frame of the web page: the summary and the new parts of its pictures.

    Args:
        state: of the monitor.
        now_s: on the clock of the state.
        since_bin: the first bin of spikes and points that this page lacks; bins older than 2 s are left out.
    """
    raster, extent, axes = state.raster, state.plane.extent, state.axes
    return summary(state, now_s) | {
        "axes": axes and [{"name": axis.name, "units": axis.units} for axis in axes],
        "extent": extent and [extent.x, extent.y, extent.half],
        "digits": state.plane.digits,
        "points": [list(point) for point in state.plane.trail if point.bin >= since_bin],
        "raster": {
            "n_channels": raster.n_channels,
            "n_bins": raster.n_bins,
            "end": raster.end,
            "rows": [[b, spikes] for b, spikes in raster.since(since_bin)],
        },
    }


def next_bin(state: MonitorState) -> int:
    """The `since_bin` after a frame of this state: the bin that cursors and spikes have both reached."""
    cursor_end = state.plane.trail[-1].bin + 1 if state.plane.trail else state.raster.end
    return min(cursor_end, state.raster.end) if state.raster.received else cursor_end


def _latency(distribution: Distribution) -> dict[str, Any]:
    return {
        "lowest_ms": LOWEST_MS,
        "decades": DECADES,
        "per_decade": PER_DECADE,
        "histogram": distribution.histogram.tolist(),
    } | {name: None if ms is None else round(ms, 3) for name, ms in distribution.figures.items()}
