"""Packages of others that some tests compare with: required in CI, and elsewhere a reason to skip."""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest


def require(*names: str) -> None:
    """Skip the module that calls this unless these packages are installed; in CI it fails."""
    missing = [name for name in names if find_spec(name) is None]
    if not missing:
        return
    message = f"{', '.join(missing)} not installed; see .ci/run for how"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message, allow_module_level=True)
