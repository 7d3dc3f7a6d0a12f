"""One bin through the decoder and the fail-safe: the same code live, in a replay and offline."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rtdecode.artifact import Feature, ModelArtifact
from rtdecode.decode.decoder import Decoder
from rtdecode.decode.inputs import recoded
from rtdecode.decode.recent import RecentBins
from rtdecode.failsafe import FailSafe
from rtdecode.kernels.arrays import F4, Inputs


class DecodeStage:
    """A decoder, its outputs, and the rule that decides when its value is not published.

    Args:
        decoder: freshly loaded.
        artifact: its model.

    Attributes:
        value: f4[n_outputs], the value of the last bin; overwritten by the next.
        nonfinite: number of bins with NaN or infinity among the decoded values.
        recent: the last bins that were stepped.
    """

    def __init__(self, decoder: Decoder, artifact: ModelArtifact) -> None:
        self.decoder = decoder
        self.nonfinite = 0
        self.recent = RecentBins(artifact.n_inputs, artifact.bin_width_s, artifact.input_dtype)
        self._features = artifact.features
        self._clipped_elsewhere = 0
        self._failsafe = FailSafe(artifact.outputs)
        self._decoded: F4 = np.zeros(decoder.n_outputs, np.float32)
        self.value = self._failsafe.value

    def reset(self) -> None:
        """Go back to bin 0 of the decoder; a held value stays held."""
        self.decoder.reset()
        self.recent.reset()

    @property
    def clipped(self) -> int:
        """Counts above the model's count_max in bins stepped here, before and after swaps of the decoder."""
        return self._clipped_elsewhere + self.decoder.clipped

    def adopt(self, decoder: Decoder, behind: int, features: Sequence[Feature] = ()) -> Decoder:
        """Continue with another decoder from the next bin on.

        Args:
            decoder: of the same channels, features and outputs; it has stepped the same bins except the last
                `behind`, which it steps now.
            behind: at most `recent.capacity`, and at most the bins since the last reset.
            features: of its model, whose codes may be others.

        Returns:
            The decoder used until now.

        Raises:
            ValueError: `behind` bins are not kept; this stage is unchanged.
        """
        clipped = self.clipped
        bins = self.recent.last(behind)
        if tuple(features) != self._features:
            self.recent.convert(lambda rows: recoded(rows, self._features, features))
            bins, self._features = self.recent.last(behind), tuple(features)
        for counts in bins:
            decoder.step(counts, self._decoded)
        before, self.decoder = self.decoder, decoder
        self._clipped_elsewhere = clipped - decoder.clipped
        return before

    def warm(self, counts: Inputs) -> None:
        """Step a bin of backlog without publishing it; `counts` as of `Decoder.step`."""
        self.decoder.step(counts, self._decoded)
        self.recent.add(counts)

    def step(self, counts: Inputs, flags: int) -> int:
        """Decode one bin, `counts` as of `Decoder.step`; returns its flags, `value` is what to publish."""
        self.decoder.step(counts, self._decoded)
        self.recent.add(counts)
        applied = self._failsafe.apply(self._decoded, flags)
        if not self._failsafe.finite:
            self.nonfinite += 1
            self.reset()
        return applied

    def skip(self, flags: int) -> int:
        """A bin of an outage: the decoder does not step, the last value is held."""
        return self._failsafe.apply(None, flags)
