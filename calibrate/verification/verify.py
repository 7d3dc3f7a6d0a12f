"""Verify that the live engine computes what torch computes, on given bins.

    result = verify_model(read_artifact("today.safetensors"), counts)
    result.spike_mismatches, result.max_output_diff_sd, result.agrees

Several backends decode the same bins, each with a decoder of its own, and are compared chunk by chunk, so
that memory does not grow with the session. docs/verify.md explains the numbers.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from rtdecode.artifact import ModelArtifact
from rtdecode.calibrate.progress import Progress, ignore
from rtdecode.calibrate.verification.backends import ENGINE, Backends, Decoded
from rtdecode.calibrate.verification.reference import reference_codes
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import F8, I8, U1, Inputs
from rtdecode.session.bins import stretches

#: Largest accepted difference of an output, in its SDs.
TOLERANCE_SD = 1e-5

#: Default length of a chunk: odd, so that chunks end in every phase of the pooled levels.
CHUNK_BINS = 4095


@dataclass(frozen=True)
class LayerCheck:
    """One layer of spiking neurons.

    Attributes:
        name: such as "enc0.1".
        n_units: neurons.
        frames: number of the layer's time steps.
        spikes: number of spikes in the reference.
        mismatches: number of (backend, frame, neuron) where only one of backend and reference fired.
    """

    name: str
    n_units: int
    frames: int
    spikes: int
    mismatches: int

    @property
    def rate(self) -> float:
        """Fraction of the neurons that fire in a frame."""
        return self.spikes / max(self.frames * self.n_units, 1)


@dataclass(frozen=True)
class BackendCheck:
    """One backend, compared with the reference.

    Attributes:
        spike_mismatches: over all layers, as in `LayerCheck`.
        max_output_diff_sd: largest difference of an output, in its SDs; infinite for NaN.
    """

    spike_mismatches: int
    max_output_diff_sd: float


@dataclass(frozen=True)
class Verification:
    """The result of a comparison.

    Attributes:
        bins: number of bins compared.
        reference: the backend that all others are compared with, "torch batch" or "numpy".
        backends: the others, by name.
        layers: the spiking ones; () for models that do not spike.
        value_mismatches: number of values that differ, in any bit, between the live engine's run over many
            bins and its single steps or a restored state.
        saved_at: bins after which the state was saved and restored in new decoders.
        step_us: p50 and p99 of a step of the live engine, in µs.
        effective_acs: accumulations of the live engine in a bin, on average.
        dense_macs: multiply-adds of the same model in a bin if every input is non-zero.
        code_mismatches: number of codes of features that differ from those of plain NumPy.
        clipped: number of counts above count_max.
        clipped_by_reference: the same, by the reference.
        seconds: duration of the comparison.
    """

    bins: int
    reference: str
    backends: Mapping[str, BackendCheck]
    layers: tuple[LayerCheck, ...]
    value_mismatches: int
    saved_at: tuple[int, ...]
    step_us: Mapping[str, float]
    effective_acs: float
    dense_macs: float
    code_mismatches: int
    clipped: int
    clipped_by_reference: int
    seconds: float

    @property
    def spike_mismatches(self) -> int:
        """Over all backends and layers."""
        return sum(backend.spike_mismatches for backend in self.backends.values())

    @property
    def spikes(self) -> int:
        """Number of spikes in the reference."""
        return sum(layer.spikes for layer in self.layers)

    @property
    def max_output_diff_sd(self) -> float:
        """Over all backends."""
        return max(backend.max_output_diff_sd for backend in self.backends.values())

    @property
    def agrees(self) -> bool:
        """Whether no spike or value of the live engine differs, and no output by more than `TOLERANCE_SD`."""
        return (
            self.spike_mismatches == 0
            and self.value_mismatches == 0
            and self.code_mismatches == 0
            and self.max_output_diff_sd <= TOLERANCE_SD
            and self.clipped == self.clipped_by_reference
        )


def verify_model(
    artifact: ModelArtifact,
    counts: Inputs,
    *,
    features: F8 | None = None,
    starts: I8 | None = None,
    save_at: Sequence[int] | None = None,
    device: str = "cpu",
    chunk_bins: int = CHUNK_BINS,
    progress: Progress = ignore,
) -> Verification:
    """Decode the same bins with every backend, and compare.

    Args:
        artifact: of any kind. Networks are compared with torch, linear filters with plain NumPy.
        counts: u1[T, n_channels], T ≥ 1; with features i2[T, n_inputs].
        features: f8[T, F], of which the codes in `counts` were made; None if these are not compared.
        starts: i8[S], of the stretches between gaps, at which all decoders are reset; None without any.
        save_at: rising numbers of bins after which the state is saved and restored, each in 1 … T−1; None
            for every `chunk_bins`, or three times in a shorter session.
        device: torch device.
        chunk_bins: number of bins that are compared at a time.
        progress: called with what is being done and the fraction of it that is done.

    Raises:
        RtdecodeError: no bins, or none to save after; torch is needed and not installed; a damaged model.
    """
    started = time.perf_counter()
    n_bins = len(counts)
    if n_bins == 0:
        raise RtdecodeError("there are no bins to verify the model on", fix="give more of the session")
    every = min(chunk_bins, n_bins // 4 | 1)
    saves = tuple(range(every, n_bins, every) if save_at is None else save_at)
    if any(not 1 <= save < n_bins for save in saves):
        raise RtdecodeError(
            f"the state cannot be saved after {max(saves)} of {n_bins} bins", fix="choose an earlier bin"
        )
    backends = Backends(artifact, device)
    tally = _Tally(np.array([output.sd for output in artifact.outputs]))
    resets = {rows.start for rows in stretches(starts, n_bins)[1:]}
    edges = sorted({*range(0, n_bins, chunk_bins), *saves, *resets, n_bins})
    for first, end in pairwise(edges):
        if first in resets:
            backends.reset()
        if first in saves:
            backends.restore()
        tally.compare(backends.reference, backends.advance(counts[first:end]))
        progress("comparing", end / n_bins)
    p50_us, p99_us = np.percentile(np.concatenate(backends.elapsed_ns), [50, 99]) / 1e3
    adds, dense_macs = backends.work()
    return Verification(
        bins=n_bins,
        reference=backends.reference,
        backends={
            name: BackendCheck(tally.mismatches[name], difference)
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
        code_mismatches=0 if features is None else _differing_codes(artifact, counts, features),
        clipped=backends.clipped,
        clipped_by_reference=backends.clipped_by_reference,
        seconds=time.perf_counter() - started,
    )


class _Tally:
    """The comparison so far; sd f8[D] is of the outputs."""

    def __init__(self, sd: F8) -> None:
        self._sd = sd
        self.mismatches: dict[str, int] = {}
        self.difference: dict[str, float] = {}
        self.layer_mismatches: dict[str, int] = {}
        self.fired: dict[str, tuple[int, int, int]] = {}
        self.value_mismatches = 0

    def compare(self, reference: str, decoded: Mapping[str, Decoded]) -> None:
        """Add a chunk: what each backend decoded, by name."""
        expected = decoded[reference]
        for layer, spikes in expected.spikes.items():
            _, frames, n_spikes = self.fired.get(layer, (0, 0, 0))
            self.fired[layer] = (
                spikes.shape[1], frames + len(spikes), n_spikes + int(np.count_nonzero(spikes)),
            )  # fmt: skip
        for name, backend in decoded.items():
            if name == reference:
                continue
            self.mismatches.setdefault(name, 0)
            for layer, spikes in expected.spikes.items():
                wrong = _differing(spikes, backend.spikes[layer])
                self.mismatches[name] += wrong
                self.layer_mismatches[layer] = self.layer_mismatches.get(layer, 0) + wrong
            with np.errstate(invalid="ignore"):
                apart = np.abs(backend.values.astype(np.float64) - expected.values) / self._sd
            apart[~np.isfinite(apart)] = np.inf
            self.difference[name] = max(self.difference.get(name, 0.0), float(apart.max()))
        own_bits = [decoded[name].values.view(np.uint32) for name in ENGINE if name in decoded]
        self.value_mismatches += sum(int(np.count_nonzero(bits != own_bits[0])) for bits in own_bits[1:])


def _differing_codes(artifact: ModelArtifact, counts: Inputs, features: F8) -> int:
    codes = counts[:, artifact.n_channels :]
    return int(np.count_nonzero(codes != reference_codes(artifact.features, features)))


def _differing(expected: U1, found: U1) -> int:
    if expected.shape != found.shape:
        return max(expected.size, found.size)
    return int(np.count_nonzero(expected != found))
