"""The status map, published once a second and on request (docs/messages.md)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from rtdecode.kernels.sequence import RECEIVED
from rtdecode.messages import MESSAGE_VERSION, flag_names
from rtdecode.serve.loop.hot_loop import HotLoop
from rtdecode.serve.reporting.losses import feature_warnings
from rtdecode.serve.reporting.streams import (
    array_maps,
    joint_map,
    reason_of,
    stream_warnings,
    totals_of,
)
from rtdecode.serve.settings import ServeSettings

PERCENTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p999": 99.9, "max": 100.0}


def percentiles_ms(seconds: npt.NDArray[np.float64]) -> dict[str, float | None]:
    """p50 … max in ms of an array f8[N] in seconds, NaN where nothing was measured; None if all are."""
    seen = seconds[np.isfinite(seconds)]
    if not len(seen):
        return dict.fromkeys(PERCENTILES)
    found = np.percentile(seen, list(PERCENTILES.values())) * 1e3
    return {name: round(float(value), 4) for name, value in zip(PERCENTILES, found, strict=True)}


class StatusReport:
    """Builds status maps from the counters of the loop; called on the reporting threads.

    Args:
        settings: of the daemon.
        loop: read, never written.
        endpoints: of the sockets.
        recording: returns the recorder's part of the map, None without a recording.
        problems: returns problems of other threads for the warnings; "" for none.
    """

    def __init__(
        self,
        settings: ServeSettings,
        loop: HotLoop,
        *,
        endpoints: dict[str, str],
        recording: Callable[[], dict[str, Any] | None],
        problems: Callable[[], list[str]],
    ) -> None:
        self._stream, self._lsl_out = settings.stream, settings.lsl_out
        self._loop, self._ring, self._decoding = loop, loop.ring, loop.decoding
        self._meters, self._output = loop.decoding.meters, loop.decoding.sinks.output
        self._endpoints, self._recording, self._problems = endpoints, recording, problems
        self._started = time.monotonic()
        self._rates_at = self._started
        self._rates_from = (0, 0)
        self._rates = {"events_hz": 0.0, "bins_hz": 0.0}

    def update_rates(self) -> None:
        """Measure rates since the last call; called once a second by one thread."""
        now = time.monotonic()
        received = sum(int(pump.counters[RECEIVED]) for pump in self._loop.pumps)
        seen = (received, self._meters.bins)
        elapsed = max(now - self._rates_at, 1e-9)
        self._rates = {
            "events_hz": round((seen[0] - self._rates_from[0]) / elapsed, 2),
            "bins_hz": round((seen[1] - self._rates_from[1]) / elapsed, 2),
        }
        self._rates_at, self._rates_from = now, seen

    def counters(self) -> dict[str, int]:
        """Totals since the start, by kind."""
        meters, stage, pumps = self._meters, self._decoding.stage, self._loop.pumps
        cores = [pump.core for pump in pumps]
        return {
            **totals_of(pumps),
            "spikes": meters.spikes,
            "bins": meters.bins,
            "backlog_bins": meters.backlog_bins,
            "backlog_spikes": meters.backlog_spikes,
            "broken_off": sum(core.ring.broken_off for core in cores),
            "stale": meters.stale,
            "failsafe": meters.failsafe,
            "catch_up": meters.catch_up,
            "clipped": stage.clipped,
            "nonfinite": stage.nonfinite,
            "reconnects": sum(core.reconnects for core in cores),
            "clock_jumps": sum(core.clock_jumps for core in cores),
            "swaps": meters.swaps,
            **self._decoding.feature_counters(),
        }

    def build(self) -> dict[str, Any]:
        """The status map."""
        loop, artifact = self._loop, self._decoding.artifact
        return {
            "v": MESSAGE_VERSION,
            "state": loop.state,
            "reason": self._reason(),
            "paused": loop.paused,
            "flags": flag_names(self._decoding.flags),
            "names": [output.name for output in artifact.outputs],
            "units": [output.units for output in artifact.outputs],
            "roles": [output.role for output in artifact.outputs],
            "out": self._output
            and {
                "names": list(self._output.names),
                "units": list(self._output.units),
                "control": self._output.settings.control,
            },
            "lsl_out": self._lsl_out,
            "bin": self._ring.next_bin - 1,
            "bin_width_s": artifact.bin_width_s,
            "uptime_s": round(time.monotonic() - self._started, 3),
            "rates": self._rates,
            "counters": self.counters(),
            "latency_ms": {
                "close": percentiles_ms(self._meters.close_s),
                "publish": percentiles_ms(self._meters.publish_s),
            },
            "model": {
                "id": artifact.model_id,
                "kind": artifact.kind,
                "path": str(self._decoding.path),
                "n_channels": artifact.n_channels,
                "n_features": len(artifact.features),
            },
            "stream": joint_map(self._stream, loop.pumps),
            "arrays": array_maps(loop.pumps),
            "recording": self._recording(),
            "endpoints": self._endpoints,
            "warnings": self._warnings(),
        }

    def _reason(self) -> str:
        """Why nothing is decoded although the stream was found, "" where it is."""
        found = {pump.connector.name: reason_of(pump) for pump in self._loop.pumps}
        if len(found) == 1:
            return next(iter(found.values()))
        return "; ".join(f"{name}: {reason}" for name, reason in found.items() if reason)

    def _warnings(self) -> list[str]:
        recording = self._recording()
        warnings = [problem for problem in self._problems() if problem]
        warnings += stream_warnings(self._loop.pumps)
        found = self._decoding.feature_counters()
        n_features = self._meters.bins * len(self._decoding.artifact.features)
        warnings += feature_warnings(found["features_missing"], found["features_beyond"], n_features)
        if recording and recording.get("error"):
            warnings.append(f"NOT RECORDING: {recording['error']}")
        if recording and recording.get("dropped"):
            warnings.append(f"{recording['dropped']:,} rows are missing in the file: the disk is too slow")
        return warnings
