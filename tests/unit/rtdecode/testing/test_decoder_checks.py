"""check_decoder accepts a decoder that keeps the contract, and names the check that each faulty one fails."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from decoding import artifact_of, outputs
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.testing import check_decoder

F4 = NDArray[np.float32]
U1 = NDArray[np.uint8]

N_CHANNELS, COUNT_MAX = 5, 4
MODEL = artifact_of(
    "wiener", n_channels=N_CHANNELS, channel_mask=(True,) * 4 + (False,), outputs=outputs(2), run={}
)
BIN = (N_CHANNELS,), (2,), np.dtype("u1"), np.dtype("f4")


class GoodDecoder:
    """A leaky sum of the clipped counts of all channels but the last, and the sum of this bin's."""

    kind = "wiener"
    n_channels: Any = N_CHANNELS
    n_outputs = 2

    def __init__(self) -> None:
        self.clipped = 0
        self.total = np.zeros(1)

    def reset(self) -> None:
        self.total[0] = 0.0

    def check(self, counts: Any, out: Any) -> None:
        if (counts.shape, out.shape, counts.dtype, out.dtype) != BIN:
            raise RtdecodeError("these arrays do not fit")

    def step(self, counts: U1, out: F4) -> None:
        self.check(counts, out)
        self.count_clipped(counts)
        self.advance(counts, out)

    def count_clipped(self, counts: U1) -> None:
        for count in counts[:-1].tolist():
            self.clipped += count > COUNT_MAX

    def advance(self, counts: U1, out: F4) -> None:
        here = 0
        for count in counts[:-1].tolist():
            here += min(count, COUNT_MAX)
        self.total[0] = 0.9 * self.total[0] + here
        before, out[0], out[1] = out[1], self.total[0], here
        self.spoil(counts, out, before)

    def spoil(self, counts: U1, out: F4, before: np.float32) -> None:
        """What a faulty decoder adds to a bin; `before` is what out[1] held."""

    def run(self, counts: U1, out: F4) -> None:
        if counts.ndim != 2 or len(counts) != len(out):
            raise RtdecodeError("these arrays do not fit")
        for row, value in zip(counts, out, strict=True):
            self.step(row, value)

    def state(self) -> dict[str, NDArray[Any]]:
        return {"total": self.total.copy()}

    def load_state(self, state: dict[str, NDArray[Any]]) -> None:
        own = self.state()
        if state.keys() != own.keys() or any(
            (state[name].shape, state[name].dtype) != (own[name].shape, own[name].dtype) for name in own
        ):
            raise RtdecodeError("the state is another model's")
        self.total[:] = state["total"]


class AnotherKind(GoodDecoder):
    kind = "total"


class NoChannels(GoodDecoder):
    n_channels = 5.0


class SeesTheFuture(GoodDecoder):
    def run(self, counts: U1, out: F4) -> None:
        super().run(counts, out)
        out[:-1, 1] = out[1:, 1]


class DoesNotReset(GoodDecoder):
    def reset(self) -> None:
        pass


class Random(DoesNotReset):
    def __init__(self) -> None:
        super().__init__()
        self.total[0] = np.random.default_rng().normal()


class ForgetsBetweenRuns(GoodDecoder):
    def run(self, counts: U1, out: F4) -> None:
        self.total[0] = 0.0
        super().run(counts, out)


class AdvancesInAnEmptyRun(GoodDecoder):
    def run(self, counts: U1, out: F4) -> None:
        super().run(counts, out)
        if len(counts) == 0:
            self.total[0] *= 0.5


class KeepsHalfItsState(GoodDecoder):
    bins = 0

    def spoil(self, counts: U1, out: F4, before: np.float32) -> None:
        self.bins += 1
        out[1] = self.bins

    def reset(self) -> None:
        super().reset()
        self.bins = 0


class GivesItsOwnState(GoodDecoder):
    def state(self) -> dict[str, NDArray[Any]]:
        return {"total": self.total}


class TakesTheGivenState(GoodDecoder):
    def load_state(self, state: dict[str, NDArray[Any]]) -> None:
        super().load_state(state)
        self.total = state["total"]


class TakesAnyState(GoodDecoder):
    def load_state(self, state: dict[str, NDArray[Any]]) -> None:
        self.total[:] = state.get("total", self.total)[:1].real


class TakesPartOfARefusedState(GoodDecoder):
    def load_state(self, state: dict[str, NDArray[Any]]) -> None:
        if "total" in state:
            self.total[:] = 0.0
        super().load_state(state)


class CountsNothingClipped(GoodDecoder):
    def spoil(self, counts: U1, out: F4, before: np.float32) -> None:
        self.clipped = 0


class CountsMaskedChannels(GoodDecoder):
    def count_clipped(self, counts: U1) -> None:
        self.clipped += np.count_nonzero(counts > COUNT_MAX)


class ReadsMaskedChannels(GoodDecoder):
    def spoil(self, counts: U1, out: F4, before: np.float32) -> None:
        out[1] += counts[-1]


class ResetsClipped(GoodDecoder):
    def reset(self) -> None:
        super().reset()
        self.clipped = 0


class TakesLongerArrays(GoodDecoder):
    def check(self, counts: Any, out: Any) -> None:
        if len(counts) < N_CHANNELS or len(out) != 2 or counts.dtype != "u1" or out.dtype != "f4":
            raise RtdecodeError("these arrays do not fit")

    def advance(self, counts: U1, out: F4) -> None:
        super().advance(counts[:N_CHANNELS], out)

    def count_clipped(self, counts: U1) -> None:
        super().count_clipped(counts[:N_CHANNELS])


