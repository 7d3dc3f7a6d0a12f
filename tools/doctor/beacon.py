"""A test stream that `rtdecode doctor` discovers: one timestamped sample every few milliseconds.

python -m rtdecode.tools.doctor.beacon NAME
"""

from __future__ import annotations

import sys
import time

import pylsl

PUSH_EVERY_S = 0.004

#: The check ends this process earlier, unless the check itself died.
LIFETIME_S = 30.0


def main() -> None:
    """Print "ready" once the outlet is open, then push until the time is up."""
    name = sys.argv[1]
    outlet = pylsl.StreamOutlet(pylsl.StreamInfo(name, "Doctor", 1, 0.0, "double64", name))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    start = time.monotonic()
    while time.monotonic() - start < LIFETIME_S:
        outlet.push_sample([0.0], pylsl.local_clock())
        time.sleep(PUSH_EVERY_S)


if __name__ == "__main__":
    main()
