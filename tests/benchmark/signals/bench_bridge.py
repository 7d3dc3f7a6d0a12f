"""Spikes through a bridge for a minute: that each comes once and when, its losses, its delay and its load.

export PYTHONPATH=tests/support/live:tests/support/vendors
python tests/benchmark/signals/bench_bridge.py openephys|intan|blackrock|spikeglx
    [--seconds 60] [--spikes 5000] [--loss 0.001] [--channels 64]

The emulator of the tests sends 96 (openephys, blackrock) or 64 (intan) channels, is ended after half of the
time and started again with its sample numbers at 0 (blackrock: as an NSP), and loses and garbles a share of
its messages. Its clock is 100 ppm fast. Of spikeglx it is the voltage of `--channels` of 384: that share of
the replies is broken, and once a run its buffer is emptied.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import pylsl
from blackrock_emulator import BlackrockEmulator
from bridged import Bridged, Faults, errors_ms
from intan_emulator import IntanEmulator
from openephys_emulator import OpenEphysEmulator
from spikeglx_emulator import SpikeGlxEmulator

from rtdecode.tools.loopback import LoopbackRig, free_endpoint, private_lsl_config

HELD_S = 4.0
PERCENTILES = (50, 99, 99.9, 100)


def percentiles(values: np.ndarray) -> str:
    return "  ".join(
        f"p{p:g} {v:.3f}" for p, v in zip(PERCENTILES, np.percentile(values, PERCENTILES), strict=True)
    )


def cpu_s(pid: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def make(
    vendor: str, faults: Faults, spikes_hz: float
) -> tuple[OpenEphysEmulator | IntanEmulator | BlackrockEmulator, tuple[str, ...]]:
    """The emulator of a vendor, and the arguments of its bridge."""
    ports = [int(free_endpoint().rpartition(":")[2]) for _ in range(3)]
    if vendor == "openephys":
        emulator = OpenEphysEmulator(ports[0], spikes_hz=spikes_hz, faults=faults)
        return emulator, (vendor, "--port", str(ports[0]), "--channels", "96")
    if vendor == "intan":
        intan = IntanEmulator((ports[0], ports[1], ports[2]), spikes_hz=spikes_hz, faults=faults)
        intan.start()
        return intan, (vendor, "--port", str(ports[0]), "--run")
    blackrock = BlackrockEmulator((ports[0], ports[1]), gemini=False, spikes_hz=spikes_hz, faults=faults)
    options = ("--host", "127.0.0.1", "--port", str(ports[1]), "--control-port", str(ports[0]))
    return blackrock, (vendor, "--channels", "1:96", *options)


def measure_spikes(given: argparse.Namespace, config: str) -> None:
    """Print what comes of spikes."""
    emulator, options = make(given.vendor, Faults(drop=given.loss, garble=given.loss), given.spikes)
    with tempfile.TemporaryDirectory() as folder, LoopbackRig(Path(folder), config) as rig:
        bridge = Bridged(rig, "bench", *options)
        before_s, begun_s = cpu_s(bridge.process.pid), pylsl.local_clock()
        for _ in range(2):
            if not emulator.started():
                emulator.start()
            bridge.receive(given.seconds / 2)
            emulator.stop()
        sent = emulator.sent
        bridge.receive(5.0, sum(sent.whole))
        load = (cpu_s(bridge.process.pid) - before_s) / (pylsl.local_clock() - begun_s)
        status = bridge.end()
    numbered = given.vendor == "openephys"
    error_ms = errors_ms(bridge, sent, numbered=numbered)
    n_whole, start = sum(sent.whole), np.array(sent.start)[np.nonzero(sent.whole)[0]]
    print(f"{given.vendor}: {n_whole} spikes were sent whole, each came once")
    for each in range(2):
        print(f"stamp error, ms, start {each + 1}: {percentiles(np.abs(error_ms[start == each]))}")
    print(f"emulator itself late by at least, ms: {[round(1e3 * s, 3) for s in sent.late_s]}")
    sent_s = np.array(sent.sent_s)[np.nonzero(sent.whole)[0]]
    arrivals = np.concatenate(bridge.arrivals)
    delay_ms = 1e3 * (arrivals[np.argsort(bridge.rows[:, 1])] if numbered else arrivals) - 1e3 * sent_s
    # At first spikes are held until the clock is known.
    later = np.concatenate([sent_s[start == each] > sent_s[start == each][0] + HELD_S for each in range(2)])
    print(f"sent to inlet, ms: {percentiles(delay_ms[later])}")
    lost = sent.lost() if given.vendor == "openephys" else len(sent.whole) - n_whole
    if isinstance(emulator, IntanEmulator):
        # Each end of the program cuts off a record.
        lost += 2
    print(f"lost spikes: {lost} injected, {status['lost_spikes']} counted, {status['garbled']}")
    if isinstance(emulator, IntanEmulator):
        print(f"lost samples: {emulator.dropped} injected, {status['lost_samples']} counted")
    if isinstance(emulator, BlackrockEmulator):
        print(f"monitors lost: {emulator.lost_monitors}")
    print(f"bound at the end {status['clock_bound_ms']:.3f} ms; processor {100 * load:.0f} % of a core")
    emulator.close()


def measure_voltage(given: argparse.Namespace, config: str) -> None:
    """Print what comes of SpikeGLX's samples."""
    port = int(free_endpoint().rpartition(":")[2])
    emulator = SpikeGlxEmulator(port, n_channels=384)
    emulator.garble = given.loss
    emulator.begin_run()
    options = ("spikeglx", "--port", str(port), "--channels", f"0:{given.channels - 1}")
    with tempfile.TemporaryDirectory() as folder, LoopbackRig(Path(folder), config) as rig:
        bridge = Bridged(rig, "bench", *options)
        before_s, begun_s = cpu_s(bridge.process.pid), pylsl.local_clock()
        n_missing, results = 0, []
        for each in range(2):
            if each:
                emulator.begin_run()
            samples, errors_ms, delays_ms = take_run(bridge, emulator, given.seconds / 2)
            assert (np.diff(samples) > 0).all()
            n_missing += samples[-1] - samples[0] + 1 - len(samples)
            results.append((len(samples), errors_ms, delays_ms))
        load = (cpu_s(bridge.process.pid) - before_s) / (pylsl.local_clock() - begun_s)
        status = bridge.end()
    for each, (n, errors_ms, delays_ms) in enumerate(results):
        print(f"run {each + 1}: {n} samples of {given.channels} channels, each once, with their values")
        print(f"stamp error, ms: {percentiles(np.abs(errors_ms))}")
        print(f"taken to inlet, ms: {percentiles(delays_ms)}")
    print(f"lost samples: {emulator.lost} injected, {status['lost_samples']} counted, {n_missing} missing")
    print(f"{status['garbled']}, {status['segments']} segments")
    print(f"bound at the end {status['clock_bound_ms']:.3f} ms; processor {100 * load:.0f} % of a core")
    emulator.close()


