"""Fit the model of a job, and decode or simulate the test day with it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact, check_counts_alone, read_artifact
from rtdecode.calibrate.data.checks import check_channels, check_unseen, output_columns
from rtdecode.calibrate.data.velocities import velocity_columns
from rtdecode.calibrate.evaluation.study.data import StudySet, study_set
from rtdecode.calibrate.evaluation.study.kalman import kalman_decoded, kalman_simulated
from rtdecode.calibrate.evaluation.study.plan import Base, Job
from rtdecode.calibrate.evaluation.study.recipes import study_network, study_settings
from rtdecode.calibrate.evaluation.study.rows import DECODING, DIRECTIONS
from rtdecode.calibrate.evaluation.study.wiener import wiener_artifact, wiener_filter
from rtdecode.calibrate.run import Run
from rtdecode.calibrate.training.build import add_session, decoded_whole, export_members
from rtdecode.calibrate.training.ensemble import member_seeds, one_thread
from rtdecode.calibrate.training.trainer import train
from rtdecode.calibrate.training.windows import Recording
from rtdecode.decode.decoder import run_stretches
from rtdecode.decode.load import load_decoder
from rtdecode.errors import RtdecodeError
from rtdecode.models.ensemble.load import networks_of
from rtdecode.models.networks.alignnet import AlignNet
from rtdecode.models.networks.baseline import BaselineNet
from rtdecode.models.networks.cost import Cost, cost_of
from rtdecode.models.networks.gru import GRUNet
from rtdecode.models.nn.network import Network
from rtdecode.models.nn.stretches import by_stretch
from rtdecode.session.bins import stretches

#: Number of bins on which a network's cost is measured.
COST_BINS = 512


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted model's output on the test day, and its cost.

    Attributes:
        data: training and test bins.
        values: f4[T, D] of the test day: behaviour in its units, or spikes per bin.
        cost: of the model.
        footprint_bytes: size of its parameters as stored.
        decode_us: time per bin: in the engine of `serve` where that runs such a model, otherwise in torch on
            one thread or NumPy over the whole day.
        train_seconds: time of training.
        model: id of a pretrained model; None for one trained here.
    """

    data: StudySet
    values: NDArray[np.float32]
    cost: Cost
    footprint_bytes: int
    decode_us: float
    train_seconds: float
    model: str | None = None


def base_of(path: Path) -> Base:
    """A pretrained model with the causality and direction that it was trained for.

    Raises:
        RtdecodeError: it cannot be read, or is not an AlignNet.
    """
    base = read_artifact(path, train=False)
    if base.kind != AlignNet.kind:
        raise RtdecodeError(
            f"is of kind {base.kind}, and the study scores alignnet bases",
            where=str(path),
            fix="name a model made by rtdecode pretrain --kind alignnet",
        )
    check_counts_alone(base, "study")
    direction = base.provenance.get("pretrain", {}).get("direction")
    return Base(
        path,
        causality="causal" if base.causal else "offline",
        direction=DIRECTIONS.get(direction, DECODING),
    )


def fit(job: Job) -> Fitted:
    """Fit the model of a job, on one thread.

    Raises:
        RtdecodeError: a session or the base cannot be used, or training diverges.
    """
    with one_thread():
        if job.base is not None:
            return _zero_shot(job, job.base)
        data = study_set(job)
        if job.kind == "wiener":
            return _filtered(job, data)
        if job.kind == "kalman":
            return _kalman(job, data)
        return _trained(job, data)


def _trained(job: Job, data: StudySet) -> Fitted:
    started = time.perf_counter()
    n_channels, bin_width_s = data.test.counts.shape[1], data.bin_width_s
    seeds = member_seeds(job.seed, job.members)
    nets = []
    for seed in seeds:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            net = study_network(
                job.kind,
                job.causality,
                job.direction,
                n_channels,
                len(data.outputs),
                data.count_max,
                bin_width_s,
            )
        net.set_output_scale([o.mean for o in data.outputs], [o.sd for o in data.outputs])
        nets.append(net)
    recordings = []
    for day in data.days:
        add_session(nets, day.name, day.counts[day.norm_bins], bin_width_s, where=str(day.recorded.path))
        if day.train_bins.any():
            recordings.append(
                Recording.of(day.name, day.counts, data.z_labels(day), day.train_bins, starts=day.starts)
            )
    longest = max(recording.counts.shape[1] for recording in recordings)
    fits = min(recording.longest_window for recording in recordings)
    for seed, net in zip(seeds, nets, strict=True):
        settings = study_settings(job.kind, job.direction, longest, bin_width_s, job.steps)
        train(net, recordings, settings.within(fits), Run(seed=seed, device="cpu"))
    return _applied(job, data, nets, time.perf_counter() - started)


