"""The causal AlignNet as a streaming decoder: an event-driven spiking encoder under a continuous decoder."""

from __future__ import annotations

import numpy as np

from rtdecode.artifact import ModelArtifact
from rtdecode.decode.alignnet_tensors import Layout
from rtdecode.decode.kernel_decoder import KernelDecoder
from rtdecode.decode.tensors import check_bins
from rtdecode.kernels.arrays import F4, U1, Inputs
from rtdecode.kernels.decoders.alignnet import (
    BIN,
    alignnet_run,
    alignnet_step,
    alignnet_trace,
)
from rtdecode.kernels.decoders.events import ADDS


class AlignNetDecoder(KernelDecoder):
    """A U-Net whose encoder spikes, one bin at a time; docs/model-files.md has the equations.

        decoder = AlignNetDecoder(read_artifact("today.safetensors"))
        out = np.empty(decoder.n_outputs, np.float32)
        decoder.step(counts, out)

    Work follows the spikes. Each input that is not zero adds its weights of three lags to the sums of this
    frame and the next two, and is never read again. Level ℓ ticks in bin k if k + 1 is a multiple of 2**ℓ,
    so bins differ in cost. Spikes are those of torch to the last bit. Counts before bin 0 are zero; so is
    what the decoder reads from a level that has not ticked yet. An ensemble steps one network after the
    other, and adds up their outputs.

    `state` is three arrays. `memory` f4: for each convolution the sums of the next frames, and voltages or
    sums of the held frame, then the leaky neurons' sums; `pooled` u1: which neurons fired since the level
    above ticked; `bin` i8[1]: bins since the reset, which determines in which bin each level ticks next.

    Args:
        artifact: kind "alignnet".

    Attributes:
        layers: the spiking layers, in the order in which they fire.
        dense_macs: multiply-adds of a bin, on average, if every input counted.

    Raises:
        RtdecodeError: the artifact is of another kind; its tensors are missing, unknown or of other shapes;
            or sums before a threshold are not exact in float32.
    """

    kind = "alignnet"

    def __init__(self, artifact: ModelArtifact) -> None:
        super().__init__(artifact)
        layout = Layout(artifact)
        self.layers, self.dense_macs, n_spikes = tuple(layout.layers), layout.dense_macs, layout.n_spikes
        self._spikes = np.zeros(n_spikes, np.uint8)
        memory, pooled = np.zeros(layout.n_memory, np.float32), np.zeros(layout.n_pooled, np.uint8)
        arrays = {
            "plan": layout.plan,
            "weights": layout.weights,
            "parameters": layout.parameters,
            "memory": memory,
            "pooled": pooled,
            "spikes": self._spikes,
            "potentials": np.zeros(n_spikes, np.float32),
            "values": np.zeros(layout.n_widest + self.n_outputs, np.float32),
            "events": np.zeros(layout.n_widest, np.int64),
        }
        self._prepare(
            alignnet_step,
            alignnet_run,
            arrays,
            {"memory": memory, "pooled": pooled, "bin": self._tally[BIN : BIN + 1]},
        )

    @property
    def adds(self) -> int:
        """Weights added to a sum since the decoder was made; `reset` leaves it alone."""
        return int(self._tally[ADDS])

    def run_traced(self, counts: Inputs, out: F4) -> dict[str, U1]:
        """`run`, and every spike on the way.

        Returns:
            By name of the layer, u1[frames, n_units]: 1 where a neuron fired, one row for each of these bins
            in which the layer's level ticked.

        Raises:
            RtdecodeError: an array has another shape or dtype.
        """
        check_bins(counts, out, self.shape)
        bins = int(self._tally[BIN]) + np.arange(len(counts))
        spikes = np.zeros((len(counts), len(self._spikes)), np.uint8)
        alignnet_trace(self._arrays, self._spikes, counts, out, spikes)
        return {
            layer.name: spikes[(bins + 1) % 2**layer.level == 0, layer.offset : layer.offset + layer.n_units]
            for layer in self.layers
        }
