"""Use neo: imported when it is needed, without its output, every error one line."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rtdecode.errors import RtdecodeError


def import_rawio(path: Path) -> Any:
    """The module neo.rawio.

    Raises:
        RtdecodeError: neo is not installed.
    """
    try:
        return importlib.import_module("neo.rawio")
    except ImportError as error:
        raise RtdecodeError(
            "is read through neo, which is not installed here",
            where=str(path),
            fix="pip install 'rtdecode[neo]'",
        ) from error


@contextlib.contextmanager
def quiet(path: Path) -> Iterator[None]:
    """Keep neo's progress bars, warnings and log off the terminal, and give its errors one line.

    Raises:
        RtdecodeError: whatever neo raises for a damaged file.
    """
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    unseen = io.StringIO()
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(unseen),
            contextlib.redirect_stderr(unseen),
        ):
            warnings.simplefilter("ignore")
            yield
    except RtdecodeError:
        raise
    except Exception as error:
        what = f"neo cannot read it: {type(error).__name__} {error}"[:300]
        fix = "copy it again from the recording system, with all files of its folder"
        raise RtdecodeError(what, where=str(path), fix=fix) from error
    finally:
        logging.disable(level)
