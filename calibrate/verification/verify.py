"""Does the engine that runs live compute what torch computes, on these bins?

    result = verify_model(read_artifact("today.safetensors"), counts)
    result.spike_mismatches, result.max_output_diff_sd, result.agrees

Several ways lead over the same bins, each with a decoder of its own, and are compared chunk by chunk, so that
memory does not grow with the session. docs/verify.md says what the numbers mean.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact
from rtdecode.calibrate.verification.backends import ENGINE, U1, Passed, Ways
from rtdecode.errors import RtdecodeError

Progress = Callable[[str, float], None]

#: How far outputs may lie apart, in SDs of the output.
TOLERANCE_SD = 1e-5

#: Odd, so that chunks end in every phase of the pooled levels.
CHUNK_BINS = 4095


@dataclass(frozen=True)
class LayerCheck:
    """One layer of spiking neurons.

    Attributes:
        name: such as "enc0.1".
        n_units: neurons.
        frames: how often the layer ticked.
        spikes: that the reference fired.
        mismatches: places (way, frame, neuron) where a way fired and the reference did not, or the reverse.
    """

    name: str
    n_units: int
    frames: int
    spikes: int
    mismatches: int

    @property
    def rate(self) -> float:
        """Part of the neurons that fire in a frame."""
        return self.spikes / max(self.frames * self.n_units, 1)


@dataclass(frozen=True)
class WayCheck:
    """One way over the bins, beside the reference.

    Attributes:
        spike_mismatches: over all layers, as in `LayerCheck`.
        max_output_diff_sd: largest difference of an output, in its SDs; infinite where a value is no number.
    """

    spike_mismatches: int
    max_output_diff_sd: float


@dataclass(frozen=True)
class Verification:
    """What came out.

    Attributes:
        bins: compared.
        reference: what all others are compared with, "torch batch" or "numpy".
        ways: the others, by name.
        layers: the spiking ones; () for models that do not spike.
        value_mismatches: values that single steps or a restored state gave differently, in any bit, from
            the same engine's run over many bins.
        saved_at: bins after which the state was saved, to go on from it in new decoders.
        step_us: p50 and p99 of a step of the engine that runs live, in µs.
        effective_acs: accumulations that this engine made in a bin, on average.
        dense_macs: multiply-adds that the same model takes in a bin if every input counts.
        clipped: counts above count_max.
        clipped_by_reference: the same, as the reference counted.
        seconds: that it took.
    """

    bins: int
    reference: str
    ways: Mapping[str, WayCheck]
    layers: tuple[LayerCheck, ...]
    value_mismatches: int
    saved_at: tuple[int, ...]
    step_us: Mapping[str, float]
    effective_acs: float
    dense_macs: float
    clipped: int
    clipped_by_reference: int
    seconds: float

    @property
    def spike_mismatches(self) -> int:
        """Over all ways and layers."""
        return sum(way.spike_mismatches for way in self.ways.values())

    @property
    def spikes(self) -> int:
        """Spikes that the reference fired."""
        return sum(layer.spikes for layer in self.layers)

    @property
    def max_output_diff_sd(self) -> float:
        """Over all ways."""
        return max(way.max_output_diff_sd for way in self.ways.values())

    @property
    def agrees(self) -> bool:
        """No spike differs, no value in the engine itself, and no output by more than `TOLERANCE_SD`."""
        return (
            self.spike_mismatches == 0
            and self.value_mismatches == 0
            and self.max_output_diff_sd <= TOLERANCE_SD
            and self.clipped == self.clipped_by_reference
        )


def verify_model(
    artifact: ModelArtifact,
    counts: U1,
    *,
    save_at: Sequence[int] | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Verification:
    """Send the same bins through every way of decoding them, and compare.

    Args:
        artifact: of any kind. Networks are compared with torch, linear filters with plain NumPy.
        counts: u1[T, n_channels], T ≥ 1.
        save_at: rising numbers of bins after which the state is saved and restored, each in 1 … T−1; None
            for every 4,095 bins, or three times in a shorter session.
        device: where torch computes.
        progress: told how far it is.

    Raises:
        RtdecodeError: no bins, or none to save after; torch is needed and not there; the model is damaged.
    """
    started = time.perf_counter()
    n_bins = len(counts)
    if n_bins == 0:
        raise RtdecodeError("no bins to verify the model on", fix="give more of the session")
    saves = _default_saves(n_bins) if save_at is None else tuple(save_at)
    if any(not 1 <= save < n_bins for save in saves):
        raise RtdecodeError(
            f"the state cannot be saved after {max(saves)} of {n_bins} bins", fix="choose an earlier bin"
        )
    ways = Ways(artifact, device)
    tally = _Tally(np.array([output.sd for output in artifact.outputs]))
    edges = sorted({*range(0, n_bins, CHUNK_BINS), *saves, n_bins})
    for first, end in pairwise(edges):
        if first in saves:
            ways.restore()
        tally.compare(ways.reference, ways.advance(counts[first:end]))
        if progress is not None:
            progress("comparing", end / n_bins)
    p50_us, p99_us = np.percentile(np.concatenate(ways.elapsed_ns), [50, 99]) / 1e3
    adds, dense_macs = ways.work()
    return Verification(
        bins=n_bins,
        reference=ways.reference,
        ways={
            name: WayCheck(tally.mismatches[name], difference)
            for name, difference in tally.difference.items()
        },
        layers=tuple(
            LayerCheck(name, n_units, frames, spikes, tally.layer_mismatches[name])
            for name, (n_units, frames, spikes) in tally.fired.items()
        ),
        value_mismatches=tally.value_mismatches,
        saved_at=saves,
        step_us={"p50": float(p50_us), "p99": float(p99_us)},
        effective_acs=adds / n_bins,
        dense_macs=dense_macs,
        clipped=ways.clipped,
        clipped_by_reference=ways.clipped_by_reference,
        seconds=time.perf_counter() - started,
    )


class _Tally:
    """The comparison so far.

    Args:
        sd: f8[D], of the outputs.
    """

    def __init__(self, sd: NDArray[np.float64]) -> None:
        self._sd = sd
        self.mismatches: dict[str, int] = {}
        self.difference: dict[str, float] = {}
        self.layer_mismatches: dict[str, int] = {}
        self.fired: dict[str, tuple[int, int, int]] = {}
        self.value_mismatches = 0

    def compare(self, reference: str, passed: Mapping[str, Passed]) -> None:
        """Take up a chunk: what each way gave for it, by name."""
        expected = passed[reference]
        for layer, spikes in expected.spikes.items():
            _, frames, n_spikes = self.fired.get(layer, (0, 0, 0))
            self.fired[layer] = (
                spikes.shape[1], frames + len(spikes), n_spikes + int(np.count_nonzero(spikes)),
            )  # fmt: skip
        for name, way in passed.items():
            if name == reference:
                continue
            self.mismatches.setdefault(name, 0)
            for layer, spikes in expected.spikes.items():
                wrong = _differing(spikes, way.spikes[layer])
                self.mismatches[name] += wrong
                self.layer_mismatches[layer] = self.layer_mismatches.get(layer, 0) + wrong
            with np.errstate(invalid="ignore"):
                apart = np.abs(way.values.astype(np.float64) - expected.values) / self._sd
            apart[~np.isfinite(apart)] = np.inf
            self.difference[name] = max(self.difference.get(name, 0.0), float(apart.max()))
        own_bits = [passed[name].values.view(np.uint32) for name in ENGINE if name in passed]
        self.value_mismatches += sum(int(np.count_nonzero(bits != own_bits[0])) for bits in own_bits[1:])


def _differing(expected: U1, found: U1) -> int:
    if expected.shape != found.shape:
        return max(expected.size, found.size)
    return int(np.count_nonzero(expected != found))


def _default_saves(n_bins: int) -> tuple[int, ...]:
    every = min(CHUNK_BINS, n_bins // 4 | 1)
    return tuple(range(every, n_bins, every))
