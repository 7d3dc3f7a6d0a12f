"""Lines about an attached stream: enough to see at a glance that it is the right one."""

from __future__ import annotations

import socket

from rtdecode.artifact import ModelArtifact
from rtdecode.ingest.signals.layouts import Layout, StreamDescription, array_channels

#: Programs on one machine share the clock of LSL; more is no error of its measurement.
SAME_CLOCK_S = 0.005


def stream_report(
    stream: StreamDescription, layout: Layout, clock_offset_s: float, reading: str = ""
) -> list[str]:
    """Lines for the person at the rig.

    Args:
        stream: that is attached.
        layout: of that stream.
        clock_offset_s: added to its stamps, seconds.
        reading: how its rows are read, "" as the layout has it.
    """
    n_channels = array_channels(stream, layout)
    channels = f"{n_channels} channels" if n_channels is not None else "number of channels not stated"
    rate = f"{stream.rate_hz:g} Hz" if stream.rate_hz else "irregular rate"
    lines = [
        f"attached {stream.name}: layout {reading or layout}, {channels}, {rate}, clock offset "
        f"{clock_offset_s * 1e3:+.3f} ms, source {stream.source_id or 'unnamed'} on {stream.hostname}"
    ]
    here = stream.hostname and stream.hostname == socket.gethostname()
    if here and abs(clock_offset_s) > SAME_CLOCK_S:
        lines.append(
            f"the clock of {stream.name} is {clock_offset_s * 1e3:+.3f} ms off, although it is sent from "
            "this machine: is its LSL another one, or is the machine too busy to measure it?"
        )
    return lines


def model_line(artifact: ModelArtifact) -> str:
    """The line about the model that decodes."""
    outputs = ", ".join(f"{o.name} ({o.units})" if o.units else o.name for o in artifact.outputs)
    return (
        f"decoding with model {artifact.model_id}: {artifact.kind}, {artifact.n_channels} channels, "
        f"{artifact.bin_width_s * 1e3:g} ms bins, decodes {outputs}"
    )
