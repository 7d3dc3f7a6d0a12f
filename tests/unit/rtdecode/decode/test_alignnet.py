"""The streaming AlignNet keeps the contract of decoders, and fires the spikes of a dense batch to the bit."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from decoding import artifact_of, check_refused, outputs, run_all, step_all
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.runtime import _nrt_python, rtsys
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact
from rtdecode.decode.alignnet import AlignNetDecoder
from rtdecode.decode.ensemble import join_runs
from rtdecode.decode.load import load_decoder
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.decoders.causal_conv import fire
from rtdecode.kernels.decoders.events import add_rows, add_scaled_rows, find_counts, find_events, read_out
from rtdecode.testing import check_decoder

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
U1 = NDArray[np.uint8]


def make_artifact(
    n_channels: int = 10,
    widths: tuple[int, ...] = (9, 12, 7),
    n_latent: int = 6,
    dec_widths: tuple[int, ...] = (8, 11),
    n_outputs: int = 3,
    *,
    n_leaky: int = 5,
    n_hidden: int = 6,
    count_max: int = 4,
    bits: int = 12,
    seed: int = 0,
    **changes: Any,
) -> ModelArtifact:
    """A random network; weights before a threshold on grids of 2^-bits and coarser, a fifth or so firing."""
    rng = np.random.default_rng(seed)
    grid = bits - rng.integers(0, 3, 2 * len(widths))
    grid[-1] = bits - 2
    run: dict[str, NDArray[Any]] = {"grid": grid.astype("i4")}

    def add(name: str, n_in: int, n_out: int, lags: tuple[int, ...], step: float | None = None) -> None:
        weight = rng.normal(size=(n_in, *lags, n_out)) / np.sqrt(n_in)
        bias = rng.normal(0.1, 0.2, size=n_out)
        if step is not None:
            weight, bias = np.rint(weight / step) * step, np.rint(bias / step) * step
        run[f"{name}.weight"], run[f"{name}.bias"] = weight.astype("f4"), bias.astype("f4")

    below = n_channels
    for level, width in enumerate(widths):
        for i, n_in in enumerate((below, width)):
            add(f"enc{level}.{i}", n_in, width, (3,), 2.0 ** -int(grid[2 * level + i]))
        below = width
    add("latent", 2 * below, n_latent, ())
    above = n_latent
    for level in range(len(widths) - 2, -1, -1):
        add(f"dec{level}.0", above, dec_widths[level], (3,))
        add(f"skip{level}", 2 * widths[level], dec_widths[level], ())
        del run[f"skip{level}.bias"]
        add(f"dec{level}.1", dec_widths[level], dec_widths[level], (3,))
        above = dec_widths[level]
    if n_leaky:
        add("leaky", above, n_leaky, ())
        run["leaky.decay"] = np.exp(-1 / rng.uniform(0.3, 90.0, n_leaky)).astype("f4")
        run["leaky.weight"] *= 1 - run["leaky.decay"]
        run["leaky.bias"] *= 1 - run["leaky.decay"]
    above += n_leaky
    if n_hidden:
        add("hidden", above, n_hidden, ())
    add("head", above + n_hidden, n_outputs, ())
    fields: dict[str, Any] = {
        "outputs": outputs(n_outputs),
        "count_max": count_max,
        "run": run,
        "widths": widths,
        "fractional_bits": int(grid.min()),
    }
    return artifact_of("alignnet", n_channels=n_channels, **(fields | changes))


def make_counts(n_bins: int, n_channels: int = 10, seed: int = 1) -> U1:
    """Poisson counts, with a stretch of silence and one far above any count_max."""
    counts = np.random.default_rng(seed).poisson(0.7, size=(n_bins, n_channels)).astype(np.uint8)
    counts[n_bins // 3 : n_bins // 2] = 0
    counts[n_bins // 2 : n_bins // 2 + n_bins // 10] = 255
    return counts


def conv(frames: NDArray[Any], weight: NDArray[Any], bias: NDArray[Any]) -> NDArray[Any]:
    """A causal convolution over zeros before frame 0: [T, in], [in, 3, out], [out] → [T, out]."""
    total = np.tile(bias, (len(frames), 1))
    for lag in range(min(weight.shape[1], len(frames))):
        total[lag:] += frames[: len(frames) - lag] @ weight[:, lag]
    return total


def integrate_and_fire(current: F4) -> tuple[F4, F4]:
    """Spikes, and membrane potentials before the reset, clipped to 0 to 1."""
    voltage, spikes, potentials = np.zeros(current.shape[1], np.float32), np.zeros_like(current), []
    for frame, fired in zip(current, spikes, strict=True):
        voltage = voltage + (frame - voltage) * np.float32(0.5)
        potentials.append(np.clip(voltage, 0, 1))
        fired[:] = voltage >= np.float32(0.3)
        voltage[fired > 0] = 0
    return spikes, np.array(potentials).reshape(current.shape)


def hold(coarse: F8, n_frames: int) -> F8:
    """Fine frame k reads coarse frame ⌊(k+1)/2⌋ − 1; frame −1 is zero."""
    before = np.concatenate([np.zeros((1, coarse.shape[1])), coarse])
    return before[(np.arange(n_frames) + 1) // 2]


def reference(artifact: ModelArtifact, counts: U1) -> tuple[dict[str, F4], F8]:
    """The network over a whole recording: spikes in dense float32, what follows them in float64."""
    run, n_levels = artifact.run, len(artifact.widths)
    spikes: dict[str, F4] = {}
    potentials: dict[int, F4] = {}
    frames = np.minimum(counts, artifact.count_max).astype("f4") * np.array(artifact.channel_mask, "f4")
    for level in range(n_levels):
        if level > 0:
            frames = frames[: len(frames) // 2 * 2].reshape(-1, 2, frames.shape[1]).max(axis=1)
        for i in range(2):
            name = f"enc{level}.{i}"
            frames, potential = integrate_and_fire(conv(frames, run[f"{name}.weight"], run[f"{name}.bias"]))
            spikes[name] = frames
            potentials[level] = (
                potential if i == 0 else np.concatenate([potentials[level], potential], axis=1)
            )
    wide = {name: tensor.astype(np.float64) for name, tensor in run.items()}
    values = potentials[n_levels - 1] @ wide["latent.weight"] + wide["latent.bias"]
    for level in range(n_levels - 2, -1, -1):
        held = hold(values, len(potentials[level]))
        added = conv(held, wide[f"dec{level}.0.weight"], wide[f"dec{level}.0.bias"])
        values = np.maximum(added + potentials[level] @ wide[f"skip{level}.weight"], 0)
        values = np.maximum(conv(values, wide[f"dec{level}.1.weight"], wide[f"dec{level}.1.bias"]), 0)
    if "leaky.decay" in wide:
        sums = values @ wide["leaky.weight"] + wide["leaky.bias"]
        for before, here in pairwise(sums):
            here += wide["leaky.decay"] * before
        values = np.concatenate([values, sums], axis=1)
    if "hidden.weight" in wide:
        mixed = np.maximum(values @ wide["hidden.weight"] + wide["hidden.bias"], 0)
        values = np.concatenate([values, mixed], axis=1)
    return spikes, values @ wide["head.weight"] + wide["head.bias"]


def of_levels(n: int) -> ModelArtifact:
    return make_artifact(widths=(9, 12, 7, 5)[:n], dec_widths=(8, 11, 6)[: n - 1])


def ensemble(networks: list[ModelArtifact]) -> ModelArtifact:
    """One model of several networks, their outputs added up."""
    return replace(
        networks[0],
        run=join_runs([dict(network.run) for network in networks]),
        fractional_bits=min(network.fractional_bits or 0 for network in networks),
    )


CONTRACTED = {
    **{f"{n} levels": of_levels(n) for n in range(1, 5)},
    "masked channels": make_artifact(channel_mask=(True, False) * 5),
    "an ensemble": ensemble([make_artifact(seed=i) for i in range(3)]),
}


@pytest.mark.parametrize("artifact", CONTRACTED.values(), ids=CONTRACTED.keys())
def test_it_keeps_the_contract_of_decoders(artifact: ModelArtifact) -> None:
    check_decoder(lambda: load_decoder(artifact), artifact)


@st.composite
def networks(draw: st.DrawFn) -> ModelArtifact:
    n_levels, n_channels = draw(st.integers(1, 4)), draw(st.integers(1, 70))
    width = st.integers(1, 20)
    return make_artifact(
        n_channels,
        tuple(draw(width) for _ in range(n_levels)),
        draw(width),
        tuple(draw(width) for _ in range(n_levels - 1)),
        draw(st.integers(1, 4)),
        n_leaky=draw(st.integers(0, 20)),
        n_hidden=draw(st.integers(0, 20)),
        count_max=draw(st.sampled_from([1, 4, 20, 255])),
        bits=draw(st.integers(3, 9)),
        seed=draw(st.integers(0, 2**32 - 1)),
        channel_mask=tuple(draw(st.lists(st.booleans(), min_size=n_channels, max_size=n_channels))),
    )


@st.composite
def recordings(draw: st.DrawFn, n_channels: int) -> U1:
    """Stretches of different rates: silence, a spike now and then, busy, every count beyond the limit."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    stretches = st.tuples(st.integers(0, 30), st.sampled_from([0.0, 0.02, 0.4, 3.0, np.inf]))
    parts = [np.zeros((0, n_channels))]
    for n_bins, rate in draw(st.lists(stretches, max_size=5)):
        shape = (n_bins, n_channels)
        parts.append(np.full(shape, 255.0) if rate == np.inf else rng.poisson(rate, shape))
    return np.concatenate(parts).astype(np.uint8)


