"""What becomes of a calibrated model: its file, the stream whose current model it is, a daemon that runs."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtdecode.cli.calibrate.model_target import ModelTarget
from rtdecode.errors import RtdecodeError

if TYPE_CHECKING:
    from rtdecode.artifact import ModelArtifact


@dataclass(frozen=True)
class Delivery:
    """What is to be done with a model that was made.

    Attributes:
        target: where it is written.
        accepted: whether it passed its gate or was forced; if not, it is only written.
        stream: whose current model it becomes; None if unknown.
        daemon: control endpoint of a daemon that continues with it, or None.
    """

    target: ModelTarget
    accepted: bool
    stream: str | None
    daemon: str | None

    def planned(self) -> dict[str, Any]:
        """What `carry_out` would do now, as --json prints it."""
        return {
            "output": str(self.target.planned(refused=not self.accepted)),
            "current": self.stream if self.accepted else None,
            "deploy": self.daemon if self.accepted else None,
        }

    def carry_out(self, artifact: ModelArtifact) -> Delivered:
        """Write the model; if it was accepted, make it current, then swap it into the daemon.

        Raises:
            RtdecodeError: it cannot be written.
        """
        from rtdecode.cli.runtime.swap import swap_in
        from rtdecode.model_store import install_current

        done = Delivered(self.target.write(artifact, refused=not self.accepted))
        if not self.accepted:
            return done
        written = shlex.quote(str(done.output))
        try:
            if self.stream:
                done = replace(done, current=install_current(done.output, self.stream))
        except RtdecodeError as error:
            problem = RtdecodeError(
                f"the model is in {written}, but did not become current: {error.what}",
                where=error.where,
                fix=f"{error.fix}; until then serve it with --model {written}",
            )
            return replace(done, problem=problem)
        try:
            if self.daemon is not None:
                done = replace(done, swapped=swap_in(str(done.output), self.daemon)["bin"])
        except RtdecodeError as error:
            problem = RtdecodeError(
                f"the model was accepted, but the daemon did not swap it in: {error.what}",
                where=error.where,
                fix=f"run rtdecode swap {written} --control {self.daemon}",
            )
            return replace(done, problem=problem)
        return done


@dataclass(frozen=True)
class Delivered:
    """What was done with a model.

    Attributes:
        output: its file.
        current: the stream's current copy of it, if it became that.
        swapped: first bin that the daemon decodes with it, if it does.
        problem: why something was not done.
    """

    output: Path
    current: Path | None = None
    swapped: int | None = None
    problem: RtdecodeError | None = None
