"""The model file of networks that look ahead in time: all of them to go on with, and nothing to step.

artifact = whole_model(nets, session="friday", bin_width_s=0.064, outputs=outputs)
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
from rtdecode.errors import RtdecodeError
from rtdecode.models.export.float16 import halved
from rtdecode.models.networks.alignnet import AlignNet

#: The one tensor of run.*: SHA-256 of the network, by which `model_id` tells models apart.
DIGEST = "digest"


def whole_model(
    nets: Sequence[AlignNet], *, session: str, bin_width_s: float, outputs: Sequence[Output]
) -> ModelArtifact:
    """The artifact of networks whose mean is meant, none of them causal.

    `train.*` is as `export` and `join` make it, large tensors halved; of each network `run.digest` says
    which it is.

    Args:
        nets: one or more of the same sizes.
        session: whose channels are the mask, and whose read-in is meant where none is named.
        bin_width_s: that the networks were trained at.
        outputs: what is decoded, with the mean and SD that `set_output_scale` was told.

    Raises:
        RtdecodeError: a network is causal, or has diverged; or no such session.
    """
    run: dict[str, NDArray[Any]] = {}
    train: dict[str, NDArray[Any]] = {}
    first = nets[0]
    described: dict[str, Any] = {
        "kind": first.kind,
        "causal": False,
        "bin_width_s": bin_width_s,
        "n_channels": first.n_channels,
        "channel_mask": tuple(first.read_in.of(session).good.tolist()),
        "outputs": tuple(outputs),
        "count_max": first.read_in.count_max,
        "widths": first.widths,
        "provenance": {"export": {"session": session, "notes": []}},
    }
    for i, net in enumerate(nets):
        if net.causal:
            raise RtdecodeError("a causal network is exported to be stepped")
        tensors = net.train_tensors(session)
        strange = sorted(
            name for name, t in tensors.items() if t.dtype.kind == "f" and not np.isfinite(t).all()
        )
        if strange:
            raise RtdecodeError(f"train.{strange[0]} holds values that are no numbers", fix="train anew")
        own = halved(ModelArtifact(**described, run={}, train=tensors)).train
        before = f"{i}." if len(nets) > 1 else ""
        run[before + DIGEST] = digest_of(own)
        train |= {before + name: tensor for name, tensor in own.items()}
    return ModelArtifact(**described, run=run, train=train)


def check_digest(member: ModelArtifact) -> None:
    """Refuse a member of a model that looks ahead whose network is not the one that it was written with.

    Raises:
        RtdecodeError: it is another one.
    """
    kept = member.run.get(DIGEST)
    if member.train and (kept is None or not np.array_equal(kept, digest_of(member.train))):
        raise RtdecodeError(
            "the network in train.* is not the one that the model was written with",
            fix="copy the file again, or train anew",
        )


def digest_of(train: Mapping[str, NDArray[Any]]) -> NDArray[np.uint8]:
    """SHA-256, u1[32], of the network in train.*: its settings and weights, not what else is remembered."""
    digest = hashlib.sha256()
    for name in sorted(train):
        if name == "settings" or name.startswith("net."):
            tensor = train[name]
            digest.update(json.dumps([name, tensor.dtype.str, list(tensor.shape)]).encode())
            digest.update(np.ascontiguousarray(tensor).tobytes())
    return np.frombuffer(digest.digest(), dtype=np.uint8)
