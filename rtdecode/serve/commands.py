"""Commands of other threads to the hot loop, and its answers."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

from rtdecode.artifact import Feature, ModelArtifact
from rtdecode.decode.decoder import Decoder
from rtdecode.decode.recent import Mark
from rtdecode.kernels.arrays import Inputs

#: The loop answers within one turn; if it takes longer, it is catching up.
APPLY_TIMEOUT_S = 2.0


@dataclass(eq=False)
class Candidate:
    """A model that is passed to the loop, and the previous decoder on return.

    Attributes:
        path: file of the model.
        artifact: the model.
        decoder: of this model; after the swap, the one that decoded before.
        mark: position of `decoder` once it has stepped `bins`; None before `prepare`.
        bins: [n, n_inputs] that it has to step next; None before `prepare`.
        coded_by: features of the model whose codes are in `bins`.
        fresh: whether it has to be reset before that.
    """

    path: Path
    artifact: ModelArtifact
    decoder: Decoder
    mark: Mark | None = None
    bins: Inputs | None = None
    coded_by: tuple[Feature, ...] = ()
    fresh: bool = True


@dataclass(eq=False)
class Command:
    """A command to the loop.

    Attributes:
        name: pause, resume, reset, stop; prepare, swap or swap_refused.
        candidate: of prepare and swap.
        about: entries of /log for swap_refused.
        done: set once the command has been carried out.
        bin: the first bin it applies to.
        error: reason why it failed, "" if it did not.
    """

    name: str
    candidate: Candidate | None = None
    about: dict[str, str] = field(default_factory=dict)
    done: threading.Event = field(default_factory=threading.Event)
    bin: int = -1
    error: str = ""
