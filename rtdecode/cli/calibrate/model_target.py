"""Where `fit` and `calibrate` write their model, so that no file of before is lost."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rtdecode.errors import RtdecodeError

if TYPE_CHECKING:
    from rtdecode.artifact import ModelArtifact


@dataclass(frozen=True)
class ModelTarget:
    """A file that was typed, or a default one that is numbered where it exists.

    Attributes:
        typed: `--output`; None without it.
        session: beside which the model is written without `--output`, under its name and `made`.
        made: such as "fitted".
        overwrite: whether the typed file may be replaced.
    """

    typed: Path | None
    session: Path
    made: str
    overwrite: bool

    def check(self, inputs: Iterable[Path]) -> None:
        """Refuse what may not or cannot be written, before the work starts.

        Args:
            inputs: files that the model is made of.

        Raises:
            RtdecodeError: the typed file exists and may not be replaced, or no file can be created there.
        """
        from rtdecode.files import check_writable

        try:
            check_writable(self.typed or self.planned(), overwrite=self.overwrite, inputs=inputs)
        except RtdecodeError as error:
            if self.typed is not None:
                raise
            fix = f"{error.fix}, or name another file with --output"
            raise RtdecodeError(error.what, where=error.where, fix=fix) from error

    def planned(self, *, refused: bool = False) -> Path:
        """The file that would be written now.

        Args:
            refused: whether the model did not pass its gate.
        """
        from rtdecode.files import numbered

        if self.typed is not None and self.overwrite and not refused:
            return self.typed
        return next(path for path in numbered(*self._split(refused)) if not os.path.lexists(path))

    def write(self, artifact: ModelArtifact, *, refused: bool = False) -> Path:
        """Write the model; if the name has been taken meanwhile, under a numbered one.

        Args:
            artifact: the model.
            refused: whether it did not pass its gate; its name says so, and `serve --watch` ignores it.

        Returns:
            the path that was written.

        Raises:
            RtdecodeError: it cannot be written.
        """
        from rtdecode.artifact import write_artifact, write_new_artifact

        if self.typed is not None and self.overwrite and not refused:
            write_artifact(self.typed, artifact)
            return self.typed
        return write_new_artifact(*self._split(refused), artifact)

    def _split(self, refused: bool) -> tuple[Path, str]:
        """The path up to its number, and what follows."""
        from rtdecode.model_store import REFUSED_SUFFIX, SUFFIX

        path = self.session if self.typed is None else self.typed
        if refused:
            return path.with_name(path.stem), REFUSED_SUFFIX
        if self.typed is None:
            return path.with_suffix(f".{self.made}"), SUFFIX
        return (path.with_suffix(""), SUFFIX) if path.suffix == SUFFIX else (path, "")
