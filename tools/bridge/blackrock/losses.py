"""Lost spikes, by the device's count of the packets that it sent.

A monitor says how many packets were sent since the one before. Some that never came were no spikes:
continuous data and heartbeats have a steady pace, and show by their times how many of them are missing.
"""

from __future__ import annotations

from rtdecode.tools.bridge.blackrock.packets import HEARTBEAT, SYSTEM, Packet, read_monitor
from rtdecode.tools.bridge.items import Tally

#: Two steps that differ by less, as a fraction, are the pace.
SAME_STEP = 0.02


class Pace:
    """Counts what is missing among packets that are sent at a steady pace.

    Attributes:
        last: time of the last one.
    """

    def __init__(self) -> None:
        self.last = self._step = self._pace = 0

    def missing(self, time: int) -> int:
        """How many are missing between the one before and that of this time."""
        step, self.last = time - self.last, time
        # Twice the same loss must not make another pace, which none of these packets ever has.
        if abs(step - self._step) <= SAME_STEP * step:
            self._pace = min(step, self._pace or step)
        self._step = step
        return max(round(step / self._pace) - 1, 0) if self._pace else 0


class PacketLosses:
    """Counts spikes that never came.

    Args:
        tally: where they are counted, one monitor later, when also the paces have shown what is missing.
    """

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._paces: dict[tuple[int, int], Pace] = {}
        self._number: int | None = None
        self._monitors = Pace()
        self._received = 0
        # Packets that came more than were sent, as one does that is overtaken by a monitor.
        self._ahead = 0
        self._missing = 0
        # Missing by their paces: before the last monitor, and since.
        self._gaps, self._new_gaps = 0, 0

    def add(self, packet: Packet) -> None:
        """Take the next packet."""
        self._received += 1
        if packet.channel == 0 or (packet.channel, packet.type) == (SYSTEM, HEARTBEAT):
            pace = self._paces.setdefault((packet.channel, packet.type), Pace())
            self._new_gaps += pace.missing(packet.time)
        elif monitor := read_monitor(packet):
            sent, number = monitor
            self._close(sent, self._number_by_time(packet.time) if number is None else number)

    def _number_by_time(self, time: int) -> int:
        """Number of a monitor that has none: those that are missing show by its time."""
        anew = time < self._monitors.last
        missing = self._monitors.missing(time)
        return 0 if anew else (self._number or 0) + 1 + missing

    def _close(self, sent: int, number: int) -> None:
        """End what lies between two monitors."""
        received, self._received = self._received, 0
        before, self._number = self._number, number
        n_monitors = 0 if before is None else number - before
        if n_monitors < 1:
            # The first of all, or a device that counts anew.
            self._judge(0)
            self._ahead = self._new_gaps = 0
            return
        if n_monitors == 1:
            surplus = self._ahead + received - sent
            self._ahead = max(surplus, 0)
            self._judge(max(-surplus, 0))
            return
        self._tally.garbled["monitor was lost: losses beside it are estimated"] += n_monitors - 1
        # It is a packet that is missing, and no spike. Of one alone, no other is taken to be lost with it.
        self._new_gaps += n_monitors - 1
        all_sent = received + 1 if n_monitors == 2 else sent * n_monitors
        self._judge(max(all_sent - received, 0))

    def _judge(self, missing: int) -> None:
        """Count the spikes among what was missing at the monitor before; `missing` is for the next one."""
        no_spikes = min(self._gaps + self._new_gaps, self._missing)
        self._tally.lost_spikes += self._missing - no_spikes
        self._gaps = self._new_gaps - max(no_spikes - self._gaps, 0)
        self._new_gaps, self._missing = 0, missing
