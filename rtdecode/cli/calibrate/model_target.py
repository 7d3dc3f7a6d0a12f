"""Where `fit` and `calibrate` write their model, so that no file of before is lost."""

from __future__ import annotations

import os
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

    def check(self) -> None:
        """Refuse what cannot be written, before the work starts.

        Raises:
            RtdecodeError: the typed file exists and may not be replaced, or no file can be created there.
        """
        from rtdecode.session.target import check_writable

        path = self.planned()
        if self.typed is not None:
            refuse_existing(self.typed, overwrite=self.overwrite)
            path = self.typed
        try:
            check_writable(path)
        except OSError as error:  # its name is too long
            raise RtdecodeError(
                f"cannot be written ({error.strerror})",
                where=str(path),
                fix="give another name with --output",
            ) from error

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


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Refuse to replace a file that was typed.

    Raises:
        RtdecodeError: it exists and may not be replaced.
    """
    if os.path.lexists(path) and not overwrite and not path.is_dir():
        raise RtdecodeError(
            "exists already", where=str(path), fix="choose another name; --overwrite would replace the file"
        )
