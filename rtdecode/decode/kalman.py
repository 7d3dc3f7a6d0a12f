"""The Kalman filter as a streaming decoder, with a running covariance or at the gain it settles at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact
from rtdecode.decode.tensors import fits_bin, fits_bins, misfit
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.decoders.kalman import (
    running_run,
    running_step,
    steady_run,
    steady_step,
    update_covariance,
)

#: A covariance that a bin changes by no more than this part of it has settled.
SETTLED = 1e-13

_STEADY_TENSORS = ("transition", "gain", "offset", "readout", "bias")
_RUNNING_TENSORS = (
    "transition", "observe", "offset", "readout", "bias", "process_noise", "information", "prior"
)  # fmt: skip
_COVARIANCES = ("process_noise", "information", "prior")
_FIX = "make a new one with `rtdecode fit SESSION.h5 --kind kalman`"


class KalmanDecoder:
    """Kinematics as a linear state that every spike corrects; docs/model-files.md has the equations.

    An artifact with `run.gain` holds the steady-state form, the gain folded into its weights; one with
    `run.observe` the form that carries its covariance on. At bin 0 the state is zero, which stands for the
    means of the training labels, and its covariance is `run.prior`.

    Once a bin changes the covariance by no more than 1e-13 of it, it is held. It depends on the number of
    bins alone, so nothing is lost, and a bin costs little more than in the steady-state form.

    Args:
        artifact: kind "kalman".

    Raises:
        RtdecodeError: the artifact is of another kind, or its tensors are not those of one form, do not fit
            together, or describe a state that grows without bound.
    """

    kind = "kalman"
    n_channels: int
    n_outputs: int
    n_states: int
    steady: bool

    def __init__(self, artifact: ModelArtifact) -> None:
        if artifact.kind != self.kind:
            raise RtdecodeError(f"the model is of kind {artifact.kind!r}, not {self.kind!r}")
        self.n_channels, self.n_outputs = artifact.n_channels, len(artifact.outputs)
        self.steady = "gain" in artifact.run
        run = _checked_tensors(artifact, _STEADY_TENSORS if self.steady else _RUNNING_TENSORS)
        self.n_states = len(run["transition"])
        self._tally = np.zeros(1, dtype=np.int64)
        self._mean = np.zeros(self.n_states)
        arguments: tuple[Any, ...] = (
            run["gain" if self.steady else "observe"].copy(),
            run["offset"].copy(),
            np.array(artifact.channel_mask, dtype=np.bool_),
            artifact.count_max,
            self._tally,
            np.zeros(self.n_channels, dtype=np.int64),
            run["transition"].T.copy(),
            run["readout"].copy(),
            run["bias"].copy(),
            np.zeros(self.n_states),
            self._mean,
        )
        self._step: Callable[..., None] = steady_step
        self._run: Callable[..., None] = steady_run
        self._settled = True
        if not self.steady:
            self._prior = run["prior"].copy()
            self._covariance = self._prior.copy()
            information = run["information"].copy()
            self._covariance_arguments = (
                run["transition"].T.copy(),
                run["process_noise"].copy(),
                information,
                self._covariance,
                np.zeros((4, self.n_states, self.n_states)),
            )
            arguments += (information, self._covariance, np.zeros(self.n_states))
            self._step, self._run = running_step, running_run
        self._arguments = arguments
        self._compile()

    @property
    def clipped(self) -> int:
        """Counts above count_max since the decoder was made; `reset` leaves it alone."""
        return int(self._tally[0])

    def reset(self) -> None:
        """Go back to bin 0: the mean of the training labels, as uncertain as before any spike."""
        self._mean[:] = 0.0
        if not self.steady:
            self._covariance[:] = self._prior
            self._settled = False

    def step(self, counts: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
        """Decode counts u1[n_channels] of one bin into out f4[n_outputs].

        Raises:
            RtdecodeError: an array has another shape or dtype.
        """
        # Numba does not look: a short array would be read past its end.
        if not fits_bin(counts, out, self.n_channels, self.n_outputs):
            raise misfit(counts, out, self.n_channels, self.n_outputs)
        if not self._settled:
            self._advance_covariance()
        self._step(counts, *self._arguments, out)

    def run(self, counts: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
        """Decode counts u1[T, n_channels] into out f4[T, n_outputs], going on from the state.

        Raises:
            RtdecodeError: an array has another shape or dtype.
        """
        if not fits_bins(counts, out, self.n_channels, self.n_outputs):
            raise misfit(counts, out, self.n_channels, self.n_outputs)
        first = 0
        # Kept out of the kernel: with the covariance's loops in it, that takes long to compile.
        while first < len(counts) and not self._settled:
            self._advance_covariance()
            self._step(counts[first], *self._arguments, out[first])
            first += 1
        self._run(counts[first:], *self._arguments, out[first:])

    def state(self) -> dict[str, NDArray[Any]]:
        """`mean` f8[p]; unless steady, `covariance` f8[p, p] and `settled` bool[1], whether that is held."""
        state: dict[str, NDArray[Any]] = {"mean": self._mean.copy()}
        if not self.steady:
            state |= {"covariance": self._covariance.copy(), "settled": np.array([self._settled])}
        return state

    def load_state(self, state: dict[str, NDArray[Any]]) -> None:
        """Go on from what `state` gave.

        Raises:
            RtdecodeError: the state is another model's.
        """
        own = self.state()
        if state.keys() != own.keys() or any(state[name].shape != own[name].shape for name in own):
            raise RtdecodeError("the state is not one of this Kalman filter")
        self._mean[:] = state["mean"]
        if not self.steady:
            self._covariance[:] = state["covariance"]
            self._settled = bool(state["settled"][0])

    def _advance_covariance(self) -> None:
        self._settled = update_covariance(*self._covariance_arguments) <= SETTLED

    def _compile(self) -> None:
        """Let Numba compile (or load from its cache) now, not in the first bin of a live session."""
        counts, out = np.zeros((1, self.n_channels), np.uint8), np.zeros((1, self.n_outputs), np.float32)
        self.reset()
        self.step(counts[0], out[0])
        self.run(counts, out)
        self.reset()


def _checked_tensors(artifact: ModelArtifact, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """The tensors of one of the two forms."""
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
            raise RtdecodeError(f"run.{name} is no covariance: not symmetric, or below zero", fix=_FIX)
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
