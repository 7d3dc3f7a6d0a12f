"""What the daemon itself adds to a bin."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

from rtdecode.tools.bench.latency import SKIPPED_BINS, own_overhead
from rtdecode.tools.capture import Received


def test_it_is_counted_from_the_arrival_of_the_event_that_closes_the_bin() -> None:
    # An event every 7 ms arrives 1 ms later; a subscriber has the cursor 0.5 ms after that, 0.2 ms of it
    # the hop.
    stamps = 10.0 + np.arange(1000) * 0.007
    t_bin = 10.0 + 0.02 * np.arange(1, SKIPPED_BINS + 101)
    closing = stamps[np.searchsorted(stamps, t_bin)] + 0.001
    # The clock closes every fourth bin before, 3 ms after its end.
    by_clock = np.arange(len(t_bin)) % 4 == 0
    t_close = np.where(by_clock & (closing > t_bin + 0.003), t_bin + 0.003, closing + 0.0001)
    cursors = [{"t_bin": end, "t_close": closed} for end, closed in zip(t_bin, t_close, strict=True)]
    received = Received(cursors=cursors, received_s=(t_close + 0.0004).tolist())
    found = own_overhead(cast(Any, received), np.stack((stamps, stamps + 0.001)), 0.0002)
    assert found["p50"] == found["max"] == pytest.approx(0.3, abs=1e-3)
    # A source that pushes less often than bins end closes none.
    for cursor in received.cursors:
        cursor["t_close"] -= 1.0
    assert set(own_overhead(cast(Any, received), np.stack((stamps, stamps + 0.001)), 0.0002).values()) == {
        None
    }
