"""The networks of an artifact in torch keep the contract of decoders, and fire the spikes of the engine."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import COUNT_MAX, N_CHANNELS, OUTPUTS, exported, make_alignnet, make_counts, make_gru
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact
from rtdecode.decode.alignnet import AlignNetDecoder
from rtdecode.errors import RtdecodeError
from rtdecode.models.engine.alignnet import FoldedAlignNet
from rtdecode.models.engine.gru import FoldedGRU
from rtdecode.models.engine.load import load_torch_decoder
from rtdecode.models.ensemble.join import ensemble_of
from rtdecode.models.export.export import fold
from rtdecode.models.export.fixed_point import fixed_point
from rtdecode.models.nn.network import Network
from rtdecode.testing import check_decoder

torch.set_num_threads(1)

SD = np.array([output.sd for output in OUTPUTS], np.float32)


def empty(counts: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.full((len(counts), len(OUTPUTS)), np.nan, np.float32)


def masked(net: Network) -> Network:
    """The network with a session that leaves a channel out."""
    good = np.arange(N_CHANNELS) != 2
    net.read_in.add("today", np.full(N_CHANNELS, 0.5), np.full(N_CHANNELS, 0.9), good)
    return net


@pytest.mark.parametrize(
    "artifact",
    [
        exported(masked(make_alignnet(3)), "today"),
        exported(masked(make_gru(3)), "today"),
        ensemble_of([exported(make_alignnet(seed)) for seed in range(2)]),
    ],
    ids=["alignnet", "gru", "ensemble"],
)
def test_it_keeps_the_contract_of_decoders(artifact: ModelArtifact) -> None:
    check_decoder(
        lambda: load_torch_decoder(artifact), artifact, tolerance=1e-5 * float(SD.min()), may_allocate=True
    )


def stepped(
    decoder: FoldedAlignNet, counts: NDArray[np.uint8]
) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
    """Values and spikes bin by bin."""
    out, rows = empty(counts), []
    for row, value in zip(counts, out, strict=True):
        rows.append(decoder.run_traced(row[None], value[None]))
    return out, {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


@given(
    seed=st.integers(0, 10_000),
    n_levels=st.integers(1, 4),
    cuts=st.lists(st.integers(0, 60), max_size=4),
)
@settings(max_examples=20, deadline=None)
def test_bins_and_pieces_give_the_spikes_of_the_whole(seed: int, n_levels: int, cuts: list[int]) -> None:
    artifact = exported(make_alignnet(seed, widths=[6] * n_levels, dec_widths=[5] * (n_levels - 1)))
    counts = make_counts(60, seed)
    whole, out = FoldedAlignNet(artifact), empty(counts)
    spikes = whole.run_traced(counts, out)
    assert {name: len(rows) for name, rows in spikes.items()} == {
        f"enc{level}.{i}": 60 >> level for level in range(n_levels) for i in range(2)
    }

    decoder = FoldedAlignNet(artifact)
    values, by_bin = stepped(decoder, counts)
    pieces, piecewise = FoldedAlignNet(artifact), empty(counts)
    edges = [0, *sorted(cuts), 60]
    parts = [pieces.run_traced(counts[a:b], piecewise[a:b]) for a, b in pairwise(edges)]
    for name, rows in spikes.items():
        np.testing.assert_array_equal(by_bin[name], rows)
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), rows)
    for other in (values, piecewise):
        assert np.abs((other - out) / SD).max() < 1e-5


def test_torch_and_the_engine_fire_the_same_spikes() -> None:
    counts = make_counts(2000)
    for seed in range(3):
        artifact = exported(make_alignnet(seed, widths=(24, 20, 16), dec_widths=(8, 8)))
        out, other = empty(counts), empty(counts)
        spikes = FoldedAlignNet(artifact).run_traced(counts, out)
        engine = AlignNetDecoder(artifact).run_traced(counts, other)
        assert spikes.keys() == engine.keys()
        for name, rows in spikes.items():
            np.testing.assert_array_equal(engine[name], rows)
            assert rows.dtype == np.uint8
        assert 0.02 < spikes["enc0.0"].mean() < 0.9
        assert 0.02 < spikes["enc2.1"].mean() < 0.9
        assert np.abs((out - other) / SD).max() < 1e-5


def test_an_ensemble_in_torch_fires_the_spikes_of_the_engine() -> None:
    counts = make_counts(900)
    nets = [make_alignnet(seed, widths=(24, 20, 16), dec_widths=(8, 8), leaky=3 + seed) for seed in range(3)]
    artifact = ensemble_of([exported(net) for net in nets])
    whole, engine = load_torch_decoder(artifact), AlignNetDecoder(artifact)
    assert isinstance(whole, FoldedAlignNet)
    out, other = empty(counts), empty(counts)
    spikes, fired = whole.run_traced(counts, out), engine.run_traced(counts, other)
    assert (
        list(spikes)
        == list(fired)
        == [f"{i}.enc{level}.{j}" for i in range(3) for level in range(3) for j in range(2)]
    )
    for name, rows in spikes.items():
        np.testing.assert_array_equal(fired[name], rows)
    assert np.abs((out - other) / SD).max() < 1e-5
    # The mean of the networks, but for spikes that rounding to fixed-point moves.
    alone = [empty(counts) for _ in nets]
    for net, values in zip(nets, alone, strict=True):
        AlignNetDecoder(exported(net)).run(counts, values)
    assert np.abs((np.mean(alone, axis=0) - other) / SD).max() < 1e-5
    assert whole.clipped == engine.clipped > 0

    steps, half = load_torch_decoder(artifact), empty(counts)
    for row, value in zip(counts[:301], half[:301], strict=True):
        steps.step(row, value)
    again = load_torch_decoder(artifact)
    again.load_state(steps.state())
    again.run(counts[301:], half[301:])
    assert np.abs((half - out) / SD).max() < 1e-5
    with pytest.raises(RtdecodeError, match="the state does not fit this alignnet"):
        again.load_state(load_torch_decoder(exported(nets[0])).state())
    whole.reset()
    whole.run(counts, half)
    assert np.abs((half - out) / SD).max() < 1e-5


@pytest.mark.parametrize("rounded", [False, True])
def test_fixed_point_weights_make_steps_and_batch_fire_alike(rounded: bool) -> None:
    counts, mismatches = make_counts(1000), 0
    for seed in range(3):
        net = make_alignnet(seed, widths=(32, 32, 32))
        run = fold(net, "monday")
        # Tenths put many sums right at the threshold of 0.3, where the order of their terms decides.
        for part in ("weight", "bias"):
            run[f"enc0.0.{part}"] = np.rint(run[f"enc0.0.{part}"] * 10) / 10
        if rounded:
            for name in (f"enc{level}.{i}" for level in range(3) for i in range(2)):
                weight, bias = fixed_point(run[f"{name}.weight"], run[f"{name}.bias"], COUNT_MAX)[:2]
                run |= {f"{name}.weight": weight, f"{name}.bias": bias}
        tensors = {name: tensor.astype("f4") for name, tensor in run.items()}
        artifact = replace(exported(net), run=tensors, fractional_bits=None)
        batch = FoldedAlignNet(artifact).run_traced(counts, empty(counts))
        _, steps = stepped(FoldedAlignNet(artifact), counts)
        mismatches += sum(int((steps[name] != batch[name]).sum()) for name in batch)
    assert (mismatches == 0) == rounded


def test_a_long_recording_is_decoded_in_chunks() -> None:
    artifact, counts = exported(make_alignnet(3)), make_counts(101)
    out, chunked = empty(counts), empty(counts)
    whole = FoldedAlignNet(artifact).run_traced(counts, out)
    parts = FoldedAlignNet(artifact, chunk_bins=7).run_traced(counts, chunked)
    for name, rows in whole.items():
        np.testing.assert_array_equal(parts[name], rows)
    assert np.abs((chunked - out) / SD).max() < 1e-5
    FoldedAlignNet(artifact, chunk_bins=7).run(counts, out)
    assert np.abs((chunked - out) / SD).max() < 1e-5


def test_the_caller_s_precision_setting_stays_out_of_it() -> None:
    artifact, counts = exported(make_alignnet(3)), make_counts(200)
    out, other = empty(counts), empty(counts)
    FoldedAlignNet(artifact).run(counts, out)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        FoldedAlignNet(artifact).run(counts, other)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    np.testing.assert_array_equal(out, other)


def test_artifacts_that_do_not_fit_are_refused() -> None:
    alignnet, gru = exported(make_alignnet(3)), exported(make_gru(3))
    with pytest.raises(RtdecodeError, match="of kind 'gru', not 'alignnet'"):
        FoldedAlignNet(gru)
    with pytest.raises(RtdecodeError, match="of kind 'alignnet', not 'gru'"):
        FoldedGRU(alignnet)
    with pytest.raises(RtdecodeError, match="torch cannot decode a model of kind 'wiener'"):
        load_torch_decoder(replace(gru, kind="wiener"))
    for artifact in (alignnet, gru):
        for name in artifact.run.keys() - {"grid"}:
            rest = {other: tensor for other, tensor in artifact.run.items() if other != name}
            with pytest.raises(RtdecodeError, match=r"lacks the tensor|needs float32"):
                load_torch_decoder(replace(artifact, run=rest))
            with pytest.raises(RtdecodeError, match="needs float32"):
                load_torch_decoder(replace(artifact, run=rest | {name: artifact.run[name][..., :-1]}))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_fires_the_same_spikes() -> None:
    artifact, counts = exported(make_alignnet(3)), make_counts(500)
    out, other = empty(counts), empty(counts)
    here = FoldedAlignNet(artifact).run_traced(counts, out)
    there = FoldedAlignNet(artifact, "cuda").run_traced(counts, other)
    for name, rows in here.items():
        np.testing.assert_array_equal(there[name], rows)
    assert np.abs((other - out) / SD).max() < 1e-5
