"""The Wiener filter as a streaming decoder: a linear filter over the last H bins of counts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact
from rtdecode.decode.tensors import fits_bin, fits_bins, misfit
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.decoders.wiener import wiener_run, wiener_step


class WienerDecoder:
    """y[k] = bias + Σ_h Σ_c weight[c, h] · min(counts[k−h, c], count_max), for h = 0 … H−1.

    Work follows the spikes: a count adds its weights to a ring of the next H outputs, and a bin emits
    one row of it. Counts before bin 0 are zero. Masked channels add nothing and their counts are not
    tallied as clipped.

    Args:
        artifact: kind "wiener", with run.weight f4[n_channels, H, n_outputs] and run.bias f4|f8[n_outputs].

    Raises:
        RtdecodeError: the artifact is of another kind, or a tensor is missing or misshapen.
    """

    kind = "wiener"
    n_channels: int
    n_outputs: int
    n_lags: int

    def __init__(self, artifact: ModelArtifact) -> None:
        if artifact.kind != self.kind:
            raise RtdecodeError(f"the model is of kind {artifact.kind!r}, not {self.kind!r}")
        self.n_channels, self.n_outputs = artifact.n_channels, len(artifact.outputs)
        weight, bias = _checked_tensors(artifact)
        self.n_lags = weight.shape[1]
        self._count_max = artifact.count_max
        self._good = np.array(artifact.channel_mask, dtype=np.bool_)
        self._weight = weight.reshape(self.n_channels, -1).copy()
        self._bias = bias.astype(np.float64)
        self._pending = np.zeros(self.n_lags * self.n_outputs)
        self._tally = np.zeros(2, dtype=np.int64)
        self._active = np.zeros(self.n_channels, dtype=np.int64)
        self._compile()

    @property
    def clipped(self) -> int:
        """Counts above count_max since the decoder was made; `reset` leaves it alone."""
        return int(self._tally[1])

    def reset(self) -> None:
        """Go back to bin 0: what came before counts as silence."""
        self._pending[:] = 0.0
        self._tally[0] = 0

    def step(self, counts: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
        """Decode counts u1[n_channels] of one bin into out f4[n_outputs].

        Raises:
            RtdecodeError: an array has another shape or dtype.
        """
        # Numba does not look: a short array would be read past its end.
        if not fits_bin(counts, out, self.n_channels, self.n_outputs):
            raise misfit(counts, out, self.n_channels, self.n_outputs)
        wiener_step(
            counts,
            self._weight,
            self._bias,
            self._good,
            self._count_max,
            self._pending,
            self._tally,
            self._active,
            out,
        )

    def run(self, counts: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
        """Decode counts u1[T, n_channels] into out f4[T, n_outputs], going on from the state.

        Raises:
            RtdecodeError: an array has another shape or dtype.
        """
        if not fits_bins(counts, out, self.n_channels, self.n_outputs):
            raise misfit(counts, out, self.n_channels, self.n_outputs)
        wiener_run(
            counts,
            self._weight,
            self._bias,
            self._good,
            self._count_max,
            self._pending,
            self._tally,
            self._active,
            out,
        )

    def state(self) -> dict[str, NDArray[Any]]:
        """`pending` f8[H, n_outputs], what the past adds to the next H outputs, the next one first."""
        rows = self._pending.reshape(self.n_lags, self.n_outputs)
        return {"pending": np.roll(rows, -int(self._tally[0]), axis=0)}

    def load_state(self, state: dict[str, NDArray[Any]]) -> None:
        """Go on from what `state` gave.

        Raises:
            RtdecodeError: the state is another model's.
        """
        pending = state.get("pending")
        if pending is None or pending.shape != (self.n_lags, self.n_outputs):
            raise RtdecodeError("the state is not one of this Wiener filter")
        self._pending[:] = pending.reshape(-1)
        self._tally[0] = 0

    def _compile(self) -> None:
        """Let Numba compile (or load from its cache) now, not in the first bin of a live session."""
        counts, out = np.zeros((1, self.n_channels), np.uint8), np.zeros((1, self.n_outputs), np.float32)
        self.step(counts[0], out[0])
        self.run(counts, out)
        self.reset()


def _checked_tensors(artifact: ModelArtifact) -> tuple[NDArray[np.float32], NDArray[np.floating[Any]]]:
    fix = "make a new one with `rtdecode fit SESSION.h5 --kind wiener`"
    for name in ("weight", "bias"):
        if name not in artifact.run:
            raise RtdecodeError(f"the model lacks the tensor run.{name}", fix=fix)
    weight, bias = artifact.run["weight"], artifact.run["bias"]
    n_channels, n_outputs = artifact.n_channels, len(artifact.outputs)
    fits = weight.ndim == 3 and weight.shape[0] == n_channels and weight.shape[2] == n_outputs
    if not fits or weight.shape[1] < 1 or weight.dtype != np.float32:
        raise RtdecodeError(
            f"run.weight is {weight.dtype}{list(weight.shape)}; this model of {n_channels} channels and "
            f"{n_outputs} outputs needs float32[{n_channels}, lags, {n_outputs}]",
            fix=fix,
        )
    if bias.shape != (n_outputs,) or bias.dtype not in (np.float32, np.float64):
        raise RtdecodeError(
            f"run.bias is {bias.dtype}{list(bias.shape)}; this model needs float32 or float64[{n_outputs}]",
            fix=fix,
        )
    return weight, bias
