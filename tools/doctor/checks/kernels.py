"""Doctor: the folder of Numba's compiled kernels, and whether they are in it."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from pathlib import Path
from typing import Any

from rtdecode.tools.doctor.check import Figures, Finding, Problems


def measure_kernels() -> Figures:
    """The cache folder, and how many kernels in it were compiled after their source was written."""
    import rtdecode.kernels

    figures: Figures = {"named": os.environ.get("NUMBA_CACHE_DIR") or None, "kernels": 0, "compiled": 0}
    folders = set()
    for found in pkgutil.walk_packages(rtdecode.kernels.__path__, "rtdecode.kernels."):
        module = importlib.import_module(found.name)
        for value in vars(module).values():
            if getattr(getattr(value, "py_func", None), "__module__", None) == module.__name__:
                cache = Path(value.stats.cache_path)
                folders.add(cache)
                figures["kernels"] += 1
                figures["compiled"] += _is_compiled(cache, Path(str(module.__file__)), value.py_func)
    folder = Path(os.path.commonpath(folders))
    return figures | {
        "folder": str(folder),
        # Numba silently uses another folder if it cannot write to the given one.
        "named_used": figures["named"] is None
        or Path(figures["named"]).resolve() in (folder.resolve(), *folder.resolve().parents),
    }


def _is_compiled(folder: Path, source: Path, function: Any) -> bool:
    """Whether Numba's index of a function's machine code, MODULE.FUNCTION-LINE.pyXY.nbi, is up to date."""
    line = function.__code__.co_firstlineno
    version = f"py{sys.version_info.major}{sys.version_info.minor}"
    written = source.stat().st_mtime
    pattern = f"{source.stem}.{function.__qualname__}-{line}.{version}*.nbi"
    return any(index.stat().st_mtime >= written for index in folder.glob(pattern))


def judge_kernels(figures: Figures) -> Finding:
    """Warn if nothing is compiled yet, or if NUMBA_CACHE_DIR cannot be used.

    Without any writable folder Numba refuses to compile, and the measurement itself fails.
    """
    compiled, kernels = figures["compiled"], figures["kernels"]
    found = f"{compiled} of {kernels} kernels compiled, in {figures['folder']}"
    problems = Problems()
    if not figures["named_used"]:
        found += f"; NUMBA_CACHE_DIR is {figures['named']}, which cannot be written"
        problems.add("set NUMBA_CACHE_DIR to a writable folder, or unset it")
    if not compiled:
        problems.add(
            "run `rtdecode demo` once: until they are compiled, the first start takes several seconds longer"
        )
    return problems.finding(found)
