"""The cursor as an LSL stream (`--lsl-out`), so that LabRecorder can keep it beside everything else."""

from __future__ import annotations

from collections.abc import Sequence

import pylsl

from rtdecode.artifact import ModelArtifact
from rtdecode.output.stage import OutputStage

#: Seconds that a consumer may be behind before it loses samples.
BUFFERED_S = 60


class CursorOutlet:
    """Two streams with the same stamps: the values, and the flags that qualify them.

    `NAME` (type Cursor, float32) has a channel for each decoded value, then one for each axis of the output
    stage; `NAME-flags` (type CursorFlags, int32) has `bin` and `flags`. Both have one sample a bin, stamped
    with the bin's end, `t_bin`. The first has the bins' nominal rate.

    Args:
        name: of the stream.
        artifact: the model.
        output: the output stage, None without one.
    """

    def __init__(self, name: str, artifact: ModelArtifact, output: OutputStage | None) -> None:
        labels = [*artifact.output_names, *(f"out_{axis}" for axis in (output.names if output else ()))]
        units = [*(each.units for each in artifact.outputs), *(output.units if output else ())]
        source = f"rtdecode-serve:{name}"
        values = pylsl.StreamInfo(name, "Cursor", len(labels), 1.0 / artifact.bin_width_s, "float32", source)
        describe_columns(values, labels, units)
        values.desc().append_child_value("model", artifact.model_id)
        flags = pylsl.StreamInfo(
            f"{name}-flags", "CursorFlags", 2, pylsl.IRREGULAR_RATE, "int32", f"{source}:flags"
        )
        describe_columns(flags, ("bin", "flags"), ("", ""))
        self._values = pylsl.StreamOutlet(values, max_buffered=BUFFERED_S)
        self._flags = pylsl.StreamOutlet(flags, max_buffered=BUFFERED_S)

    def push(
        self, value: list[float], out: list[float] | None, t_bin: float, bin_number: int, flags: int
    ) -> None:
        """Send one bin; never waits for a consumer."""
        self._values.push_sample(value if out is None else value + out, t_bin)
        self._flags.push_sample([bin_number, flags], t_bin)


def describe_columns(
    info: pylsl.StreamInfo, labels: Sequence[str], units: Sequence[str], kinds: Sequence[str] = ()
) -> None:
    """Write LSL's usual channel list into a stream's description; with `kinds` the kind of each feature."""
    channels = info.desc().append_child("channels")
    for label, unit, kind in zip(labels, units, kinds or [""] * len(labels), strict=True):
        channel = channels.append_child("channel")
        channel.append_child_value("label", label)
        channel.append_child_value("unit", unit)
        if kind:
            channel.append_child_value("kind", kind)
