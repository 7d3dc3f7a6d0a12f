"""Fixtures for all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


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