def take_run(
    bridge: Bridged, emulator: SpikeGlxEmulator, seconds: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Take the samples of a run to its end: their numbers, the errors of their stamps, and their delays."""
    first, stamps, arrivals = [], [], []
    now = pylsl.local_clock()
    forget_s, end_s = now + seconds / 2, now + seconds
    while (now := pylsl.local_clock()) < end_s + HELD_S:
        if now > forget_s:
            emulator.forget()
            forget_s = end_s + 2 * HELD_S
        if now > end_s:
            emulator.end_run()
        values, at = bridge.inlet.pull_chunk(0.02, max_samples=10_000, min_samples=1, as_numpy=True)
        if len(at):
            assert (np.diff(values, axis=1) == 10).all()
            first.append(values[:, 0].astype(np.int64))
            stamps.append(at)
            arrivals.append(np.full(len(at), pylsl.local_clock()))
    value, stamp, arrival = map(np.concatenate, (first, stamps, arrivals))
    # A value says which sample of a thousand it is; its stamp, which thousand.
    counted = (stamp - emulator.begun_s) * emulator.rate_hz
    samples = value + 1000 * np.round((counted - value) / 1000).astype(np.int64)
    taken_s = emulator.begun_s + samples / emulator.rate_hz
    later = stamp > stamp[0] + HELD_S
    return samples, 1e3 * (stamp - taken_s), 1e3 * (arrival - taken_s)[later]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("vendor", choices=["openephys", "intan", "blackrock", "spikeglx"])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--spikes", type=float, default=5000.0)
    parser.add_argument("--loss", type=float, default=0.001)
    parser.add_argument("--channels", type=int, default=64)
    given = parser.parse_args()
    config = private_lsl_config()
    pylsl.set_config_content(config)
    (measure_voltage if given.vendor == "spikeglx" else measure_spikes)(given, config)


if __name__ == "__main__":
    main()
