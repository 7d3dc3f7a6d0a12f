"""Lines about an attached stream: enough to see at a glance that it is the right one."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from rtdecode.artifact import FeatureColumn, ModelArtifact
from rtdecode.ingest.signals.features import other_units, unknown_kinds
from rtdecode.ingest.signals.layouts import Layout, StreamDescription, array_channels, channel_labels

#: Programs on one machine share the clock of LSL; more is no error of its measurement.
SAME_CLOCK_S = 0.005


def stream_report(
    stream: StreamDescription,
    layout: Layout,
    clock_offset_s: float,
    reading: str = "",
    features: Sequence[FeatureColumn] = (),
) -> list[str]:
    """Lines for the person at the rig.

    Args:
        stream: that is attached.
        layout: of that stream.
        clock_offset_s: added to its stamps, seconds.
        reading: how its rows are read, "" as the layout has it.
        features: that are read of a stream of features.
    """
    n_channels = array_channels(stream, layout)
    channels = "number of channels not stated" if n_channels is None else f"{n_channels} channels"
    if layout is Layout.FEATURES:
        channels = f"{stream.n_columns} columns"
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
    if layout is Layout.FEATURES:
        lines += [*_units_line(stream, features), *unknown_kinds(stream, features)]
    return lines


def labels_line(stream: StreamDescription, layout: Layout, labels: Sequence[str]) -> list[str]:
    """A line if channels have other labels than those that a model was made of, where both have them.

    Args:
        stream, layout: that is attached.
        labels: of the model's channels of this stream, () where they are not known.
    """
    found = channel_labels(stream, layout)
    other = [i for i, pair in enumerate(zip(found, labels, strict=False)) if pair[0] != pair[1]]
    if not other:
        return []
    i = other[0]
    same = sorted(found) == sorted(labels)
    return [
        f"{len(other)} of {len(found)} channels of {stream.name} have other labels than those of the model, "
        f"channel {i} {found[i]!r} and {labels[i]!r}: "
        + ("send them in the order of the model" if same else "is it the same array?")
    ]


def model_line(artifact: ModelArtifact) -> str:
    """The line about the model that decodes."""
    outputs = ", ".join(f"{o.name} ({o.units})" if o.units else o.name for o in artifact.outputs)
    return (
        f"decoding with model {artifact.model_id}: {artifact.kind}, {artifact.reads}, "
        f"{artifact.bin_width_s * 1e3:g} ms bins, decodes {outputs}"
    )


def _units_line(stream: StreamDescription, wanted: Sequence[FeatureColumn]) -> list[str]:
    others = other_units(stream, wanted)
    if not others:
        return []
    return [
        f"{len(others)} of {len(wanted)} features of {stream.name} come in other units than the model's, "
        f"{others[0]} among them: are they scaled as then?"
    ]
