"""What all decoders that step in a Numba kernel have in common."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import numpy as np

from rtdecode.artifact import Arrays, ModelArtifact
from rtdecode.decode.tensors import FLOAT32, BinShape, check_bins, check_kind, check_state, misfit
from rtdecode.kernels.arrays import F4, I8, Inputs
from rtdecode.kernels.decoders.events import CLIPPED, N_TALLIES


class KernelDecoder:
    """A `rtdecode.decode.decoder.Decoder` of two kernels, one bin and many, and the arrays they share.

    The class of a kind checks the tensors of its artifact, lays them out and calls `_prepare`, which
    compiles both kernels.

    Args:
        artifact: of the class's kind.

    Attributes:
        shape: of a bin's arrays.

    Raises:
        RtdecodeError: the artifact is of another kind.
    """

    kind: ClassVar[str]

    def __init__(self, artifact: ModelArtifact) -> None:
        check_kind(artifact, self.kind)
        self.n_channels, self.n_outputs = artifact.n_channels, len(artifact.outputs)
        self.shape = BinShape.of(artifact)
        self._bin = (self.shape.n_inputs,), (self.n_outputs,), self.shape.input_dtype, FLOAT32
        self._limit = artifact.limits
        self._tally: I8 = np.zeros(N_TALLIES, np.int64)

    def _prepare(
        self, step: Callable[..., None], run: Callable[..., None], arrays: dict[str, Any], state: Arrays
    ) -> None:
        """Compile the kernels (or load them from Numba's cache) now, not in the first bin of a live session.

        Args:
            step: kernel of one bin, called with each of `arrays`, counts u1[C] and out f4[D].
            run: kernel of many bins, called with `arrays` as one tuple (which takes 3 µs longer), counts
                u1[T, C] and out f4[T, D].
            arrays: by the names of step's arguments; `limit` and `tally` are added here.
            state: those of them that are the state, with its values at bin 0.
        """
        arrays = {"limit": self._limit, "tally": self._tally, **arrays}
        self._arrays = tuple(arrays[name] for name in [*inspect.signature(step).parameters][:-2])
        self._step, self._run = partial(step, *self._arrays), partial(run, self._arrays)
        self._state = state
        self._initial = {name: array.copy() for name, array in state.items()}
        counts = np.zeros((1, self.shape.n_inputs), self.shape.input_dtype)
        out = np.zeros((1, self.n_outputs), np.float32)
        self.step(counts[0], out[0])
        self.run(counts, out)
        self._tally[:] = 0
        self.reset()

    @property
    def clipped(self) -> int:
        """Counts above count_max since the decoder was made; `reset` leaves it alone."""
        return int(self._tally[CLIPPED])

    def reset(self) -> None:
        """Go back to bin 0: what came before counts as silence."""
        for name, array in self._state.items():
            array[...] = self._initial[name]

    def step(self, counts: Inputs, out: F4) -> None:
        """Decode counts u1[n_channels] of one bin into out f4[n_outputs]; with features i2[n_inputs].

        Raises:
            RtdecodeError: an array has another shape or dtype.
        """
        # Numba checks no shape: it would read a short array past its end.
        if (counts.shape, out.shape, counts.dtype, out.dtype) != self._bin:
            raise misfit(counts, out, self.shape)
        self._step(counts, out)

    def run(self, counts: Inputs, out: F4) -> None:
        """Decode counts [T, …] of many bins into out f4[T, n_outputs]; dtype and errors as of `step`."""
        check_bins(counts, out, self.shape)
        self._run(counts, out)

    def state(self) -> Arrays:
        """A copy of everything that the next output depends on, besides the model."""
        return {name: array.copy() for name, array in self._state.items()}

    def load_state(self, state: Arrays) -> None:
        """Continue from what `state` returned.

        Raises:
            RtdecodeError: the state is another model's.
        """
        check_state(self.kind, state, self._state)
        for name, array in self._state.items():
            array[...] = state[name]
