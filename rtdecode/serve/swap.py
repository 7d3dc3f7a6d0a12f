"""Swaps the model in the middle of a session: loads and warms up the new one beside the old one.

Everything that takes time happens on the calling thread. The loop only steps the few bins that have closed
meanwhile, and exchanges the decoders between two bins. If anything fails before that, the old decoder
continues; nothing can fail after it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from rtdecode.artifact import ModelArtifact, Output
from rtdecode.decode.inputs import recoded
from rtdecode.decode.load import open_model
from rtdecode.errors import RtdecodeError
from rtdecode.model_store import find_model
from rtdecode.serve.commands import APPLY_TIMEOUT_S, Candidate, Command

#: Number of times that a candidate is warmed up on the bins closed meanwhile, until few enough are left.
ATTEMPTS = 5


class Swapper:
    """Replaces the model that decodes; one swap at a time.

    Args:
        serving: returns the model that decodes now.
        apply: gives a command to the loop; returns whether it was carried out in time.
        post: gives a command to the loop without waiting.
    """

    def __init__(
        self,
        serving: Callable[[], ModelArtifact],
        apply: Callable[[Command], bool],
        post: Callable[[Command], None],
    ) -> None:
        self._serving, self._apply, self._post = serving, apply, post
        self._busy = threading.Lock()

    def swap(self, model: str, *, wait_s: float = 0.0) -> tuple[int, str]:
        """Let another model decode.

        Args:
            model: path or name.
            wait_s: longest time to wait for a swap in progress, seconds.

        Returns:
            The first bin that it decodes, and its model_id.

        Raises:
            RtdecodeError: another swap is in progress; the model cannot be read, or has other channels, bins
                or outputs, or decodes NaN; or the loop is too busy. The old model continues.
        """
        if not self._busy.acquire(timeout=wait_s):
            raise RtdecodeError("another swap is in progress", where=model, fix="wait for it, and try again")
        try:
            return self._swap(model)
        except RtdecodeError as error:
            self._refused(model, error)
            raise
        except Exception as error:
            # Whatever a malformed file causes: the old model continues, and the caller gets the reason.
            refusal = RtdecodeError(
                f"cannot be loaded: internal error, {type(error).__name__}: {error}",
                where=model,
                fix="check it with rtdecode info, and report this",
            )
            self._refused(model, refusal)
            raise refusal from error
        finally:
            self._busy.release()

    def _refused(self, model: str, error: RtdecodeError) -> None:
        self._post(Command("swap_refused", about={"model": model, "error": str(error)}))

    def _swap(self, model: str) -> tuple[int, str]:
        path = find_model(model)
        artifact, decoder = open_model(path)
        check_replaces(artifact, self._serving(), str(path))
        candidate = Candidate(path, artifact, decoder)
        for _ in range(ATTEMPTS):
            self._command("prepare", candidate)
            warm(candidate)
            command = self._command("swap", candidate)
            if command.error == "":
                return command.bin, artifact.model_id
        raise RtdecodeError(command.error, where=str(path), fix="try again, or restart serve with --model")

    def _command(self, name: str, candidate: Candidate) -> Command:
        command = Command(name, candidate=candidate)
        if not self._apply(command):
            raise RtdecodeError(
                f"the loop did not carry out the swap within {APPLY_TIMEOUT_S:g} s",
                where=str(candidate.path),
                fix="try again",
            )
        return command


def warm(candidate: Candidate) -> None:
    """Step a candidate through the bins that the loop has given it.

    Raises:
        RtdecodeError: a decoded value is NaN or infinite.
    """
    decoder, bins = candidate.decoder, candidate.bins
    assert bins is not None
    assert candidate.mark is not None
    out = np.zeros(decoder.n_outputs, np.float32)
    if candidate.fresh:
        decoder.reset()
    # One at a time: a kernel holds the interpreter, and the loop needs it in between.
    for counts in recoded(bins, candidate.coded_by, candidate.artifact.features):
        decoder.step(counts, out)
        if not np.isfinite(out).all():
            raise RtdecodeError(
                "values decoded from the last seconds contain NaN or infinity",
                where=str(candidate.path),
                fix="fit or calibrate the model again",
            )


def check_replaces(new: ModelArtifact, old: ModelArtifact, where: str) -> None:
    """Check that a model reads the same bins and decodes the same values as the one in use.

    Raises:
        RtdecodeError: they differ.
    """

    def refuse(what: str) -> RtdecodeError:
        return RtdecodeError(what, where=where, fix="stop the daemon, and serve the model with --model")

    if new.n_channels != old.n_channels:
        raise refuse(f"the model has {new.n_channels} channels, the one in use {old.n_channels}")
    if new.arrays and old.arrays and new.arrays != old.arrays:
        ours, theirs = (", ".join(map(str, each.arrays)) for each in (new, old))
        raise refuse(f"the model has the arrays {ours}, the one in use {theirs}")
    columns, in_use = ([feature.column for feature in each.features] for each in (new, old))
    if columns != in_use:
        raise refuse(
            f"the model has {len(columns)} features, and not those of the one in use, which has {len(in_use)}"
        )
    if new.bin_width_s != old.bin_width_s:
        raise refuse(
            f"the model has bins of {1e3 * new.bin_width_s:g} ms, the one in use of "
            f"{1e3 * old.bin_width_s:g} ms"
        )
    if _listed(new.outputs) != _listed(old.outputs):
        raise refuse(f"the model decodes {_listed(new.outputs)}, the one in use {_listed(old.outputs)}")


def _listed(outputs: tuple[Output, ...]) -> str:
    return ", ".join(f"{output.name} ({output.units}, {output.role})" for output in outputs)
