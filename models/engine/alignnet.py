"""The AlignNet of an artifact, computed by torch: what the runtime's engine is measured against."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtdecode.artifact import ModelArtifact
from rtdecode.decode.alignnet_tensors import check_alignnet
from rtdecode.decode.tensors import check_bins, check_state
from rtdecode.models.engine.base import CHUNK_BINS, FoldedNetwork
from rtdecode.models.nn.layers import KERNEL
from rtdecode.models.nn.leaky_readout import leaky_sum
from rtdecode.models.nn.lif import POTENTIAL_MAX, THRESHOLD, lif


class FoldedAlignNet(FoldedNetwork):
    """The causal AlignNet of an artifact: spikes are the engine's to the bit, values to 1e-5 of their SD.

    Frames are [T, channels], time first, and a convolution is a product with the last three frames.

    Args:
        artifact: kind "alignnet".
        device, chunk_bins: see `FoldedNetwork`.

    Raises:
        RtdecodeError: the artifact is of another kind, or its tensors are missing, unknown or misshapen.
    """

    kind: ClassVar[str] = "alignnet"

    def __init__(self, artifact: ModelArtifact, device: str = "cpu", chunk_bins: int = CHUNK_BINS) -> None:
        super().__init__(artifact, device, chunk_bins)
        shapes = check_alignnet(artifact)
        self._levels = range(len(artifact.widths))
        self._weight: dict[str, Tensor] = {}
        self._bias: dict[str, Tensor] = {}
        self._skip = [self._tensor(artifact.run[f"skip{level}.weight"]) for level in self._levels[:-1]]
        self._spikes: dict[str, Tensor] = {}
        self._state["bin"] = torch.zeros(1, dtype=torch.int64)
        self._decay = self._tensor(artifact.run.get("leaky.decay", np.zeros(0, np.float32))).double()
        self._state["leaky"] = torch.zeros_like(self._decay)
        for name in (key.removesuffix(".bias") for key in shapes if key.endswith(".bias")):
            weight = artifact.run[f"{name}.weight"]
            if weight.ndim == 3:
                self._state[f"{name}.past"] = self._zeros(KERNEL - 1, weight.shape[0])
                weight = weight[:, ::-1].transpose(1, 0, 2).reshape(-1, weight.shape[2])
            if name.startswith("enc"):
                self._state[f"{name}.v"] = self._zeros(weight.shape[1])
            self._weight[name], self._bias[name] = (
                self._tensor(weight),
                self._tensor(artifact.run[f"{name}.bias"]),
            )
        for level, width in enumerate(artifact.widths[:-1]):
            self._state[f"enc{level}.pending"] = self._zeros(1, width)
            self._state[f"dec{level}.held"] = self._zeros(1, shapes[f"dec{level}.0.weight"][0])

    def run_traced(self, counts: NDArray[np.uint8], out: NDArray[np.float32]) -> dict[str, NDArray[np.uint8]]:
        """`run`, and every spike on the way.

        Returns:
            By name of the layer ("enc0.0" …), u1[frames, n_units]: 1 where a neuron fired, one row for each
            of these bins in which the layer's level ticked.

        Raises:
            RtdecodeError: an array has another shape or dtype.
        """
        check_bins(counts, out, self.n_channels, self.n_outputs)
        names = [f"enc{level}.{i}" for level in self._levels for i in range(2)]
        traces = {name: [np.zeros((0, len(self._bias[name])), np.uint8)] for name in names}
        for first in range(0, len(counts), self._chunk_bins):
            end = first + self._chunk_bins
            self._decode(counts[first:end], out[first:end])
            for name, spikes in self._spikes.items():
                traces[name].append(spikes.cpu().numpy().astype(np.uint8))
        return {name: np.concatenate(parts) for name, parts in traces.items()}

    def _advance(self, counts: Tensor) -> Tensor:
        first = int(self._state["bin"])
        self._state["bin"] = self._state["bin"] + len(counts)
        self._spikes = {}
        frames, n_ticking = counts, 0
        potentials: list[Tensor] = []
        for level in self._levels:
            if level > 0:
                frames = self._pool(f"enc{level - 1}", frames, odd=bool(first >> (level - 1) & 1))
            if not len(frames):
                break
            both = []
            for name in (f"enc{level}.0", f"enc{level}.1"):
                frames, potential = self._fire(name, self._convolve(name, frames))
                self._spikes[name] = frames
                both.append(potential.clamp(0.0, POTENTIAL_MAX))
            potentials.append(torch.cat(both, dim=1))
            n_ticking = level + 1
        x = None
        if n_ticking == len(self._levels):
            x = torch.addmm(self._bias["latent"], potentials[-1], self._weight["latent"])
        for level in reversed(self._levels[:-1][:n_ticking]):
            x = self._hold(f"dec{level}", x, first >> level, len(potentials[level]))
            x = torch.addmm(self._convolve(f"dec{level}.0", x), potentials[level], self._skip[level]).relu()
            x = self._convolve(f"dec{level}.1", x).relu()
        assert x is not None, "level 0 ticks in every bin"
        if len(self._decay):
            x = torch.cat([x, self._leak(torch.addmm(self._bias["leaky"], x, self._weight["leaky"]))], dim=1)
        if "hidden" in self._weight:
            mixed = torch.addmm(self._bias["hidden"], x, self._weight["hidden"]).relu()
            x = torch.cat([x, mixed], dim=1)
        return torch.addmm(self._bias["head"], x, self._weight["head"])

    def _convolve(self, name: str, x: Tensor) -> Tensor:
        frames = torch.cat([self._state[f"{name}.past"], x])
        self._state[f"{name}.past"] = frames[1 - KERNEL :]
        windows = frames.unfold(0, KERNEL, 1).transpose(1, 2).flatten(1)
        return torch.addmm(self._bias[name], windows, self._weight[name])

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

    def _leak(self, drive: Tensor) -> Tensor:
        """h[k] = decay·h[k−1] + drive[k], in float64 so that runs are as exact as steps."""
        driven = drive.double()
        driven[0] += self._decay * self._state["leaky"]
        sums = leaky_sum(driven.T[None], self._decay)[0].T
        self._state["leaky"] = sums[-1]
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


class FoldedEnsemble:
    """AlignNets whose outputs add up, as one `rtdecode.decode.decoder.Decoder`.

    Args:
        networks: of the same channels and outputs.
    """

    kind: ClassVar[str] = "alignnet"
    n_channels: int
    n_outputs: int

    def __init__(self, networks: Sequence[FoldedAlignNet]) -> None:
        self._networks = list(networks)
        self.n_channels, self.n_outputs = networks[0].n_channels, networks[0].n_outputs

    @property
    def clipped(self) -> int:
        """Counts above count_max since the decoder was made."""
        return self._networks[0].clipped

    def reset(self) -> None:
        """Go back to bin 0: what came before counts as silence."""
        for network in self._networks:
            network.reset()

    def step(self, counts: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
        """Decode counts u1[n_channels] of one bin into out f4[n_outputs]."""
        for network, part in self._parts(out):
            network.step(counts, part)

    def run(self, counts: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
        """Decode counts u1[T, n_channels] into out f4[T, n_outputs], continuing from the state."""
        for network, part in self._parts(out):
            network.run(counts, part)

    def run_traced(self, counts: NDArray[np.uint8], out: NDArray[np.float32]) -> dict[str, NDArray[np.uint8]]:
        """As `FoldedAlignNet.run_traced`; the layers of network i are called "i.enc0.0" and so on."""
        traces: dict[str, NDArray[np.uint8]] = {}
        for i, (network, part) in enumerate(self._parts(out)):
            traces |= {f"{i}.{name}": trace for name, trace in network.run_traced(counts, part).items()}
        return traces

    def state(self) -> dict[str, NDArray[Any]]:
        """A copy of everything that the next output depends on, besides the model."""
        return {
            f"{i}.{name}": array
            for i, network in enumerate(self._networks)
            for name, array in network.state().items()
        }

    def load_state(self, state: dict[str, NDArray[Any]]) -> None:
        """Continue from what `state` returned.

        Raises:
            RtdecodeError: the state is another model's.
        """
        own = self.state()
        check_state(self.kind, state, own)
        for i, network in enumerate(self._networks):
            network.load_state({name: state[f"{i}.{name}"] for name in network.state()})

    def _parts(self, out: NDArray[np.float32]) -> Iterator[tuple[FoldedAlignNet, NDArray[np.float32]]]:
        """Each network with an array to decode into, which is then added to `out`."""
        for i, network in enumerate(self._networks):
            part = np.empty_like(out)
            yield network, part
            out[:] = part if i == 0 else out + part
