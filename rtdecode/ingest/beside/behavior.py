"""A behaviour stream, read beside the spikes."""

from __future__ import annotations

from collections.abc import Callable

import pylsl

from rtdecode.errors import RtdecodeError
from rtdecode.ingest.beside.behavior_samples import REPORT_NAN, BehaviorSamples, Block, column_names
from rtdecode.ingest.beside.reader import BesideReader, Patience
from rtdecode.ingest.connection.choice import behavior_stream
from rtdecode.ingest.connection.connector import LslConnector
from rtdecode.ingest.connection.inlet import Inlet

#: A tracker that is silent for a second is perhaps dead.
PATIENCE = Patience(silent_s=1.0, report_silent_s=3.0, n_left_out=REPORT_NAN, left_out=0.01)


class BehaviorReader(BesideReader[Block]):
    """Reads a behaviour stream.

    Args:
        name: of the stream.
        source_id: `--behavior-source-id`, the only source of that name that is read, None for any single one.
        clock: the LSL clock, seconds.

    Attributes:
        names, units: of the columns, once found.
    """

    def __init__(
        self, name: str, source_id: str | None = None, clock: Callable[[], float] = pylsl.local_clock
    ) -> None:
        self.names: tuple[str, ...] = ()
        self.units: tuple[str, ...] = ()
        connector = LslConnector(name, behavior_stream, self._accept, source_id, "--behavior-source-id")
        super().__init__("behaviour", connector, BehaviorSamples, PATIENCE, clock)

    def _accept(self, inlet: Inlet, layout: None) -> None:
        names, units = column_names(inlet.stream)
        if self.names and names != self.names:
            raise RtdecodeError(
                f"it has returned with columns {', '.join(names)} instead of {', '.join(self.names)}",
                where=f"behaviour stream {inlet.stream}",
                fix="send the columns of before, or record again",
            )
        self.names, self.units = names, units