class TakesWiderCounts(GoodDecoder):
    def check(self, counts: Any, out: Any) -> None:
        if counts.shape != (N_CHANNELS,) or out.shape != (2,) or out.dtype != "f4":
            raise RtdecodeError("these arrays do not fit")

    def advance(self, counts: U1, out: F4) -> None:
        super().advance(counts.astype("u1"), out)


class AdvancesBeforeItRefuses(GoodDecoder):
    def step(self, counts: U1, out: F4) -> None:
        self.total[0] *= 0.9
        self.check(counts, out)
        self.total[0] /= 0.9
        super().step(counts, out)


class AddsToOut(GoodDecoder):
    def spoil(self, counts: U1, out: F4, before: np.float32) -> None:
        out[1] += before if before == 7.0 else 0.0


class LeavesPartOfOut(GoodDecoder):
    def spoil(self, counts: U1, out: F4, before: np.float32) -> None:
        if not counts.any():
            out[1] = before


class GrowsWithoutBound(GoodDecoder):
    def spoil(self, counts: U1, out: F4, before: np.float32) -> None:
        self.total[0] *= 1.2


class Allocates(GoodDecoder):
    def spoil(self, counts: U1, out: F4, before: np.float32) -> None:
        out[1] = np.full(300, out[1])[3]


class Hoards(GoodDecoder):
    kept: tuple[Any, ...] = ()

    def spoil(self, counts: U1, out: F4, before: np.float32) -> None:
        self.kept = (self.kept, float(out[0]))


@pytest.mark.parametrize("n_bins", [96, 300])
def test_a_decoder_that_keeps_the_contract_passes(n_bins: int) -> None:
    check_decoder(GoodDecoder, n_bins=n_bins)
    check_decoder(GoodDecoder, MODEL, n_bins=n_bins)


@pytest.mark.parametrize(
    ("decoder", "message"),
    [
        (NoChannels, r"check_sizes: n_channels is 5\.0, not a positive int"),
        (SeesTheFuture, "check_step_equals_run: step over all bins and one run differ at bin 0"),
        (Random, "check_step_equals_run: two fresh decoders over the same counts differ at bin 0"),
        (ForgetsBetweenRuns, r"check_step_equals_run: chunks cut at bins \[1\] and one run differ at bin 1"),
        (AdvancesInAnEmptyRun, r"check_step_equals_run: chunks cut at bins \[5, 5, 40\] and one run differ"),
        (
            KeepsHalfItsState,
            "check_state_round_trip: a decoder that loads the state of bin 0 .* differ at bin 0",
        ),
        (GivesItsOwnState, "check_state_round_trip: the state of bin 0 changes while its decoder continues"),
        (TakesTheGivenState, "check_state_round_trip: load_state keeps the arrays it is given"),
        (TakesAnyState, "check_foreign_state_refused: load_state of a state with no array is not refused"),
        (TakesPartOfARefusedState, "check_foreign_state_refused: a refused state with an array too many"),
        (AnotherKind, r"check_sizes: .* are \('total', 5, 2\), those of the model \('wiener', 5, 2\)"),
        (
            CountsNothingClipped,
            "check_clipped: counts above 255 are clipped; the count_max of the model is 4",
        ),
        (CountsMaskedChannels, r"check_clipped: channels \[4\] are clipped against the channel mask"),
        (ReadsMaskedChannels, "check_clipped: run over counts above count_max 4 or on masked channels"),
        (ResetsClipped, "check_clipped: reset or load_state changes clipped"),
        (DoesNotReset, "check_reset: the state after reset is not that of a fresh decoder"),
        (TakesLongerArrays, "check_arrays_refused: step with counts of a channel more is not refused"),
        (TakesWiderCounts, "check_arrays_refused: step with counts of uint16 is not refused"),
        (AdvancesBeforeItRefuses, "check_arrays_refused: refused counts of a channel less change the state"),
        (AddsToOut, "check_out_overwritten: run into an out of 7 and of 0 differ"),
        (LeavesPartOfOut, "differ at bin"),
        (GrowsWithoutBound, "check_finite: counts of 255 give NaN or infinity from their bin"),
        (Allocates, r"check_step_allocates_nothing: a step has \d+ bytes allocated at once"),
        (Hoards, r"check_step_allocates_nothing: 200 steps leave \d+ bytes allocated"),
    ],
)
def test_a_faulty_decoder_fails_the_check_of_its_fault(decoder: type[GoodDecoder], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_decoder(decoder, MODEL)


def test_what_is_allowed_passes() -> None:
    check_decoder(Allocates, may_allocate=True)

    class Noisy(GoodDecoder):
        def run(self, counts: U1, out: F4) -> None:
            super().run(counts, out)
            if len(counts) > 1:
                out += 1e-3

    with pytest.raises(AssertionError, match="check_step_equals_run"):
        check_decoder(Noisy)
    check_decoder(Noisy, tolerance=2e-3)


def test_an_error_of_the_decoder_says_during_which_check() -> None:
    class Broken(GoodDecoder):
        def load_state(self, state: dict[str, NDArray[Any]]) -> None:
            raise KeyError("total")

    with pytest.raises(KeyError) as raised:
        check_decoder(Broken)
    assert raised.value.__notes__ == ["raised during check_state_round_trip"]