def trace(decoder: AlignNetDecoder, counts: U1) -> tuple[dict[str, U1], F4]:
    out = np.empty((len(counts), decoder.n_outputs), np.float32)
    return decoder.run_traced(counts, out), out


def trace_all(decoder: AlignNetDecoder, counts: U1) -> F4:
    return trace(decoder, counts)[1]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_spikes_are_those_of_the_dense_batch_to_the_bit(data: st.DataObject) -> None:
    artifact = data.draw(networks())
    counts = data.draw(recordings(artifact.n_channels))
    traces, values = trace(AlignNetDecoder(artifact), counts)
    spikes, expected = reference(artifact, counts)
    assert list(traces) == list(spikes)
    for name, fired in traces.items():
        np.testing.assert_array_equal(fired, spikes[name], err_msg=name)
    # Sums of some dozen terms around 1 in float32, however small what is left of them.
    rounding = 1e-6 * np.maximum(np.abs(expected), 1.0)
    tolerance = np.maximum(1e-5 * expected.std(axis=0), rounding) if len(counts) else 0.0
    assert (np.abs(values - expected) <= tolerance).all()


def test_a_network_of_the_default_size_agrees_over_a_minute() -> None:
    artifact = make_artifact(
        64, (64, 128, 128), 64, (64, 128), 4, n_leaky=64, n_hidden=64, count_max=20, bits=11
    )
    counts = make_counts(3000, 64)
    traces, values = trace(AlignNetDecoder(artifact), counts)
    spikes, expected = reference(artifact, counts)
    for name, fired in traces.items():
        np.testing.assert_array_equal(fired, spikes[name], err_msg=name)
        assert 0.05 < fired.mean() < 0.6
    assert np.abs((values - expected) / expected.std(axis=0)).max() < 1e-5


