"""Another model in the middle of a session: loaded and warmed beside the one that decodes, then switched.

Everything that takes time happens on the thread that asks. The loop only steps the few bins that have closed
meanwhile, and changes one decoder for the other between two bins. Whatever goes wrong before that leaves the
old one where it was, and nothing can go wrong after.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from rtdecode.artifact import ModelArtifact, Output
from rtdecode.decode.load import open_model
from rtdecode.errors import RtdecodeError
from rtdecode.model_store import find_model
from rtdecode.serve.commands import APPLY_TIMEOUT_S, Candidate, Command

#: How often a candidate is warmed on what has closed meanwhile, until the loop finds it near enough.
ATTEMPTS = 5


class Swapper:
    """Puts models in the place of the one that decodes; one at a time.

    Args:
        serving: the model that decodes now.
        apply: hands a command to the loop, and says whether it took it in time.
        tell: takes a command that nobody waits for.
    """

    def __init__(
        self,
        serving: Callable[[], ModelArtifact],
        apply: Callable[[Command], bool],
        tell: Callable[[Command], None],
    ) -> None:
        self._serving, self._apply, self._tell = serving, apply, tell
        self._busy = threading.Lock()

    def swap(self, model: str, *, wait_s: float = 0.0) -> tuple[int, str]:
        """Let another model decode.

        Args:
            model: path or name.
            wait_s: how long to wait for a swap that is under way.

        Returns:
            The first bin that it decodes, and its model_id.

        Raises:
            RtdecodeError: another swap is under way; the model cannot be read or decodes other values, or
                none, or from another array; or the loop is too busy. The old model goes on. /log says so.
        """
        if not self._busy.acquire(timeout=wait_s):
            raise RtdecodeError("another swap is under way", where=model, fix="wait for it, and try again")
        try:
            return self._swap(model)
        except RtdecodeError as error:
            self._refused(model, error)
            raise
        except Exception as error:
            # Whatever a strange file has brought about: the old model goes on, and whoever asked is told.
            refusal = RtdecodeError(f"internal error, {type(error).__name__}: {error}", where=model)
            self._refused(model, refusal)
            raise refusal from error
        finally:
            self._busy.release()

    def _refused(self, model: str, error: RtdecodeError) -> None:
        self._tell(Command("swap_refused", about={"model": model, "error": str(error)}))

    def _swap(self, model: str) -> tuple[int, str]:
        path = find_model(model)
        artifact, decoder = open_model(path)
        check_replaces(artifact, self._serving(), str(path))
        candidate = Candidate(path, artifact, decoder)
        for _ in range(ATTEMPTS):
            self._command("look", candidate)
            warm(candidate)
            command = self._command("swap", candidate)
            if command.error == "":
                return command.bin, artifact.model_id
        raise RtdecodeError(command.error, where=str(path))

    def _command(self, name: str, candidate: Candidate) -> Command:
        command = Command(name, candidate=candidate)
        if not self._apply(command):
            raise RtdecodeError(
                f"the loop did not take it within {APPLY_TIMEOUT_S:g} s",
                where=str(candidate.path),
                fix="try again",
            )
        return command


def warm(candidate: Candidate) -> None:
    """Step the bins that the loop has looked up.

    Raises:
        RtdecodeError: what it decodes from them are no numbers.
    """
    decoder, bins = candidate.decoder, candidate.bins
    assert bins is not None
    assert candidate.mark is not None
    out = np.zeros(decoder.n_outputs, np.float32)
    if candidate.fresh:
        decoder.reset()
    # One at a time: a kernel keeps the interpreter, and the loop has to have it back in between.
    for counts in bins:
        decoder.step(counts, out)
        if not np.isfinite(out).all():
            raise RtdecodeError(
                "what it decodes from the last seconds are no numbers",
                where=str(candidate.path),
                fix="fit or calibrate it anew",
            )


def check_replaces(new: ModelArtifact, old: ModelArtifact, where: str) -> None:
    """A model may take another's place if it reads the same bins and decodes the same values.

    Raises:
        RtdecodeError: with what differs.
    """

    def refuse(what: str) -> RtdecodeError:
        return RtdecodeError(what, where=where, fix="stop, and serve it with --model")

    if new.n_channels != old.n_channels:
        raise refuse(
            f"the model has {new.n_channels} channels, the one that decodes {old.n_channels}",
        )
    if new.bin_width_s != old.bin_width_s:
        raise refuse(
            f"the model has bins of {1e3 * new.bin_width_s:g} ms, the one that decodes of "
            f"{1e3 * old.bin_width_s:g} ms"
        )
    if _listed(new.outputs) != _listed(old.outputs):
        raise refuse(
            f"the model decodes {_listed(new.outputs)}, the one in use {_listed(old.outputs)}",
        )


def _listed(outputs: tuple[Output, ...]) -> str:
    return ", ".join(f"{output.name} ({output.units}, {output.role})" for output in outputs)
