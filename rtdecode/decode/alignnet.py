"""The causal AlignNet as a streaming decoder: an event-driven spiking encoder under a continuous decoder."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact
from rtdecode.decode.alignnet_tensors import SpikingLayer, lay_out
from rtdecode.decode.tensors import fits_bin, fits_bins, misfit
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.decoders.alignnet import ADDS, BIN, CLIPPED, N_TALLIES, alignnet_run, alignnet_step


class AlignNetDecoder:
    """A U-Net whose encoder spikes, one bin at a time; docs/model-files.md has the equations.

        decoder = AlignNetDecoder(read_artifact("today.safetensors"))
        out = np.empty(decoder.n_outputs, np.float32)
        decoder.step(counts, out)

    Work follows the spikes. Each input that is not zero adds its weights of three lags to the sums of this
    frame and the next two, and is never looked at again. Level ℓ ticks in bin k if k + 1 is a multiple of
    2**ℓ, so bins differ in cost. Spikes are those of torch to the last bit (DESIGN.md §7). Counts before
    bin 0 are zero; so is what the decoder reads from a level that has not ticked yet. A model of several
    members steps one after the other, and adds up what they say.

    Args:
        artifact: kind "alignnet".

    Attributes:
        layers: the spiking layers, in the order in which they fire.
        dense_macs: multiply-adds that a bin would take, on average, if every input counted.

    Raises:
        RtdecodeError: the artifact is of another kind; its tensors are missing, unknown or misshapen; or
            what drives a threshold is not exact in float32.
    """

    kind = "alignnet"
    n_channels: int
    n_outputs: int
    layers: tuple[SpikingLayer, ...]
    dense_macs: float

    def __init__(self, artifact: ModelArtifact) -> None:
        if artifact.kind != self.kind:
            raise RtdecodeError(f"the model is of kind {artifact.kind!r}, not {self.kind!r}")
        self.n_channels, self.n_outputs = artifact.n_channels, len(artifact.outputs)
        layout = lay_out(artifact)
        self.layers, self.dense_macs = layout.layers, layout.dense_macs
        self._memory = np.zeros(layout.n_memory, np.float32)
        self._pooled = np.zeros(layout.n_pooled, np.uint8)
        self._spikes = np.zeros(layout.n_spikes, np.uint8)
        self._tally = np.zeros(N_TALLIES, np.int64)
        self._arguments: tuple[Any, ...] = (
            np.array(artifact.channel_mask, dtype=np.bool_),
            artifact.count_max,
            layout.plan,
            layout.weights,
            layout.parameters,
            self._memory,
            self._pooled,
            self._spikes,
            np.zeros(layout.n_spikes, np.float32),
            np.zeros(layout.n_widest + self.n_outputs, np.float32),
            np.zeros(layout.n_widest, np.int64),
            self._tally,
        )
        self._untraced = np.zeros((0, layout.n_spikes), np.uint8)
        self._compile()

    @property
    def clipped(self) -> int:
        """Counts above count_max since the decoder was made; `reset` leaves it alone."""
        return int(self._tally[CLIPPED])

    @property
    def adds(self) -> int:
        """Weights added to a sum since the decoder was made; `reset` leaves it alone."""
        return int(self._tally[ADDS])

    def reset(self) -> None:
        """Go back to bin 0: what came before counts as silence."""
        self._memory[:] = 0.0
        self._pooled[:] = 0
        self._tally[BIN] = 0

    def step(self, counts: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
        """Decode counts u1[n_channels] of one bin into out f4[n_outputs].

        Raises:
            RtdecodeError: an array has another shape or dtype.
        """
        # Numba does not look: a short array would be read past its end.
        if not fits_bin(counts, out, self.n_channels, self.n_outputs):
            raise misfit(counts, out, self.n_channels, self.n_outputs)
        alignnet_step(counts, out, *self._arguments)

    def run(self, counts: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
        """Decode counts u1[T, n_channels] into out f4[T, n_outputs], going on from the state.

        Raises:
            RtdecodeError: an array has another shape or dtype.
        """
        if not fits_bins(counts, out, self.n_channels, self.n_outputs):
            raise misfit(counts, out, self.n_channels, self.n_outputs)
        alignnet_run(counts, out, self._untraced, *self._arguments)

    def run_traced(self, counts: NDArray[np.uint8], out: NDArray[np.float32]) -> dict[str, NDArray[np.uint8]]:
        """`run`, and every spike on the way.

        Returns:
            By name of the layer, u1[frames, n_units]: 1 where a neuron fired, one row for each of these bins
            in which the layer's level ticked.

        Raises:
            RtdecodeError: an array has another shape or dtype.
        """
        if not fits_bins(counts, out, self.n_channels, self.n_outputs):
            raise misfit(counts, out, self.n_channels, self.n_outputs)
        bins = int(self._tally[BIN]) + np.arange(len(counts))
        traced = np.zeros((len(counts), len(self._spikes)), np.uint8)
        alignnet_run(counts, out, traced, *self._arguments)
        return {
            layer.name: traced[(bins + 1) % 2**layer.level == 0, layer.offset : layer.offset + layer.n_units]
            for layer in self.layers
        }

    def state(self) -> dict[str, NDArray[Any]]:
        """All that bins so far leave behind.

        `memory` f4: for each convolution the sums of the next frames, and voltages or what the held frame
        adds, then the leaky neurons' sums; `pooled` u1: which neurons fired since the level above ticked;
        `bin` i8[1]: bins since the reset, which says in which bin each level ticks next.
        """
        return {
            "memory": self._memory.copy(),
            "pooled": self._pooled.copy(),
            "bin": self._tally[BIN : BIN + 1].copy(),
        }

    def load_state(self, state: dict[str, NDArray[Any]]) -> None:
        """Go on from what `state` gave.

        Raises:
            RtdecodeError: the state is another model's.
        """
        own = self.state()
        if state.keys() != own.keys() or any(
            state[name].shape != own[name].shape or state[name].dtype != own[name].dtype for name in own
        ):
            raise RtdecodeError("the state is not one of this AlignNet")
        self._memory[:] = state["memory"]
        self._pooled[:] = state["pooled"]
        self._tally[BIN] = state["bin"][0]

    def _compile(self) -> None:
        """Let Numba compile (or load from its cache) now, not in the first bin of a live session."""
        counts, out = np.zeros((1, self.n_channels), np.uint8), np.zeros((1, self.n_outputs), np.float32)
        self.step(counts[0], out[0])
        self.run(counts, out)
        self.reset()
        self._tally[:] = 0
        self._spikes[:] = 0
