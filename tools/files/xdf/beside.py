"""What an XDF file holds beside the spikes: series of numbers, and markers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rtdecode.ingest.beside.behavior_samples import column_names
from rtdecode.ingest.signals.features import described_columns
from rtdecode.ingest.signals.layouts import is_features
from rtdecode.kernels.arrays import F8
from rtdecode.session.raw import as_text
from rtdecode.tools.files.recording import MarkerList, Series
from rtdecode.tools.files.xdf.samples import StreamFile

#: Types of streams whose columns are signals of electrodes, in lower case.
SIGNALS = ("eeg", "ecog", "ieeg", "lfp", "ephys", "exg", "features")

#: Types of what `rtdecode serve --lsl-out` sends.
DECODED = ("cursor", "cursorflags")


def series(file: StreamFile, role: str = "") -> Series:
    """A stream of numbers; `role` where its type does not tell it."""
    stream = file.stream
    kind = stream.type.strip().lower()
    if not role:
        role = "signal" if kind in SIGNALS else "other" if kind in DECODED else "behavior"

    def read() -> tuple[F8, F8]:
        samples = file.load()
        return samples.time, samples.values.astype(np.float64)

    names, units = column_names(stream)
    n, rate_hz = file.chunks.n_samples, stream.rate_hz or None
    found = Series(stream.name, names, units, n, rate_hz, role, read, clock=stream.name)
    if not is_features(stream):
        return found
    described = described_columns(stream, otherwise="")
    return replace(
        found,
        columns=tuple(column.name for column in described),
        kinds=tuple(column.kind for column in described),
        role="signal",
        stamps="end",
    )


def markers(file: StreamFile) -> MarkerList:
    """A stream of texts or of codes; of several columns the texts are joined."""
    samples = file.load()
    text = tuple(" ".join(map(as_text, row)) for row in samples.values.tolist())
    return MarkerList(file.stream.name, samples.time, text)
