"""`rtdecode streams`."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from rtdecode.cli.common import print_json, table

#: Layouts that the values, which are not looked at here, decide.
READ_AS: dict[str | None, str] = {
    "raster": "raster, if 0 and 1",
    "broadband": "broadband, or raster, if 0 and 1",
}


def streams(
    wait: Annotated[float, typer.Option(help="Seconds to search the network.", min=0.1, max=60.0)] = 2.0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List all LSL streams on the network, and how `serve` would read each."""
    from rtdecode.ingest.connection.lsl_config import silence_liblsl

    silence_liblsl()
    from rtdecode.errors import RtdecodeError
    from rtdecode.ingest.connection.streams import Network
    from rtdecode.ingest.signals.layouts import StreamDescription, choose_layout, is_markers

    def layout_of(stream: StreamDescription) -> str | None:
        try:
            return str(choose_layout(stream))
        except RtdecodeError:
            return None

    network = Network()
    network.seen()
    time.sleep(wait)
    found = network.seen()
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
                    "layout": layout_of(stream),
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
            READ_AS.get(layout := layout_of(stream), layout) or ("markers" if is_markers(stream) else "–"),
        ]
        for stream in found
    ]
    print(table(["name", "type", "shape", "rate", "source", "host", "read as"], rows))
