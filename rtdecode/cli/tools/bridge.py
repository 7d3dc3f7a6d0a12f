"""`rtdecode bridge …`."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtdecode.cli.common import on_signal, print_json, print_line
from rtdecode.cli.options import parsed
from rtdecode.errors import RtdecodeError

if TYPE_CHECKING:
    from rtdecode.tools.bridge.items import Source
    from rtdecode.tools.bridge.status import BridgeStatus

app = typer.Typer(no_args_is_help=True)

#: Clears the terminal's line, for one that is shown in its place.
CLEAR = "\r\x1b[2K"

LINE_EVERY_S = 10.0


class Device(StrEnum):
    """Kinds of devices of SpikeGLX."""

    IMEC = "imec"
    ONEBOX = "onebox"
    NIDQ = "nidq"


class Protocol(StrEnum):
    """Protocols of Blackrock's devices."""

    BEFORE = "3.11"
    NEXT = "4.0"
    LATER = "4.1"


#: Their numbers in its commands.
DEVICES = {Device.IMEC: 2, Device.ONEBOX: 1, Device.NIDQ: 0}


def _read_channels(text: str) -> frozenset[int]:
    """Numbers and ranges such as `0:63,70`.

    Raises:
        ValueError: the text is none of these.
    """
    found: list[int] = []
    for part in text.split(","):
        first, colon, last = part.partition(":")
        if not first.strip().isdecimal() or (colon and not last.strip().isdecimal()):
            raise ValueError(f"{text!r} has no ranges of channels; give some such as 0:63,70")
        found += range(int(first), int(last or first) + 1)
    if len(set(found)) != len(found) or not found:
        raise ValueError(f"{text!r} names a channel twice or none; name each once")
    return frozenset(found)


Stream = Annotated[str, typer.Option(help="Name of the LSL spike stream to send.")]
Continuous = Annotated[
    str | None,
    typer.Option(help="Name of a second stream, with the continuous data; default: none.", metavar="NAME"),
]
Host = Annotated[str, typer.Option(help="Host of the acquisition program.")]
Delay = Annotated[
    float,
    typer.Option(
        help="Constant delay from acquisition to the fastest arrival, subtracted from stamps, ms.",
        min=0.0,
    ),
]
SourceId = Annotated[
    str | None,
    typer.Option(help="Source id of the stream; default: made of this machine, the host and the name."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the status on stdout, one JSON document a second.")]


@app.callback()
def bridge() -> None:
    """Send an acquisition system's spikes over LSL, from its own network protocol."""


@app.command()
def openephys(
    stream: Stream,
    channels: Annotated[int, typer.Option(help="Number of channels of the array: of electrodes.", min=1)],
    continuous: Continuous = None,
    host: Host = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Data port of the ZMQ Interface plugin.", min=1, max=65534)
    ] = 5556,
    rate: Annotated[float, typer.Option(help="Sampling rate, Hz.", min=1.0)] = 30_000.0,
    electrodes: Annotated[
        Path | None,
        typer.Option(
            help="File of electrode names, one a line, in the order of the channels; default: the number "
            "at a name's end, from 1.",
            metavar="FILE",
        ),
    ] = None,
    delay: Delay = 0.0,
    source_id: SourceId = None,
    json: Json = False,
) -> None:
    """Bridge the Open Ephys GUI, by its ZMQ Interface plugin."""
    _prepare()
    from rtdecode.tools.bridge.openephys.source import OpenEphysSettings, OpenEphysSource

    settings = OpenEphysSettings(
        host=host,
        port=port,
        n_channels=channels,
        rate_hz=rate,
        electrodes=None if electrodes is None else _read_names(electrodes, channels),
        continuous=continuous is not None,
    )
    named = source_id or _source_id("openephys", f"{host}:{port}", stream)
    _run(OpenEphysSource(settings), (stream, continuous, named), delay, json)


@app.command()
def intan(
    stream: Stream,
    continuous: Continuous = None,
    host: Host = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Command port of RHX's Remote TCP Control.", min=1, max=65535)
    ] = 5000,
    run: Annotated[
        bool, typer.Option("--run", help="Start the controller, if it is stopped; else press Run in RHX.")
    ] = False,
    delay: Delay = 0.0,
    source_id: SourceId = None,
    json: Json = False,
) -> None:
    """Bridge Intan's RHX software, by its Remote TCP Control.

    Turns on the spike outputs of all amplifier channels, numbered in RHX's order, and all others off.
    """
    _prepare()
    from rtdecode.tools.bridge.intan.source import IntanSettings, IntanSource

    settings = IntanSettings(host=host, port=port, continuous=continuous is not None, run=run)
    named = source_id or _source_id("intan", f"{host}:{port}", stream)
    _run(IntanSource(settings), (stream, continuous, named), delay, json)


