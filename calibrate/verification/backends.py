"""The backends that `verify` compares on the same bins, each with a decoder of its own."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from rtdecode.artifact import ModelArtifact
from rtdecode.calibrate.verification.reference import LinearReference
from rtdecode.decode.decoder import Decoder
from rtdecode.decode.load import load_decoder
from rtdecode.kernels.arrays import F4, I8, U1, Inputs
from rtdecode.models.engine.load import load_torch_decoder
from rtdecode.models.kinds.registry import NETWORKS

Spikes = dict[str, U1]

#: The live engine's backends, which agree in every bit; the others are compared with the first.
ENGINE = ("numba run", "numba step", "numba restored")


@runtime_checkable
class SpikingDecoder(Decoder, Protocol):
    """A decoder that returns its spikes."""

    def run_traced(self, counts: Inputs, out: F4) -> Spikes:
        """`run`; returns the spikes u1[frames, n_units] of each layer."""


@dataclass(frozen=True, eq=False)
class Decoded:
    """What one backend decoded from a chunk: values f4[T, D], and the spikes of each layer."""

    values: F4
    spikes: Spikes = field(default_factory=dict)


class Backends:
    """A decoder for each backend, all at bin 0.

    Args:
        artifact: networks are compared with torch, linear filters with plain NumPy.
        device: torch device.

    Attributes:
        reference: the backend that the others are compared with, "torch batch" or "numpy".
        elapsed_ns: duration of each step of the live engine, i8[bins] for each chunk.

    Raises:
        RtdecodeError: the model cannot be stepped, or torch is needed and not installed.
    """

    def __init__(self, artifact: ModelArtifact, device: str) -> None:
        self._artifact, self._device = artifact, device
        # Steps are timed without a trace; a second decoder traces the same steps.
        self._numba = {name: load_decoder(artifact) for name in ("run", "step", "traced step")}
        self._torch: dict[str, Decoder] = {}
        self._linear: LinearReference | None = None
        self.reference = "numpy"
        if artifact.kind in NETWORKS:
            self._torch = {name: load_torch_decoder(artifact, device) for name in ("batch", "step")}
            self.reference = "torch batch"
        else:
            self._linear = LinearReference(artifact)
        self._restored: dict[str, Decoder] = {}
        self.elapsed_ns: list[I8] = []

    @property
    def clipped(self) -> int:
        """Number of counts above count_max, by the live engine."""
        return self._numba["run"].clipped

    @property
    def clipped_by_reference(self) -> int:
        """The same, by the reference."""
        return self._torch["batch"].clipped if self._linear is None else self._linear.clipped

    def reset(self) -> None:
        """Reset all decoders, as after a gap."""
        for decoder in (*self._numba.values(), *self._torch.values(), *self._restored.values()):
            decoder.reset()
        if self._linear is not None:
            self._linear.reset()

    def restore(self) -> None:
        """Start new decoders at the state that single steps have reached."""
        self._restored = {"numba restored": load_decoder(self._artifact)}
        self._restored["numba restored"].load_state(self._numba["step"].state())
        if self._torch:
            self._restored["torch restored"] = load_torch_decoder(self._artifact, self._device)
            self._restored["torch restored"].load_state(self._torch["step"].state())

    def advance(self, counts: Inputs) -> dict[str, Decoded]:
        """Decode the next bins, u1[T, n_channels], with each backend; by name."""
        decoded = {}
        if self._linear is not None:
            decoded["numpy"] = Decoded(self._linear.run(counts))
        else:
            decoded["torch batch"] = _at_once(self._torch["batch"], counts)
            decoded["torch step"] = _bin_by_bin(self._torch["step"], counts)
        decoded["numba run"] = _at_once(self._numba["run"], counts)
        values, elapsed_ns = _timed_steps(self._numba["step"], counts)
        self.elapsed_ns.append(elapsed_ns)
        decoded["numba step"] = Decoded(values, _bin_by_bin(self._numba["traced step"], counts).spikes)
        for name, decoder in self._restored.items():
            decoded[name] = _at_once(decoder, counts)
        return decoded

    def work(self) -> tuple[float, float]:
        """Accumulations so far of the live engine, and multiply-adds of a dense bin."""
        if self._linear is not None:
            return self._linear.adds, self._linear.dense_macs
        decoder: Any = self._numba["run"]
        return decoder.adds, decoder.dense_macs


def _at_once(decoder: Decoder, counts: Inputs) -> Decoded:
    values = np.empty((len(counts), decoder.n_outputs), np.float32)
    if isinstance(decoder, SpikingDecoder):
        return Decoded(values, decoder.run_traced(counts, values))
    decoder.run(counts, values)
    return Decoded(values)


def _bin_by_bin(decoder: Decoder, counts: Inputs) -> Decoded:
    values = np.empty((len(counts), decoder.n_outputs), np.float32)
    if not isinstance(decoder, SpikingDecoder):
        for row, value in zip(counts, values, strict=True):
            decoder.step(row, value)
        return Decoded(values)
    # A run over one bin is a step in both engines, and returns its spikes.
    frames = [decoder.run_traced(counts[k : k + 1], values[k : k + 1]) for k in range(len(counts))]
    return Decoded(values, {name: np.concatenate([frame[name] for frame in frames]) for name in frames[0]})


def _timed_steps(decoder: Decoder, counts: Inputs) -> tuple[F4, I8]:
    """Values f4[T, D], and the duration of each step, i8[T] ns."""
    values = np.empty((len(counts), decoder.n_outputs), np.float32)
    elapsed_ns = np.empty(len(counts), np.int64)
    clock = time.perf_counter_ns
    for k, (row, value) in enumerate(zip(counts, values, strict=True)):
        before = clock()
        decoder.step(row, value)
        elapsed_ns[k] = clock() - before
    return values, elapsed_ns
