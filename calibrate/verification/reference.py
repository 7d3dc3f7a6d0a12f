"""The linear filters, and codes of features, in plain NumPy, from the equations of docs/model-files.md.

`verify` compares the engine with them: dense products in float64, no fixed order of additions, no shortcuts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rtdecode.artifact import CODES_PER_SD, LARGEST_CODE, Feature, ModelArtifact
from rtdecode.kernels.arrays import F4, F8, Inputs

#: A covariance that changes by no more than this fraction in a bin has converged, and is held.
CONVERGED = 1e-12


def reference_codes(features: Sequence[Feature], values: F8) -> F8:
    """The codes f8[T, F] of features f8[T, F]."""
    mean, sd = (np.array([getattr(each, part) for each in features]) for part in ("mean", "sd"))
    read = sd > 0
    codes = np.rint((values - mean) * np.divide(CODES_PER_SD, sd, out=np.zeros_like(sd), where=read))
    return np.where(np.isnan(codes) | ~read, 0.0, np.clip(codes, -LARGEST_CODE, LARGEST_CODE))


class LinearReference:
    """A Wiener or Kalman filter and its running state.

    Args:
        artifact: kind "wiener" or "kalman".

    Attributes:
        clipped: number of counts above count_max so far.
        adds: multiply-adds so far without those of silent channels: what an event-driven engine needs. The
            covariance of a Kalman filter is left out; it soon converges, and is held.
        dense_macs: multiply-adds of a bin in which every channel fires.
    """

    def __init__(self, artifact: ModelArtifact) -> None:
        self._limit, self._artifact = artifact.limits, artifact
        self.reset()
        macs = artifact.n_inputs * self._filter.macs_per_channel + self._filter.other_macs
        self.clipped, self.adds, self.dense_macs = 0, 0.0, float(macs)

    def reset(self) -> None:
        """Go back to bin 0."""
        wiener = self._artifact.kind == "wiener"
        self._filter: _Wiener | _Kalman = _Wiener(self._artifact) if wiener else _Kalman(self._artifact)

    def run(self, counts: Inputs) -> F4:
        """Values f4[T, D] of the next bins from their counts u1[T, C]."""
        self.clipped += int(np.count_nonzero((counts > self._limit)[:, self._limit > 0]))
        read = np.where(self._limit > 0, np.minimum(counts, self._limit), 0).astype(np.float64)
        self.adds += np.count_nonzero(read) * self._filter.macs_per_channel
        self.adds += len(read) * self._filter.other_macs
        return self._filter.run(read).astype(np.float32)


class _Wiener:
    """y[k] = bias + Σ_h counts[k−h] · weight[:, h]."""

    def __init__(self, artifact: ModelArtifact) -> None:
        self._weight = artifact.run["weight"].astype(np.float64)
        self._bias = artifact.run["bias"].astype(np.float64)
        self._past = np.zeros((self._weight.shape[1] - 1, artifact.n_inputs))
        self.macs_per_channel, self.other_macs = self._weight[0].size, 0

    def run(self, read: F8) -> F8:
        """Values f8[T, D] of the next bins, from their clipped and masked counts, f8[T, C]."""
        frames = np.concatenate([self._past, read])
        n_past = len(self._past)
        values = np.tile(self._bias, (len(read), 1))
        for lag in range(n_past + 1):
            values += frames[n_past - lag : len(frames) - lag] @ self._weight[:, lag]
        self._past = frames[len(read) :]
        return values


class _Kalman:
    """The textbook's update of mean and covariance; of the mean alone where the gain is constant."""

    def __init__(self, artifact: ModelArtifact) -> None:
        self._tensors = {name: tensor.astype(np.float64) for name, tensor in artifact.run.items()}
        self._mean = np.zeros(len(self._tensors["transition"]))
        self._converged = False
        self._update: Callable[[F8], F8] = self._steady
        if "observe" in self._tensors:
            self._covariance = self._tensors["prior"]
            self._update = self._running
        self.macs_per_channel = len(self._mean)
        n_products = 3 if "observe" in self._tensors else 1
        self.other_macs = n_products * len(self._mean) ** 2 + self._tensors["readout"].size

    def run(self, read: F8) -> F8:
        """As `_Wiener.run`."""
        tensors = self._tensors
        evidence = tensors["offset"] + read @ tensors["observe" if "observe" in tensors else "gain"]
        states = np.empty_like(evidence)
        for k, row in enumerate(evidence):
            states[k] = self._mean = self._update(row)
        return np.asarray(tensors["bias"] + states @ tensors["readout"].T)

    def _steady(self, evidence: F8) -> F8:
        return np.asarray(evidence + self._tensors["transition"] @ self._mean)

    def _running(self, evidence: F8) -> F8:
        tensors = self._tensors
        if not self._converged:
            ahead = tensors["transition"] @ self._covariance @ tensors["transition"].T
            ahead += tensors["process_noise"]
            # ((A P Aᵀ + W)⁻¹ + G)⁻¹, without inverting a matrix that may be singular.
            after = np.linalg.solve(np.eye(len(ahead)) + ahead @ tensors["information"], ahead)
            change = np.abs(after - self._covariance).max()
            self._converged = bool(change <= CONVERGED * np.abs(after).max())
            self._covariance = np.asarray(after, np.float64)
        predicted = tensors["transition"] @ self._mean
        return np.asarray(predicted + self._covariance @ (evidence - tensors["information"] @ predicted))
