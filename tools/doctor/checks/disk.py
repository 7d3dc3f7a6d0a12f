"""Doctor: the folder where a recording would go, and the one where models lie."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from rtdecode.tools.doctor.check import Figures, Finding, Verdict, conclude, quantiles_ms

MEASURE_S = 2.0
WRITE_BYTES = 256 * 1024

#: Written over and over, so that a measurement fills no disk.
FILE_BYTES = 64 << 20

#: What a recording is reckoned by: the biggest array, busy.
CHANNELS, RATE_HZ, BIN_S, OUTPUTS = 256, 100.0, 0.02, 6
FEW_CHANNELS = 96

#: time f8, channel u2, unit u1.
EVENT_BYTES = 11

#: bin i8, t_bin f8, flags u4, model u1, late u2, lost u4; then values and out f4 and counts u1.
DECODED_BYTES = 27

#: The recorder shares the disk with everyone else.
SPEED_MARGIN = 10.0

#: The recorder hands over every 0.25 s; a disk that takes more than a second loses more than DESIGN §5
#: allows.
SLOW_SYNC_P99_MS = 250.0
SLOW_SYNC_MAX_MS = 1000.0

#: A long session, and one that is not worth beginning.
FEW_HOURS = 4.0
TOO_FEW_HOURS = 0.25


def recording_mb_per_s(n_channels: int) -> float:
    """What `serve --record` writes for an array of busy channels (100 Hz each, 20-ms bins, 4 outputs)."""
    decoded = (DECODED_BYTES + 4 * OUTPUTS + n_channels) / BIN_S
    return (n_channels * RATE_HZ * EVENT_BYTES + decoded) / 1e6


def measure_disk(folder: str) -> Figures:
    """Speed of writes of 256 kB, each brought to the disk, for two seconds; and the free space.

    Args:
        folder: where a recording would go.
    """
    figures: Figures = {"folder": os.path.abspath(folder), "error": None}
    try:
        # A file without a name: nothing is left behind, whatever happens.
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            space = os.statvfs(folder)
            free = space.f_bavail * space.f_frsize
            figures["free_gb"] = round(free / 1e9, 3)
            return figures | _write(file.fileno(), max(min(FILE_BYTES, free // 4), WRITE_BYTES))
    except OSError as error:
        return figures | {"error": error.strerror or str(error)}


def _write(descriptor: int, file_bytes: int) -> Figures:
    block, places = os.urandom(WRITE_BYTES), file_bytes // WRITE_BYTES
    syncs: list[float] = []
    started = time.perf_counter()
    while (elapsed_s := time.perf_counter() - started) < MEASURE_S:
        os.pwrite(descriptor, block, len(syncs) % places * WRITE_BYTES)
        handed_over = time.perf_counter()
        os.fsync(descriptor)
        syncs.append(time.perf_counter() - handed_over)
    return {
        "write_mb_per_s": round(len(syncs) * WRITE_BYTES / elapsed_s / 1e6, 2),
        "writes": len(syncs),
        "sync_ms": quantiles_ms(syncs),
    }


def judge_disk(figures: Figures) -> Finding:
    """Fails where nothing can be written, or not fast enough or not long enough for 256 busy channels."""
    if figures["error"] is not None:
        return Finding(
            Verdict.FAIL,
            f"{figures['folder']} cannot be written: {figures['error']}",
            "give --folder, and serve --record, a folder that is there and where you may write",
        )
    speed, sync, free = figures["write_mb_per_s"], figures["sync_ms"], figures["free_gb"]
    needed = recording_mb_per_s(CHANNELS)
    hours = {n: free * 1e3 / recording_mb_per_s(n) / 3600 for n in (FEW_CHANNELS, CHANNELS)}
    slow, late = (
        speed < SPEED_MARGIN * needed,
        sync["p99"] > SLOW_SYNC_P99_MS or sync["max"] > SLOW_SYNC_MAX_MS,
    )
    return conclude(
        f"{speed:.0f} MB/s, sync p99 {sync['p99']:.1f} ms (max {sync['max']:.1f}); {free:.1f} GB free: "
        f"{hours[CHANNELS]:.0f} h of {CHANNELS} busy channels ({needed:.2f} MB/s), "
        f"{hours[FEW_CHANNELS]:.0f} h of {FEW_CHANNELS}; {figures['folder']}",
        (
            Verdict.FAIL if speed < needed else Verdict.WARN,
            "the disk is slow: record to a local disk, not a network drive or a memory stick",
        )
        if slow
        else None,
        (Verdict.WARN, "the disk stalls: record to a disk that nothing else writes to") if late else None,
        (
            Verdict.FAIL if hours[CHANNELS] < TOO_FEW_HOURS else Verdict.WARN,
            "make room on this disk, or record to another",
        )
        if hours[CHANNELS] < FEW_HOURS
        else None,
    )


def measure_models() -> Figures:
    """The user data directory: can it be written, and which models are there."""
    from rtdecode.model_store import SUFFIX, data_dir, list_models

    folder = data_dir()
    models = list_models()
    return {
        "folder": str(folder),
        "error": _write_error(folder),
        "models": len(models),
        "streams": sorted(model.name for model in models if model.path.name == f"current{SUFFIX}"),
    }


def _write_error(folder: Path) -> str | None:
    """Why no file can be made in a folder, or in what it would be made in; None if one can."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place):
            return None
    except OSError as error:
        return f"{place}: {error.strerror or error}"


def judge_models(figures: Figures) -> Finding:
    """Fails where no model could be kept; warns if there is none."""
    folder, streams = figures["folder"], figures["streams"]
    if figures["error"] is not None:
        return Finding(
            Verdict.FAIL,
            f"{folder} cannot be written ({figures['error']})",
            "let your user write there, or set XDG_DATA_HOME to a folder where you may",
        )
    if not figures["models"]:
        return Finding(
            Verdict.WARN,
            f"no model in {folder}",
            "make one: rtdecode fit SESSION.h5 --kind wiener --current STREAM",
        )
    current = f"current for {', '.join(streams)}" if streams else "current for no stream"
    return Finding(Verdict.OK, f"{figures['models']} in {folder}, {current}")
