"""Doctor: the folder of recordings, and the folder of models."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from rtdecode.tools.doctor.check import Figures, Finding, Problems, Verdict, quantiles_ms

MEASURE_S = 2.0
WRITE_BYTES = 256 * 1024

#: Size of the file, which is overwritten again and again so that a measurement fills no disk.
FILE_BYTES = 64 << 20

#: The recording that the disk must sustain: the largest array, busy.
CHANNELS, RATE_HZ, BIN_S, OUTPUTS = 256, 100.0, 0.02, 6
FEW_CHANNELS = 96

#: time f8, channel u2, unit u1.
EVENT_BYTES = 11

#: bin i8, t_bin f8, flags u4, model u1, late u2, lost u4; then values and out f4 and counts u1.
DECODED_BYTES = 27

#: Other programs use the disk too.
SPEED_MARGIN = 10.0

#: The recorder writes every 0.25 s, and after a crash at most the last second may be lost.
SLOW_SYNC_P99_MS = 250.0
SLOW_SYNC_MAX_MS = 1000.0

#: A long session, and one that is too short to start.
FEW_HOURS = 4.0
TOO_FEW_HOURS = 0.25


def recording_mb_per_s(n_channels: int) -> float:
    """Data rate of `serve --record`, MB/s, at 100 Hz per channel, 20-ms bins and 6 outputs."""
    decoded = (DECODED_BYTES + 4 * OUTPUTS + n_channels) / BIN_S
    return (n_channels * RATE_HZ * EVENT_BYTES + decoded) / 1e6


def measure_disk(folder: str, seconds: float = MEASURE_S, file_bytes: int = FILE_BYTES) -> Figures:
    """Speed of writes of 256 kB with a sync after each to a file of this size, and the free space."""
    figures: Figures = {"folder": os.path.abspath(folder), "error": None}
    try:
        # An unnamed file leaves nothing behind even if this process is killed.
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            space = os.statvfs(folder)
            free = space.f_bavail * space.f_frsize
            figures["free_gb"] = round(free / 1e9, 3)
            size = max(min(file_bytes, free // 4), WRITE_BYTES)
            return figures | _write(file.fileno(), size, seconds)
    except OSError as error:
        return figures | {"error": error.strerror or str(error)}


def _write(descriptor: int, file_bytes: int, seconds: float) -> Figures:
    block, n_blocks = os.urandom(WRITE_BYTES), file_bytes // WRITE_BYTES
    syncs: list[float] = []
    started = time.perf_counter()
    while (elapsed_s := time.perf_counter() - started) < seconds:
        os.pwrite(descriptor, block, len(syncs) % n_blocks * WRITE_BYTES)
        written = time.perf_counter()
        os.fsync(descriptor)
        syncs.append(time.perf_counter() - written)
    return {
        "write_mb_per_s": round(len(syncs) * WRITE_BYTES / elapsed_s / 1e6, 2),
        "writes": len(syncs),
        "sync_ms": quantiles_ms(syncs),
    }


def judge_disk(figures: Figures) -> Finding:
    """Fail if the folder cannot be written, or is too slow or too full for 256 busy channels."""
    if figures["error"] is not None:
        return Finding(
            Verdict.FAIL,
            f"{figures['folder']} cannot be written: {figures['error']}",
            "give --folder, and serve --record, an existing writable folder",
        )
    speed, sync, free = figures["write_mb_per_s"], figures["sync_ms"], figures["free_gb"]
    needed = recording_mb_per_s(CHANNELS)
    hours = {n: free * 1e3 / recording_mb_per_s(n) / 3600 for n in (FEW_CHANNELS, CHANNELS)}
    problems = Problems()
    if speed < SPEED_MARGIN * needed:
        fix = "the disk is slow: record to a local disk, not to a network drive or a memory stick"
        problems.add(fix, fail=speed < needed)
    if sync["p99"] > SLOW_SYNC_P99_MS or sync["max"] > SLOW_SYNC_MAX_MS:
        problems.add("the disk stalls: record to a disk that nothing else writes to")
    if hours[CHANNELS] < FEW_HOURS:
        problems.add("free space on this disk, or record to another", fail=hours[CHANNELS] < TOO_FEW_HOURS)
    return problems.finding(
        f"{speed:.0f} MB/s, sync p99 {sync['p99']:.1f} ms (max {sync['max']:.1f}); {free:.1f} GB free: "
        f"{hours[CHANNELS]:.0f} h of {CHANNELS} busy channels ({needed:.2f} MB/s), "
        f"{hours[FEW_CHANNELS]:.0f} h of {FEW_CHANNELS}; {figures['folder']}"
    )


def measure_models() -> Figures:
    """Whether the user data folder can be written, and which models it holds."""
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
    """Why no file can be created in a folder, or in the existing folder above it; None if one can."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return f"{folder}: {error.strerror or error}"


def judge_models(figures: Figures) -> Finding:
    """Fail if no model can be stored; warn if there is none."""
    folder, streams = figures["folder"], figures["streams"]
    if figures["error"] is not None:
        return Finding(
            Verdict.FAIL,
            f"{folder} cannot be written ({figures['error']})",
            "make it writable for your user, or set XDG_DATA_HOME to a writable folder",
        )
    if not figures["models"]:
        return Finding(
            Verdict.WARN,
            f"no model in {folder}",
            "fit one: rtdecode fit SESSION.h5 --kind wiener --current STREAM",
        )
    current = f"current for {', '.join(streams)}" if streams else "current for no stream"
    return Finding(Verdict.OK, f"{figures['models']} in {folder}, {current}")
