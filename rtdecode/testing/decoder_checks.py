"""The contract of `rtdecode.decode.decoder.Decoder` as a suite of checks, for decoders of any kind."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import LARGEST_CODE, ModelArtifact
from rtdecode.decode.decoder import Decoder
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import F4, I2, U1, Inputs

Check = Callable[["Make", "Limits"], None]

#: Returns a fresh decoder of always the same model.
Make = Callable[[], Decoder]

N_FINITE_BINS = 2000
N_TIMED_STEPS = 200

#: Bytes that one call of `step` may have in use at once: its arguments and a few Python objects, no array.
MOST_BYTES = 900

#: Bytes that may remain in use after many steps, such as numbers that Python keeps for later.
MOST_BYTES_LEFT = 2048

#: Bins between which recordings are cut, and after which a state is saved.
_CUTS = ((0,), (1,), (2, 3), (5, 5, 40), (1, 7, 8, 31, 64, 95), (96,))
_SAVED_AT = (0, 1, 2, 3, 5, 7, 13, 31, 64)


@dataclass(frozen=True)
class Limits:
    """What a check requires (see `check_decoder`)."""

    model: ModelArtifact | None
    tolerance: float
    n_bins: int


def check_decoder(
    make: Make,
    model: ModelArtifact | None = None,
    *,
    tolerance: float = 0.0,
    may_allocate: bool = False,
    n_bins: int = 96,
) -> None:
    """Check that a decoder keeps the contract that the daemon relies on.

        model = read_artifact("today.safetensors")
        check_decoder(lambda: MyDecoder(model), model)

    Each check draws its counts with a fixed seed, so a failure can be repeated.

    Args:
        make: returns a fresh decoder at bin 0, each time of the same model.
        model: that model; None compares its sizes, count_max and channel mask with nothing, and is for
            decoders of counts alone.
        tolerance: how far `step` and `run` may differ, in units of the outputs; 0 requires the same bits,
            which replays and model swaps need.
        may_allocate: whether `step` may allocate memory, as a decoder that is never run live may.
        n_bins: length of the recordings, 96 at least; more for a model that changes after many bins.

    Raises:
        AssertionError: a check failed; the message starts with its name.
    """
    limits = Limits(model, tolerance, max(n_bins, 96))
    for check in CHECKS:
        _named(check, make, limits)
    if not may_allocate:
        _named(check_step_allocates_nothing, make, limits)


def check_sizes(make: Make, limits: Limits) -> None:
    """`kind`, `n_channels` and `n_outputs` describe the model."""
    decoder = make()
    _require(isinstance(decoder.kind, str) and decoder.kind != "", f"kind is {decoder.kind!r}, not a name")
    for name in ("n_channels", "n_outputs"):
        size = getattr(decoder, name)
        _require(isinstance(size, int) and size > 0, f"{name} is {size!r}, not a positive int")
    if limits.model is not None:
        sizes = decoder.kind, decoder.n_channels, decoder.n_outputs
        model = limits.model.kind, limits.model.n_channels, len(limits.model.outputs)
        _require(sizes == model, f"kind, n_channels and n_outputs are {sizes}, those of the model {model}")


def check_step_equals_run(make: Make, limits: Limits) -> None:
    """`run` over any chunks, empty ones too, and `step` bin by bin give the same values."""
    decoder = make()
    counts = _draw_inputs(decoder, limits)
    whole = _run(decoder, counts)
    _compare(_run(make(), counts), whole, 0.0, "two fresh decoders over the same counts")
    _compare(_step(make(), counts), whole, limits.tolerance, "step over all bins and one run")
    for cuts in _CUTS:
        edges = [0, *cuts, len(counts)]
        chunks = [counts[first:end] for first, end in pairwise(edges)]
        for offset in range(3):
            decoder, pieces = make(), []
            for i, chunk in enumerate(chunks):
                # Only runs, then runs and steps in turn, then the other way round.
                stepping = offset > 0 and (i + offset) % 2 == 0
                pieces.append(_step(decoder, chunk) if stepping else _run(decoder, chunk))
            values = np.concatenate(pieces)
            _compare(values, whole, limits.tolerance, f"chunks cut at bins {list(cuts)} and one run")


def check_state_round_trip(make: Make, limits: Limits) -> None:
    """`state` in the middle of a recording continues in another decoder, and is a copy."""
    counts = _draw_inputs(make(), limits)
    whole = _run(make(), counts)
    for at in (*_SAVED_AT, limits.n_bins * 4 // 5):
        decoder, other = make(), make()
        _run(decoder, counts[:at])
        state = decoder.state()
        kept = {name: array.copy() for name, array in state.items()}
        expected = _run(decoder, counts[at:])
        _compare(expected, whole[at:], limits.tolerance, f"a decoder after state() at bin {at} and one run")
        _require(_same_state(state, kept), f"the state of bin {at} changes while its decoder continues")
        _run(other, counts[::-1])
        other.load_state(state)
        loaded = other.state()
        _require(_same_state(loaded, kept), f"load_state at bin {at} and state() give another state")
        for array in state.values():
            array[...] = 1
        _require(_same_state(other.state(), loaded), "load_state keeps the arrays it is given, not copies")
        values = _run(other, counts[at:])
        _compare(
            values, expected, limits.tolerance, f"a decoder that loads the state of bin {at} and the first"
        )


def check_foreign_state_refused(make: Make, limits: Limits) -> None:
    """`load_state` refuses a state with other names, shapes or dtypes, and keeps its own."""
    decoder = make()
    _run(decoder, _draw_inputs(decoder, limits)[:11])
    own = decoder.state()
    _require(len(own) > 0, "state() is empty")
    foreign = [("no array", {}), ("an array too many", {**own, "of another model": np.zeros(1)})]
    for name, array in own.items():
        others = {other: values for other, values in own.items() if other != name}
        longer = np.zeros((*array.shape[:-1], array.shape[-1] + 1) if array.ndim else (1,), array.dtype)
        foreign += [
            (f"no {name!r}", others),
            (f"{name!r} of another shape", {**others, name: longer}),
            (f"{name!r} as complex numbers", {**others, name: array.astype(np.complex128)}),
        ]
    for what, state in foreign:
        _require_refused(partial(decoder.load_state, state), f"load_state of a state with {what}")
        _require(_same_state(decoder.state(), own), f"a refused state with {what} changes the decoder's own")


def check_clipped(make: Make, limits: Limits) -> None:
    """Counts above the model's count_max are clipped to it and counted; masked channels are ignored."""
    decoder = make()
    _require(decoder.clipped == 0, f"clipped is {decoder.clipped} in a fresh decoder, not 0")
    added = [
        _clipped_by(decoder, _inputs(limits, np.full(decoder.n_channels, count, np.uint8)))
        for count in range(256)
    ]
    count_max = max(count for count in range(256) if added[count] == 0) if 0 in added else -1
    n_good = added[255]
    _require(
        added == [0] * (count_max + 1) + [n_good] * (255 - count_max) and 0 <= n_good <= decoder.n_channels,
        "the counts of 0 to 255 that are clipped are not those above one limit: bins of one count on all "
        f"channels add {sorted(set(added))} to clipped",
    )
    _require(count_max > 0, "counts of 1 are clipped")
    if limits.model is not None:
        _require(
            count_max == limits.model.count_max,
            f"counts above {count_max} are clipped; the count_max of the model is {limits.model.count_max}",
        )
    if count_max == 255:
        return
    one_by_one = _inputs(limits, 255 * np.eye(decoder.n_channels, dtype=np.uint8))
    good = np.array([_clipped_by(decoder, row) == 1 for row in one_by_one])
    _require(good.sum() == n_good, f"{n_good} channels are clipped together, and {good.sum()} one by one")
    if limits.model is not None:
        wrong = np.flatnonzero(good != np.array(limits.model.channel_mask))
        _require(len(wrong) == 0, f"channels {wrong.tolist()} are clipped against the channel mask")

    inputs = _draw_inputs(decoder, limits)
    counts = inputs[:, : decoder.n_channels]
    counts[3::7] = np.minimum(counts[3::7], 1) * (count_max + 1)
    n_above = int(((counts > count_max) & good).sum())
    limited = inputs.copy()
    limited[:, : decoder.n_channels] = np.where(good, np.minimum(counts, count_max), 0)
    for name, advance in (("run", _run), ("step", _step)):
        decoder, other = make(), make()
        values, expected = advance(decoder, inputs), advance(other, limited)
        what = f"{name} over counts above count_max {count_max} or on masked channels, and without them"
        _compare(values, expected, 0.0, what)
        _require(
            (decoder.clipped, other.clipped) == (n_above, 0),
            f"{name} counts {decoder.clipped} and {other.clipped} clipped where {n_above} and 0 are above "
            f"{count_max}",
        )
        decoder.reset()
        decoder.load_state(other.state())
        _require(decoder.clipped == n_above, "reset or load_state changes clipped")


