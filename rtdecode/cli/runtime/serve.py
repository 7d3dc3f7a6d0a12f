"""`rtdecode serve`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from rtdecode.cli.common import print_json, print_line
from rtdecode.cli.runtime.rig_config import config_text, load_config, serve_settings, with_serve_options
from rtdecode.ingest import OpenSource
from rtdecode.serve.settings import ServeSettings

#: Longest wait at the end for whoever reads the output.
CLOSE_S = 0.5


@with_serve_options
def serve(
    ctx: typer.Context,
    *,
    config: Annotated[
        Path | None,
        typer.Option(
            help="Settings file; default: rig.toml in this folder, if there is one.",
            is_eager=True,
            callback=load_config,
            metavar="RIG.TOML",
        ),
    ] = None,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print all settings with their origin, and exit.")
    ] = False,
    **options: Any,
) -> None:
    """Decode a live spike stream and publish the cursor over ZeroMQ every bin.

    Runs until Ctrl-C, SIGTERM or a `stop` on the control socket. While the stream is gone, the
    fail-safe value is published.

    A flag takes precedence over its environment variable (RTDECODE_ and the flag's name, such as
    RTDECODE_GRACE), that over rig.toml, that over the default.
    """
    if print_config:
        print(config_text(ctx), end="")
    if not options["stream"]:
        if print_config:
            return
        raise typer.BadParameter(
            "no stream is given; name it here, or as stream in rig.toml", param_hint="--stream"
        )
    settings = serve_settings(ctx, config)
    if print_config:
        return
    from rtdecode.ingest.connection.lsl_config import silence_liblsl

    silence_liblsl()
    if config is not None:
        print_line(f"settings from {config}")
    _run(settings, ctx.obj)


def _run(settings: ServeSettings, sources: Mapping[str, OpenSource] | None) -> None:
    """Serve, with status maps, a live view or lines as output, whichever suits stdout and stderr."""
    if settings.json:
        _serve(settings, sources, print_line, print_json, json=True)
        return
    from rich.console import Console

    console = Console(stderr=True)
    if sys.stderr.isatty() and console.is_interactive:
        from rtdecode.console.status_view import StatusView

        with StatusView(console) as view:
            _serve(settings, sources, view.print_line, view.report)
        return
    from rtdecode.console.status_lines import StatusLines

    _serve(settings, sources, print_line, StatusLines(print_line).report)


def _serve(
    settings: ServeSettings,
    sources: Mapping[str, OpenSource] | None,
    write_line: Callable[[str], None],
    report: Callable[[dict[str, Any]], None],
    *,
    json: bool = False,
) -> None:
    """Serve, whatever becomes of those who read the output."""
    from rtdecode.serve.daemon import Daemon
    from rtdecode.serve.reporting.outbox import Outbox

    lines = Outbox("standard error", write_line, descriptor=2)
    reports = Outbox("standard output" if json else "standard error", report, descriptor=1 if json else 2)
    outboxes = (lines, reports)
    for outbox in outboxes:
        outbox.start()
    try:
        Daemon(
            settings,
            print_line=lines.put,
            report=reports.put,
            problems=lambda: [outbox.problem for outbox in outboxes],
            sources=sources,
        ).run()
    finally:
        written = [outbox.close(CLOSE_S) for outbox in outboxes]
    if not all(written):
        # A thread that waits for a reader would keep the interpreter from ending.
        os._exit(0)
