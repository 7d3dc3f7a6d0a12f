"""One bin through the decoder and the fail-safe: the same code live, in a replay and offline."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rtdecode.artifact import Output
from rtdecode.decode.decoder import Decoder
from rtdecode.failsafe import FailSafe

U1 = npt.NDArray[np.uint8]
F4 = npt.NDArray[np.float32]


class DecodeStage:
    """A decoder, its outputs, and the rule for when its value may not go out.

    Args:
        decoder: freshly loaded.
        outputs: of its artifact.

    Attributes:
        value: f4[n_outputs], the value of the last bin; overwritten by the next.
        nonfinite: how many bins gave a value that was not finite.
    """

    def __init__(self, decoder: Decoder, outputs: Sequence[Output]) -> None:
        self.decoder = decoder
        self.nonfinite = 0
        self._failsafe = FailSafe(outputs)
        self._decoded: F4 = np.zeros(decoder.n_outputs, np.float32)
        self.value = self._failsafe.value

    def reset(self) -> None:
        """Back to bin 0 of the decoder; what is held stays held."""
        self.decoder.reset()

    def warm(self, counts: U1) -> None:
        """Step a bin of backlog (u1[n_channels]) that is not published."""
        self.decoder.step(counts, self._decoded)

    def step(self, counts: U1, flags: int) -> int:
        """Decode one bin (u1[n_channels]); returns its flags, `value` is what to publish."""
        self.decoder.step(counts, self._decoded)
        if not np.isfinite(self._decoded).all():
            self.nonfinite += 1
            self.decoder.reset()
        return self._failsafe.apply(self._decoded, flags)

    def skip(self, flags: int) -> int:
        """A bin of an outage: the decoder stands still, the last value is held."""
        return self._failsafe.apply(None, flags)