@app.command()
def blackrock(
    stream: Stream,
    channels: Annotated[
        frozenset[int],
        typer.Option(
            help="Channels of the array, as the device numbers them, such as 1:96; they are sent as 0 to 95.",
            metavar="N:M,…",
            parser=parsed(_read_channels),
        ),
    ],
    host: Annotated[str, typer.Option(help="Address of the device.")] = "192.168.137.128",
    port: Annotated[
        int,
        typer.Option(
            help="Port to which the device sends: 51001 NSP, 51002 to 51004 hubs 1 to 3.", min=1, max=65535
        ),
    ] = 51001,
    control_port: Annotated[
        int | None, typer.Option(help="Port of the device; default: that of --port.", min=1, max=65535)
    ] = None,
    protocol: Annotated[
        Protocol,
        typer.Option(help="Protocol of the device; 4.1 for Central 7.6 and later, 4.0 for 7.5, 3.11 before."),
    ] = Protocol.LATER,
    delay: Delay = 0.0,
    source_id: SourceId = None,
    json: Json = False,
) -> None:
    """Bridge a Blackrock NSP or Gemini hub, by its packets over UDP.

    The device must be running; nothing is changed on it.
    """
    _prepare()
    from rtdecode.tools.bridge.blackrock.source import BlackrockSettings, BlackrockSource

    settings = BlackrockSettings(
        host=host,
        port=port,
        control_port=control_port or port,
        channels=tuple(sorted(channels)),
        protocol=protocol,
    )
    named = source_id or _source_id("blackrock", f"{host}:{port}", stream)
    _run(BlackrockSource(settings), (stream, None, named), delay, json)


@app.command()
def spikeglx(
    stream: Annotated[str, typer.Option(help="Name of the LSL stream of continuous data to send.")],
    device: Annotated[Device, typer.Option(help="Kind of device.")] = Device.IMEC,
    index: Annotated[int, typer.Option(help="Number of the device among those of its kind.", min=0)] = 0,
    channels: Annotated[
        frozenset[int] | None,
        typer.Option(
            help="Channels of the stream, such as 0:63,70; default: the first group, AP of a probe.",
            metavar="N:M,…",
            parser=parsed(_read_channels),
        ),
    ] = None,
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of SpikeGLX's command server.", min=1, max=65535)] = 4142,
    delay: Delay = 0.0,
    source_id: SourceId = None,
    json: Json = False,
) -> None:
    """Bridge SpikeGLX, by its command server: continuous data alone, since it detects no spikes."""
    _prepare()
    from rtdecode.tools.bridge.spikeglx.source import SpikeGlxSettings, SpikeGlxSource

    settings = SpikeGlxSettings(
        host=host,
        port=port,
        device=DEVICES[device],
        index=index,
        channels=None if channels is None else tuple(sorted(channels)),
    )
    named = source_id or _source_id("spikeglx", f"{host}:{port}:{device}{index}", stream)
    _run(SpikeGlxSource(settings), (None, stream, named), delay, json)


def _prepare() -> None:
    from rtdecode.ingest.connection.lsl_config import silence_liblsl

    silence_liblsl()


def _source_id(vendor: str, address: str, stream: str) -> str:
    """The same at every start of a bridge, so that a restart is recognised."""
    return f"rtdecode-bridge:{vendor}:{socket.gethostname()}:{address}:{stream}"


def _read_names(path: Path, n_channels: int) -> tuple[str, ...]:
    try:
        names = tuple(line.strip() for line in path.read_text("utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise RtdecodeError(
            f"cannot be read: {error}", where=str(path), fix="give a text file with one name a line"
        ) from None
    if len(set(names)) != n_channels or len(names) != n_channels:
        raise RtdecodeError(
            f"has {len(set(names))} different names on {len(names)} lines, not {n_channels}",
            where=str(path),
            fix="give one name for each channel of --channels, none twice",
        )
    return names


def _run(source: Source, named: tuple[str | None, str | None, str], delay_ms: float, json: bool) -> None:
    """Run a bridge; `named` has the names of its two streams, and the source id."""
    from rtdecode.tools.bridge.run import Bridge, BridgeSettings
    from rtdecode.tools.bridge.stamper import StamperSettings

    stream, continuous, source_id = named
    settings = BridgeSettings(
        stream=stream,
        continuous=continuous,
        source_id=source_id,
        stamper=StamperSettings(delay_s=delay_ms / 1e3),
    )
    running = Bridge(source, settings, _reporter(json))

    def stop() -> None:
        running.stopping = True

    on_signal(stop)
    sent = (("spikes", stream), ("continuous data", continuous))
    print_line(
        "bridge: " + ", ".join(f"{what} as {name}" for what, name in sent if name) + "; Ctrl-C ends it"
    )
    running.run()


def _reporter(json: bool) -> Callable[[BridgeStatus], None]:
    """What prints the status: on a terminal in place of the line before, else every ten seconds."""
    on_terminal = sys.stderr.isatty()
    shown_s, known, state = 0.0, set[str](), ""

    def report(status: BridgeStatus) -> None:
        nonlocal shown_s, state
        if json:
            print_json(status.document())
        for reason in status.garbled.keys() - known:
            known.add(reason)
            print_line((CLEAR if on_terminal else "") + f"warning: garbled: {reason}")
        now = time.monotonic()
        if status.final:
            for line in status.summary():
                print_line((CLEAR if on_terminal else "") + line)
        elif on_terminal:
            print(CLEAR + status.line(), end="", file=sys.stderr, flush=True)
        elif now - shown_s >= LINE_EVERY_S or status.state != state:
            shown_s, state = now, status.state
            print_line(status.line())

    return report