def check_reset(make: Make, limits: Limits) -> None:
    """`reset` goes back to bin 0."""
    decoder = make()
    counts, fresh = _draw_inputs(decoder, limits), decoder.state()
    first = _run(decoder, counts)
    decoder.reset()
    _require(_same_state(decoder.state(), fresh), "the state after reset is not that of a fresh decoder")
    _compare(_run(decoder, counts), first, 0.0, "a decoder after reset and a fresh one")


def check_arrays_refused(make: Make, limits: Limits) -> None:
    """`step` and `run` refuse arrays of other shapes or dtypes, and stay where they are."""
    decoder = make()
    _run(decoder, _draw_inputs(decoder, limits)[:11])
    n_channels, n_outputs = decoder.n_channels, decoder.n_outputs
    counts = _inputs(limits, np.zeros(n_channels, np.uint8))
    out = np.zeros(n_outputs, np.float32)
    wrong: list[tuple[str, NDArray[Any], NDArray[Any]]] = [
        ("counts of a channel less", counts[1:], out),
        ("counts of a channel more", np.zeros(len(counts) + 1, counts.dtype), out),
        ("counts of uint16", counts.astype(np.uint16), out),
        ("counts of int64", counts.astype(np.int64), out),
        ("counts of one axis more", counts[np.newaxis], out),
        ("values of an output less", counts, out[1:]),
        ("values of an output more", counts, np.zeros(n_outputs + 1, np.float32)),
        ("values of float64", counts, out.astype(np.float64)),
        ("values of one axis more", counts, out[np.newaxis]),
    ]
    own = decoder.state()
    for what, bad_counts, bad_out in wrong:
        _require_refused(partial(decoder.step, bad_counts, bad_out), f"step with {what}")
        rows = bad_counts[np.newaxis], bad_out[np.newaxis]
        _require_refused(partial(decoder.run, *rows), f"run with {what}")
        _require(_same_state(decoder.state(), own), f"refused {what} change the state")
    _require_refused(partial(decoder.run, counts, out), "run with one bin of counts")
    unequal = np.zeros((3, len(counts)), counts.dtype), np.zeros((2, n_outputs), np.float32)
    _require_refused(partial(decoder.run, *unequal), "run with 3 bins of counts and 2 of values")


