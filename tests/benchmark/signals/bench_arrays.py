"""Two arrays, one with 5-ms pushes and one with 1-ms pushes, killed and restarted in turn.

    PYTHONPATH=tests/support/live python tests/benchmark/signals/bench_arrays.py [--kills 20]

Three daemons receive the same streams: one both arrays, two one of them each. That each bin of the first is
published once, that it is flagged PARTIAL while an array is away and only then, and that what it published is
decoded again to the bit is checked; its latency is compared with that of the slower array alone.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from commands import document_here
from daemon import Served, assert_once_in_order

from rtdecode.artifact import ElectrodeArray, write_artifact
from rtdecode.calibrate.fitting.fit import fit_sessions
from rtdecode.session.arrays import arrays_attrs
from rtdecode.session.layout import Events, Session
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session
from rtdecode.tools.loopback import LoopbackRig, private_lsl_config
from rtdecode.tools.simulator.scripted import CentreOut, draw_tuning, simulate_session

N_CHANNELS = 64
PUSH_MS = {"M1": "5", "PMd": "1"}
GAP, FAILSAFE, PARTIAL = 4, 16, 64

#: An array that was killed is noticed, and one that is back is judged, within this.
NOTICED_S = 0.5


def sessions(folder: Path) -> dict[str, Path]:
    """A session of both arrays, one of each, and models of them."""
    task = CentreOut(n_channels=N_CHANNELS)
    session = simulate_session(task, draw_tuning(task, 0), 90.0, 1, "both")
    events, half = session.events, N_CHANNELS // 2
    assert events is not None
    arrays = tuple(ElectrodeArray(name, half) for name in PUSH_MS)
    made = {"both": Session(**(vars(session) | {"attrs": session.attrs | arrays_attrs(arrays)}))}
    for i, name in enumerate(PUSH_MS):
        own = (events.channel >= i * half) & (events.channel < (i + 1) * half)
        part = Events(events.time[own], (events.channel[own] - i * half).astype(np.uint16))
        made[name] = Session(**(vars(session) | {"n_channels": half, "events": part}))
    paths = {}
    for name, each in made.items():
        paths[name] = folder / f"{name}.h5"
        write_session(paths[name], each)
        paths[f"{name} model"] = folder / f"{name}.safetensors"
        write_artifact(paths[f"{name} model"], fit_sessions([paths[name]], "wiener").artifact)
    return paths


def latencies_ms(messages: list[dict[str, Any]], quiet: list[tuple[float, float]]) -> np.ndarray[Any, Any]:
    """From bin end to completion, of bins in the times when nothing was killed or returned."""
    found = [
        1e3 * (m["t_close"] - m["t_bin"])
        for m in messages
        if any(start_s < m["t_bin"] < stop_s for start_s, stop_s in quiet)
    ]
    return np.array(found)


def main() -> None:
    """Run it and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--up", type=float, default=4.0, help="seconds with both arrays between two kills")
    parser.add_argument("--down", type=float, default=2.0, help="seconds without one of them")
    parser.add_argument("--partial", action="store_true", help="serve --allow-partial")
    given = parser.parse_args()
    import pylsl

    clock = pylsl.local_clock
    with tempfile.TemporaryDirectory() as name, LoopbackRig(Path(name), private_lsl_config()) as rig:
        paths = sessions(rig.folder)

        def play(array: str) -> None:
            options = ["--stream", array, "--push", PUSH_MS[array], "--loop"]
            rig.start(array, ["replay", str(paths[array]), *options])

        for array in PUSH_MS:
            play(array)
        recording = rig.folder / "live.h5"
        options = ["--stream", "PMd", "--record", str(recording)] + ["--allow-partial"] * given.partial
        both = Served(rig, "M1", paths["both model"], *options, name="both")
        alone = {each: Served(rig, each, paths[f"{each} model"], name=f"serve {each}") for each in PUSH_MS}
        everyone = [both, *alone.values()]
        for served in everyone:
            served.subscriber.until(lambda m: m["bin"] > 50)
        quiet, away, start_s = [], [], clock()
        for kill in range(given.kills):
            time.sleep(given.up)
            quiet.append((start_s + 2 * NOTICED_S, clock()))
            array = list(PUSH_MS)[kill % 2]
            killed_s = clock()
            rig.kill(array)
            time.sleep(given.down)
            play(array)
            back = both.subscriber.until(lambda m: not m["flags"] & PARTIAL and m["t_bin"] > clock() - 0.1)
            away.append((killed_s, back["t_bin"]))
            start_s = clock()
            for served in everyone:
                served.subscriber.take()
        time.sleep(given.up)
        quiet.append((start_s + 2 * NOTICED_S, clock()))
        status = both.request(cmd="status")
        for served in everyone:
            served.end()
        report(both, alone, quiet, away, status)
        decoded = rig.folder / "again.h5"
        document_here("decode", recording, "--model", paths["both model"], "--output", decoded)
        live, offline = read_session(recording).decoded, read_session(decoded).decoded
        assert live is not None
        assert offline is not None
        same = np.array_equal(live.values.view(np.uint32), offline.values.view(np.uint32))
        print(f"{len(live.bin)} bins, decoded again to the bit: {same}")


def report(
    both: Served,
    alone: dict[str, Served],
    quiet: list[tuple[float, float]],
    away: list[tuple[float, float]],
    status: dict[str, Any],
) -> None:
    """Print flags and latencies."""
    messages = both.subscriber.messages
    assert_once_in_order(messages)
    print(f"{len(messages)} bins published once, in order, through {len(away)} kills")
    wrong = []
    for m in messages:
        inside = any(start_s + NOTICED_S < m["t_bin"] < stop_s - NOTICED_S for start_s, stop_s in away)
        outside = all(m["t_bin"] < start_s or m["t_bin"] > stop_s + NOTICED_S for start_s, stop_s in away)
        partial = bool(m["flags"] & PARTIAL)
        if (inside and not partial) or (outside and partial):
            wrong.append((m["bin"], m["flags"]))
    print(f"bins that are wrongly flagged: {len(wrong)} {wrong[:5]}")
    found = {"both": latencies_ms(messages, quiet)}
    found |= {name: latencies_ms(served.subscriber.messages, quiet) for name, served in alone.items()}
    # Two that are each as late as alone, at a time of their own.
    n = min(len(found[name]) for name in alone)
    found["later"] = np.maximum(*(np.random.default_rng(0).permutation(found[name])[:n] for name in alone))
    for name, ms in found.items():
        p50, p90, p99 = np.percentile(ms, [50, 90, 99])
        print(
            f"{name:<5} close after bin end: p50 {p50:.2f}, p90 {p90:.2f}, p99 {p99:.2f} ms of {len(ms)} bins"
        )
    graces = ", ".join(f"{each['name']} {each['grace_ms']} ms" for each in status["arrays"])
    print(f"grace {graces}")


if __name__ == "__main__":
    main()
