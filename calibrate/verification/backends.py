"""The ways over the same bins that `verify` compares, each with a decoder of its own."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact
from rtdecode.calibrate.verification.reference import LinearReference
from rtdecode.decode.decoder import Decoder
from rtdecode.decode.load import load_decoder
from rtdecode.models.engine.load import load_torch_decoder
from rtdecode.models.kinds.registry import NETWORKS

F4 = NDArray[np.float32]
U1 = NDArray[np.uint8]
Spikes = dict[str, U1]

#: The ways of the engine that runs live, which agree in every bit; the first one needs no state but its own.
ENGINE = ("numba run", "numba step", "numba restored")


@runtime_checkable
class SpikingDecoder(Decoder, Protocol):
    """A decoder whose spikes can be seen."""

    def run_traced(self, counts: U1, out: F4) -> Spikes:
        """`run`; returns the spikes u1[frames, n_units] of each layer."""


@dataclass(frozen=True, eq=False)
class Passed:
    """What one way gave for a chunk: values f4[T, D], and the spikes of each layer."""

    values: F4
    spikes: Spikes = field(default_factory=dict)


class Ways:
    """A decoder for each way, all at bin 0.

    Args:
        artifact: networks are compared with torch, linear filters with plain NumPy.
        device: where torch computes.

    Attributes:
        reference: the way that the others are compared with, "torch batch" or "numpy".
        elapsed_ns: what each step of the engine that runs live took, i8[bins] for each chunk.

    Raises:
        RtdecodeError: the model cannot be stepped, or torch is needed and not there.
    """

    reference: str
    elapsed_ns: list[NDArray[np.int64]]

    def __init__(self, artifact: ModelArtifact, device: str) -> None:
        self._artifact, self._device = artifact, device
        # Steps are timed without a trace; a shadow takes the same steps with one.
        self._numba = {name: load_decoder(artifact) for name in ("run", "step", "shadow")}
        self._torch: dict[str, Decoder] = {}
        self._linear: LinearReference | None = None
        self.reference = "numpy"
        if artifact.kind in NETWORKS:
            self._torch = {name: load_torch_decoder(artifact, device) for name in ("batch", "step")}
            self.reference = "torch batch"
        else:
            self._linear = LinearReference(artifact)
        self._restored: dict[str, Decoder] = {}
        self.elapsed_ns = []

    @property
    def clipped(self) -> int:
        """Counts above count_max, as the engine that runs live counts them."""
        return self._numba["run"].clipped

    @property
    def clipped_by_reference(self) -> int:
        """The same, as the reference counts them."""
        return self._torch["batch"].clipped if self._linear is None else self._linear.clipped

    def restore(self) -> None:
        """From here on, new decoders go on from the state that single steps have come to."""
        self._restored = {"numba restored": load_decoder(self._artifact)}
        self._restored["numba restored"].load_state(self._numba["step"].state())
        if self._torch:
            self._restored["torch restored"] = load_torch_decoder(self._artifact, self._device)
            self._restored["torch restored"].load_state(self._torch["step"].state())

    def advance(self, counts: U1) -> dict[str, Passed]:
        """What each way gives for the next bins, u1[T, n_channels], by name."""
        passed = {}
        if self._linear is not None:
            passed["numpy"] = Passed(self._linear.run(counts))
        else:
            passed["torch batch"] = _at_once(self._torch["batch"], counts)
            passed["torch step"] = _bin_by_bin(self._torch["step"], counts)
        passed["numba run"] = _at_once(self._numba["run"], counts)
        values, elapsed_ns = _timed_steps(self._numba["step"], counts)
        self.elapsed_ns.append(elapsed_ns)
        passed["numba step"] = Passed(values, _bin_by_bin(self._numba["shadow"], counts).spikes)
        for name, decoder in self._restored.items():
            passed[name] = _at_once(decoder, counts)
        return passed

    def work(self) -> tuple[float, float]:
        """Accumulations so far of the engine that runs live, and multiply-adds in a dense bin."""
        if self._linear is not None:
            return self._linear.adds, self._linear.dense_macs
        decoder: Any = self._numba["run"]
        return decoder.adds, decoder.dense_macs


def _at_once(decoder: Decoder, counts: U1) -> Passed:
    values = np.empty((len(counts), decoder.n_outputs), np.float32)
    if isinstance(decoder, SpikingDecoder):
        return Passed(values, decoder.run_traced(counts, values))
    decoder.run(counts, values)
    return Passed(values)


def _bin_by_bin(decoder: Decoder, counts: U1) -> Passed:
    values = np.empty((len(counts), decoder.n_outputs), np.float32)
    if not isinstance(decoder, SpikingDecoder):
        for row, value in zip(counts, values, strict=True):
            decoder.step(row, value)
        return Passed(values)
    # A run over one bin is a step in both engines, and shows its spikes.
    frames = [decoder.run_traced(counts[k : k + 1], values[k : k + 1]) for k in range(len(counts))]
    return Passed(values, {name: np.concatenate([frame[name] for frame in frames]) for name in frames[0]})


def _timed_steps(decoder: Decoder, counts: U1) -> tuple[F4, NDArray[np.int64]]:
    """Values f4[T, D], and what each step took, i8[T] ns."""
    values = np.empty((len(counts), decoder.n_outputs), np.float32)
    elapsed_ns = np.empty(len(counts), np.int64)
    clock = time.perf_counter_ns
    for k, (row, value) in enumerate(zip(counts, values, strict=True)):
        before = clock()
        decoder.step(row, value)
        elapsed_ns[k] = clock() - before
    return values, elapsed_ns
