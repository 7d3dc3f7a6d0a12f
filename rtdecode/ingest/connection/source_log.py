"""What happens to the source of a stream, for /log and for the person at the rig."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rtdecode.ingest.connection.identity import named, source_facts
from rtdecode.ingest.signals.layouts import StreamDescription


class SourceLog:
    """Names the source in each entry and line about it.

    Args:
        where: the stream, for lines, such as "stream M1".
        say: takes a line.
        log: takes the kind, bin and data of an entry of /log.

    Attributes:
        source: the stream attached last, None before the first.
        reason: why nothing of it is decoded, "" while it is; set by whoever is told.
    """

    def __init__(
        self,
        where: str,
        say: Callable[[str], None],
        log: Callable[[str, int, Mapping[str, Any]], None],
    ) -> None:
        self.source: StreamDescription | None = None
        self.reason = ""
        self._where, self._say, self._log = where, say, log

    @property
    def name(self) -> str:
        """Id and host of the source, "" before the first."""
        return "" if self.source is None else named(self.source)

    def attached(self, stream: StreamDescription, bin_number: int) -> None:
        """A source was attached, perhaps in the place of another."""
        self.source = stream
        self._log("attached", bin_number, source_facts(stream))

    def tell(self, kind: str, bin_number: int, text: str, **data: object) -> None:
        """Something has happened to the source: log it as `kind` with `data`, and say it as `text`."""
        self._log(kind, bin_number, data | (source_facts(self.source) if self.source else {}))
        self._say(f"{self._where}: {text}" + (f" (source {self.name})" if self.source else ""))
