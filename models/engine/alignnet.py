"""The AlignNets of an artifact, computed by torch: what the runtime's engine is measured against."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from rtdecode.artifact import ModelArtifact
from rtdecode.decode.alignnet_tensors import check_alignnet
from rtdecode.decode.ensemble import split_networks
from rtdecode.kernels.arrays import F4, U1
from rtdecode.models.engine.base import CHUNK_BINS, FoldedNetwork
from rtdecode.models.nn.layers import KERNEL
from rtdecode.models.nn.leaky_readout import leaky_sum
from rtdecode.models.nn.lif import POTENTIAL_MAX, THRESHOLD, lif


class FoldedAlignNet(FoldedNetwork):
    """The causal AlignNets of an artifact of kind "alignnet", whose outputs add up.

    Spikes are the engine's to the bit, values to 1e-5 of their SD. Frames are [T, channels], time first, and
    a convolution is a product with the last three frames. In an ensemble, names of layers and states have the
    number of the network in front, as in run.*. Arguments and errors are those of `FoldedNetwork`.
    """

    kind: ClassVar[str] = "alignnet"

    def __init__(self, artifact: ModelArtifact, device: str = "cpu", chunk_bins: int = CHUNK_BINS) -> None:
        super().__init__(artifact, device, chunk_bins)
        self._levels = range(len(artifact.widths))
        self._weight: dict[str, Tensor] = {}
        self._bias: dict[str, Tensor] = {}
        self._decay: dict[str, Tensor] = {}
        self._traces: dict[str, list[U1]] | None = None
        networks = split_networks(artifact)
        for i, network in enumerate(networks):
            self._load(network, f"{i}." if len(networks) > 1 else "")

    def _load(self, network: ModelArtifact, of: str) -> None:
        """Tensors and the initial state of a network, whose names begin with `of`."""
        shapes = check_alignnet(network)
        self._state[f"{of}bin"] = torch.zeros(1, dtype=torch.int64)
        self._decay[of] = self._tensor(network.run.get("leaky.decay", np.zeros(0, np.float32))).double()
        self._state[f"{of}leaky"] = torch.zeros_like(self._decay[of])
        for name in (key.removesuffix(".weight") for key in shapes if key.endswith(".weight")):
            weight = network.run[f"{name}.weight"]
            if weight.ndim == 3:
                self._state[f"{of}{name}.past"] = self._zeros(KERNEL - 1, weight.shape[0])
                weight = weight[:, ::-1].transpose(1, 0, 2).reshape(-1, weight.shape[2])
            if name.startswith("enc"):
                self._state[f"{of}{name}.v"] = self._zeros(weight.shape[1])
            self._weight[f"{of}{name}"] = self._tensor(weight)
            if f"{name}.bias" in shapes:
                self._bias[f"{of}{name}"] = self._tensor(network.run[f"{name}.bias"])
        for level, width in enumerate(network.widths[:-1]):
            self._state[f"{of}enc{level}.pending"] = self._zeros(1, width)
            self._state[f"{of}dec{level}.held"] = self._zeros(1, shapes[f"dec{level}.0.weight"][0])

    def run_traced(self, counts: U1, out: F4) -> dict[str, U1]:
        """`run`, and every spike on the way.

        Returns:
            By name of the layer ("enc0.0" …), u1[frames, n_units]: 1 where a neuron fired, one row for each
            of these bins in which the layer's level ticked.

        Raises:
            RtdecodeError: an array has another shape or dtype.
        """
        layers = (f"{of}enc{level}.{i}" for of in self._decay for level in self._levels for i in range(2))
        traces = {name: [np.zeros((0, len(self._bias[name])), np.uint8)] for name in layers}
        self._traces = traces
        try:
            self.run(counts, out)
        finally:
            self._traces = None
        return {name: np.concatenate(parts) for name, parts in traces.items()}

    def _advance(self, counts: Tensor) -> Tensor:
        first, *others = (self._advance_network(of, counts) for of in self._decay)
        return sum(others, start=first)

    def _advance_network(self, of: str, counts: Tensor) -> Tensor:
        first = int(self._state[f"{of}bin"])
        self._state[f"{of}bin"] = self._state[f"{of}bin"] + len(counts)
        frames, n_ticking = counts, 0
        potentials: list[Tensor] = []
        for level in self._levels:
            if level > 0:
                frames = self._pool(f"{of}enc{level - 1}", frames, odd=bool(first >> (level - 1) & 1))
            if not len(frames):
                break
            both = []
            for name in (f"{of}enc{level}.0", f"{of}enc{level}.1"):
                frames, potential = self._fire(name, self._convolve(name, frames))
                if self._traces is not None:
                    self._traces[name].append(frames.cpu().numpy().astype(np.uint8))
                both.append(potential.clamp(0.0, POTENTIAL_MAX))
            potentials.append(torch.cat(both, dim=1))
            n_ticking = level + 1
        x = None
        if n_ticking == len(self._levels):
            x = self._linear(f"{of}latent", potentials[-1])
        for level in reversed(self._levels[:-1][:n_ticking]):
            x = self._hold(f"{of}dec{level}", x, first >> level, len(potentials[level]))
            beside = self._weight[f"{of}skip{level}"]
            x = torch.addmm(self._convolve(f"{of}dec{level}.0", x), potentials[level], beside).relu()
            x = self._convolve(f"{of}dec{level}.1", x).relu()
        assert x is not None, "level 0 ticks in every bin"
        if len(self._decay[of]):
            x = torch.cat([x, self._leak(of, self._linear(f"{of}leaky", x))], dim=1)
        if f"{of}hidden" in self._weight:
            x = torch.cat([x, self._linear(f"{of}hidden", x).relu()], dim=1)
        return self._linear(f"{of}head", x)

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return torch.addmm(self._bias[name], x, self._weight[name])

    def _convolve(self, name: str, x: Tensor) -> Tensor:
        frames = torch.cat([self._state[f"{name}.past"], x])
        self._state[f"{name}.past"] = frames[1 - KERNEL :]
        windows = frames.unfold(0, KERNEL, 1).transpose(1, 2).flatten(1)
        return self._linear(name, windows)

    def _fire(self, name: str, current: Tensor) -> tuple[Tensor, Tensor]:
        """Spikes, and membrane potentials before the reset, [T, n] each."""
        v = self._state[f"{name}.v"]
        if len(current) == 1:  # written out, so that a step checks the kernels behind `lif`
            potential = v + (current[0] - v) * 0.5
            fired = potential >= THRESHOLD
            self._state[f"{name}.v"] = potential.masked_fill(fired, 0.0)
            return fired.to(current.dtype)[None], potential[None]
        spikes, potentials, self._state[f"{name}.v"] = lif(current.T, v)
        return spikes.T, potentials.T

    def _leak(self, of: str, drive: Tensor) -> Tensor:
        """h[k] = decay·h[k−1] + drive[k], in float64 so that runs are as exact as steps."""
        driven = drive.double()
        driven[0] += self._decay[of] * self._state[f"{of}leaky"]
        sums = leaky_sum(driven.T[None], self._decay[of])[0].T
        self._state[f"{of}leaky"] = sums[-1]
        return sums.to(drive.dtype)

    def _pool(self, name: str, x: Tensor, odd: bool) -> Tensor:
        frames = torch.cat([self._state[f"{name}.pending"], x]) if odd else x
        whole = len(frames) // 2 * 2
        left = frames[whole:]
        self._state[f"{name}.pending"] = left if len(left) else torch.zeros_like(frames[:1])
        return torch.maximum(frames[0:whole:2], frames[1:whole:2])

    def _hold(self, name: str, coarse: Tensor | None, first: int, n_frames: int) -> Tensor:
        """Fine frame k, from `first` on, reads coarse frame ⌊(k+1)/2⌋ − 1; `coarse` starts at ⌊first/2⌋."""
        held = self._state[f"{name}.held"]
        frames = held if coarse is None else torch.cat([held, coarse])
        self._state[f"{name}.held"] = frames[-1:]
        fine = torch.arange(first, first + n_frames, device=frames.device)
        return frames[(fine + 1) // 2 - first // 2]

    def _zeros(self, *shape: int) -> Tensor:
        return torch.zeros(shape, device=self._device)