def check_out_overwritten(make: Make, limits: Limits) -> None:
    """What `out` held before changes nothing, and all of it is written."""
    counts = _draw_inputs(make(), limits)
    for name, advance in (("run", _run), ("step", _step)):
        expected = advance(make(), counts, fill=0.0)
        for fill in (np.nan, 7.0):
            values = advance(make(), counts, fill=fill)
            _compare(values, expected, 0.0, f"{name} into an out of {fill:g} and of 0")


def check_finite(make: Make, limits: Limits) -> None:
    """Silence and saturated counts, for long, give finite values."""
    decoder = make()
    for count, code in ((0, 0), (255, LARGEST_CODE), (0, -LARGEST_CODE)):
        counts = np.full((N_FINITE_BINS, decoder.n_channels), count, np.uint8)
        values = _run(decoder, _inputs(limits, counts, code))
        bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
        _require(len(bad) == 0, f"counts of {count} give NaN or infinity from their bin {bad[:1]} on")


def check_step_allocates_nothing(make: Make, limits: Limits) -> None:
    """`step` makes no array, neither for a moment nor to keep."""
    decoder = make()
    counts, out = list(_draw_inputs(decoder, limits)), np.empty(decoder.n_outputs, np.float32)
    for row in counts:
        decoder.step(row, out)
    started_here = not tracemalloc.is_tracing()
    if started_here:
        tracemalloc.start()
    collecting = gc.isenabled()
    gc.disable()
    try:
        most = 0
        decoder.step(counts[0], out)
        first = tracemalloc.get_traced_memory()[0]
        for i in range(N_TIMED_STEPS):
            row = counts[i % len(counts)]
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            decoder.step(row, out)
            most = max(most, tracemalloc.get_traced_memory()[1] - before)
        left = tracemalloc.get_traced_memory()[0] - first
    finally:
        if collecting:
            gc.enable()
        if started_here:
            tracemalloc.stop()
    _require(most <= MOST_BYTES, f"a step has {most} bytes allocated at once; {MOST_BYTES} are allowed")
    _require(
        left <= MOST_BYTES_LEFT,
        f"{N_TIMED_STEPS} steps leave {left} bytes allocated; {MOST_BYTES_LEFT} are allowed",
    )


