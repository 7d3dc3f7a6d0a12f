"""The Kalman filter as a streaming decoder, with a running covariance or at its steady gain."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact
from rtdecode.decode.kernel_decoder import KernelDecoder
from rtdecode.decode.tensors import fits_bins, misfit
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.decoders.kalman import (
    RunningArrays,
    SteadyArrays,
    running_run,
    running_step,
    steady_run,
    steady_step,
    update_covariance,
)

#: A covariance that a bin changes by no more than this fraction of it has converged.
CONVERGED = 1e-13

_STEADY_TENSORS = ("transition", "gain", "offset", "readout", "bias")
_RUNNING_TENSORS = (
    "transition", "observe", "offset", "readout", "bias", "process_noise", "information", "prior"
)  # fmt: skip
_COVARIANCES = ("process_noise", "information", "prior")
_FIX = "make a new one with `rtdecode fit SESSION.h5 --kind kalman`"


class KalmanDecoder(KernelDecoder):
    """Kinematics as a linear state that every spike corrects; docs/model-files.md has the equations.

    An artifact with `run.gain` holds the steady-state form, with the gain folded into its weights; one with
    `run.observe` the form with a running covariance. At bin 0 the state is zero, the mean of the
    training labels, and its covariance is `run.prior`.

    Once a bin changes the covariance by no more than 1e-13 of it, it is constant from then on. It depends on
    the number of bins alone, so nothing is lost, and a bin costs little more than in the steady-state form.

    Args:
        artifact: kind "kalman".

    Attributes:
        steady: whether the model is of the steady-state form.

    Raises:
        RtdecodeError: the artifact is of another kind, or its tensors are not those of one form, do not fit
            together, or describe a state that grows without bound.
    """

    kind = "kalman"
    steady: bool

    def __init__(self, artifact: ModelArtifact) -> None:
        super().__init__(artifact)
        self.steady = "gain" in artifact.run
        run = _checked_tensors(artifact, _STEADY_TENSORS if self.steady else _RUNNING_TENSORS)
        n_states = len(run["transition"])
        steady = SteadyArrays(
            weight=run["gain" if self.steady else "observe"].copy(),
            offset=run["offset"].copy(),
            good=np.array(artifact.channel_mask, dtype=np.bool_),
            count_max=artifact.count_max,
            tally=np.zeros(1, dtype=np.int64),
            active=np.zeros(self.n_channels, dtype=np.int64),
            transposed=run["transition"].T.copy(),
            readout=run["readout"].copy(),
            bias=run["bias"].copy(),
            evidence=np.zeros(n_states),
            mean=np.zeros(n_states),
        )
        self._converged = np.array([self.steady])
        if self.steady:
            self._prepare(steady_step, steady_run, steady, steady.tally, {"mean": steady.mean})
            return
        running = RunningArrays(
            *steady,
            information=run["information"].copy(),
            covariance=run["prior"].copy(),
            predicted=np.zeros(n_states),
        )
        self._covariance_arguments = (
            running.transposed,
            run["process_noise"].copy(),
            running.information,
            running.covariance,
            np.zeros((4, n_states, n_states)),
        )
        state = {"mean": running.mean, "covariance": running.covariance, "settled": self._converged}
        self._prepare(running_step, running_run, running, running.tally, state)

    def step(self, counts: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
        """As `KernelDecoder.step`, after the covariance of this bin until it has converged."""
        if (counts.shape, out.shape, counts.dtype, out.dtype) != self._bin:
            raise misfit(counts, out, self.n_channels, self.n_outputs)
        if not self._converged[0]:
            self._advance_covariance()
        self._step(counts, out)

    def run(self, counts: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
        """As `KernelDecoder.run`, bin by bin until the covariance has converged."""
        if not fits_bins(counts, out, self.n_channels, self.n_outputs):
            raise misfit(counts, out, self.n_channels, self.n_outputs)
        first = 0
        # Kept out of the kernel: with the covariance's loops in it, that takes long to compile.
        while first < len(counts) and not self._converged[0]:
            self.step(counts[first], out[first])
            first += 1
        super().run(counts[first:], out[first:])

    def _advance_covariance(self) -> None:
        self._converged[0] = update_covariance(*self._covariance_arguments) <= CONVERGED


def _checked_tensors(artifact: ModelArtifact, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """The tensors of one of the two forms, if they are all there and fit together."""
    held = artifact.run
    for name in names:
        if name not in held:
            raise RtdecodeError(f"the model lacks the tensor run.{name}", fix=_FIX)
    for name in sorted(held.keys() - set(names)):
        raise RtdecodeError(f"the model holds run.{name}, which does not go with run.{names[1]}", fix=_FIX)
    n_states = held["transition"].shape[0] if held["transition"].ndim else 0
    for name in names:
        shape, dtype = _needed(name, artifact.n_channels, len(artifact.outputs), n_states)
        tensor = held[name]
        if tensor.shape != shape or tensor.dtype != dtype or n_states < 1:
            raise RtdecodeError(
                f"run.{name} is {tensor.dtype}{list(tensor.shape)}; this model of {artifact.n_channels} "
                f"channels, {len(artifact.outputs)} outputs and {n_states} states needs {dtype}{list(shape)}",
                fix=_FIX,
            )
    for name in _COVARIANCES:
        if name in names and not _is_covariance(held[name]):
            raise RtdecodeError(
                f"run.{name} is no covariance: it is not symmetric, or has a negative eigenvalue", fix=_FIX
            )
    if np.abs(np.linalg.eigvals(held["transition"])).max() >= 1.0:
        raise RtdecodeError("run.transition describes a state that grows without bound", fix=_FIX)
    return held


def _needed(
    name: str, n_channels: int, n_outputs: int, n_states: int
) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype of a tensor."""
    if name in ("gain", "observe"):
        return (n_channels, n_states), np.dtype(np.float32)
    shapes = {"readout": (n_outputs, n_states), "bias": (n_outputs,), "offset": (n_states,)}
    return shapes.get(name, (n_states, n_states)), np.dtype(np.float64)


def _is_covariance(matrix: NDArray[np.float64]) -> bool:
    """Whether the matrix is exactly symmetric, with no eigenvalue below zero but by rounding."""
    values = np.linalg.eigvalsh(matrix)
    return bool((matrix == matrix.T).all() and values[0] >= -1e-9 * max(values[-1], 0.0))
