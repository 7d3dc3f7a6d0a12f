"""The Wiener filter as a streaming decoder: a linear filter over the last H bins of counts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact
from rtdecode.decode.kernel_decoder import KernelDecoder
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.decoders.wiener import HEAD, N_TALLIES, WienerArrays, wiener_run, wiener_step


class WienerDecoder(KernelDecoder):
    """y[k] = bias + Σ_h Σ_c weight[c, h] · min(counts[k−h, c], count_max), for h = 0 … H−1.

    Work follows the spikes: a count adds its weights to a ring of the next H outputs, and a bin reads one
    row of it. Counts before bin 0 are zero. Masked channels add nothing and their counts do not count as
    clipped.

    Args:
        artifact: kind "wiener", with run.weight f4[n_channels, H, n_outputs] and run.bias f4|f8[n_outputs].

    Raises:
        RtdecodeError: the artifact is of another kind, or a tensor is missing or of another shape.
    """

    kind = "wiener"

    def __init__(self, artifact: ModelArtifact) -> None:
        super().__init__(artifact)
        weight, bias = _checked_tensors(artifact)
        pending = np.zeros((weight.shape[1], self.n_outputs))
        arrays = WienerArrays(
            weight=weight.reshape(self.n_channels, -1).copy(),
            bias=bias.astype(np.float64),
            good=np.array(artifact.channel_mask, dtype=np.bool_),
            count_max=artifact.count_max,
            pending=pending.reshape(-1),
            tally=np.zeros(N_TALLIES, dtype=np.int64),
            active=np.zeros(self.n_channels, dtype=np.int64),
        )
        self._prepare(wiener_step, wiener_run, arrays, arrays.tally, {"pending": pending})

    def state(self) -> dict[str, NDArray[Any]]:
        """`pending` f8[H, n_outputs], what the past adds to the next H outputs, the next one first."""
        return {"pending": np.roll(self._state["pending"], -int(self._tally[HEAD]), axis=0)}

    def load_state(self, state: dict[str, NDArray[Any]]) -> None:
        """Continue from what `state` returned.

        Raises:
            RtdecodeError: the state is another model's.
        """
        super().load_state(state)
        self._tally[HEAD] = 0


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
