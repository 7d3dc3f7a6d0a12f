"""`rtdecode serve`."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtdecode.cli.common import print_json, print_line
from rtdecode.cli.runtime.rig_config import config_text, from_its_origin, load_config

if TYPE_CHECKING:
    from rtdecode.serve.settings import ServeSettings


def serve(
    ctx: typer.Context,
    stream: Annotated[
        str | None, typer.Option(help="Name of the LSL spike stream; required, here or in rig.toml.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Model file or name; default: the stream's current model.", metavar="PATH|NAME"),
    ] = None,
    source_id: Annotated[
        str | None, typer.Option(help="Which source, where several send a stream of that name.")
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
    overwrite: Annotated[
        bool, typer.Option("--overwrite/--no-overwrite", help="Let --record replace a file.")
    ] = False,
    lsl_out: Annotated[
        str | None, typer.Option(help="Also send the cursor as an LSL stream of this name.", metavar="NAME")
    ] = None,
    watch: Annotated[
        Path | None,
        typer.Option(help="Folder: a model file that comes into it, or changes, takes over.", metavar="DIR"),
    ] = None,
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
        bool, typer.Option("--insecure/--no-insecure", help="Allow endpoints that other machines can reach.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json/--no-json", help="Print a status map a second, one a line.")
    ] = False,
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
        bool, typer.Option("--print-config", help="Print all settings and where each comes from, and exit.")
    ] = False,
) -> None:
    """Decode a live spike stream; cursor positions go out over ZeroMQ every bin.

    Runs until Ctrl-C, SIGTERM or a `stop` on the control socket. If the stream goes away, the
    fail-safe goes out until it is back.

    A flag wins over its environment variable (RTDECODE_ and the flag's name, RTDECODE_GRACE say), that over
    rig.toml, that over the default.
    """
    if print_config:
        print(config_text(ctx), end="")
    elif stream is None:
        raise typer.BadParameter("name the stream, here or as stream in rig.toml", param_hint="--stream")
    if stream is None:
        return
    from rtdecode.errors import RtdecodeError
    from rtdecode.serve.settings import ServeSettings

    try:
        settings = ServeSettings(
            stream=stream,
            model=model,
            source_id=source_id,
            layout=parse_layout(layout),
            bind=bind,
            control=control,
            record=record,
            behavior=behavior,
            overwrite=overwrite,
            lsl_out=lsl_out,
            watch=watch,
            timeout_s=timeout or math.inf,
            grace_s=parse_grace(grace),
            carry_late=parse_late(late),
            failsafe_after_s=failsafe_after,
            insecure=insecure,
            output=ctx.obj.output if ctx.obj is not None else None,
            config=config,
        )
    except (RtdecodeError, typer.BadParameter) as error:
        raise from_its_origin(ctx, error) from None
    if print_config:
        return
    from rtdecode.ingest.lsl_config import silence_liblsl

    silence_liblsl()
    if config is not None:
        print_line(f"settings from {config}")
    _run(settings, json)


def _run(settings: ServeSettings, json: bool) -> None:
    """Serve with what suits who is listening: a status map a line, a live view, or plain lines."""
    from rtdecode.serve.daemon import Daemon

    if json:
        Daemon(settings, print_line=print_line, report=print_json).run()
        return
    from rich.console import Console

    console = Console(stderr=True)
    if sys.stderr.isatty() and console.is_interactive:
        from rtdecode.console.view import StatusView

        with StatusView(console) as view:
            Daemon(settings, print_line=view.print_line, report=view.report).run()
        return
    from rtdecode.console.lines import StatusLines

    Daemon(settings, print_line=print_line, report=StatusLines(print_line).report).run()


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
