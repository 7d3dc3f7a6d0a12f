"""`rtdecode record`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from rtdecode.cli.common import on_signal, print_line
from rtdecode.cli.options import Overwrite
from rtdecode.ingest.layouts import Layout


def record(
    stream: Annotated[str, typer.Option(help="Name of the LSL spike stream.")],
    output: Annotated[Path, typer.Option(help="Session file to write (.h5).")],
    behavior: Annotated[str | None, typer.Option(help="Name of a behaviour stream to record too.")] = None,
    source_id: Annotated[
        str | None, typer.Option(help="Source id of the outlet, if several outlets have that name.")
    ] = None,
    layout: Annotated[
        Layout | None, typer.Option(help="Stream layout; default: from the stream's type and shape.")
    ] = None,
    channels: Annotated[
        int | None, typer.Option(help="Number of channels, if an events stream does not state it.", min=1)
    ] = None,
    timeout: Annotated[float, typer.Option(help="Longest wait for the streams, s; 0: no limit.")] = 60.0,
    overwrite: Overwrite = False,
) -> None:
    """Record a spike stream, and a behaviour stream with it, until Ctrl-C.

    After a crash the file opens and lacks at most its last second.
    """
    from rtdecode.ingest.lsl_config import silence_liblsl

    silence_liblsl()
    from rtdecode.tools.record import StreamRecording

    recording = StreamRecording(
        stream=stream,
        output=output,
        print_line=print_line,
        behavior=behavior,
        source_id=source_id,
        layout=layout,
        n_channels=channels,
        timeout_s=timeout or math.inf,
        overwrite=overwrite,
    )

    def stop() -> None:
        recording.stopping = True

    on_signal(stop)
    recording.run()
