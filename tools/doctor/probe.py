"""Run one measurement of `rtdecode doctor` in a process of its own, which may hang or crash.

    python -m rtdecode.tools.doctor.probe disk:measure_disk '{"folder": "."}'

Prints one JSON object: {"figures": …}, or {"error": …} with the traceback on stderr.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any


def main() -> None:
    """Call the function named by the first argument with the keyword arguments in the second."""
    module, _, function = sys.argv[1].partition(":")
    arguments: dict[str, Any] = json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
    try:
        figures = getattr(importlib.import_module(f"rtdecode.tools.doctor.checks.{module}"), function)(
            **arguments
        )
    except Exception as error:
        _print_line({"error": f"{type(error).__name__}: {error}"})
        raise
    _print_line({"figures": figures})
    # An orderly exit may take seconds while liblsl stops its resolvers.
    os._exit(0)


def _print_line(document: dict[str, Any]) -> None:
    sys.stdout.write(f"\n{json.dumps(document)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