@settings(max_examples=80, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 60), max_size=6),
    n_levels=st.integers(1, 4),
    calls=st.lists(st.sampled_from([run_all, step_all, trace_all]), min_size=7, max_size=7),
)
def test_any_chunks_give_the_same_bits(cuts: list[int], n_levels: int, calls: list[Any]) -> None:
    artifact, counts = of_levels(n_levels), make_counts(60)
    whole = run_all(AlignNetDecoder(artifact), counts)
    decoder, edges = AlignNetDecoder(artifact), [0, *sorted(cuts), 60]
    chunks = [counts[start:stop] for start, stop in pairwise(edges)]
    pieces = [call(decoder, chunk) for call, chunk in zip(calls, chunks, strict=False)]
    assert np.concatenate(pieces).tobytes() == whole.tobytes()


def test_traces_refuse_arrays_that_do_not_fit() -> None:
    decoder = AlignNetDecoder(make_artifact())
    with pytest.raises(RtdecodeError, match="do not fit a model of 10 channels"):
        decoder.run_traced(np.zeros((1, 11), np.uint8), np.zeros((1, 3), np.float32))


def test_traces_of_chunks_are_those_of_the_whole() -> None:
    artifact, counts = make_artifact(), make_counts(61)
    whole, _ = trace(AlignNetDecoder(artifact), counts)
    assert [len(fired) for fired in whole.values()] == [61, 61, 30, 30, 15, 15]
    decoder = AlignNetDecoder(artifact)
    pieces = [trace(decoder, counts[start:stop])[0] for start, stop in pairwise([0, 1, 3, 3, 10, 45, 61])]
    for name, fired in whole.items():
        np.testing.assert_array_equal(np.concatenate([piece[name] for piece in pieces]), fired)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), n=st.integers(2, 4))
