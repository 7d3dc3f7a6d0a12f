"""The command line. Nothing heavy is imported before Ctrl-C is taken care of, not even `typing`."""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

    from rtdecode.ingest import OpenSource

#: Exit status after Ctrl-C, as of a shell.
INTERRUPTED = 130


def main(sources: Mapping[str, OpenSource] | None = None) -> None:
    """Run the command line; exit status 0: done, 1: failed, 2: bad usage, 130: interrupted by Ctrl-C.

    Args:
        sources: of one's own, by the name of their stream: `serve` and `record` open them, where they would
            look for a stream of LSL (docs/own-source.md).
    """
    try:
        _end_on_interrupt()
        # A fit beside a live daemon must not spin on every core; OpenBLAS reads this when NumPy is imported.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        from rtdecode.cli.program import run

        run(sources)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _end_on_interrupt() -> None:
    """Let Ctrl-C end the process at once while it imports, and raise KeyboardInterrupt elsewhere.

    In an import, which is what a command begins with, the exception could be swallowed, by a callback of the
    import system for one: the command would run on.
    """

    def interrupted(number: int, frame: FrameType | None) -> None:
        while frame is not None:
            if frame.f_code.co_filename.startswith("<frozen importlib"):
                os._exit(INTERRUPTED)
            frame = frame.f_back
        raise KeyboardInterrupt

    try:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, interrupted)
    except ValueError:
        pass  # not in the main thread, which alone is interrupted
