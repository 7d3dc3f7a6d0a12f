"""The status map as a client sees it."""

from __future__ import annotations

from typing import Any

import msgspec


class Status(msgspec.Struct, kw_only=True, frozen=True):
    """The daemon's status: published once a second, and on request.

    Keys that a later daemon adds are ignored; `ControlClient.request("status")` gives the full map.

    Attributes:
        v: version of the message.
        state: waiting, running, paused, stale, failsafe or reconnecting.
        reason: why it is reconnecting, "" where it is not.
        names, units: of each element of a cursor's `value`, in its order.
        roles: position, velocity or other, of each element of `value`; empty from an older daemon.
        lsl_out: name of the LSL stream with the cursor, None without one.
        bin: number of the last closed bin, -1 before the first.
        bin_width_s: Δ.
        uptime_s: seconds since the daemon started.
        paused: whether a control request holds the output.
        flags: names of the last bin's flags.
        warnings: lines for the experimenter.
        out: names and units of a cursor's `out`; None where no output stage runs.
        arrays: of several arrays the map of each; empty for one stream, and from an older daemon.
        model, stream, recording, rates, counters, latency_ms, endpoints: maps, as in docs/messages.md.
    """

    v: int
    state: str
    reason: str = ""
    names: list[str]
    units: list[str]
    roles: list[str] = []
    lsl_out: str | None = None
    bin: int = -1
    bin_width_s: float = 0.0
    uptime_s: float = 0.0
    paused: bool = False
    flags: list[str] = []
    warnings: list[str] = []
    out: dict[str, Any] | None = None
    model: dict[str, Any] = {}
    stream: dict[str, Any] = {}
    arrays: list[dict[str, Any]] = []
    recording: dict[str, Any] | None = None
    rates: dict[str, Any] = {}
    counters: dict[str, Any] = {}
    latency_ms: dict[str, Any] = {}
    endpoints: dict[str, Any] = {}