CHECKS: tuple[Check, ...] = (
    check_sizes,
    check_step_equals_run,
    check_state_round_trip,
    check_foreign_state_refused,
    check_clipped,
    check_reset,
    check_arrays_refused,
    check_out_overwritten,
    check_finite,
)


def _named(check: Check, make: Make, limits: Limits) -> None:
    try:
        check(make, limits)
    except AssertionError as error:
        raise AssertionError(f"{check.__name__}: {error}") from error
    except Exception as error:
        error.add_note(f"raised during {check.__name__}")
        raise


def _inputs(limits: Limits, counts: U1, codes: int | I2 = 0) -> Inputs:
    """The model's input with these counts u1[…, C]: with features, their codes follow."""
    n_features = 0 if limits.model is None else len(limits.model.features)
    if not n_features:
        return counts
    codes = np.broadcast_to(np.asarray(codes, np.int16), (*counts.shape[:-1], n_features))
    return np.concatenate((counts.astype(np.int16), codes), axis=-1)


def _draw_inputs(decoder: Decoder, limits: Limits) -> Inputs:
    """Poisson counts u1[T, C] with a stretch of silence and a few bins of very high counts; any codes."""
    rng, n_bins = np.random.default_rng(1), limits.n_bins
    counts = rng.poisson(0.8, (n_bins, decoder.n_channels)).astype(np.uint8)
    counts[n_bins // 4 : n_bins // 3] = 0
    counts[n_bins // 2 : n_bins // 2 + 3] = 255
    n_features = 0 if limits.model is None else len(limits.model.features)
    codes = rng.integers(-LARGEST_CODE, LARGEST_CODE + 1, (n_bins, n_features)).astype(np.int16)
    return _inputs(limits, counts, codes)


def _run(decoder: Decoder, counts: Inputs, *, fill: float = np.nan) -> F4:
    out = np.full((len(counts), decoder.n_outputs), fill, np.float32)
    decoder.run(counts, out)
    return out


def _step(decoder: Decoder, counts: Inputs, *, fill: float = np.nan) -> F4:
    out = np.full((len(counts), decoder.n_outputs), fill, np.float32)
    for row, value in zip(counts, out, strict=True):
        decoder.step(row, value)
    return out


def _clipped_by(decoder: Decoder, counts: Inputs) -> int:
    before = decoder.clipped
    decoder.step(counts, np.empty(decoder.n_outputs, np.float32))
    return decoder.clipped - before


def _same_state(state: dict[str, NDArray[Any]], other: dict[str, NDArray[Any]]) -> bool:
    bits, other_bits = (
        {name: (array.dtype, array.shape, array.tobytes()) for name, array in each.items()}
        for each in (state, other)
    )
    return bits == other_bits


def _compare(values: F4, expected: F4, tolerance: float, what: str) -> None:
    differ = (values.view(np.uint32) != expected.view(np.uint32)).any(axis=1)
    with np.errstate(invalid="ignore"):
        differ &= ~(np.abs(values - expected) <= tolerance).all(axis=1)
    if differ.any():
        k = int(differ.argmax())
        raise AssertionError(f"{what} differ at bin {k}: {values[k].tolist()} and {expected[k].tolist()}")


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)


def _require_refused(call: Callable[[], None], what: str) -> None:
    try:
        call()
    except RtdecodeError:
        return
    raise AssertionError(f"{what} is not refused with an RtdecodeError")
