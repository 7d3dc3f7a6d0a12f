"""Re-normalise a trained model for a new session, from its tensors: without torch.

    today = renormalised(base, "today", mean, sd, good)
    features = head_features(today, counts)
    today = with_heads(today, change, offset)

The tensors are equal to those that `export` gives for the same read-in and heads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from rtdecode.artifact import Feature, ModelArtifact, Output
from rtdecode.decode.decoder import run_stretches
from rtdecode.decode.ensemble import join_runs, split_networks
from rtdecode.decode.load import load_decoder
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import F4, F8, I8, Inputs, Mask
from rtdecode.models.alive import input_units
from rtdecode.models.ensemble.split import train_tensors_of, trained_members
from rtdecode.models.kinds.network_kind import train_tensor
from rtdecode.models.kinds.registry import NETWORKS, network_kind
from rtdecode.models.train_state import SETTINGS, as_bytes, network_description

_READ_IN = "net.read_in"


def renormalised(
    artifact: ModelArtifact,
    session: str,
    mean: F8,
    sd: F8,
    good: Mask,
    features: tuple[Feature, ...] = (),
) -> ModelArtifact:
    """The model with a read-in for one more session, for which run.* is folded; all else is unchanged.

    Args:
        artifact: a network, with its train.*.
        session: not one of the model's.
        mean, sd: f8[C], of each channel's clipped counts, in spikes per bin; f8[C + F] with features, of
            their codes.
        good: bool of the same length, False for an input to ignore; one with an SD of 0 is always ignored.
        features: the model's F, with the session's statistics.

    Raises:
        RtdecodeError: the model is not a network or has no training state, or the name is in use.
    """
    good = good & (sd > 0)
    scale = np.divide(1.0, sd, out=np.zeros_like(sd), where=good)
    unit = input_units(len(sd), len(features))
    # In float32, as a network stores them.
    scale4, offset4, sd4 = (values.astype(np.float32) for values in (scale / unit, -mean * scale, sd))

    def with_session(member: ModelArtifact) -> ModelArtifact:
        described = network_description(member)
        if session in described["sessions"]:
            raise RtdecodeError(f"the network has a session {session!r} already", fix="use another name")
        described["sessions"].append(session)
        train = dict(member.train)
        for name, values in (("scale", scale4), ("offset", offset4), ("sd", sd4), ("good", good)):
            train[f"{_READ_IN}.sessions.{len(described['sessions']) - 1}.{name}"] = values
        train[f"{_READ_IN}._extra_state"] = as_bytes(described["sessions"])
        train["settings"] = as_bytes(described)
        return _folded(replace(member, train=train, features=features), session)

    return _each_member(artifact, with_session)


def sessions_of(artifact: ModelArtifact) -> list[str]:
    """The sessions that a model has a read-in for; none of a linear model, or without training state."""
    members = trained_members(artifact) if artifact.kind in NETWORKS else []
    described = [network_description(member)["sessions"] for member in members if SETTINGS in member.train]
    return list(described[0]) if described else []


def of_session(artifact: ModelArtifact, session: str) -> ModelArtifact:
    """The model as it decodes another of the sessions that it has a read-in for.

    Args:
        artifact: a network that reads counts alone, with its train.*.
        session: one of `sessions_of`.
    """
    return _each_member(artifact, lambda member: _folded(member, session))


def _folded(member: ModelArtifact, session: str) -> ModelArtifact:
    """One network with run.* folded for one of its sessions."""
    described = network_description(member)
    of = f"{_READ_IN}.sessions.{described['sessions'].index(session)}"
    good = train_tensor(member, f"{of}.good") > 0
    scale, offset = (train_tensor(member, f"{of}.{name}") * good for name in ("scale", "offset"))
    scale = scale * input_units(len(scale), len(member.features))
    run = member.run | network_kind(member).fold_read_in(member, scale, offset)
    return replace(
        member,
        run=run,
        train=member.train | {"settings": as_bytes(described | {"session": session})},
        channel_mask=tuple(good[: member.n_channels].tolist()),
        fractional_bits=int(run["grid"].min()) if "grid" in run else None,
    )


def with_heads(artifact: ModelArtifact, change: F8, offset: F8) -> ModelArtifact:
    """The model with its heads changed.

    Args:
        artifact: a network, with its train.*.
        change: f8[F, D], added to the heads' weights, in the outputs' units; F as in `head_features`.
        offset: f8[D], added to the outputs.

    Raises:
        RtdecodeError: the model is not a network or has no training state, or F is another number.
    """
    members = trained_members(artifact)
    ends = np.cumsum([len(member.run["head.weight"]) for member in members])
    if change.shape != (ends[-1], len(artifact.outputs)) or offset.shape != change.shape[1:]:
        raise RtdecodeError(
            f"heads of {list(change.shape)} do not fit {ends[-1]} features",
            fix=f"pass a change of [{ends[-1]}, {len(artifact.outputs)}] and one offset per output",
        )
    parts = iter(np.split(change, ends[:-1]))
    own = offset / len(members)

    def with_head(member: ModelArtifact) -> ModelArtifact:
        weight = member.run["head.weight"].astype(np.float64) + next(parts)
        bias = member.run["head.bias"].astype(np.float64) + own
        # A network's head gives z-scores, and the model is the mean of its members.
        sd, mean = member.train["net.output_sd"], member.train["net.output_mean"]
        head, n_members = network_kind(member).head, len(members)
        train = {
            f"{head}.weight": (weight * n_members / sd).T.astype(np.float32),
            f"{head}.bias": ((bias * n_members - mean) / sd).astype(np.float32),
        }
        run = {"head.weight": weight.astype(np.float32), "head.bias": bias.astype(np.float32)}
        return replace(member, run=member.run | run, train=member.train | train)

    return _each_member(artifact, with_head)


def head_features(artifact: ModelArtifact, counts: Inputs, starts: I8 | None = None) -> F4:
    """The inputs of the heads in each bin, f4[T, F], concatenated over the members of an ensemble.

    Args:
        artifact: a network.
        counts: u1[T, C], from bin 0; i2[T, C + F] with features.
        starts: of their stretches, see `run_stretches`; None for consecutive bins.

    Raises:
        RtdecodeError: the model is not a network, or the counts do not fit it.
    """
    network_kind(artifact)
    features = []
    for member in split_networks(artifact):
        n = len(member.run["head.weight"])
        run = {"head.weight": np.eye(n, dtype=np.float32), "head.bias": np.zeros(n, np.float32)}
        outputs = tuple(Output(f"feature {i}", "", 0.0, 1.0, "other") for i in range(n))
        values = np.empty((len(counts), n), np.float32)
        decoder = load_decoder(replace(member, run=member.run | run, outputs=outputs))
        run_stretches(decoder, counts, starts, values)
        features.append(values)
    return np.concatenate(features, axis=1)


def _each_member(artifact: ModelArtifact, changed: Callable[[ModelArtifact], ModelArtifact]) -> ModelArtifact:
    network_kind(artifact)
    members = [changed(member) for member in trained_members(artifact)]
    bits = [member.fractional_bits for member in members if member.fractional_bits is not None]
    return replace(
        artifact,
        run=join_runs([member.run for member in members]),
        train=train_tensors_of(members),
        channel_mask=members[0].channel_mask,
        features=members[0].features,
        fractional_bits=min(bits) if bits else None,
    )
