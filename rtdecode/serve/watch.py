"""`serve --watch DIR`: swaps in model files that are new or changed in a folder."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from rtdecode.errors import RtdecodeError
from rtdecode.helper_thread import HelperThread
from rtdecode.model_store import REFUSED_SUFFIX, SUFFIX

#: Time between two scans of the folder.
SCAN_EVERY_S = 0.5

#: Size, time of change (ns) and inode of a file: another file of the same name differs in one of them.
Stamp = tuple[int, int, int]


class FolderWatch:
    """Which model files of a folder are new or changed, and complete.

        watch = FolderWatch(model_files(folder))
        watch.next_complete(model_files(folder))       # a path, or None

    A file is complete when two scans in a row find it unchanged: copies grow. Of several the newest is used.

    Args:
        existing: files that were there before, and are ignored.
    """

    def __init__(self, existing: Mapping[Path, Stamp]) -> None:
        self._done = dict(existing)
        self._growing: dict[Path, Stamp] = {}

    def next_complete(self, existing: Mapping[Path, Stamp]) -> Path | None:
        """The newest file that is new or changed since it was returned or ignored, and unchanged since the
        last call; None if there is none."""
        changed = {path: stamp for path, stamp in existing.items() if self._done.get(path) != stamp}
        complete = [path for path, stamp in changed.items() if self._growing.get(path) == stamp]
        self._growing = changed
        self._done = {path: stamp for path, stamp in self._done.items() if path in existing}
        if not complete:
            return None
        for path in complete:
            self._done[path] = self._growing.pop(path)
        return max(complete, key=lambda path: (existing[path][1], path))


def model_files(folder: Path) -> dict[Path, Stamp]:
    """The model files of a folder, without refused (by the gate), hidden and temporary ones.

    Raises:
        OSError: the folder cannot be read.
    """
    found = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if not name.endswith(SUFFIX) or name.endswith(REFUSED_SUFFIX) or name.startswith("."):
                continue
            try:
                stat = entry.stat()
            except FileNotFoundError:
                continue
            if entry.is_file():
                found[folder / name] = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
    return found


class Watcher:
    """A thread that swaps in new or changed models of a folder.

    Args:
        folder: an existing one.
        swap: lets the model at a path decode.
        print_line: prints a line for the person at the rig.
        every_s: time between two scans, seconds.

    Attributes:
        error: reason why the folder cannot be read at the moment; "" while it can.

    Raises:
        RtdecodeError: it is no folder, or cannot be read.
    """

    def __init__(
        self,
        folder: Path,
        swap: Callable[[str], object],
        print_line: Callable[[str], None],
        *,
        every_s: float = SCAN_EVERY_S,
    ) -> None:
        self.folder, self.error, self._every_s = folder, "", every_s
        try:
            self._watch = FolderWatch(model_files(folder))
        except OSError as error:
            raise RtdecodeError(
                f"cannot be watched ({error.strerror or error})",
                where=f"--watch {folder}",
                fix="name an existing folder that can be read",
            ) from error
        self._swap, self._print_line = swap, print_line
        self._stop = threading.Event()
        self.thread = HelperThread("watch", self._run)

    def start(self) -> None:
        """Start to watch."""
        self.thread.start()

    def stop(self) -> None:
        """Stop swapping."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                path = self._watch.next_complete(model_files(self.folder))
                self.error = ""
            except OSError as error:
                self.error = f"--watch {self.folder}: {error.strerror or error}"
                continue
            if path is None:
                continue
            try:
                self._swap(str(path))
            except RtdecodeError as error:
                self._print_line(f"NOT SWAPPED: {error}; the previous model continues")
