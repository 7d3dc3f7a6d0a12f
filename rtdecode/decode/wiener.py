"""The Wiener filter as a streaming decoder: a linear filter over the last H bins of counts."""

from __future__ import annotations

import numpy as np

from rtdecode.artifact import Arrays, ModelArtifact
from rtdecode.decode.kernel_decoder import KernelDecoder
from rtdecode.decode.tensors import check_tensors
from rtdecode.kernels.decoders.wiener import HEAD, wiener_run, wiener_step


class WienerDecoder(KernelDecoder):
    """y[k] = bias + Σ_h Σ_c weight[c, h] · min(counts[k−h, c], count_max), for h = 0 … H−1.

    Work follows the spikes: a count adds its weights to a ring of the next H outputs, and a bin reads one
    row of it. Counts before bin 0 are zero. Masked channels add nothing and their counts do not count as
    clipped.

    Args:
        artifact: kind "wiener", with run.weight f4[n_inputs, H, n_outputs] and run.bias f4|f8[n_outputs].

    Raises:
        RtdecodeError: the artifact is of another kind, or a tensor is missing or of another shape.
    """

    kind = "wiener"

    def __init__(self, artifact: ModelArtifact) -> None:
        super().__init__(artifact)
        _check(artifact)
        weight, bias = artifact.run["weight"], artifact.run["bias"]
        pending = np.zeros((weight.shape[1], self.n_outputs))
        arrays = {
            "weight": weight.reshape(self.shape.n_inputs, -1).copy(),
            "bias": bias.astype(np.float64),
            "pending": pending.reshape(-1),
            "active": np.zeros(self.shape.n_inputs, np.int64),
        }
        self._prepare(wiener_step, wiener_run, arrays, {"pending": pending})

    def state(self) -> Arrays:
        """`pending` f8[H, n_outputs], what the past adds to the next H outputs, the next one first."""
        return {"pending": np.roll(self._state["pending"], -int(self._tally[HEAD]), axis=0)}

    def load_state(self, state: Arrays) -> None:
        """Continue from what `state` returned.

        Raises:
            RtdecodeError: the state is another model's.
        """
        super().load_state(state)
        self._tally[HEAD] = 0


def _check(artifact: ModelArtifact) -> None:
    n_lags = max([1, *artifact.run.get("weight", np.empty(0)).shape[1:2]])
    n_outputs = len(artifact.outputs)
    check_tensors(
        artifact,
        {"weight": (artifact.n_inputs, n_lags, n_outputs), "bias": (n_outputs,)},
        "make a new one with `rtdecode fit SESSION.h5 --kind wiener`",
        types={"bias": ("float32", "float64")},
    )
