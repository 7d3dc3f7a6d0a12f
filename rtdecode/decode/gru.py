"""A gated recurrent unit as a streaming decoder."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact
from rtdecode.decode.tensors import check_tensors, fits_bin, fits_bins, last_axis, misfit
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.decoders.gru import ADDS, CLIPPED, gru_run, gru_step

_FIX = "make a new one with `rtdecode fit SESSION.h5 --kind gru`"


class GRUDecoder:
    """One layer of H gated recurrent units and a linear head; docs/model-files.md has the equations.

    Counts add rows of weights to the gates, so silent channels cost nothing; the recurrent part costs 3·H²
    products in every bin. At bin 0 the hidden state is zero.

    Args:
        artifact: kind "gru".

    Raises:
        RtdecodeError: the artifact is of another kind, or its tensors are missing, unknown or misshapen.
    """

    kind = "gru"
    n_channels: int
    n_outputs: int
    n_hidden: int

    def __init__(self, artifact: ModelArtifact) -> None:
        if artifact.kind != self.kind:
            raise RtdecodeError(f"the model is of kind {artifact.kind!r}, not {self.kind!r}")
        self.n_channels, self.n_outputs = artifact.n_channels, len(artifact.outputs)
        self.n_hidden = n = last_axis(artifact, "gru.bias_hh") // 3
        check_tensors(
            artifact,
            {
                "head.weight": (n, self.n_outputs),
                "head.bias": (self.n_outputs,),
                "gru.weight_ih": (self.n_channels, 3 * n),
                "gru.bias_ih": (3 * n,),
                "gru.weight_hh": (n, 3 * n),
                "gru.bias_hh": (3 * n,),
            },
            _FIX,
        )
        self._hidden = np.zeros(n, np.float32)
        self._tally = np.zeros(2, np.int64)
        widest = max(self.n_channels, n)
        self._arguments: tuple[Any, ...] = (
            np.array(artifact.channel_mask, dtype=np.bool_),
            artifact.count_max,
            artifact.run["gru.weight_ih"].reshape(-1).copy(),
            artifact.run["gru.bias_ih"].copy(),
            artifact.run["gru.weight_hh"].reshape(-1).copy(),
            artifact.run["gru.bias_hh"].copy(),
            artifact.run["head.weight"].reshape(-1).copy(),
            artifact.run["head.bias"].copy(),
            self._hidden,
            np.zeros(6 * n, np.float32),
            np.zeros(widest, np.float32),
            np.zeros(widest, np.int64),
            self._tally,
        )
        self._compile()

    @property
    def clipped(self) -> int:
        """Counts above count_max since the decoder was made; `reset` leaves it alone."""
        return int(self._tally[CLIPPED])

    @property
    def adds(self) -> int:
        """Weights added to a sum since the decoder was made; `reset` leaves it alone."""
        return int(self._tally[ADDS])

    @property
    def dense_macs(self) -> float:
        """Multiply-adds that a bin would take if every input counted."""
        n = self.n_hidden
        return float(3 * n * (self.n_channels + n) + n * self.n_outputs)

    def reset(self) -> None:
        """Go back to bin 0: a hidden state of zero."""
        self._hidden[:] = 0.0

    def step(self, counts: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
        """Decode counts u1[n_channels] of one bin into out f4[n_outputs].

        Raises:
            RtdecodeError: an array has another shape or dtype.
        """
        # Numba does not look: a short array would be read past its end.
        if not fits_bin(counts, out, self.n_channels, self.n_outputs):
            raise misfit(counts, out, self.n_channels, self.n_outputs)
        gru_step(counts, out, *self._arguments)

    def run(self, counts: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
        """Decode counts u1[T, n_channels] into out f4[T, n_outputs], going on from the state.

        Raises:
            RtdecodeError: an array has another shape or dtype.
        """
        if not fits_bins(counts, out, self.n_channels, self.n_outputs):
            raise misfit(counts, out, self.n_channels, self.n_outputs)
        gru_run(counts, out, *self._arguments)

    def state(self) -> dict[str, NDArray[Any]]:
        """`hidden` f4[H]."""
        return {"hidden": self._hidden.copy()}

    def load_state(self, state: dict[str, NDArray[Any]]) -> None:
        """Go on from what `state` gave.

        Raises:
            RtdecodeError: the state is another model's.
        """
        hidden = state.get("hidden")
        if hidden is None or hidden.shape != self._hidden.shape or state.keys() != {"hidden"}:
            raise RtdecodeError("the state is not one of this GRU")
        self._hidden[:] = hidden

    def _compile(self) -> None:
        """Let Numba compile (or load from its cache) now, not in the first bin of a live session."""
        counts, out = np.zeros((1, self.n_channels), np.uint8), np.zeros((1, self.n_outputs), np.float32)
        self.step(counts[0], out[0])
        self.run(counts, out)
        self.reset()
        self._tally[:] = 0
