"""The decode benchmark times every engine and array in one run, on networks as active as trained ones."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from rtdecode.decode.alignnet import AlignNetDecoder
from rtdecode.errors import RtdecodeError
from rtdecode.models.nn.network import Network
from rtdecode.tools.bench.decode import FEWEST_BINS, LOADS, Timing, ratios, run_bench
from rtdecode.tools.bench.networks import as_artifact, poisson_counts, random_networks, with_spikingjelly

N_BINS = 60


@pytest.fixture(scope="module")
def timings() -> list[Timing]:
    return run_bench(N_BINS, (8, 24), lambda line: None)


def test_every_engine_and_kind_is_timed(timings: list[Timing]) -> None:
    first = [(row.engine, row.kind) for row in timings if row.channels == 8 and row.rate_hz == 15.0]
    torch_engines = ("numba step", "torch step", "torch window")
    expected = [(engine, "alignnet") for engine in (*torch_engines, "spikingjelly window")]
    expected += [(engine, "gru") for engine in torch_engines]
    assert first == [*expected, ("numba step", "wiener"), ("numba step", "kalman")]
    for row in timings:
        assert 0 < row.p50_us <= row.p99_us
        assert row.mean_us > 0
        assert row.bins == (N_BINS if row.engine == "numba step" else FEWEST_BINS)


def test_arrays_of_all_sizes_get_equal_spikes(timings: list[Timing]) -> None:
    rows = [row for row in timings if (row.engine, row.kind) == ("numba step", "alignnet")]
    assert len(rows) == 2 * len(LOADS)
    for load in LOADS:
        found = [row.channels for row in rows if np.isclose(row.channels * row.rate_hz, 8 * 15.0 * load)]
        assert sorted(found) == [8, 24]
    for row in rows:
        assert row.spikes_per_bin == pytest.approx(row.channels * row.rate_hz * 0.02, rel=0.35)


def test_work_is_counted_for_the_event_driven_engine(timings: list[Timing]) -> None:
    for row in timings:
        assert (row.effective_acs is None) == (row.engine != "numba step")
        if row.effective_acs is not None:
            assert 0 < row.effective_acs < row.dense_macs


@pytest.mark.parametrize(("n_channels", "rate_hz"), [(64, 15.0), (64, 3.75), (256, 3.75)])
def test_a_random_network_is_as_active_as_a_trained_one(n_channels: int, rate_hz: float) -> None:
    decoder = AlignNetDecoder(as_artifact(random_networks("alignnet", n_channels, rate_hz)))
    counts = poisson_counts(n_channels, rate_hz, 1000)
    spikes = decoder.run_traced(counts, np.empty((1000, 4), np.float32))
    for fired in spikes.values():
        assert 0.1 < fired.mean() < 0.3


def test_the_same_seed_gives_the_same_network_and_leaves_torch_alone() -> None:
    torch.manual_seed(5)
    before = torch.rand(1)
    torch.manual_seed(5)
    first, again, other = (as_artifact(random_networks("gru", 8, 15.0, seed)).model_id for seed in (0, 0, 1))
    assert first == again != other
    assert torch.rand(1) == before


def test_spikingjelly_fires_the_same_in_the_trained_network() -> None:
    net: Network = random_networks("alignnet", 8, 15.0)[0]
    batch = torch.from_numpy(poisson_counts(8, 15.0, 100).T.astype(np.float32))[None]
    with torch.inference_mode():
        expected = net.decode(batch)
        np.testing.assert_allclose(with_spikingjelly(net).decode(batch), expected, atol=1e-5)


def test_ratios_are_quotients_of_medians() -> None:
    row = Timing("numba step", "alignnet", 64, 15.0, 8.0, 20.0, 9.0, 100, 19.2, 0.2, 1.0, 2.0)
    rows = [
        row,
        replace(row, engine="torch step", p50_us=400.0),
        replace(row, engine="torch window", p50_us=2000.0),
        replace(row, engine="spikingjelly window", p50_us=16000.0),
        replace(row, kind="gru", p50_us=1.0),
        replace(row, engine="torch step", kind="gru", p50_us=1.0),
        replace(row, channels=1024, rate_hz=15.0 / 64, p50_us=1.0),
        replace(row, channels=128, rate_hz=7.5, p50_us=8.4),
        replace(row, channels=1024, rate_hz=15.0 / 16, p50_us=10.0),
        replace(row, channels=1024, rate_hz=15.0 / 4, p50_us=1.0),
    ]
    assert [(ratio.what, ratio.value, ratio.target) for ratio in ratios(rows)] == [
        ("numba step of an alignnet, p50 in µs", 8.0, "≤ 30"),
        ("torch step / numba step", 50.0, "≥ 20"),
        ("torch window / numba step", 250.0, "≥ 500"),
        ("spikingjelly window / numba step", 2000.0, "≥ 500"),
        ("1024 / 64 channels, equal spikes", 1.25, "≤ 1.5"),
    ]


@pytest.mark.parametrize("missing", ["torch", "spikingjelly"])
def test_without_torch_the_error_names_the_extra(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(RtdecodeError, match=f"{missing} is not installed") as refused:
        run_bench(20, (8,), lambda line: None)
    assert refused.value.fix == "pip install 'rtdecode[train]'"
