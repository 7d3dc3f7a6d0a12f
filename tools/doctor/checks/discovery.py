"""Doctor: is a stream found, and how long is a sample on its way, on loopback and by multicast.

One process makes an outlet, another looks for it. Both get a configuration of their own through LSLAPICFG,
with a SessionID of the check's own, so that nobody else's streams are seen and nobody sees these.
"""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from typing import Any

from rtdecode.tools.doctor.check import Figures, Finding, Verdict, conclude, quantiles_ms

LOOK_S = 6.0
LOOK_EVERY_S = 0.01
OPEN_S = 1.0
N_SAMPLES = 150
SAMPLES_WITHIN_S = 1.5

#: A stream that comes back is to be attached again within a second (DESIGN §12).
SLOW_TO_FIND_S = 1.0

#: The longest that `--grace auto` waits for an event (DESIGN §3): half of what takes longer comes too late.
LATE_MS = 10.0

FIREWALL = "open UDP 16571 and TCP and UDP 16572–16604 in this machine's firewall"

#: Settings of the lab's that would find the stream without multicast.
REPLACED = ("lab.KnownPeers", "lab.ResolveOverTCP")


def confined(settings: Mapping[str, str]) -> bool:
    """Whether the lab's configuration ("section.Key": value) keeps discovery to this machine on purpose."""
    override = [a.strip() for a in settings.get("multicast.AddressesOverride", "").strip("{} ").split(",")]
    return (
        settings.get("multicast.ResolveScope") == "machine"
        or settings.get("multicast.ListenAddress", "").startswith("127.")
        or (override != [""] and all(address.startswith("127.") for address in override))
    )


def multicast_config(lab: Mapping[str, str], session_id: str) -> str:
    """An lsl_api.cfg with the lab's settings, but by multicast alone, in a session of its own, without a log.

    Loopback is among liblsl's own addresses: left there, a stream on this machine would be found on a
    machine whose network lets nothing through.

    Args:
        lab: settings by "section.Key".
        session_id: of the check's own.
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

    Args:
        skip: measure nothing, the lab does not want it.
    """
    figures: Figures = {"skipped": skip, "looked_s": LOOK_S, "found_s": None, "samples": 0}
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

        from rtdecode.ingest.streams import StreamFinder

        if beacon.stdout is None or not beacon.stdout.readline():
            raise RuntimeError("the stream to be found could not be made")
        begun = time.monotonic()
        finder = StreamFinder(name)
        while not (infos := finder.found()):
            if time.monotonic() - begun > LOOK_S:
                return figures
            time.sleep(LOOK_EVERY_S)
        figures["found_s"] = round(time.monotonic() - begun, 4)
        delays = _delays(pylsl.StreamInlet(infos[0], recover=False))
    finally:
        beacon.kill()
    figures["samples"] = len(delays)
    return figures | ({"delay_ms": quantiles_ms(delays)} if delays else {})


def _delays(inlet: Any) -> list[float]:
    """Arrival − stamp of the next samples, in seconds; on one machine the clocks are the same."""
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
    """Fails if the stream is not found, sends nothing, or its samples come later than any grace."""
    fix = (
        "let the firewall or security software pass loopback: UDP 16571, TCP and UDP 16572–16604 on 127.0.0.1"
    )
    if figures["found_s"] is None:
        return Finding(
            Verdict.FAIL, f"a stream of another process was not found in {figures['looked_s']:g} s", fix
        )
    if not figures["samples"]:
        return Finding(Verdict.FAIL, f"found in {figures['found_s']:.2f} s, but no sample came", fix)
    delay = figures["delay_ms"]
    return conclude(
        _found(figures),
        (
            Verdict.FAIL,
            "end programs that take the processor: samples come too late to be decoded in their bin",
        )
        if delay["p50"] > LATE_MS
        else None,
        _slow(figures),
    )


def judge_multicast(figures: Figures) -> Finding:
    """Warns if the stream is not found: a rig on one machine can do without."""
    if figures["skipped"]:
        return Finding(Verdict.OK, "not tried: lsl_api.cfg keeps LSL to this machine")
    peers = "or name the other machine in lsl_api.cfg: [lab] KnownPeers = {ADDRESS}"
    fix = f"if the spikes come from another machine: connect the network, {FIREWALL}, {peers}"
    if figures["found_s"] is None:
        return Finding(Verdict.WARN, f"a stream was not found by multicast in {figures['looked_s']:g} s", fix)
    if not figures["samples"]:
        return Finding(Verdict.WARN, f"found in {figures['found_s']:.2f} s, but no sample came", fix)
    return conclude(_found(figures), _slow(figures))


def _found(figures: Figures) -> str:
    delay = figures["delay_ms"]
    return (
        f"found in {figures['found_s']:.2f} s, delivery delay {delay['p50']:.2f} ms (p99 {delay['p99']:.2f}, "
        f"{figures['samples']} samples)"
    )


def _slow(figures: Figures) -> tuple[Verdict, str] | None:
    if figures["found_s"] <= SLOW_TO_FIND_S:
        return None
    return (
        Verdict.WARN,
        f"finding a stream takes longer than {SLOW_TO_FIND_S:g} s, so does coming back to one: {FIREWALL}, "
        "end programs that take the processor",
    )