def _applied(job: Job, data: StudySet, nets: Sequence[Network], train_seconds: float) -> Fitted:
    """Decode or simulate the test day with trained networks."""
    cost = _cost(job, data, nets)
    served = (
        job.direction == DECODING and job.causality == "causal" and isinstance(nets[0], AlignNet | GRUNet)
    )
    if served:
        artifact = export_members(nets, data.test.name, data.bin_width_s, data.outputs)
        values, seconds = _by_engine(artifact, data)
        footprint = sum(int(tensor.nbytes) for tensor in artifact.run.values())
    else:
        values, seconds = _by_torch(job, data, nets)
        footprint = 4 * cost.parameters
    return Fitted(data, values, cost, footprint, 1e6 * seconds / len(values), train_seconds)


def _by_engine(artifact: ModelArtifact, data: StudySet) -> tuple[NDArray[np.float32], float]:
    counts = data.test.counts
    values = np.empty((len(counts), len(data.outputs)), np.float32)
    # The first run of a kind compiles it, which must not be timed.
    load_decoder(artifact).run(counts[:8], values[:8])
    decoder = load_decoder(artifact)
    started = time.perf_counter()
    run_stretches(decoder, counts, data.test.starts, values)
    return values, time.perf_counter() - started


def _by_torch(job: Job, data: StudySet, nets: Sequence[Network]) -> tuple[NDArray[np.float32], float]:
    name = data.test.name
    started = time.perf_counter()
    if job.direction == DECODING:
        values = decoded_whole(nets, data.test.counts, name, data.test.starts)
        return values, time.perf_counter() - started
    behavior = torch.from_numpy(data.z_behavior(data.test).T[np.newaxis].copy())
    with torch.no_grad():
        each = [
            by_stretch(partial(_two_way(net).simulate, session=name), behavior, data.test.starts)
            for net in nets
        ]
    seconds = time.perf_counter() - started
    return torch.stack(each).mean(dim=0)[0].numpy().T.astype(np.float32), seconds


def _cost(job: Job, data: StudySet, nets: Sequence[Network]) -> Cost:
    name = data.test.name
    counts = data.test.counts[:COST_BINS]
    window = torch.from_numpy(counts.T[np.newaxis].astype(np.float32))
    behavior = torch.from_numpy(data.z_behavior(data.test)[:COST_BINS].T[np.newaxis].copy())
    each = []
    for net in nets:
        if job.direction == DECODING:
            parts = [net.gru, net.head] if isinstance(net, GRUNet) else _two_way(net).decoding_parts()
            density = float((counts != 0).mean())
            each.append(cost_of(parts, lambda net=net: net.decode(window, name), len(counts), density))  # type: ignore[misc]
        else:
            both = _two_way(net)
            each.append(
                cost_of(
                    both.simulating_parts(),
                    lambda both=both: both.simulate(behavior, name),  # type: ignore[misc]
                    len(counts),
                )
            )
    sparse = [cost.sparsity for cost in each if cost.sparsity is not None]
    return Cost(
        parameters=sum(cost.parameters for cost in each),
        dense_macs=sum(cost.dense_macs for cost in each),
        effective_acs=sum(cost.effective_acs for cost in each),
        sparsity=float(np.mean(sparse)) if sparse else None,
    )