def test_networks_of_an_ensemble_fire_as_if_alone_and_their_outputs_add_up(
    data: st.DataObject, n: int
) -> None:
    nets = [
        make_artifact(
            widths=(9, 12, 7),
            n_latent=4 + i,
            dec_widths=(8, 5 + i),
            n_leaky=3 * i,
            n_hidden=2 * (n - i),
            bits=data.draw(st.integers(5, 12)),
            seed=i,
        )
        for i in range(n)
    ]
    counts = data.draw(recordings(10))
    decoder = AlignNetDecoder(ensemble(nets))
    cut = data.draw(st.integers(0, len(counts)))
    before, out = trace(decoder, counts[:cut])
    state = decoder.state()
    decoder = AlignNetDecoder(ensemble(nets))
    decoder.load_state(state)
    after, rest = trace(decoder, counts[cut:])
    expected = np.zeros((len(counts), 3), np.float32)
    for i, net in enumerate(nets):
        spikes, alone = trace(AlignNetDecoder(net), counts)
        expected = alone if i == 0 else expected + alone
        for name, fired in spikes.items():
            whole = np.concatenate([before[f"{i}.{name}"], after[f"{i}.{name}"]])
            np.testing.assert_array_equal(whole, fired)
    assert np.concatenate([out, rest]).tobytes() == expected.tobytes()
    assert len(before) == len(after) == 6 * n


def test_networks_of_an_ensemble_share_the_counts() -> None:
    nets, counts = [make_artifact(seed=i) for i in range(3)], make_counts(50)
    decoder = AlignNetDecoder(ensemble(nets))
    alone = [AlignNetDecoder(net) for net in nets]
    for each in [decoder, *alone]:
        run_all(each, counts)
    assert decoder.clipped == alone[0].clipped > 0
    assert decoder.adds == sum(each.adds for each in alone)
    assert decoder.dense_macs == sum(each.dense_macs for each in alone)


def test_networks_that_do_not_fit_together_are_refused() -> None:
    model = ensemble([make_artifact(seed=i) for i in range(2)])
    run = dict(model.run)
    gap = {name.replace("1.", "2.", 1) if name.startswith("1.") else name: run[name] for name in run}
    with pytest.raises(RtdecodeError, match=r"networks 0, 2; they must be numbered from 0 on"):
        AlignNetDecoder(replace(model, run=gap))
    with pytest.raises(RtdecodeError, match=r"run\.head\.bias, which belongs to none of its networks"):
        AlignNetDecoder(replace(model, run=run | {"head.bias": run["0.head.bias"]}))
    with pytest.raises(RtdecodeError, match="grid_bits is 0, which is not the least"):
        AlignNetDecoder(replace(model, fractional_bits=0))
    lacking = r"network 1 does not fit: the model lacks the tensor run\.head\.bias"
    for name, complaint in (("1.head.bias", lacking), ("1.grid", "grid"), ("0.grid", "grid")):
        with pytest.raises(RtdecodeError, match=complaint):
            AlignNetDecoder(replace(model, run={other: run[other] for other in run if other != name}))


