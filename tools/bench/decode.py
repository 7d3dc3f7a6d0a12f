"""`rtdecode bench decode`: decoding time of a bin, by engine, kind of model, channels and spikes.

Everything is measured in one run, a part of each row in turn, so that the load of the machine affects all
rows alike.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rtdecode.artifact import ModelArtifact
from rtdecode.calibrate.fitting.fit import fit_sessions
from rtdecode.calibrate.verification.backends import SpikingDecoder
from rtdecode.calibrate.verification.reference import LinearReference
from rtdecode.decode.decoder import Decoder
from rtdecode.decode.load import load_decoder
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import F4, U1
from rtdecode.models.engine.load import load_torch_decoder
from rtdecode.models.kinds.registry import NETWORKS
from rtdecode.session.write import write_session
from rtdecode.tools.simulator.scripted import CentreOut, draw_tuning, simulate_session

if TYPE_CHECKING:
    from rtdecode.models.nn.network import Network


CHANNELS = (64, 128, 256, 512, 1024)
RATE_HZ = 15.0
#: Spikes per bin, relative to the first row.
LOADS = (0.25, 1.0, 4.0)

WINDOW_BINS = 100
TRAIN_S = 40.0
#: Bins of the live engine per bin of these, which are slower.
SLOWER = {"torch step": 3, "torch window": 30, "spikingjelly window": 100}
FEWEST_BINS = 20
ROUNDS = 5


@dataclass(frozen=True)
class Timing:
    """One row: decoding time of a bin.

    Attributes:
        engine: "numba step", the live engine; "torch step", the same folded network bin by bin in torch;
            "torch window", the same over the last 2 s in every bin; "spikingjelly window", the trained
            network over the last 2 s in every bin, with spikingjelly's neurons.
        kind: of the model.
        channels, rate_hz: of the array, and spikes per second and channel.
        p50_us, p99_us, mean_us: time per bin, µs. Levels of an AlignNet are updated in every second or fourth
            bin, so bins differ.
        bins: number of measured bins.
        spikes_per_bin: mean over bins, all channels together.
        firing: fraction of neurons that fire in a frame; None for models without spiking neurons.
        effective_acs, dense_macs: mean accumulations per bin, and multiply-adds if every input were used;
            None for engines that are not event-driven.
    """

    engine: str
    kind: str
    channels: int
    rate_hz: float
    p50_us: float
    p99_us: float
    mean_us: float
    bins: int
    spikes_per_bin: float
    firing: float | None
    effective_acs: float | None
    dense_macs: float | None


@dataclass(frozen=True)
class Ratio:
    """A ratio of two medians, and its target."""

    what: str
    value: float
    target: str


@dataclass(frozen=True, eq=False)
class Case:
    """One case to time: `decode` decodes each of `inputs`, u1[C] or u1[bins, C], into `out`."""

    about: dict[str, Any]
    decode: Callable[[U1, F4], None]
    inputs: Sequence[U1]
    out: F4


def run_bench(bins: int, channels: Sequence[int], print_line: Callable[[str], None]) -> list[Timing]:
    """Time everything.

    Args:
        bins: number of bins of the live engine, at least 20; slower engines get fewer.
        channels: of the arrays, in increasing order.
        print_line: prints a line.

    Returns:
        Rows; the first is the default network of the first array in the live engine.

    Raises:
        RtdecodeError: torch or spikingjelly is not installed.
    """
    try:
        import spikingjelly  # noqa: F401
        import torch  # noqa: F401

        from rtdecode.calibrate.training.ensemble import one_thread
    except ModuleNotFoundError as error:
        raise RtdecodeError(
            f"the benchmark runs networks in torch, but {error.name} is not installed",
            fix="pip install 'rtdecode[train]'",
        ) from error
    with one_thread():
        print_line("preparing networks and filters")
        cases = [*_engine_cases(channels[0], bins), *_array_cases(channels, bins)]
        print_line(f"timing {len(cases)} cases")
        return _timed(cases)


def ratios(timings: Sequence[Timing]) -> list[Ratio]:
    """The ratios with targets, from the rows of one run."""
    live = timings[0]
    found = [Ratio("numba step of an alignnet, p50 in µs", live.p50_us, "≤ 30")]
    for row in timings:
        if row.kind == live.kind and row.engine != live.engine:
            target = "≥ 20" if row.engine == "torch step" else "≥ 500"
            found.append(Ratio(f"{row.engine} / numba step", row.p50_us / live.p50_us, target))
    equal_spikes = [
        row
        for row in timings
        if (row.engine, row.kind) == (live.engine, live.kind)
        and np.isclose(row.channels * row.rate_hz, live.channels * live.rate_hz)
    ]
    largest = equal_spikes[-1]
    what = f"{largest.channels} / {live.channels} channels, equal spikes"
    return [*found, Ratio(what, largest.p50_us / live.p50_us, "≤ 1.5")]


def _engine_cases(n_channels: int, bins: int) -> Iterator[Case]:
    """Every engine and kind on the first array."""
    from rtdecode.tools.bench.networks import as_artifact, poisson_counts, random_networks, with_spikingjelly

    counts = poisson_counts(n_channels, RATE_HZ, bins + WINDOW_BINS)
    windows = [counts[k : k + WINDOW_BINS] for k in range(bins)]
    for kind in NETWORKS:
        nets = random_networks(kind, n_channels, RATE_HZ)
        artifact = as_artifact(nets)
        n_outputs = len(artifact.outputs)
        yield _live_case(artifact, counts[:bins], RATE_HZ)
        about = _about(kind, counts, RATE_HZ)
        bin_by_bin, whole = load_torch_decoder(artifact), load_torch_decoder(artifact)
        out, window_out = np.empty(n_outputs, np.float32), np.empty((WINDOW_BINS, n_outputs), np.float32)
        yield Case({"engine": "torch step", **about}, bin_by_bin.step, list(counts[:bins]), out)
        yield Case({"engine": "torch window", **about}, _recompute(whole), windows, window_out)
        if kind == "alignnet":
            decode = _decode_window([with_spikingjelly(net) for net in nets])
            yield Case({"engine": "spikingjelly window", **about}, decode, windows, window_out)
    for artifact in _fitted_filters(n_channels):
        yield _live_case(artifact, counts[:bins], RATE_HZ)


def _recompute(decoder: Decoder) -> Callable[[U1, F4], None]:
    def decode(window: U1, values: F4) -> None:
        decoder.reset()
        decoder.run(window, values)

    return decode


def _decode_window(nets: Sequence[Network]) -> Callable[[U1, F4], None]:
    import torch

    def decode(window: U1, values: F4) -> None:
        with torch.inference_mode():
            batch = torch.from_numpy(window.T.astype(np.float32))[None]
            decoded = torch.stack([net.in_units(net.decode(batch))[0] for net in nets])
            values[:] = decoded.mean(dim=0).T.numpy()

    return decode


def _array_cases(channels: Sequence[int], bins: int) -> Iterator[Case]:
    """The live engine on arrays of all sizes, with equal spikes per bin."""
    from rtdecode.tools.bench.networks import as_artifact, poisson_counts, random_networks

    for load in LOADS:
        for n_channels in channels:
            if load == 1.0 and n_channels == channels[0]:
                continue  # already in the first row
            rate_hz = load * RATE_HZ * channels[0] / n_channels
            artifact = as_artifact(random_networks("alignnet", n_channels, rate_hz))
            yield _live_case(artifact, poisson_counts(n_channels, rate_hz, bins), rate_hz)


def _live_case(artifact: ModelArtifact, counts: U1, rate_hz: float) -> Case:
    decoder: Any = load_decoder(artifact)
    about = {"engine": "numba step", **_about(artifact.kind, counts, rate_hz)}
    values = np.empty((len(counts), len(artifact.outputs)), np.float32)
    if artifact.kind in NETWORKS:
        if isinstance(decoder, SpikingDecoder):
            spikes = decoder.run_traced(counts, values)
            about["firing"] = float(np.mean([layer.mean() for layer in spikes.values()]))
        else:
            decoder.run(counts, values)
        about |= {"effective_acs": decoder.adds / len(counts), "dense_macs": decoder.dense_macs}
    else:
        reference = LinearReference(artifact)
        reference.run(counts)
        about |= {"effective_acs": reference.adds / len(counts), "dense_macs": reference.dense_macs}
    decoder.reset()
    return Case(about, decoder.step, list(counts), values[0])


def _about(kind: str, counts: U1, rate_hz: float) -> dict[str, Any]:
    spikes_per_bin = float(counts.sum(axis=1).mean())
    return {"kind": kind, "channels": counts.shape[1], "rate_hz": rate_hz, "spikes_per_bin": spikes_per_bin}


def _fitted_filters(n_channels: int) -> list[ModelArtifact]:
    """A Wiener and a Kalman filter for a simulated array."""
    task = CentreOut(n_channels=n_channels, mean_rate_hz=RATE_HZ)
    with tempfile.TemporaryDirectory(prefix="rtdecode-bench-") as name:
        path = Path(name) / "train.h5"
        write_session(path, simulate_session(task, draw_tuning(task, 0), TRAIN_S, 1, "bench"))
        return [fit_sessions([path], kind=kind).artifact for kind in ("wiener", "kalman")]


def _timed(cases: Sequence[Case]) -> list[Timing]:
    shares = [_share(case) for case in cases]
    elapsed_ns: list[list[int]] = [[] for _ in cases]
    for turn in range(ROUNDS):
        for case, share, spent_ns in zip(cases, shares, elapsed_ns, strict=True):
            part = share[turn * len(share) // ROUNDS : (turn + 1) * len(share) // ROUNDS]
            case.decode(part[0], case.out)  # warm the caches, which another case has used
            spent_ns += _time(case.decode, part, case.out)
    timings = []
    for case, spent_ns in zip(cases, elapsed_ns, strict=True):
        p50_us, p99_us = np.percentile(spent_ns, [50, 99]) / 1e3
        row = {"firing": None, "effective_acs": None, "dense_macs": None} | case.about
        mean_us = float(np.mean(spent_ns)) / 1e3
        timings.append(
            Timing(**row, p50_us=float(p50_us), p99_us=float(p99_us), mean_us=mean_us, bins=len(spent_ns))
        )
    return timings


def _share(case: Case) -> Sequence[U1]:
    """The inputs to time: fewer for slower engines, but at least `FEWEST_BINS`."""
    return case.inputs[: max(FEWEST_BINS, len(case.inputs) // SLOWER.get(case.about["engine"], 1))]


def _time(decode: Callable[[U1, F4], None], inputs: Sequence[U1], out: F4) -> list[int]:
    clock = time.perf_counter_ns
    spent_ns = []
    for counts in inputs:
        before = clock()
        decode(counts, out)
        spent_ns.append(clock() - before)
    return spent_ns
