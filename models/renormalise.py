"""A trained model taken up by another day, from its tensors alone: no torch.

    today = read_in_anew(base, "today", mean, sd, good)
    read = features(today, counts)                  # what its heads read
    today = with_heads(today, change, offset)

The numbers are those that `export` gives for the same read-in and heads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact, Output
from rtdecode.decode.ensemble import join_runs, split_networks
from rtdecode.decode.load import load_decoder
from rtdecode.errors import RtdecodeError
from rtdecode.models.ensemble.split import trained_members
from rtdecode.models.kinds.registry import network_kind

F8 = NDArray[np.float64]

_READ_IN = "net.read_in"


def read_in_anew(
    artifact: ModelArtifact, session: str, mean: F8, sd: F8, good: NDArray[np.bool_]
) -> ModelArtifact:
    """The model with a read-in for one more session, for which run.* is folded; the rest stays.

    Args:
        artifact: a network, with its train.*.
        session: not one of the model's.
        mean, sd: f8[C], of each channel's clipped counts, in spikes per bin.
        good: bool[C], False for a channel to ignore; one without spread is ignored in any case.

    Raises:
        RtdecodeError: the model is no network or holds no whole one, or the name is taken.
    """
    good = good & (sd > 0)
    scale = np.divide(1.0, sd, out=np.zeros_like(sd), where=good)
    # As a network holds them.
    numbers = [values.astype(np.float32) for values in (scale, -mean * scale, sd)]

    def taken_up(member: ModelArtifact) -> ModelArtifact:
        described = _described(member, session)
        n = len(described["sessions"])
        described["sessions"].append(session)
        described["session"] = session
        train = dict(member.train)
        for name, values in zip(("scale", "offset", "sd"), numbers, strict=True):
            train[f"{_READ_IN}.sessions.{n}.{name}"] = values
        train[f"{_READ_IN}.sessions.{n}.good"] = good
        train[f"{_READ_IN}._extra_state"] = _as_bytes(described["sessions"])
        train["settings"] = _as_bytes(described, sort_keys=True)
        scale, offset = (values.astype(np.float64) * good for values in numbers[:2])
        folded = network_kind(member).fold_read_in(member, scale, offset)
        run = member.run | folded
        fractional_bits = int(run["grid"].min()) if "grid" in run else None
        return replace(
            member, run=run, train=train, channel_mask=tuple(good.tolist()), fractional_bits=fractional_bits
        )

    return _each(artifact, taken_up)


def with_heads(artifact: ModelArtifact, change: F8, offset: F8) -> ModelArtifact:
    """The model with other heads.

    Args:
        artifact: a network, with its train.*.
        change: f8[F, D], added to the heads' weights, in the outputs' units: F is that of `features`.
        offset: f8[D], added to what is decoded.

    Raises:
        RtdecodeError: the model is no network or holds no whole one, or F is another number.
    """
    members = trained_members(artifact)
    ends = np.cumsum([len(member.run["head.weight"]) for member in members])
    if change.shape != (ends[-1], len(artifact.outputs)) or offset.shape != change.shape[1:]:
        raise RtdecodeError(f"heads of {list(change.shape)} for {ends[-1]} features")
    parts = iter(np.split(change, ends[:-1]))
    own = offset / len(members)

    def with_head(member: ModelArtifact) -> ModelArtifact:
        weight = member.run["head.weight"].astype(np.float64) + next(parts)
        bias = member.run["head.bias"].astype(np.float64) + own
        # A network's head gives z-scores, and the model is the mean of its members.
        sd, mean = member.train["net.output_sd"], member.train["net.output_mean"]
        head, whole = network_kind(member).head, len(members)
        train = {
            f"{head}.weight": (weight * whole / sd).T.astype(np.float32),
            f"{head}.bias": ((bias * whole - mean) / sd).astype(np.float32),
        }
        run = {"head.weight": weight.astype(np.float32), "head.bias": bias.astype(np.float32)}
        return replace(member, run=member.run | run, train=member.train | train)

    return _each(artifact, with_head)


def features(artifact: ModelArtifact, counts: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the heads read in each bin, f4[T, F], the members' one after another, from bin 0 on.

    Args:
        artifact: a network.
        counts: u1[T, C].

    Raises:
        RtdecodeError: the model is no network, or the counts do not fit it.
    """
    network_kind(artifact)
    read = []
    for member in split_networks(artifact):
        n = len(member.run["head.weight"])
        run = {"head.weight": np.eye(n, dtype=np.float32), "head.bias": np.zeros(n, np.float32)}
        outputs = tuple(Output(f"feature {i}", "", 0.0, 1.0, "other") for i in range(n))
        values = np.empty((len(counts), n), np.float32)
        load_decoder(replace(member, run=member.run | run, outputs=outputs)).run(counts, values)
        read.append(values)
    return np.concatenate(read, axis=1)


def _each(artifact: ModelArtifact, changed: Callable[[ModelArtifact], ModelArtifact]) -> ModelArtifact:
    network_kind(artifact)
    members = [changed(member) for member in trained_members(artifact)]
    bits = [member.fractional_bits for member in members if member.fractional_bits is not None]
    return replace(
        artifact,
        run=join_runs([member.run for member in members]),
        train=_joined_train(members),
        channel_mask=members[0].channel_mask,
        fractional_bits=min(bits) if bits else None,
    )


def _joined_train(members: Sequence[ModelArtifact]) -> dict[str, NDArray[Any]]:
    if len(members) == 1:
        return members[0].train
    return {
        f"{i}.{name}": tensor for i, member in enumerate(members) for name, tensor in member.train.items()
    }


def _described(member: ModelArtifact, session: str) -> dict[str, Any]:
    if "settings" not in member.train:
        raise RtdecodeError(
            "the model holds only what decoding needs, and no network to go on from (no train.settings)",
            fix="use the file that training wrote",
        )
    described: dict[str, Any] = json.loads(member.train["settings"].tobytes())
    if session in described["sessions"]:
        raise RtdecodeError(f"the network has a session {session!r} already")
    return described


def _as_bytes(value: Any, sort_keys: bool = False) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(value, sort_keys=sort_keys).encode(), dtype=np.uint8)
