"""`serve --watch DIR`: model files that come into a folder while a session runs take over by themselves."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from rtdecode.errors import RtdecodeError

SUFFIX = ".safetensors"
REFUSED_SUFFIX = ".refused.safetensors"

LOOK_EVERY_S = 0.5

#: Size, time of change (ns) and number of a file: another file under the same name differs in one of them.
Stamp = tuple[int, int, int]


class FolderWatch:
    """Which of a folder's model files have come or changed, and are whole.

        watch = FolderWatch(look(folder))
        watch.settled(look(folder))       # a path, or None

    A file is whole when two looks in a row find it unchanged: copies grow. Of several the newest counts.

    Args:
        there: what is there already, and is left alone.
    """

    def __init__(self, there: Mapping[Path, Stamp]) -> None:
        self._done = dict(there)
        self._growing: dict[Path, Stamp] = {}

    def settled(self, there: Mapping[Path, Stamp]) -> Path | None:
        """The newest file that is new or changed since it was last told or left alone, and unchanged since
        the last call."""
        changed = {path: stamp for path, stamp in there.items() if self._done.get(path) != stamp}
        whole = [path for path, stamp in changed.items() if self._growing.get(path) == stamp]
        self._growing = changed
        self._done = {path: stamp for path, stamp in self._done.items() if path in there}
        if not whole:
            return None
        for path in whole:
            self._done[path] = self._growing.pop(path)
        return max(whole, key=lambda path: (there[path][1], path))


def look(folder: Path) -> dict[Path, Stamp]:
    """The model files of a folder; those that a gate refused, hidden and temporary ones are passed over.

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
    """A thread that swaps in what comes into a folder.

    Args:
        folder: that must be there.
        swap: lets the model at a path decode.
        print_line: takes a line for the person at the rig.

    Attributes:
        error: why the folder cannot be read at the moment; "" while it can.

    Raises:
        RtdecodeError: it is no folder, or cannot be read.
    """

    def __init__(
        self, folder: Path, swap: Callable[[str], object], print_line: Callable[[str], None]
    ) -> None:
        self.folder, self.error = folder, ""
        try:
            self._watch = FolderWatch(look(folder))
        except OSError as error:
            raise RtdecodeError(
                f"cannot be watched ({error.strerror or error})",
                where=f"--watch {folder}",
                fix="name a folder that is there",
            ) from error
        self._swap, self._print_line = swap, print_line
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rtdecode-watch", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Swap nothing more."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(LOOK_EVERY_S):
            try:
                path = self._watch.settled(look(self.folder))
                self.error = ""
            except OSError as error:
                self.error = f"--watch {self.folder}: {error.strerror or error}"
                continue
            if path is not None:
                self._take(path)

    def _take(self, path: Path) -> None:
        try:
            self._swap(str(path))
        except RtdecodeError as error:
            self._print_line(f"NOT SWAPPED: {error}; the model before goes on")
