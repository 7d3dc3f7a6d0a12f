"""The interface of every decoder, whatever its model."""

from __future__ import annotations

from typing import Protocol

from rtdecode.artifact import Arrays
from rtdecode.kernels.arrays import F4, I8, Inputs
from rtdecode.session.bins import stretches


class Decoder(Protocol):
    """A causal model and its running state; bin k's output depends on bins 0..k alone.

        decoder = load_decoder(read_artifact("today.safetensors"))
        out = np.empty(decoder.n_outputs, np.float32)
        for counts in bins:                       # u1[n_channels] each; with features i2[n_inputs]
            decoder.step(counts, out)

    `run` over any chunks of a recording and `step` over its bins give the same bits;
    `rtdecode.testing.check_decoder` checks that and the rest.
    """

    @property
    def kind(self) -> str:
        """The artifact's kind."""

    @property
    def n_channels(self) -> int:
        """Channels of the input, masked ones included."""

    @property
    def n_outputs(self) -> int:
        """Values per bin, in the order of the artifact's outputs."""

    @property
    def clipped(self) -> int:
        """Counts above the model's count_max since the decoder was made; `reset` leaves it alone."""

    def reset(self) -> None:
        """Go back to bin 0, as if only silence (counts of zero) preceded it."""

    def step(self, counts: Inputs, out: F4) -> None:
        """Decode one bin, without allocating.

        Args:
            counts: u1[n_channels], spikes per channel in this bin. Of a model with features i2[n_inputs]:
                the spikes, then the code of each feature (`rtdecode.decode.inputs`).
            out: f4[n_outputs], overwritten with the decoded values in the outputs' units.
        """

    def run(self, counts: Inputs, out: F4) -> None:
        """Decode many bins, continuing from the state; the same bits as a call of `step` for each.

        Args:
            counts: u1[T, n_channels]; with features i2[T, n_inputs].
            out: f4[T, n_outputs], overwritten.
        """

    def state(self) -> Arrays:
        """A copy of everything that the next output depends on, besides the model."""

    def load_state(self, state: Arrays) -> None:
        """Continue from what `state` returned, here or in another decoder of the same model.

        Raises:
            RtdecodeError: the state is another model's.
        """


def run_stretches(decoder: Decoder, inputs: Inputs, starts: I8 | None, out: F4) -> None:
    """Decode a recording from its first bin; the decoder is reset after each gap, as it is live.

    Args:
        decoder: reset here.
        inputs: [T, n_inputs], as of `Decoder.run`.
        starts: i8[S], row of the first bin of each stretch without a gap, 0 first; None for one stretch.
        out: f4[T, n_outputs], overwritten.
    """
    for rows in stretches(starts, len(inputs)):
        decoder.reset()
        decoder.run(inputs[rows], out[rows])
