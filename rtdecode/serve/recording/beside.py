"""What is recorded beside the spikes."""

from __future__ import annotations

from dataclasses import dataclass

from rtdecode.ingest.beside.behavior import BehaviorReader
from rtdecode.ingest.beside.markers import MarkerReader
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

    @property
    def _readers(self) -> list[BehaviorReader | MarkerReader]:
        return [reader for reader in (self.behavior, self.markers) if reader is not None]
