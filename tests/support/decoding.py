"""What tests of decoders share: small models, counts for them, and every way through a recording."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact, Output
from rtdecode.decode.decoder import Decoder

F4 = NDArray[np.float32]
U1 = NDArray[np.uint8]


def artifact_of(default_kind: str, *, n_channels: int, **changes: Any) -> ModelArtifact:
    """A causal model of three outputs in 20-ms bins with a count_max of 4."""
    fields: dict[str, Any] = {
        "kind": default_kind,
        "causal": True,
        "bin_width_s": 0.02,
        "n_channels": n_channels,
        "channel_mask": (True,) * n_channels,
        "outputs": outputs(3),
        "count_max": 4,
    }
    return ModelArtifact(**(fields | changes))


def outputs(n: int) -> tuple[Output, ...]:
    return tuple(Output(f"y{d}", "mm", 0.0, 1.0, "other") for d in range(n))


def poisson_counts(n_bins: int, n_channels: int = 12, seed: int = 1) -> U1:
    return np.random.default_rng(seed).poisson(1.2, size=(n_bins, n_channels)).astype(np.uint8)


def run_all(decoder: Decoder, counts: U1) -> F4:
    out = np.empty((len(counts), decoder.n_outputs), np.float32)
    decoder.run(counts, out)
    return out


def step_all(decoder: Decoder, counts: U1) -> F4:
    out = np.empty((len(counts), decoder.n_outputs), np.float32)
    for row, value in zip(counts, out, strict=True):
        decoder.step(row, value)
    return out