def test_silent_channels_change_nothing() -> None:
    few = make_artifact()
    weight = np.zeros((200, 3, 9), "f4")
    weight[::20] = few.run["enc0.0.weight"]
    many = make_artifact(200, run=few.run | {"enc0.0.weight": weight}, fractional_bits=few.fractional_bits)
    counts = make_counts(60)
    sparse = np.zeros((60, 200), np.uint8)
    sparse[:, ::20] = counts
    decoders = AlignNetDecoder(few), AlignNetDecoder(many)
    assert run_all(decoders[0], counts).tobytes() == run_all(decoders[1], sparse).tobytes()
    assert decoders[0].adds == decoders[1].adds


def still(**sizes: int) -> AlignNetDecoder:
    """A network that stays silent without spikes."""
    run = make_artifact(n_hidden=0, **sizes).run
    run = {name: -np.abs(array) if name.endswith("bias") else array for name, array in run.items()}
    zeros = {name: np.zeros_like(run[name]) for name in ("latent.bias", "leaky.bias") if name in run}
    return AlignNetDecoder(make_artifact(run=run | zeros))


def test_work_follows_the_spikes() -> None:
    decoder = still(n_leaky=0)
    assert decoder.adds == 0
    counts = np.zeros((8, 10), np.uint8)
    run_all(decoder, counts)
    assert decoder.adds == 0
    counts[7, 3] = counts[7, 4] = 2
    run_all(decoder, counts)
    assert decoder.adds >= 2 * 3 * 9
    decoder.reset()
    before = decoder.adds
    run_all(decoder, counts[:7])
    assert decoder.adds == before


def test_leaky_neurons_cost_the_same_in_silence() -> None:
    decoder = still(n_leaky=5)
    run_all(decoder, np.zeros((8, 10), np.uint8))
    assert decoder.adds == 8 * 5


def test_the_kernels_allocate_nothing() -> None:
    decoder, allocated = AlignNetDecoder(make_artifact()), []
    _nrt_python.memsys_enable_stats()
    for n_bins in (4, 400):
        counts, out = make_counts(n_bins), np.empty((n_bins, 3), np.float32)
        before = rtsys.get_allocation_stats().alloc
        decoder.run(counts, out)
        allocated.append(rtsys.get_allocation_stats().alloc - before)
    assert allocated[0] == allocated[1] > 0  # what Numba makes of the arguments, once a call


def test_dense_macs_follow_from_the_weights() -> None:
    run = make_artifact().run
    sizes = {name: array.size for name, array in run.items() if name.endswith(("weight", "decay"))}
    every, second, fourth = (
        sum(size for name, size in sizes.items() if name.startswith(parts))
        for parts in (
            ("enc0", "dec0", "skip0", "leaky", "hidden", "head"),
            ("enc1", "dec1", "skip1"),
            ("enc2", "latent"),
        )
    )
    assert AlignNetDecoder(make_artifact()).dense_macs == every + second / 2 + fourth / 4


