"""What other threads ask of the hot loop, and what it answers."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

from rtdecode.artifact import ModelArtifact
from rtdecode.decode.decoder import Decoder
from rtdecode.decode.recent import U1, Mark

#: The loop answers within one turn; more means it is busy catching up.
APPLY_TIMEOUT_S = 2.0


@dataclass(eq=False)
class Candidate:
    """A model on its way to the loop, and the decoder before it on its way back.

    Attributes:
        path: of the model's file.
        artifact: the model.
        decoder: of this model; once it has been adopted, the one that went on until then.
        mark: how far `decoder` will be when it has stepped `bins`; None before anything was looked up.
        bins: u1[n, n_channels], what it has to step next; None before anything was looked up.
        fresh: whether it has to be reset before.
    """

    path: Path
    artifact: ModelArtifact
    decoder: Decoder
    mark: Mark | None = None
    bins: U1 | None = None
    fresh: bool = True


@dataclass(eq=False)
class Command:
    """A command on its way to the loop and back.

    Attributes:
        name: pause, resume, reset, stop; look, swap or swap_refused.
        candidate: of look and swap.
        about: what /log says of swap_refused.
        done: set once it has been applied.
        bin: the first bin it applies to.
        error: why it was not; "" if it was.
    """

    name: str
    candidate: Candidate | None = None
    about: dict[str, str] = field(default_factory=dict)
    done: threading.Event = field(default_factory=threading.Event)
    bin: int = -1
    error: str = ""
