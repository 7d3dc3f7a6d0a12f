"""Spikes through a bridge for a minute: that each comes once and when, its losses, its delay and its load.

PYTHONPATH=tests/support/live python tests/benchmark/bench_bridge.py openephys|intan [--seconds 60]
    [--spikes 5000] [--loss 0.001]

The emulator of the tests sends 96 (openephys) or 64 (intan) channels, is ended after half of the time and
started again with its sample numbers at 0, and loses and garbles a share of its messages. Its clock is 100
ppm fast.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import pylsl
from bridged import Bridged, Faults, errors_ms
from intan_emulator import IntanEmulator
from openephys_emulator import OpenEphysEmulator

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("vendor", choices=["openephys", "intan"])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--spikes", type=float, default=5000.0)
    parser.add_argument("--loss", type=float, default=0.001)
    given = parser.parse_args()
    config = private_lsl_config()
    pylsl.set_config_content(config)
    ports = [int(free_endpoint().rpartition(":")[2]) for _ in range(3)]
    faults = Faults(drop=given.loss, garble=given.loss)
    emulator: OpenEphysEmulator | IntanEmulator
    if given.vendor == "openephys":
        emulator = OpenEphysEmulator(ports[0], spikes_hz=given.spikes, faults=faults)
        options = ("openephys", "--port", str(ports[0]), "--channels", "96")
    else:
        emulator = IntanEmulator((ports[0], ports[1], ports[2]), spikes_hz=given.spikes, faults=faults)
        options = ("intan", "--port", str(ports[0]), "--run")
        emulator.start()
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
    lost = sent.lost() if given.vendor == "openephys" else int((~np.array(sent.whole)).sum()) + 2
    print(f"lost spikes: {lost} injected, {status['lost_spikes']} counted, {status['garbled']}")
    if isinstance(emulator, IntanEmulator):
        print(f"lost samples: {emulator.dropped} injected, {status['lost_samples']} counted")
    print(f"bound at the end {status['clock_bound_ms']:.3f} ms; processor {100 * load:.0f} % of a core")
    emulator.close()


if __name__ == "__main__":
    main()
