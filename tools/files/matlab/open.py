"""Read MATLAB files, versions 5 and 7.3, by the names of their fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from rtdecode.errors import RtdecodeError
from rtdecode.tools.files.matlab.binned import framed
from rtdecode.tools.files.matlab.cells import cells
from rtdecode.tools.files.matlab.indy import indy
from rtdecode.tools.files.matlab.lazy import Lazy
from rtdecode.tools.files.matlab.rstruct import r_struct
from rtdecode.tools.files.matlab.trial_data import trial_data
from rtdecode.tools.files.matlab.values import V5, V73, opened, structs, version
from rtdecode.tools.files.recording import Recording

#: The most particular first; each knows its layout by the names of fields, or returns None.
LAYOUTS: tuple[Callable[[Lazy], Recording | None], ...] = (
    indy,
    r_struct,
    trial_data,
    framed,
    cells,
)

#: Variables and fields that a message names.
MOST_NAMED = 12


def is_matlab(path: Path) -> bool:
    """Whether a file is MATLAB's, of version 5 or 7.3, by its first bytes."""
    try:
        return version(path) in (V5, V73)
    except OSError:
        return False


def open_matlab(path: Path) -> Recording:
    """What a MATLAB file holds.

    Raises:
        RtdecodeError: it is damaged, or holds no layout that is known.
    """
    number = "5" if version(path) == V5 else "7.3"
    try:
        with opened(path) as top:
            for layout in LAYOUTS:
                if (found := layout(top)) is not None:
                    return replace(found, path=path, format=f"MATLAB v{number} ({found.format})")
            held = _described(top)
    except RtdecodeError:
        raise
    except Exception as error:
        # Whatever the libraries stumble over: the file is not what its first bytes say.
        raise RtdecodeError(
            f"is a damaged MATLAB file, or one in a layout of its own ({str(error) or type(error).__name__})",
            where=str(path),
            fix="load it in MATLAB and save it again with save(…, '-v7.3')",
        ) from error
    raise RtdecodeError(
        f"is a MATLAB file in no layout that is imported; it holds {held}",
        where=str(path),
        fix="save spikes as a cell array of the times of each unit, in seconds; docs/import-formats.md names "
        "the layouts that are known",
    )


def _described(top: Lazy) -> str:
    """The variables, with the fields of structs and the sizes of arrays."""
    found = []
    for name in list(top)[:MOST_NAMED]:
        value = top[name]
        if fields := structs(value)[:1]:
            names = list(fields[0])
            found.append(f"{name} ({', '.join(names[:MOST_NAMED])}{' …' * (len(names) > MOST_NAMED)})")
        elif value is None:
            found.append(f"{name} (an object or a table, which only MATLAB reads)")
        else:
            size = " × ".join(map(str, getattr(value, "shape", ()))) or "text"
            kind = "cell, " if isinstance(value, np.ndarray) and value.dtype == object else ""
            found.append(f"{name} ({kind}{size})")
    return ", ".join(found) + (" …" if len(top) > MOST_NAMED else "") or "no variables"