def test_hours_of_silence_end_in_a_steady_rhythm_of_finite_values() -> None:
    decoder = AlignNetDecoder(make_artifact())
    run_all(decoder, make_counts(50))
    values = run_all(decoder, np.zeros((200_000, 10), np.uint8))
    assert np.isfinite(values).all()
    assert np.ptp(values[-4000:-2000], axis=0) == pytest.approx(np.ptp(values[-2000:], axis=0))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"enc0.0.weight": None}, "lacks the tensor run.enc0.0.weight"),
        ({"dec1.1.bias": None}, "lacks the tensor run.dec1.1.bias"),
        ({"latent.bias": None}, "lacks the tensor run.latent.bias"),
        ({"grid": None}, "lacks the tensor run.grid"),
        ({"dec2.0.bias": np.zeros(3, "f4")}, "holds run.dec2.0.bias, which is no part of this alignnet"),
        ({"enc0.0.weight": np.zeros((11, 3, 9), "f4")}, r"float32\[11, 3, 9\];.*needs float32\[10, 3, 9\]"),
        ({"enc0.0.weight": np.zeros((10, 3, 9))}, r"run.enc0.0.weight is float64\[10, 3, 9\]"),
        ({"enc1.0.weight": np.zeros((9, 2, 12), "f4")}, r"needs float32\[9, 3, 12\]"),
        ({"enc2.1.bias": np.zeros(8, "f4")}, r"run.enc2.1.bias .* needs float32\[7\]"),
        ({"latent.weight": np.zeros((8, 6), "f4")}, r"run.latent.weight .* needs float32\[14, 6\]"),
        ({"latent.weight": np.zeros((7, 0), "f4"), "latent.bias": np.zeros(0, "f4")}, "run.latent.weight is"),
        ({"latent.bias": np.array(1, "f4")}, "run.latent.weight is"),
        ({"dec1.0.weight": np.zeros((17, 3, 11), "f4")}, r"needs float32\[6, 3, 11\]"),
        ({"dec0.0.bias": np.zeros(9, "f4")}, r"run.dec0.0.weight .* needs float32\[11, 3, 9\]"),
        ({"head.weight": np.zeros((8, 2), "f4")}, r"run.head.weight .* needs float32\[19, 3\]"),
        ({"hidden.weight": None}, "lacks the tensor run.hidden.weight"),
        ({"hidden.bias": np.zeros(5, "f4")}, r"run.hidden.weight .* needs float32\[13, 5\]"),
        ({"leaky.weight": None}, "lacks the tensor run.leaky.weight"),
        ({"leaky.decay": None}, "lacks the tensor run.leaky.decay"),
        ({"leaky.weight": np.zeros((7, 5), "f4")}, r"run.leaky.weight .* needs float32\[8, 5\]"),
        ({"leaky.decay": np.zeros(4, "f4")}, r"run.leaky.decay .* needs float32\[5\]"),
        ({"leaky.decay": np.ones(5, "f4")}, r"run.leaky.decay .* be in \[0, 1\)"),
        ({"leaky.decay": np.full(5, -0.1, "f4")}, r"run.leaky.decay .* be in \[0, 1\)"),
        ({"leaky.slow": np.ones(5, "f4")}, "holds run.leaky.slow, which is no part of this alignnet"),
        ({"grid": np.full(6, 10)}, r"run.grid is int64\[6\].*needs int32\[6\]"),
        ({"grid": np.full(5, 10, "i4")}, r"run.grid is int32\[5\]"),
        ({"grid": np.full(6, 24, "i4")}, "must be in 0..23, and its least must be grid_bits, 10"),
        ({"grid": np.full(6, 11, "i4")}, "its least must be grid_bits, 10"),
        ({"grid": np.array([-1, 10, 10, 10, 10, 10], "i4")}, "must be in 0..23"),
        ({"enc1.1.weight": np.full((12, 3, 12), 2**-13, "f4")}, r"enc1.1.weight is not a multiple of 2\^-"),
        ({"enc0.1.bias": np.full(9, 0.3, "f4")}, r"run.enc0.1.bias is not a multiple of 2\^-.*faulty export"),
        ({"enc0.0.weight": np.full((10, 3, 9), 512.0, "f4")}, r"enc0.0 reach 61440\..*faulty export"),
        ({"enc2.0.bias": np.full(7, 16384.0, "f4")}, r"sums of run.enc2.0 reach 16393\..*; in multiples of"),
    ],
)
def test_tensors_that_do_not_fit_the_model_are_refused(changes: dict[str, Any], complaint: str) -> None:
    check_refused(make_artifact, make_artifact().run | changes, complaint)


def test_settings_that_do_not_fit_the_tensors_are_refused() -> None:
    with pytest.raises(RtdecodeError, match="has 17 widths; it must have 1 to 16"):
        load_decoder(make_artifact(widths=(1,) * 17, dec_widths=(1,) * 16))
    with pytest.raises(RtdecodeError, match=r"its least must be grid_bits, None"):
        load_decoder(make_artifact(fractional_bits=None))
    with pytest.raises(RtdecodeError, match="has a normaliser, which no alignnet here runs"):
        load_decoder(make_artifact(normaliser={"rate": 1.0}))
    with pytest.raises(RtdecodeError, match="of kind 'gru', not 'alignnet'"):
        AlignNetDecoder(make_artifact(kind="gru"))


