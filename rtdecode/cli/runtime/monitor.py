"""`rtdecode monitor`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from rtdecode.cli.common import needs_packages, print_json, print_line, signalled
from rtdecode.cli.options import Control
from rtdecode.cli.runtime.rig_config import rig_settings

#: Of the page.
PORT = 8765


def monitor(
    cursor: Annotated[
        str | None,
        typer.Option(
            help="Cursor endpoint of the daemon; default: rig.toml's bind, else tcp://127.0.0.1:5556.",
            metavar="ENDPOINT",
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help="Endpoint of a task that publishes its target; see docs/monitor.md.", metavar="ENDPOINT"
        ),
    ] = None,
    web: Annotated[
        bool, typer.Option("--web", help="Serve a page for the browser instead of using the terminal.")
    ] = False,
    port: Annotated[
        int | None, typer.Option(help="Port of the page; 0 chooses a free one; default: 8765.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address of the page; default: 127.0.0.1.")] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Allow a --host that other machines can reach.")
    ] = False,
    allow_control: Annotated[
        bool, typer.Option("--allow-control", help="Allow the page to pause, resume, reset, swap and stop.")
    ] = False,
    control: Control = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print a map per second on stdout, one a line.")
    ] = False,
) -> None:
    """Show a running daemon: cursor, spikes, rates, latencies, counters, state.

    Only reads what the daemon publishes, on this machine or another. Runs until Ctrl-C, and waits for the
    daemon whenever it is gone.
    """
    if web and json:
        raise typer.BadParameter("cannot be used with --web; omit one of them", param_hint="--json")
    for flag, given in (("--port", port), ("--host", host), ("--insecure", insecure or None)):
        if given is not None and not web:
            raise typer.BadParameter("is only used with the page; add --web", param_hint=flag)
    if allow_control and not web:
        raise typer.BadParameter("only the page can control; add --web", param_hint="--allow-control")
    if control is not None and not allow_control:
        raise typer.BadParameter("is used with --web --allow-control only", param_hint="--control")
    if port is not None and not 0 <= port < 65536:
        raise typer.BadParameter(f"must be 0 to 65535, not {port}", param_hint="--port")
    from rtdecode.messages import CONTROL_ENDPOINT, CURSOR_ENDPOINT

    rig = rig_settings() if cursor is None or (allow_control and control is None) else {}
    endpoint = cursor or rig.get("bind") or CURSOR_ENDPOINT
    if not web:
        _show(endpoint, task, json)
        return
    from rtdecode.monitor.guard import Guard, check_host
    from rtdecode.monitor.listen import Listener

    address = check_host(host or "127.0.0.1", insecure=insecure)
    with needs_packages("the page", "monitor --web", extra="web"):
        import websockets  # noqa: F401

        from rtdecode.monitor.web import serve_web
    controls = (control or rig.get("control") or CONTROL_ENDPOINT) if allow_control else None
    with Listener(endpoint, task) as listener:
        number = PORT if port is None else port
        serve_web(listener, Guard(insecure=insecure), address, number, controls, print_line)


def _show(cursor: str, task: str | None, json: bool) -> None:
    """Show the state on the terminal, or as lines of text or JSON if stdout is none."""
    from rtdecode.monitor.listen import Listener

    stopping = signalled()
    with Listener(cursor, task) as listener:
        if json:
            from rtdecode.monitor.frame import summary
            from rtdecode.monitor.terminal import follow

            follow(listener, lambda state, now_s: print_json(summary(state, now_s)), stopping)
            return
        from rich.console import Console

        from rtdecode.monitor.terminal import Lines, follow, watch

        console = Console()
        if sys.stdout.isatty() and console.is_interactive:
            watch(listener, console, stopping)
        else:
            follow(listener, Lines(lambda line: print(line, flush=True)).report, stopping)
