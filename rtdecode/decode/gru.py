"""A gated recurrent unit as a streaming decoder."""

from __future__ import annotations

import numpy as np

from rtdecode.artifact import ModelArtifact
from rtdecode.decode.kernel_decoder import KernelDecoder
from rtdecode.decode.tensors import check_gru
from rtdecode.kernels.decoders.events import ADDS
from rtdecode.kernels.decoders.gru import gru_run, gru_step


class GRUDecoder(KernelDecoder):
    """One layer of H gated recurrent units and a linear head; docs/model-files.md has the equations.

    Counts add rows of weights to the gates, so silent channels cost nothing; the recurrent part costs 3·H²
    products in every bin. At bin 0 the hidden state is zero. `state` is `hidden` f4[H].

    Args:
        artifact: kind "gru".

    Attributes:
        n_hidden: H.

    Raises:
        RtdecodeError: the artifact is of another kind, or its tensors are missing, unknown or misshapen.
    """

    kind = "gru"

    def __init__(self, artifact: ModelArtifact) -> None:
        super().__init__(artifact)
        (self.n_hidden, _), run = check_gru(artifact)["head.weight"], artifact.run
        widest = max(self.shape.n_inputs, self.n_hidden)
        arrays = {name.removeprefix("gru.").replace(".", "_"): run[name].reshape(-1).copy() for name in run}
        arrays |= {
            "hidden": np.zeros(self.n_hidden, np.float32),
            "gates": np.zeros(6 * self.n_hidden, np.float32),
            "sizes": np.zeros(widest, np.float32),
            "events": np.zeros(widest, np.int64),
        }
        self._prepare(gru_step, gru_run, arrays, {"hidden": arrays["hidden"]})

    @property
    def adds(self) -> int:
        """Weights added to a sum since the decoder was made; `reset` leaves it alone."""
        return int(self._tally[ADDS])

    @property
    def dense_macs(self) -> float:
        """Multiply-adds of a bin if every input counted."""
        n = self.n_hidden
        return float(3 * n * (self.shape.n_inputs + n) + n * self.n_outputs)
