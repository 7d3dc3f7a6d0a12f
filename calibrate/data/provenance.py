"""What the provenance of every model holds: when it was made, and by which versions."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import version


def created_now() -> str:
    """The current time in UTC, ISO 8601, in seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def numeric_versions() -> dict[str, str]:
    """Versions of Python and of the packages that compute a model without torch."""
    python = {"python": platform.python_version()}
    return python | package_versions("rtdecode", "numpy", "scipy", "numba")


def package_versions(*packages: str) -> dict[str, str]:
    """Version of each package, by its name."""
    return {package: version(package) for package in packages}