def _zero_shot(job: Job, path: Path) -> Fitted:
    """A pretrained model on a new day, re-normalised from its spikes."""
    base = read_artifact(path)
    if (base.bin_width_s, base.output_names) != (job.bin_width_s, job.outputs):
        raise RtdecodeError(
            f"decodes {', '.join(base.output_names)} in bins of {1e3 * base.bin_width_s:g} ms; the study has "
            f"{', '.join(job.outputs)} and {1e3 * job.bin_width_s:g}",
            where=str(path),
            fix="give its --bin-width and --outputs, or leave it out",
        )
    data = study_set(job, base.outputs)
    day, where = data.test, str(job.test)
    check_channels(base, day.counts.shape[1], where)
    output_columns(base.outputs, day.recorded.names, day.recorded.units, where)
    check_unseen(base, day.recorded.sha256, where)
    nets = networks_of(base)
    add_session(nets, day.name, day.counts[day.norm_bins], data.bin_width_s, where=str(day.recorded.path))
    applied = _applied(job, data, nets, 0.0)
    return Fitted(
        data,
        applied.values,
        applied.cost,
        applied.footprint_bytes,
        applied.decode_us,
        0.0,
        model=base.model_id,
    )


def _filtered(job: Job, data: StudySet) -> Fitted:
    """A Wiener filter of either direction, on the z-scored channels that networks get."""
    started = time.perf_counter()
    decoding, causal = job.direction == DECODING, job.causality == "causal"
    fitted = wiener_filter(data, decoding=decoding, causal=causal)
    train_seconds = time.perf_counter() - started
    macs = float(fitted.weight.size)
    density = float((data.test.counts != 0).mean()) if decoding else 1.0
    cost = Cost(fitted.weight.size + fitted.bias.size, macs, macs * density, None)
    if decoding and causal:
        artifact = wiener_artifact(data, fitted)
        values, seconds = _by_engine(artifact, data)
        footprint = sum(int(tensor.nbytes) for tensor in artifact.run.values())
    else:
        started = time.perf_counter()
        signals = data.test.z_counts if decoding else data.z_behavior(data.test).astype(np.float64)
        z = np.concatenate([fitted(signals[rows]) for rows in stretches(data.test.starts, len(signals))])
        values, seconds = _in_units(data, z, decoding), time.perf_counter() - started
        footprint = 4 * cost.parameters
    return Fitted(data, values, cost, footprint, 1e6 * seconds / len(values), train_seconds)


def _kalman(job: Job, data: StudySet) -> Fitted:
    velocity_of = velocity_columns(data.outputs)
    started = time.perf_counter()
    if job.direction == DECODING:
        artifact, fit_seconds = kalman_decoded(data, velocity_of)
        values, seconds = _by_engine(artifact, data)
        # Its covariance converges after some bins (`KalmanDecoder`); these products remain in every bin.
        per_spike, per_bin = (
            sum(int(artifact.run[name].size) for name in names)
            for names in (("observe",), ("transition", "information", "readout"))
        )
        density = float((data.test.counts != 0).mean())
        footprint = sum(int(tensor.nbytes) for tensor in artifact.run.values())
        n = sum(int(tensor.size) for tensor in artifact.run.values())
        cost = Cost(n, float(per_spike + per_bin), per_spike * density + per_bin, None)
        return Fitted(data, values, cost, footprint, 1e6 * seconds / len(values), fit_seconds)
    z, weights, seconds = kalman_simulated(data, velocity_of)
    train_seconds = time.perf_counter() - started - seconds
    cost = Cost(weights, float(weights), float(weights), None)
    values = _in_units(data, z, decoding=False)
    return Fitted(data, values, cost, 4 * weights, 1e6 * seconds / len(values), train_seconds)


def _in_units(data: StudySet, z: NDArray[np.float64], decoding: bool) -> NDArray[np.float32]:
    if decoding:
        mean, sd = (np.array([getattr(output, part) for output in data.outputs]) for part in ("mean", "sd"))
        return np.asarray(z * sd + mean, dtype=np.float32)
    day = data.test
    return np.asarray(np.maximum(np.where(day.good, z * day.sd + day.mean, 0.0), 0.0), dtype=np.float32)


def _two_way(net: Network) -> AlignNet | BaselineNet:
    assert isinstance(net, AlignNet | BaselineNet)
    return net
