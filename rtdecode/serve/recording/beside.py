"""What is recorded beside the spikes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from rtdecode.ingest.beside.behavior import BehaviorReader
from rtdecode.ingest.beside.markers import MarkerReader
from rtdecode.session.layout import LogEntry
from rtdecode.trial_rules import TrialRules


@dataclass(frozen=True)
class Beside:
    """The readers of other streams than the spikes.

    Attributes:
        behavior: of behaviour, or None.
        markers: of the task's events, or None.
        rules: that make /trials of the markers at the end, or None.
    """

    behavior: BehaviorReader | None = None
    markers: MarkerReader | None = None
    rules: TrialRules | None = None

    def start(self) -> None:
        """Start to search for the streams."""
        for reader in self._readers:
            reader.start()

    def stop(self) -> None:
        """End the readers."""
        for reader in self._readers:
            reader.stop()

    def problems(self) -> list[str]:
        """What makes their recording wrong or incomplete, a line each."""
        return [line for reader in self._readers for line in reader.problems()]

    def notices(self) -> list[str]:
        """Lines for the person at the rig since the last call."""
        return [reader.notices.popleft() for reader in self._readers for _ in range(len(reader.notices))]

    def logs(self) -> list[deque[LogEntry]]:
        """Entries for /log of each reader, oldest first."""
        return [reader.log for reader in self._readers]

    def sources(self) -> dict[str, str]:
        """Attributes of a file that name the source of each stream; without one yet, the stream alone."""
        named = {"behavior_source": self.behavior, "markers_source": self.markers}
        return {key: reader.source for key, reader in named.items() if reader is not None}

    @property
    def _readers(self) -> list[BehaviorReader | MarkerReader]:
        return [reader for reader in (self.behavior, self.markers) if reader is not None]
