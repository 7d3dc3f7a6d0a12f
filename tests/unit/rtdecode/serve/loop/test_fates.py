"""Each sample that is received has one fate, whatever is pulled: it is in a bin, or left out by reason."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_inlet import ScriptedInlet

from rtdecode.binning import BinRing
from rtdecode.ingest.signals.events import EventRules
from rtdecode.ingest.signals.feed import make_feed
from rtdecode.ingest.signals.layouts import Layout
from rtdecode.kernels.sequence import N_SEQUENCE_COUNTERS
from rtdecode.serve.loop.core import LoopCore
from rtdecode.serve.loop.events import CoreSettings, Pull
from rtdecode.serve.loop.instructions import Publish, Warm
from rtdecode.serve.reporting.losses import LEFT_OUT, stream_counters

N_CHANNELS, WIDTH_S, N_BINS = 3, 0.02, 8
ROWS = {Layout.EVENTS: 3, Layout.SNIPPETS: 4, Layout.CHANNEL: 1, Layout.COUNTS: N_CHANNELS}
ROWS |= {Layout.RASTER: N_CHANNELS, Layout.BROADBAND: N_CHANNELS}
RATES_HZ = {Layout.COUNTS: 200.0, Layout.RASTER: 2000.0, Layout.BROADBAND: 10_000.0}

#: A pull: how long after the one before, the age of its newest sample and the spread of the others, how many,
#: and what happens before it.
PULLS = st.lists(
    st.tuples(
        st.sampled_from([0.001, 0.005, 0.02, 0.3, 15.0]),
        st.sampled_from([0.0005, 0.03, -0.004, -2.0, 400.0, float("nan")]),
        st.sampled_from([0.0, 0.01, 0.3]),
        st.integers(0, 40),
        st.sampled_from(["", "", "", "", "lost", "corrected"]),
    ),
    min_size=1,
    max_size=40,
)


@pytest.mark.parametrize("layout", ROWS)
@settings(max_examples=30, deadline=None)
@given(pulls=PULLS, backlog=st.integers(0, 200), carry=st.booleans(), seed=st.integers(0, 2**31))
def test_the_fates_of_all_samples_add_up_to_those_received(
    layout: Layout, pulls: Any, backlog: int, carry: bool, seed: int
) -> None:
    rng, columns = np.random.default_rng(seed), ROWS[layout]
    core = LoopCore(CoreSettings(), BinRing(N_CHANNELS, WIDTH_S, N_BINS))
    counters, spikes, received, now = np.zeros(N_SEQUENCE_COUNTERS, np.int64), 0, 0, 1000.0

    def take(instructions: Any) -> None:
        nonlocal spikes
        for each in instructions:
            if isinstance(each, Publish | Warm):
                spikes += each.closed.spikes

    def attach() -> ScriptedInlet:
        inlet = ScriptedInlet(columns, "int32", RATES_HZ.get(layout, 0.0))
        inlet.opened_s = now
        rules = EventRules(carry, frozenset([2]))
        take(
            core.attached(make_feed(layout, cast(Any, inlet), core.ring, rules=rules, counters=counters), now)
        )
        return inlet

    def send(inlet: ScriptedInlet, ages_s: Any) -> None:
        n = len(ages_s)
        rows = rng.integers(0, 4, (n, columns))  # channels, units and numbers of which some are left out
        if layout in RATES_HZ:
            rows = np.eye(N_CHANNELS, dtype=int)[rows[:, 0] % N_CHANNELS]
        inlet.send(now - np.asarray(ages_s) + core.offset_s, rows)
        n = inlet.pull(0.0)
        take(core.pulled(Pull(n, now, attentive=True)))

    inlet = attach()
    received += backlog
    send(inlet, np.linspace(0.4, 0.0, backlog))
    for after_s, age_s, spread_s, n, event in pulls:
        now += after_s
        if event == "lost":
            take(core.lost("its outlet is gone", now))
            inlet = attach()
        elif event == "corrected":
            take(core.corrected(now))
        received += n
        send(inlet, age_s + np.sort(rng.uniform(0.0, spread_s, n))[::-1])
    totals = stream_counters(counters, core)
    assert totals["received"] == received == totals["binned"] + sum(totals[reason] for reason in LEFT_OUT)
    # One spike a sample: those of all bins are the samples that were binned.
    ring = core.ring
    assert totals["binned"] == spikes + ring.broken_off + int(ring.spikes[ring.open_bin % N_BINS])
