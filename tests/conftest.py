"""Fixtures for all tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

# The checkout's bare rtdecode/ folder holds no rtdecode.models: neither the tests nor the processes that
# they start may import it in place of what is installed.
CHECKOUT = Path(__file__).resolve().parents[1]
sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != CHECKOUT]
os.environ["PYTHONSAFEPATH"] = "1"
# Where bytecode is not kept, each of the many processes that the tests start compiles what it imports again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    # Threads of two workers on the same cores wait for one another, many times as long as they compute.
    os.environ.setdefault(threads, "1")


def pytest_configure(config: pytest.Config) -> None:
    """Several workers (`-n 2`) share a machine: each keeps its compiled kernels to itself."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is None:
        return
    # Numba does not lock a cache: two that compile a kernel for different types may swap its two files.
    if worker != "gw0":
        assert config.cache is not None
        os.environ["NUMBA_CACHE_DIR"] = str(config.cache.mkdir(f"numba-{worker}"))


@pytest.fixture(autouse=True)
def _as_nice_as_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    """`calibrate` makes its process nice, for good: in a test's own, all later tests would wait."""
    monkeypatch.setattr(os, "nice", lambda _: 0)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real recordings: RTDECODE_DATA, or ../shared/data beside the repository.

    Without it the tests on real sessions are skipped, except in CI, where they are required.
    """
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("RTDECODE_DATA", default))
    if (folder / "indy").is_dir():
        return folder
    message = f"no recordings in {folder}; set RTDECODE_DATA"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def foreign() -> Callable[[str], Any]:
    """Imports a module of a package of others that we are compared with, such as "neurobench.models".

    Tests that call it are skipped where the package is not installed, except in CI, where it is required.
    """

    def imported(module: str) -> Any:
        try:
            return import_module(module)
        except ModuleNotFoundError as error:
            message = f"{error.name}, for {module}, is not installed; .ci/run shows how"
            if os.environ.get("CI"):
                pytest.fail(message)
            pytest.skip(message)

    return imported
