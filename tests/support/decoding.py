"""What tests of decoders share: small models, counts for them, and every way through a recording."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact, Output
from rtdecode.decode.decoder import Decoder
from rtdecode.decode.load import load_decoder
from rtdecode.errors import RtdecodeError

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


def check_refused(make: Callable[..., ModelArtifact], run: Mapping[str, Any], complaint: str) -> None:
    """A model of these tensors, those that are None left out, is refused with this complaint."""
    artifact = make(run={name: tensor for name, tensor in run.items() if tensor is not None})
    with pytest.raises(RtdecodeError, match=complaint):
        load_decoder(artifact)


def run_all(decoder: Decoder, counts: U1) -> F4:
    out = np.empty((len(counts), decoder.n_outputs), np.float32)
    decoder.run(counts, out)
    return out


def step_all(decoder: Decoder, counts: U1) -> F4:
    out = np.empty((len(counts), decoder.n_outputs), np.float32)
    for row, value in zip(counts, out, strict=True):
        decoder.step(row, value)
    return out
