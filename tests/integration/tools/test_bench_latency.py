"""The latency benchmark, with a source that pushes every spike by itself and a daemon that records."""

from __future__ import annotations

import pytest
from commands import document_of

pytestmark = pytest.mark.realtime


def test_every_stage_is_reported_with_grace_and_losses() -> None:
    document = document_of("bench", "latency", "--bins", 50, "--push", 0, "--record")
    assert (document["bins"], document["push_ms"], document["lost"]) == (50, 0, 0)
    total = document["bin_end_to_received_ms"]
    assert 0 < total["p50"] <= total["p90"] <= total["p99"] <= total["p999"] <= total["max"]
    assert set(document["stages_ms"]) == {"bin_end_to_close", "close_to_publish", "publish_to_received"}
    delivery = document["hops_ms"]["lsl"]
    assert 0 < delivery["p50"] <= delivery["p99"] <= delivery["p999"]
    assert document["hops_ms"]["zmq"]["p50"] > 0
    assert document["limit_ms"] > 0
    assert 0 < document["own_overhead_ms"]["p50"] < total["max"]
    assert 0.3 <= document["grace_ms"] <= 10
    assert {"late", "flagged"} <= set(document)
