"""The Kalman filter as a streaming decoder, with a running covariance or at its steady gain."""

from __future__ import annotations

import numpy as np

from rtdecode.artifact import ModelArtifact
from rtdecode.decode.kernel_decoder import KernelDecoder
from rtdecode.decode.tensors import check_bins, check_tensors, last_axis, misfit
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import F4, F8, Inputs
from rtdecode.kernels.decoders.kalman import (
    running_run,
    running_step,
    steady_run,
    steady_step,
    update_covariance,
)

#: A covariance that a bin changes by no more than this fraction of it has converged.
CONVERGED = 1e-13

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

    def __init__(self, artifact: ModelArtifact) -> None:
        super().__init__(artifact)
        self.steady = "gain" in artifact.run
        _check(artifact, self.steady)
        run, n_states = artifact.run, len(artifact.run["transition"])
        arrays = {
            "weight": run["gain" if self.steady else "observe"].copy(),
            "active": np.zeros(self.shape.n_inputs, np.int64),
            "transposed": run["transition"].T.copy(),
            **{name: run[name].copy() for name in ("offset", "readout", "bias")},
            **{name: np.zeros(n_states) for name in ("evidence", "mean", "predicted")},
        }
        self._converged = np.array([self.steady])
        state = {"mean": arrays["mean"]}
        if self.steady:
            self._prepare(steady_step, steady_run, arrays, state)
            return
        arrays |= {"information": run["information"].copy(), "covariance": run["prior"].copy()}
        self._covariance_arguments = (
            arrays["transposed"],
            run["process_noise"].copy(),
            arrays["information"],
            arrays["covariance"],
            np.zeros((4, n_states, n_states)),
        )
        state |= {"covariance": arrays["covariance"], "settled": self._converged}
        self._prepare(running_step, running_run, arrays, state)

    def step(self, counts: Inputs, out: F4) -> None:
        """As `KernelDecoder.step`, after the covariance of this bin until it has converged."""
        if (counts.shape, out.shape, counts.dtype, out.dtype) != self._bin:
            raise misfit(counts, out, self.shape)
        if not self._converged[0]:
            self._converged[0] = update_covariance(*self._covariance_arguments) <= CONVERGED
        self._step(counts, out)

    def run(self, counts: Inputs, out: F4) -> None:
        """As `KernelDecoder.run`, bin by bin until the covariance has converged."""
        check_bins(counts, out, self.shape)
        first = 0
        # Kept out of the kernel: with the covariance's loops in it, that takes long to compile.
        while first < len(counts) and not self._converged[0]:
            self.step(counts[first], out[first])
            first += 1
        super().run(counts[first:], out[first:])


def _check(artifact: ModelArtifact, steady: bool) -> None:
    """The tensors of one of the two forms are all there and fit together."""
    n, n_outputs = last_axis(artifact, "offset"), len(artifact.outputs)
    weight = "gain" if steady else "observe"
    covariances = () if steady else ("process_noise", "information", "prior")
    shapes: dict[str, tuple[int, ...]] = {
        "transition": (n, n),
        weight: (artifact.n_inputs, n),
        "offset": (n,),
        "readout": (n_outputs, n),
        "bias": (n_outputs,),
        **dict.fromkeys(covariances, (n, n)),
    }
    check_tensors(artifact, shapes, _FIX, types=dict.fromkeys(shapes.keys() - {weight}, ("float64",)))
    for name in covariances:
        if not _is_covariance(artifact.run[name]):
            raise RtdecodeError(
                f"run.{name} is no covariance: it is not symmetric, or has a negative eigenvalue", fix=_FIX
            )
    if np.abs(np.linalg.eigvals(artifact.run["transition"])).max() >= 1.0:
        raise RtdecodeError("run.transition describes a state that grows without bound", fix=_FIX)


def _is_covariance(matrix: F8) -> bool:
    """Whether the matrix is exactly symmetric, with no eigenvalue below zero but by rounding."""
    values = np.linalg.eigvalsh(matrix)
    return bool((matrix == matrix.T).all() and values[0] >= -1e-9 * max(values[-1], 0.0))
