"""`rtdecode streams`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from rtdecode.cli.common import print_json, table

if TYPE_CHECKING:
    from rtdecode.ingest.signals.layouts import StreamDescription

#: What decides where a stream may be read in several ways, or in one of some values only.
READ_AS = {
    ("raster",): "raster, if 0 and 1",
    ("broadband", "raster"): "broadband, or raster, if 0 and 1",
    ("counts", "features"): "counts, or features, as the model reads",
}


def streams(
    wait: Annotated[float, typer.Option(help="Seconds to search the network.", min=0.1, max=60.0)] = 2.0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List all LSL streams on the network, and how `serve` would read each."""
    from rtdecode.ingest.connection.lsl_config import silence_liblsl

    silence_liblsl()
    from rtdecode.ingest.connection.choice import needs_kinds, possible_layouts
    from rtdecode.ingest.connection.streams import Network
    from rtdecode.ingest.signals.layouts import needs_labels

    network = Network()
    network.seen()
    time.sleep(wait)
    found = network.seen(lambda stream: needs_labels(stream) or needs_kinds(stream))
    if json:
        print_json(
            [
                {
                    "name": stream.name,
                    "type": stream.type,
                    "columns": stream.n_columns,
                    "format": stream.format,
                    "rate_hz": stream.rate_hz,
                    "source_id": stream.source_id,
                    "hostname": stream.hostname,
                    "layout": next(iter(possible_layouts(stream)), None),
                    "layouts": possible_layouts(stream),
                }
                for stream in found
            ]
        )
        return
    if not found:
        print(f"no stream has answered within {wait:g} s; `rtdecode doctor` checks the network")
        return
    rows = [
        [
            stream.name,
            stream.type or "–",
            f"{stream.n_columns} x {stream.format}",
            f"{stream.rate_hz:g} Hz" if stream.rate_hz else "irregular",
            stream.source_id or "–",
            stream.hostname or "–",
            _read_as(stream),
        ]
        for stream in found
    ]
    print(table(["name", "type", "shape", "rate", "source", "host", "read as"], rows))


def _read_as(stream: StreamDescription) -> str:
    from rtdecode.ingest.connection.choice import possible_layouts
    from rtdecode.ingest.signals.layouts import is_markers, needs_labels

    if layouts := possible_layouts(stream):
        return READ_AS.get(tuple(map(str, layouts)), str(layouts[0]))
    if is_markers(stream):
        return "markers"
    return "–; with --columns events" if needs_labels(stream) else "–"
