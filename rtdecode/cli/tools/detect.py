"""`rtdecode detect`."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtdecode.cli.common import print_json, print_line, progress_bar
from rtdecode.cli.options import Json, Overwrite, output_option
from rtdecode.errors import RtdecodeError

if TYPE_CHECKING:
    from rtdecode.detection.settings import DetectionSettings, Measured


def detect(
    raw: Annotated[
        Path, typer.Argument(help="File of voltage: HDF5 or NWB, .npy, .npz, or plain binary samples.")
    ],
    output: Annotated[Path, output_option(help="Session file to write.", metavar="S.h5")],
    channels: Annotated[
        int | None, typer.Option(help="Number of channels; needed for a plain binary file.", min=1, max=65535)
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="Sampling rate, Hz; default: the file's, if it states one.", min=1.0)
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            help="Type of a plain binary file's samples, little-endian: int16, int32, float32 or float64."
        ),
    ] = None,
    channel_major: Annotated[
        bool | None,
        typer.Option(
            "--channel-major/--sample-major",
            help="Order of the file: one channel after another, or one sample (of all channels) after "
            "another; default: from the shape, of a plain binary file sample by sample.",
            show_default=False,
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="Path of the voltage in the file; default: its only 2-D array.", metavar="PATH"),
    ] = None,
    start: Annotated[
        float | None, typer.Option(help="Time of the first sample, s; default: the file's, else 0.")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            help="Reference taken off each channel after the band-pass: none, car (mean of all), median, or "
            "lrr (regression on the others); default: none."
        ),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Threshold, robust SDs of the noise; default: -4.5.")
    ] = None,
    polarity: Annotated[
        str | None,
        typer.Option(help="Crossings to detect: negative (troughs), or both; default: negative."),
    ] = None,
    refractory: Annotated[
        float | None, typer.Option(help="Least time between two spikes of a channel, ms; default: 1.")
    ] = None,
    band: Annotated[
        tuple[float, float] | None,
        typer.Option(help="Edges of the band-pass, Hz; default: 300 3000.", metavar="LOW HIGH"),
    ] = None,
    filter_order: Annotated[
        int | None, typer.Option(help="Order of the Butterworth filter at each edge; default: 2.")
    ] = None,
    noise_seconds: Annotated[
        float | None,
        typer.Option(help="Length of the start in which noise and weights are measured, s; default: 5."),
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option(
            help="Session file whose detection (settings, noise, weights) is used again.", metavar="S.h5"
        ),
    ] = None,
    power: Annotated[
        str | None,
        typer.Option(
            help="Spike-band power that becomes /features: absolute (mean of |x|) or rms; default: none."
        ),
    ] = None,
    power_bin: Annotated[
        float | None, typer.Option(help="Width of a bin of power, ms; default: 5.", min=0.1, max=1000.0)
    ] = None,
    power_band: Annotated[
        tuple[float, float] | None,
        typer.Option(help="Edges of the band of power, Hz; default: 300 1000.", metavar="LOW HIGH"),
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Detect the spikes in a file of raw voltage, as they are detected live; write a session file."""
    from rtdecode.detection.options import power_of, settings_of
    from rtdecode.detection.recorded import detection_of
    from rtdecode.files import check_writable, unused
    from rtdecode.session.read import read_session
    from rtdecode.session.write import write_session
    from rtdecode.tools.detect.raw_file import opened
    from rtdecode.tools.detect.run import detect as detect_in
    from rtdecode.tools.detect.voltage import DTYPES, RawOptions

    if dtype is not None and dtype not in DTYPES:
        raise typer.BadParameter(f"{dtype!r} is not one of {', '.join(DTYPES)}", param_hint="--dtype")
    given: dict[str, Any] = {
        "reference": reference,
        "threshold_sd": threshold,
        "polarity": polarity,
        "refractory_s": None if refractory is None else refractory / 1e3,
        "low_hz": None if band is None else band[0],
        "high_hz": None if band is None else band[1],
        "order": filter_order,
        "noise_s": noise_seconds,
    }
    given = {name: value for name, value in given.items() if value is not None}
    check_writable(output, overwrite=overwrite, inputs=[raw])
    started = time.perf_counter()
    settings: DetectionSettings
    measured: Measured | None = None
    of_power = power_of(power, power_bin, power_band)
    if like is not None:
        if given or of_power:
            raise typer.BadParameter("the session has its own settings; omit the others", param_hint="--like")
        rate_hz, settings, measured, of_power = detection_of(read_session(like))
    else:
        settings = settings_of(given)
    stated = RawOptions(
        n_channels=channels,
        rate_hz=rate,
        dtype=dtype,
        channel_major=channel_major,
        dataset=dataset,
        start_s=start,
    )
    with opened(raw, stated) as voltage, progress_bar() as progress:
        if like is not None and voltage.rate_hz != rate_hz:
            raise RtdecodeError(
                f"was detected at {rate_hz:g} Hz, and {voltage.where} has {voltage.rate_hz:g} Hz",
                where=str(like),
                fix="measure the noise of this recording: omit --like",
            )
        found = detect_in(voltage, settings, measured, of_power, progress)
    output = output if overwrite else unused(output)
    write_session(output, found.session)
    assert found.session.events is not None
    n_spikes, seconds = len(found.session.events.time), voltage.n_samples / voltage.rate_hz
    document: dict[str, Any] = {
        "output": str(output),
        "source": voltage.where,
        "channels": voltage.n_channels,
        "rate_hz": voltage.rate_hz,
        "samples": voltage.n_samples,
        "channel_major": voltage.channel_major,
        "start_s": voltage.start_s,
        "spikes": n_spikes,
        "gaps": found.n_gaps,
        "lost": found.n_lost,
        "unknown": found.n_unknown,
        "noise": found.measured.noise,
        "settings": asdict(settings),
        "power": None if of_power is None else asdict(of_power),
        "seconds": time.perf_counter() - started,
        "notes": found.notes,
    }
    if json:
        print_json(document)
        return
    for note in found.notes:
        print_line(f"note: {note}")
    if found.n_gaps:
        print_line(f"note: {found.n_lost} samples are lost in {found.n_gaps} gaps; each is a new start")
    order = "channel by channel" if voltage.channel_major else "sample by sample"
    print(
        f"{voltage.where}: {voltage.n_channels} channels of {voltage.array.dtype}, {order}, {seconds:.1f} s "
        f"at {voltage.rate_hz:g} Hz"
    )
    hz = n_spikes / voltage.n_channels / seconds
    print(f"{output}: {n_spikes} spikes, {hz:.1f} a second and channel, in {document['seconds']:.1f} s")
