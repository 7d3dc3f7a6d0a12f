"""`rtdecode record`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from rtdecode.cli.common import on_signal, print_line
from rtdecode.cli.options import Config, Overwrite
from rtdecode.cli.runtime.rig_config import rig_path, stream_settings
from rtdecode.ingest.layouts import Layout

TIMEOUT_S = 60.0


def record(
    output: Annotated[Path, typer.Option(help="Session file to write (.h5).")],
    stream: Annotated[
        str | None, typer.Option(help="Name of the LSL spike stream; default: rig.toml's.")
    ] = None,
    behavior: Annotated[
        str | None, typer.Option(help="Name of a behaviour stream to record too; default: rig.toml's.")
    ] = None,
    source_id: Annotated[
        str | None,
        typer.Option(help="Source id of the outlet, if several have that name; default: rig.toml's."),
    ] = None,
    layout: Annotated[
        Layout | None,
        typer.Option(help="Stream layout; default: rig.toml's, else from the stream's type and shape."),
    ] = None,
    channels: Annotated[
        int | None, typer.Option(help="Number of channels, if an events stream does not state it.", min=1)
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(help="Longest wait for the streams, s; 0: no limit; default: rig.toml's, else 60."),
    ] = None,
    overwrite: Overwrite = False,
    config: Config = None,
) -> None:
    """Record a spike stream, and a behaviour stream with it, until Ctrl-C.

    After a crash the file opens and lacks at most its last second. Settings of rig.toml are those of its own
    stream; its record and overwrite are for `serve` alone.
    """
    rig = stream_settings(config, stream)
    name = rig.get("stream")
    if not name:
        raise typer.BadParameter(
            "no stream is given; name it here, or as stream in rig.toml", param_hint="--stream"
        )
    if (path := rig_path(config)) is not None:
        print_line(f"settings from {path}")
    from rtdecode.ingest.lsl_config import silence_liblsl

    silence_liblsl()
    from rtdecode.tools.record import StreamRecording

    recording = StreamRecording(
        stream=name,
        output=output,
        print_line=print_line,
        behavior=rig.get("behavior") if behavior is None else behavior,
        source_id=rig.get("source_id") if source_id is None else source_id,
        layout=rig.get("layout") if layout is None else layout,
        n_channels=channels,
        timeout_s=rig.get("timeout", TIMEOUT_S) if timeout is None else timeout or math.inf,
        overwrite=overwrite,
    )

    def stop() -> None:
        recording.stopping = True

    on_signal(stop)
    recording.run()
