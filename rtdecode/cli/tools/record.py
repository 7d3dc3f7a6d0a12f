"""`rtdecode record`."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from rtdecode.cli.common import on_signal, print_line
from rtdecode.cli.options import Config, Overwrite, Trials, output_option, parsed
from rtdecode.cli.runtime.rig_config import rig_path, stream_settings
from rtdecode.detection.options import Band, KnownNoise, detection_options, read_band, read_noise
from rtdecode.ingest.signals.channel_map import ChannelMap, read_channel_map
from rtdecode.ingest.signals.event_columns import RowColumns, read_columns
from rtdecode.ingest.signals.layouts import Layout
from rtdecode.serve.array_settings import arrays_of, features_of
from rtdecode.serve.flags import read_units
from rtdecode.serve.reporting.outbox import Outbox

#: Clears the terminal's line, for one that is shown in its place.
CLEAR = "\r\x1b[2K"

#: Longest wait at the end for whoever reads the lines.
CLOSE_S = 0.5


TIMEOUT_S = 60.0


def record(
    ctx: typer.Context,
    output: Annotated[Path, output_option(help="Session file to write (.h5).", metavar="OUT.h5")],
    stream: Annotated[
        list[str] | None,
        typer.Option(help="Name of the LSL stream; several arrays: once for each; default: rig.toml's."),
    ] = None,
    behavior: Annotated[
        str | None, typer.Option(help="Name of a behaviour stream to record too; default: rig.toml's.")
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(help="Name of a stream of features to record beside spikes; default: rig.toml's."),
    ] = None,
    features_source_id: Annotated[
        str | None,
        typer.Option(help="Source id of the features' outlet, if several are; default: rig.toml's."),
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
        list[int] | None,
        typer.Option(
            help="Number of channels, if an events stream does not state it; once for each --stream.", min=1
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(help="Longest wait for the streams, s; 0: no limit; default: rig.toml's, else 60."),
    ] = None,
    overwrite: Overwrite = False,
    behavior_source_id: Annotated[
        str | None,
        typer.Option(help="Source id of the behaviour's outlet, if several are; default: rig.toml's."),
    ] = None,
    drop_units: Annotated[
        frozenset[int] | None,
        typer.Option(
            help="Sorted units to leave out, such as 255 for noise.", metavar="U,…", parser=parsed(read_units)
        ),
    ] = None,
    columns: Annotated[
        RowColumns | None,
        typer.Option(
            help="Columns of an events stream, from 0, such as channel=0,unit=1,seq=- (-: none).",
            metavar="NAME=N,…",
            parser=parsed(read_columns),
        ),
    ] = None,
    first_channel: Annotated[
        int | None,
        typer.Option(help="Number of the first channel in the stream; default: rig.toml's, else 0.", min=0),
    ] = None,
    channel_map: Annotated[
        ChannelMap | None,
        typer.Option(
            help="File with a line STREAM,FILE for each channel that is recorded.",
            metavar="FILE",
            parser=parsed(read_channel_map),
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(help="Reference of voltage: none, car (mean of all), median or lrr; default: none."),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Threshold of spikes in voltage, robust SDs; default: -4.5.")
    ] = None,
    polarity: Annotated[
        str | None,
        typer.Option(help="Crossings of voltage: negative (troughs), or both; default: negative."),
    ] = None,
    refractory: Annotated[
        float | None, typer.Option(help="Least time between two spikes in voltage, ms; default: 1.")
    ] = None,
    band: Annotated[
        Band | None,
        typer.Option(
            help="Band-pass of voltage, Hz; default: 300,3000.", metavar="LOW,HIGH", parser=parsed(read_band)
        ),
    ] = None,
    filter_order: Annotated[
        int | None, typer.Option(help="Order of the band-pass at each edge; default: 2.")
    ] = None,
    noise_seconds: Annotated[
        float | None, typer.Option(help="Seconds of voltage in which noise is measured; default: 5.")
    ] = None,
    noise_from: Annotated[
        KnownNoise | None,
        typer.Option(
            help="Session file whose detection (settings, noise) is used.",
            metavar="S.h5",
            parser=parsed(read_noise),
        ),
    ] = None,
    power: Annotated[
        str | None,
        typer.Option(
            help="Spike-band power of voltage as features: absolute (mean of |x|) or rms; default: none."
        ),
    ] = None,
    power_bin: Annotated[
        float | None, typer.Option(help="Width of a bin of power, ms; default: 5.", min=0.1, max=1000.0)
    ] = None,
    power_band: Annotated[
        Band | None,
        typer.Option(
            help="Band of power, Hz; default: 300,1000.", metavar="LOW,HIGH", parser=parsed(read_band)
        ),
    ] = None,
    markers: Annotated[
        str | None,
        typer.Option(help="Name of a marker stream (task events) to record too; default: rig.toml's."),
    ] = None,
    markers_source_id: Annotated[
        str | None,
        typer.Option(help="Source id of the markers' outlet, if several are; default: rig.toml's."),
    ] = None,
    trials: Trials = None,
    config: Config = None,
) -> None:
    """Record a stream of spikes or features, and streams of behaviour and markers with it, until Ctrl-C.

    After a crash the file opens and lacks at most its last second. Settings of rig.toml are those of its own
    stream; its record and overwrite are for `serve` alone.
    """
    rig = stream_settings(config, stream or [])
    names = rig.get("stream", ())
    if not names:
        raise typer.BadParameter(
            "no stream is given; name it here, or as stream in rig.toml", param_hint="--stream"
        )
    marked = rig.get("markers") if markers is None else markers
    rules = (trials or rig.get("trials")) if marked else None
    if trials is not None and not marked:
        raise typer.BadParameter("trials are made of markers; add --markers NAME", param_hint="--trials")
    typed = {
        "reference": reference,
        "threshold": threshold,
        "polarity": polarity,
        "refractory": refractory,
        "band": band,
        "filter_order": filter_order,
        "noise_seconds": noise_seconds,
        "noise_from": noise_from,
        "power": power,
        "power_bin": power_bin,
        "power_band": power_band,
    }
    detecting = rig | {name: value for name, value in typed.items() if value is not None}
    if (path := rig_path(config)) is not None:
        print_line(f"settings from {path}")
    from rtdecode.ingest.connection.lsl_config import silence_liblsl

    silence_liblsl()
    from rtdecode.tools.record.run import StreamRecording

    detection = detection_options(detecting)
    of_each = {
        "source_id": rig.get("source_id") if source_id is None else source_id,
        "layout": rig.get("layout") if layout is None else layout,
        "drop_units": drop_units or rig.get("drop_units"),
        "columns": columns or rig.get("columns"),
        "first_channel": rig.get("first_channel") if first_channel is None else first_channel,
        "channel_map": channel_map or rig.get("channel_map"),
        "detection": detection,
    }
    arrays = arrays_of(names, of_each, rig.get("arrays", {}))
    beside = features_of(
        features or rig.get("features"),
        features_source_id or rig.get("features_source_id"),
        power=detection.power is not None,
    )
    on_terminal = sys.stderr.isatty()
    lines = Outbox("standard error", _show if on_terminal else print_line, descriptor=2)
    recording = StreamRecording(
        arrays=arrays,
        features=beside,
        output=output,
        print_line=lambda line: lines.put(CLEAR + line + "\n" if on_terminal else line),
        show=(lambda text: lines.put(CLEAR + text)) if on_terminal else None,
        behavior=rig.get("behavior") if behavior is None else behavior,
        markers=marked,
        markers_source_id=markers_source_id or rig.get("markers_source_id"),
        trials=rules,
        behavior_source_id=behavior_source_id or rig.get("behavior_source_id"),
        n_channels=channels or (),
        timeout_s=rig.get("timeout", TIMEOUT_S) if timeout is None else timeout or math.inf,
        overwrite=overwrite,
        sources=ctx.obj or {},
    )

    def stop() -> None:
        recording.stopping = True

    on_signal(stop)
    lines.start()
    try:
        recording.run()
    finally:
        written = lines.close(CLOSE_S)
    if not written:
        # A thread that waits for a reader would keep the interpreter from ending.
        os._exit(0)


def _show(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)
