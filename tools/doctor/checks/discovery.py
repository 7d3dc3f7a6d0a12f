"""Doctor: is a stream found, and what is its delivery delay, on loopback and by multicast.

One process creates an outlet, another searches for it. Both use an LSL configuration with a SessionID of the
check, so that the check and the lab's streams do not see each other.
"""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from typing import Any

from rtdecode.tools.doctor.check import Figures, Finding, Problems, Verdict, quantiles_ms

SEARCH_S = 6.0
SEARCH_EVERY_S = 0.01
OPEN_S = 1.0
N_SAMPLES = 150
SAMPLES_WITHIN_S = 1.5

#: The daemon has to re-attach to a stream within a second of its return.
SLOW_TO_FIND_S = 1.0

#: Longest wait of `--grace auto` for an event: with a larger median delay half of the events are too late.
LATE_MS = 10.0

FIREWALL = "open UDP 16571 and TCP and UDP 16572–16604 in this machine's firewall"

#: Settings of the lab that would find the stream without multicast.
REPLACED = ("lab.KnownPeers", "lab.ResolveOverTCP")


def is_confined(settings: Mapping[str, str]) -> bool:
    """Whether the lab's configuration ("section.Key": value) restricts discovery to this machine."""
    override = [a.strip() for a in settings.get("multicast.AddressesOverride", "").strip("{} ").split(",")]
    return (
        settings.get("multicast.ResolveScope") == "machine"
        or settings.get("multicast.ListenAddress", "").startswith("127.")
        or (override != [""] and all(address.startswith("127.") for address in override))
    )


def multicast_config(lab: Mapping[str, str], session_id: str) -> str:
    """An lsl_api.cfg with the lab's settings, but by multicast only, with another SessionID and no log.

    The addresses of the scope "machine" include loopback. They are removed, since a stream on this machine
    would otherwise be found even if the network lets nothing through. Settings are by "section.Key".
    """
    settings = {
        key: value for key, value in lab.items() if key not in REPLACED and not key.startswith("log.")
    }
    settings |= {"lab.SessionID": session_id, "multicast.MachineAddresses": "{}", "log.level": "-3"}
    sections: dict[str, list[str]] = {}
    for name, value in settings.items():
        section, _, key = name.partition(".")
        sections.setdefault(section, []).append(f"{key} = {value}\n")
    return "".join(f"[{section}]\n{''.join(lines)}" for section, lines in sections.items())


def measure_discovery(skip: bool = False) -> Figures:
    """Seconds until a stream of another process is found, and the delivery delay of its samples.

    Nothing is measured with `skip`, where the lab's configuration excludes it.
    """
    figures: Figures = {"skipped": skip, "looked_s": SEARCH_S, "found_s": None, "samples": 0}
    if skip:
        return figures
    name = f"doctor-{uuid.uuid4().hex[:12]}"
    beacon = subprocess.Popen(
        [sys.executable, "-m", "rtdecode.tools.doctor.beacon", name],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        import pylsl

        from rtdecode.ingest.connection.streams import StreamFinder

        if beacon.stdout is None or not beacon.stdout.readline():
            raise RuntimeError("the test stream could not be created")
        started = time.monotonic()
        finder = StreamFinder(name)
        while not (infos := finder.found()):
            if time.monotonic() - started > SEARCH_S:
                return figures
            time.sleep(SEARCH_EVERY_S)
        figures["found_s"] = round(time.monotonic() - started, 4)
        delays = _delays(pylsl.StreamInlet(infos[0], recover=False))
    finally:
        beacon.kill()
    figures["samples"] = len(delays)
    return figures | ({"delay_ms": quantiles_ms(delays)} if delays else {})


def _delays(inlet: Any) -> list[float]:
    """Arrival − timestamp of the next samples, s; both processes read the same clock."""
    import pylsl

    delays: list[float] = []
    deadline = time.monotonic() + SAMPLES_WITHIN_S
    try:
        inlet.open_stream(OPEN_S)
        while len(delays) < N_SAMPLES and time.monotonic() < deadline:
            _, stamp = inlet.pull_sample(0.1)
            if stamp is not None:
                delays.append(pylsl.local_clock() - stamp)
    except (pylsl.util.LostError, pylsl.util.TimeoutError):
        return []
    return delays


def judge_loopback(figures: Figures) -> Finding:
    """Fail if the stream is not found, sends nothing, or its samples are later than any grace."""
    fix = "allow loopback in the firewall: UDP 16571, TCP and UDP 16572–16604 on 127.0.0.1"
    return _judge(figures, "a stream of another process was not found", fix, Verdict.FAIL)


def judge_multicast(figures: Figures) -> Finding:
    """Warn if the stream is not found: a rig on one machine does not need multicast."""
    if figures["skipped"]:
        return Finding(Verdict.OK, "not tried: lsl_api.cfg restricts LSL to this machine")
    peers = "or name the other machine in lsl_api.cfg: [lab] KnownPeers = {ADDRESS}"
    fix = f"if the spikes are sent by another machine: connect the network, {FIREWALL}, {peers}"
    return _judge(figures, "a stream was not found by multicast", fix, Verdict.WARN)


def _judge(figures: Figures, not_found: str, fix: str, severity: Verdict) -> Finding:
    """`severity`: verdict if no sample is received; only with FAIL late samples are judged too."""
    found_s = figures["found_s"]
    if found_s is None:
        return Finding(severity, f"{not_found} in {figures['looked_s']:g} s", fix)
    if not figures["samples"]:
        return Finding(severity, f"found in {found_s:.2f} s, but no sample was received", fix)
    delay = figures["delay_ms"]
    problems = Problems()
    if severity is Verdict.FAIL and delay["p50"] > LATE_MS:
        problems.add(
            "end programs that use the processor: samples arrive too late to be decoded in their bin",
            fail=True,
        )
    if found_s > SLOW_TO_FIND_S:
        problems.add(
            f"finding a stream takes longer than {SLOW_TO_FIND_S:g} s, and so does re-attaching to one: "
            f"{FIREWALL}, end programs that use the processor"
        )
    found = f"found in {found_s:.2f} s, delivery delay {delay['p50']:.2f} ms"
    return problems.finding(f"{found} (p99 {delay['p99']:.2f}, {figures['samples']} samples)")
