"""The command line. Nothing heavy is imported before Ctrl-C is taken care of, not even `typing`."""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
        ready = _end_on_interrupt()
        # A fit beside a live daemon must not spin on every core; OpenBLAS reads this when NumPy is imported.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        from rtdecode.cli.program import run

        run(sources, ready)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _end_on_interrupt() -> Callable[[], None]:
    """Let Ctrl-C end the process at once, without a traceback; returns what makes it an exception again.

    In an import the exception could be swallowed, by a callback of the import system for one.
    """

    def again() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)

    try:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
            return again
    except ValueError:
        pass  # not in the main thread, which alone is interrupted
    return lambda: None