def test_the_largest_exact_sums_are_accepted() -> None:
    artifact = make_artifact(1, (1,), 1, (), 1, count_max=1)
    largest = 2.0 ** (24 - artifact.fractional_bits)
    run = artifact.run | {
        "grid": np.full(2, artifact.fractional_bits, "i4"),
        "enc0.0.weight": np.array([[[largest / 2], [largest / 4], [0.0]]], "f4"),
        "enc0.0.bias": np.array([largest / 4 - 2.0**-artifact.fractional_bits], "f4"),
    }
    load_decoder(make_artifact(1, (1,), 1, (), 1, count_max=1, run=run))
    run["enc0.0.bias"] = np.array([largest / 4], "f4")
    with pytest.raises(RtdecodeError, match=r"the sums of run\.enc0\.0 reach"):
        load_decoder(make_artifact(1, (1,), 1, (), 1, count_max=1, run=run))


def test_the_loader_takes_an_alignnet() -> None:
    decoder = load_decoder(make_artifact())
    assert (decoder.kind, decoder.n_channels, decoder.n_outputs) == ("alignnet", 10, 3)
    assert isinstance(decoder, AlignNetDecoder)
    assert [(layer.name, layer.level, layer.n_units, layer.offset) for layer in decoder.layers] == [
        ("enc0.0", 0, 9, 0),
        ("enc0.1", 0, 9, 9),
        ("enc1.0", 1, 12, 18),
        ("enc1.1", 1, 12, 30),
        ("enc2.0", 2, 7, 42),
        ("enc2.1", 2, 7, 49),
    ]


def test_neurons_fire_from_the_threshold_of_float32_on() -> None:
    threshold = np.float32(0.3)
    below = np.nextafter(threshold, np.float32(0))
    pending, voltage = np.zeros(9, np.float32), np.array([0, 0, below], np.float32)
    bias, spikes = np.array([2 * threshold, 2 * below, below], np.float32), np.zeros(3, np.uint8)
    potential = np.full(3, 7, np.float32)
    fire(bias, pending, voltage, spikes, potential)
    assert spikes.tolist() == [1, 0, 0]
    assert potential.tolist() == [threshold, below, below]
    assert voltage.tolist() == [0, below, below]


@settings(max_examples=80, deadline=None)
@given(n_in=st.integers(1, 70), width=st.integers(1, 40), rate=st.floats(0, 3), seed=st.integers(0, 1000))
def test_events_add_what_a_dense_product_adds(n_in: int, width: int, rate: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weight = (rng.integers(-512, 513, (n_in, width)) / 256).astype("f4")
    counts, limit = rng.poisson(rate, n_in).astype(np.uint8), 2 * (rng.random(n_in) < 0.8).astype(np.uint8)
    events, sizes = np.zeros(n_in, np.int64), np.zeros(n_in, np.float32)
    tally = np.zeros(1, np.int64)
    n_events = find_counts(counts, limit, tally, events, sizes)
    clipped = np.minimum(counts, limit)
    assert events[:n_events].tolist() == np.flatnonzero(clipped).tolist()
    assert tally[0] == ((counts > 2) & (limit > 0)).sum()
    total = np.ones(width, np.float32)
    whole, quarter = (weight * 1024).astype("i2").reshape(-1), np.float32(1 / 4)
    add_scaled_rows(weight.reshape(-1), np.float32(1), events, n_events, sizes, total)
    np.testing.assert_array_equal(total, 1 + clipped @ weight)
    add_scaled_rows(whole, quarter / 256, events, n_events, sizes, total)
    np.testing.assert_array_equal(total, 1 + 2 * (clipped @ weight))
    assert find_events(counts, events) == np.count_nonzero(counts)
    total[:] = 1
    add_rows(weight.reshape(-1), quarter, events, np.count_nonzero(counts), total)
    np.testing.assert_array_equal(total, 1 + (counts > 0).astype("f4") @ weight / 4)
    add_rows(whole, quarter / 256, events, np.count_nonzero(counts), total)
    np.testing.assert_array_equal(total, 1 + (counts > 0).astype("f4") @ weight * 1.25)
    read_out(weight.reshape(-1), total, events, 0, sizes, out := np.empty(width, np.float32))
    np.testing.assert_array_equal(out, total)
