"""`rtdecode serve`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from rtdecode.cli.common import print_json, say


def serve(
    stream: Annotated[str, typer.Option(help="Name of the LSL spike stream.")],
    model: Annotated[
        str | None,
        typer.Option(help="Model file or name; default: the stream's current model.", metavar="PATH|NAME"),
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(help="events, snippets, channel or counts; default: from the stream's type and shape."),
    ] = None,
    bind: Annotated[str, typer.Option(help="Endpoint of the cursor (ZeroMQ PUB).")] = "tcp://127.0.0.1:5556",
    control: Annotated[str, typer.Option(help="Endpoint for control (ZeroMQ REP).")] = "tcp://127.0.0.1:5557",
    record: Annotated[Path | None, typer.Option(help="Record spikes, decoded values and log here.")] = None,
    behavior: Annotated[
        str | None, typer.Option(help="Name of a behaviour stream to record beside the spikes.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Let --record replace a file.")] = False,
    timeout: Annotated[
        float, typer.Option(help="Seconds to wait for the stream at the start; 0 waits for ever.")
    ] = 60.0,
    grace: Annotated[
        str, typer.Option(help="How long a bin waits for late events: auto, or milliseconds.")
    ] = "auto",
    late: Annotated[
        str, typer.Option(help="Events one bin late: carry them into the open bin, or drop them.")
    ] = "carry",
    failsafe_after: Annotated[
        float, typer.Option(help="Seconds of silence until the fail-safe: position held, velocity 0.")
    ] = 1.0,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Allow endpoints that other machines can reach.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print a status map a second, one a line.")] = False,
) -> None:
    """Decode a live spike stream; cursor positions go out over ZeroMQ every bin.

    Runs until Ctrl-C, SIGTERM or a `stop` on the control socket. If the stream goes away, the
    fail-safe goes out until it is back.
    """
    from rtdecode.ingest.lslconfig import silence_liblsl
    from rtdecode.serve.settings import ServeSettings

    silence_liblsl()
    settings = ServeSettings(
        stream=stream,
        model=model,
        layout=parse_layout(layout),
        bind=bind,
        control=control,
        record=record,
        behavior=behavior,
        overwrite=overwrite,
        timeout_s=timeout or math.inf,
        grace_s=parse_grace(grace),
        carry_late=parse_late(late),
        failsafe_after_s=failsafe_after,
        insecure=insecure,
    )
    from rtdecode.serve.daemon import Daemon

    Daemon(settings, say=say, report=print_json if json else _report_changes()).run()


def parse_layout(text: str | None) -> Any:
    """`--layout` as a Layout, None for None."""
    from rtdecode.ingest.layouts import Layout

    if text is None:
        return None
    try:
        return Layout(text)
    except ValueError:
        raise typer.BadParameter(f"--layout is one of {', '.join(Layout)}, not {text}") from None


def parse_grace(text: str) -> float | None:
    """`--grace` in seconds, None for auto."""
    if text == "auto":
        return None
    try:
        return float(text) / 1e3
    except ValueError:
        raise typer.BadParameter(f"--grace is auto or milliseconds, not {text}") from None


def parse_late(text: str) -> bool:
    """`--late` as whether to carry."""
    if text not in ("carry", "drop"):
        raise typer.BadParameter(f"--late is carry or drop, not {text}")
    return text == "carry"


def _report_changes() -> Any:
    """Says when the state changes or something is wrong, and sums up every ten seconds."""
    seen: dict[str, Any] = {"state": "", "warnings": [], "calls": 0}

    def report(status: dict[str, Any]) -> None:
        seen["calls"] += 1
        changed = status["state"] != seen["state"] or status["warnings"] != seen["warnings"]
        if not changed and seen["calls"] % 10:
            return
        seen.update(state=status["state"], warnings=status["warnings"])
        if status["state"] == "waiting":
            say(f"waiting for stream {status['stream']['name']}")
            return
        latency, counters = status["latency_ms"]["publish"], status["counters"]
        line = f"{status['state']:<12} bin {status['bin']}  {status['rates']['events_hz']:.0f} samples/s"
        if latency["p50"] is not None:
            line += f"  published {latency['p50']:.2f} ms (p99 {latency['p99']:.2f}) after bin end"
        faults = {k: v for k, v in counters.items() if k in FAULTS and v}
        line += "".join(f"  {name} {count}" for name, count in faults.items())
        say(line)
        for warning in status["warnings"]:
            say(f"  warning: {warning}")

    return report


FAULTS = frozenset(
    (
        "lost",
        "duplicates",
        "out_of_order",
        "out_of_range",
        "renumbered",
        "not_a_count",
        "late_carried",
        "late_dropped",
        "future",
        "nonfinite",
        "reconnects",
        "clock_jumps",
        "catch_up",
    )
)
