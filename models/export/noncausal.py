"""Artifacts of non-causal networks: for training, simulation and evaluation, not to be stepped.

artifact = noncausal_model(nets, session="friday", bin_width_s=0.064, outputs=outputs)
artifact.causal                                    # False: serve and decode refuse it
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact, Output
from rtdecode.decode.ensemble import join_runs
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import U1
from rtdecode.models.export.float16 import in_float16
from rtdecode.models.networks.alignnet import AlignNet

#: The one tensor of run.*: SHA-256 of the network, so that models have different `model_id`s.
DIGEST = "digest"


def noncausal_model(
    nets: Sequence[AlignNet], *, session: str, bin_width_s: float, outputs: Sequence[Output]
) -> ModelArtifact:
    """The artifact of an ensemble of non-causal networks.

    `train.*` is as `export` and `ensemble_of` make it, large tensors in float16; `run.digest` identifies each
    network.

    Args:
        nets: one or more of the same sizes.
        session: gives the channel mask, and the default read-in.
        bin_width_s: that the networks were trained at.
        outputs: decoded outputs, with the mean and SD of `set_output_scale`.

    Raises:
        RtdecodeError: a network is causal, or has diverged; or the session is unknown.
    """
    members = []
    for net in nets:
        if net.causal:
            raise RtdecodeError("a causal network is exported to be stepped", fix="use `export`")
        tensors = net.train_tensors(session)
        diverged = sorted(
            name for name, t in tensors.items() if t.dtype.kind == "f" and not np.isfinite(t).all()
        )
        if diverged:
            raise RtdecodeError(
                f"train.{diverged[0]} contains NaN or infinity", fix="train again: this training diverged"
            )
        members.append({name: in_float16(tensor) for name, tensor in tensors.items()})
    first = nets[0]
    return ModelArtifact(
        kind=first.kind,
        causal=False,
        bin_width_s=bin_width_s,
        n_channels=first.n_channels,
        channel_mask=tuple(first.read_in.of(session).good.tolist()),
        outputs=tuple(outputs),
        count_max=first.read_in.count_max,
        run=join_runs([{DIGEST: digest_of(train)} for train in members]),
        train=join_runs(members),
        provenance={"export": {"session": session, "notes": []}},
        widths=first.widths,
    )


def check_digest(member: ModelArtifact) -> None:
    """Check that the network of a non-causal model is the one that it was written with.

    Raises:
        RtdecodeError: it is another one.
    """
    kept = member.run.get(DIGEST)
    if member.train and (kept is None or not np.array_equal(kept, digest_of(member.train))):
        raise RtdecodeError(
            "the network in train.* is not the one that the model was written with",
            fix="copy the file again, or train again",
        )


def digest_of(train: Mapping[str, NDArray[Any]]) -> U1:
    """SHA-256, u1[32], of the network in train.*: its settings and weights only."""
    digest = hashlib.sha256()
    for name in sorted(train):
        if name == "settings" or name.startswith("net."):
            tensor = train[name]
            digest.update(json.dumps([name, tensor.dtype.str, list(tensor.shape)]).encode())
            digest.update(np.ascontiguousarray(tensor).tobytes())
    return np.frombuffer(digest.digest(), dtype=np.uint8)
