"""What an artifact's run.* says, computed by torch: what the engine is measured against.

decoder = torch_decoder(read_artifact("today.safetensors"))     # a rtdecode.decode.decoder.Decoder
decoder.run(counts, out)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rtdecode.artifact import ModelArtifact
from rtdecode.decode.decoder import Decoder
from rtdecode.decode.ensemble import split_networks
from rtdecode.decode.tensors import check_tensors, fits_bins, last_axis, misfit
from rtdecode.errors import RtdecodeError
from rtdecode.models.engine.base import CHUNK_BINS, FoldedNetwork
from rtdecode.models.nn.layers import KERNEL
from rtdecode.models.nn.leaky_readout import leaky_sum
from rtdecode.models.nn.lif import FULL, THRESHOLD, lif


def torch_decoder(artifact: ModelArtifact, device: str = "cpu") -> Decoder:
    """The torch decoder of an artifact, at bin 0.

    Raises:
        RtdecodeError: torch runs no model of this kind, or its tensors do not fit together.
    """
    if artifact.kind == FoldedAlignNet.kind:
        members = split_networks(artifact)
        if len(members) > 1:
            return FoldedMembers([FoldedAlignNet(member, device) for member in members])
        return FoldedAlignNet(artifact, device)
    if artifact.kind == FoldedGRU.kind:
        return FoldedGRU(artifact, device)
    raise RtdecodeError(f"torch runs no model of kind {artifact.kind!r}", fix="use the numba engine")


class FoldedAlignNet(FoldedNetwork):
    """The causal AlignNet of an artifact: spikes are the engine's to the bit, values to 1e-5 of their SD.

    Time comes first here: frames are [T, channels], and a convolution is a product with the last three.

    Args:
        artifact: kind "alignnet".
        device: where to compute.

    Raises:
        RtdecodeError: the artifact is of another kind, or its tensors are missing, unknown or misshapen.
    """

    kind: ClassVar[str] = "alignnet"

    def __init__(self, artifact: ModelArtifact, device: str = "cpu") -> None:
        super().__init__(artifact, device)
        shapes = _alignnet_shapes(artifact)
        check_tensors(
            artifact,
            shapes,
            fix="make a new one with `rtdecode fit SESSION.h5 --kind alignnet`",
            besides=("grid",),
        )
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
        if not fits_bins(counts, out, self.n_channels, self.n_outputs):
            raise misfit(counts, out, self.n_channels, self.n_outputs)
        names = [f"enc{level}.{i}" for level in self._levels for i in range(2)]
        traces = {name: [np.zeros((0, len(self._bias[name])), np.uint8)] for name in names}
        for first in range(0, len(counts), CHUNK_BINS):
            self._decode(counts[first : first + CHUNK_BINS], out[first : first + CHUNK_BINS])
            for name, spikes in self._spikes.items():
                traces[name].append(spikes.cpu().numpy().astype(np.uint8))
        return {name: np.concatenate(parts) for name, parts in traces.items()}

    def _advance(self, counts: Tensor) -> Tensor:
        first = int(self._state["bin"])
        self._state["bin"] = self._state["bin"] + len(counts)
        self._spikes = {}
        frames, n_ticking = counts, 0
        charges: list[Tensor] = []
        for level in self._levels:
            if level > 0:
                frames = self._pool(f"enc{level - 1}", frames, odd=bool(first >> (level - 1) & 1))
            if not len(frames):
                break
            both = []
            for name in (f"enc{level}.0", f"enc{level}.1"):
                frames, charge = self._fire(name, self._convolve(name, frames))
                self._spikes[name] = frames
                both.append(charge.clamp(0.0, FULL))
            charges.append(torch.cat(both, dim=1))
            n_ticking = level + 1
        x = None
        if n_ticking == len(self._levels):
            x = torch.addmm(self._bias["latent"], charges[-1], self._weight["latent"])
        for level in reversed(self._levels[:-1][:n_ticking]):
            x = self._hold(f"dec{level}", x, first >> level, len(charges[level]))
            x = torch.addmm(self._convolve(f"dec{level}.0", x), charges[level], self._skip[level]).relu()
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
        """Spikes and membranes before the reset, [T, n] each."""
        v = self._state[f"{name}.v"]
        if len(current) == 1:  # written out, so that a step checks the kernels behind `lif`
            charged = v + (current[0] - v) * 0.5
            fired = charged >= THRESHOLD
            self._state[f"{name}.v"] = charged.masked_fill(fired, 0.0)
            return fired.to(current.dtype)[None], charged[None]
        spikes, charge, self._state[f"{name}.v"] = lif(current.T, v)
        return spikes.T, charge.T

    def _leak(self, drive: Tensor) -> Tensor:
        """h[k] = decay·h[k−1] + drive[k], in float64 so that passes lose no more than steps."""
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


class FoldedMembers:
    """AlignNets whose outputs add up, as one `rtdecode.decode.decoder.Decoder`.

    Args:
        members: of the same channels and outputs.
    """

    kind: ClassVar[str] = "alignnet"
    n_channels: int
    n_outputs: int

    def __init__(self, members: Sequence[FoldedAlignNet]) -> None:
        self._members = list(members)
        self.n_channels, self.n_outputs = members[0].n_channels, members[0].n_outputs

    @property
    def clipped(self) -> int:
        """Counts above count_max since the decoder was made."""
        return self._members[0].clipped

    def reset(self) -> None:
        """Go back to bin 0: what came before counts as silence."""
        for member in self._members:
            member.reset()

    def step(self, counts: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
        """Decode counts u1[n_channels] of one bin into out f4[n_outputs]."""
        for member, part in self._parts(out):
            member.step(counts, part)

    def run(self, counts: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
        """Decode counts u1[T, n_channels] into out f4[T, n_outputs], going on from the state."""
        for member, part in self._parts(out):
            member.run(counts, part)

    def run_traced(self, counts: NDArray[np.uint8], out: NDArray[np.float32]) -> dict[str, NDArray[np.uint8]]:
        """As `FoldedAlignNet.run_traced`; the layers of member i are called "i.enc0.0" and so on."""
        traces: dict[str, NDArray[np.uint8]] = {}
        for i, (member, part) in enumerate(self._parts(out)):
            traces |= {f"{i}.{name}": trace for name, trace in member.run_traced(counts, part).items()}
        return traces

    def state(self) -> dict[str, NDArray[Any]]:
        """A copy of everything that the next output depends on, besides the model."""
        return {
            f"{i}.{name}": array
            for i, member in enumerate(self._members)
            for name, array in member.state().items()
        }

    def load_state(self, state: dict[str, NDArray[Any]]) -> None:
        """Go on from what `state` gave.

        Raises:
            RtdecodeError: the state is another model's.
        """
        if state.keys() != self.state().keys():
            raise RtdecodeError(f"the state is not one of this {self.kind} in torch")
        for i, member in enumerate(self._members):
            member.load_state({name: state[f"{i}.{name}"] for name in member.state()})

    def _parts(self, out: NDArray[np.float32]) -> Iterator[tuple[FoldedAlignNet, NDArray[np.float32]]]:
        """Each member with an array to decode into; what it says is added up in `out`."""
        for i, member in enumerate(self._members):
            part = np.empty_like(out)
            yield member, part
            out[:] = part if i == 0 else out + part


class FoldedGRU(FoldedNetwork):
    """The gated recurrent units of an artifact.

    Args:
        artifact: kind "gru".
        device: where to compute.

    Raises:
        RtdecodeError: the artifact is of another kind, or its tensors are missing, unknown or misshapen.
    """

    kind: ClassVar[str] = "gru"

    def __init__(self, artifact: ModelArtifact, device: str = "cpu") -> None:
        super().__init__(artifact, device)
        n = last_axis(artifact, "gru.bias_hh") // 3
        shapes: dict[str, tuple[int, ...]] = {
            "gru.weight_ih": (self.n_channels, 3 * n),
            "gru.weight_hh": (n, 3 * n),
            "gru.bias_ih": (3 * n,),
            "gru.bias_hh": (3 * n,),
            "head.weight": (n, self.n_outputs),
            "head.bias": (self.n_outputs,),
        }
        check_tensors(artifact, shapes, fix="make a new one with `rtdecode fit SESSION.h5 --kind gru`")
        self._gru = nn.GRU(self.n_channels, n).to(self._device)
        weights = {
            f"{name.removeprefix('gru.')}_l0": self._tensor(artifact.run[name].T)
            for name in shapes
            if name.startswith("gru.")
        }
        self._gru.load_state_dict(weights)
        self._head_weight = self._tensor(artifact.run["head.weight"])
        self._head_bias = self._tensor(artifact.run["head.bias"])
        self._state["hidden"] = torch.zeros(n, device=self._device)

    def _advance(self, counts: Tensor) -> Tensor:
        states, last = self._gru(counts, self._state["hidden"][None])
        self._state["hidden"] = last[0]
        return torch.addmm(self._head_bias, states, self._head_weight)


def _alignnet_shapes(artifact: ModelArtifact) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor of run.*, from the metadata and the biases."""
    widths, below = artifact.widths, artifact.n_channels
    latent = last_axis(artifact, "latent.bias")
    sizes: dict[str, tuple[int, ...]] = {}
    skips: dict[str, tuple[int, ...]] = {}
    for level, width in enumerate(widths):
        sizes |= {f"enc{level}.0": (below, KERNEL, width), f"enc{level}.1": (width, KERNEL, width)}
        below = width
    sizes["latent"] = (2 * below, latent)
    above = latent
    for level in reversed(range(len(widths) - 1)):
        width = last_axis(artifact, f"dec{level}.0.bias")
        sizes[f"dec{level}.0"] = (above, KERNEL, width)
        skips[f"skip{level}.weight"] = (2 * widths[level], width)
        sizes[f"dec{level}.1"] = (width, KERNEL, width)
        above = width
    for name in ("leaky", "hidden"):
        if f"{name}.weight" in artifact.run:
            sizes[name] = (above, last_axis(artifact, f"{name}.bias"))
            above += sizes[name][1]
    sizes["head"] = (above, len(artifact.outputs))
    shapes = skips | {f"{name}.weight": size for name, size in sizes.items()}
    shapes |= {f"{name}.bias": size[-1:] for name, size in sizes.items()}
    return shapes | ({"leaky.decay": sizes["leaky"][-1:]} if "leaky" in sizes else {})
