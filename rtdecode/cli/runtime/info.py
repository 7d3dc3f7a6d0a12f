"""`rtdecode info`."""

from __future__ import annotations

import shlex
from collections import Counter
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtdecode.cli.common import print_json
from rtdecode.cli.options import Json, Trials
from rtdecode.errors import RtdecodeError
from rtdecode.trial_rules import TrialRules

if TYPE_CHECKING:
    from rtdecode.session.layout import LogEntry, Session

#: Kinds of entries of /log about sources; a recording without decoder may have those of a task beside.
OF_SOURCES = ("attached", "detached", "outage", "gap", "array_away", "array_back", "shifted")


def info(
    file: Annotated[
        Path, typer.Argument(help="Session (.h5), model (.safetensors or its name) or importable file.")
    ],
    repair: Annotated[
        bool, typer.Option("--repair", help="Write a repaired copy of a session beside it.")
    ] = False,
    trials: Trials = None,
    json: Json = False,
) -> None:
    """Print what a session or model file contains; or copy a session, repaired or with trials."""
    if trials is not None:
        copied, summary = _with_trials(file, trials)
        if json:
            print_json({"output": str(copied), "trials": summary})
        else:
            print(f"{summary}\nwritten to {copied}")
        return
    if repair:
        from rtdecode.session.repair import repair_session

        repaired, done = repair_session(file)
        if json:
            print_json({"output": str(repaired) if done else None, "repairs": done})
            return
        for line in done:
            print(line)
        print(f"written to {repaired}" if done else "no repair was needed")
        return
    if not file.suffix and not file.exists():
        from rtdecode.model_store import find_model

        file = find_model(str(file))
    if _listed_recording(file, json):
        return
    facts = _model_facts(file) if file.suffix == ".safetensors" else _session_facts(file)
    if json:
        print_json(facts)
        return
    for name, value in _readable(facts).items():
        print(f"{name:<14} {value}")


def _listed_recording(file: Path, json: bool) -> bool:
    """Print what a file of another program holds, if it is one that is imported."""
    from rtdecode.session.diagnosis.containers import is_session

    if file.suffix == ".safetensors" or not file.is_file() or is_session(file):
        return False
    from rtdecode.tools.files.listing import lines_of, listed
    from rtdecode.tools.files.open import is_importable, open_recording

    if not is_importable(file):
        return False
    recording = open_recording(file)
    if json:
        print_json(listed(recording))
        return True
    print("\n".join(lines_of(recording)))
    print(f"rtdecode import {shlex.quote(str(file))} makes a session of it")
    return True


def _with_trials(file: Path, rules: TrialRules) -> tuple[Path, str]:
    """Write a copy of a session with the trials of its markers; its path and a sentence about them."""
    from dataclasses import replace

    from rtdecode.files import unused
    from rtdecode.session.read import read_session
    from rtdecode.session.trials import find_trials
    from rtdecode.session.write import write_session

    session = read_session(file)
    if session.markers is None or not session.markers.text:
        raise RtdecodeError(
            "has no markers, which trials are made of", where=str(file), fix="record with --markers NAME"
        )
    found, summary = find_trials(session.markers, rules)
    if not len(found.start):
        raise RtdecodeError(f"there are {summary}", where=str(file), fix="name its markers with --trials")
    copy = unused(file.with_name(f"{file.stem}.trials.h5"))
    write_session(copy, replace(session, trials=found))
    return copy, summary


def _readable(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts for one line each: long ones are summarised, in full only with --json."""
    if "tensors" not in facts:
        notes = {f"note {number}": note for number, note in enumerate(facts.get("notes", ()), 1)}
        return {name: fact for name, fact in facts.items() if name != "notes"} | notes
    lines = {name: fact for name, fact in facts.items() if name != "provenance"}
    shapes, provenance = facts["tensors"].values(), facts["provenance"]
    lines["outputs"] = ", ".join(facts["outputs"])
    lines["tensors"] = (
        f"{len(shapes)} that decoding reads, {sum(map(prod, shapes)):,} numbers"
        if facts["causal"]
        else "none that decoding reads: the model is non-causal"
    )
    # Provenance may be any JSON.
    training = [each for each in _listed(provenance, "sessions") if isinstance(each, dict)]
    sessions = [str(each["name"]) for each in training if "name" in each]
    lines["made"] = provenance.get("created", "unknown")
    lines["sessions"] = (
        f"{len(sessions)}: {sessions[0]} … {sessions[-1]}" if len(sessions) > 3 else ", ".join(sessions)
    )
    for number, note in enumerate(_listed(provenance, "notes"), 1):
        lines[f"note {number}"] = note
    return lines


def _listed(provenance: dict[str, Any], name: str) -> list[Any]:
    value = provenance.get(name)
    return value if isinstance(value, list) else []


def _model_facts(file: Path) -> dict[str, Any]:
    from rtdecode.artifact import read_artifact

    artifact = read_artifact(file)
    return {
        "file": str(file),
        "model": artifact.model_id,
        "kind": artifact.kind,
        "causal": artifact.causal,
        "channels": artifact.n_channels,
        **({"arrays": [str(array) for array in artifact.arrays]} if artifact.arrays else {}),
        "masked": artifact.n_channels - sum(artifact.channel_mask),
        "bin_width_s": artifact.bin_width_s,
        "count_max": artifact.count_max,
        "outputs": [f"{o.name} ({o.units}, {o.role})" for o in artifact.outputs],
        "tensors": {f"run.{name}": list(tensor.shape) for name, tensor in artifact.run.items()},
        "provenance": artifact.provenance,
    }


def _entry_line(entry: LogEntry, session: Session) -> str:
    """An entry of /log: its bin, or its time where there is none, its kind, and the source it is about."""
    timed = session.decoded is None or entry.bin < 0
    at = f"{round(entry.time - session.start_s, 1) + 0.0:.1f} s" if timed else f"bin {entry.bin}"
    line, data = f"{at}: {entry.kind}", entry.data
    if entry.kind not in OF_SOURCES:
        return line
    if "source_id" in data:
        source = f"{data['source_id'] or 'unnamed'} on {data.get('host')}"
        line += f", stream {data.get('stream')}, source {source}"
    line += f", by {data['seconds']} s" if "seconds" in data else ""
    return line + (f": {data['reason']}" if "reason" in data else "")


def _session_facts(file: Path) -> dict[str, Any]:
    import numpy as np

    from rtdecode.messages import Flag
    from rtdecode.session.arrays import session_arrays
    from rtdecode.session.doctor import examine
    from rtdecode.session.doctor.finding import FINDINGS
    from rtdecode.session.read import read_session

    session = read_session(file)
    duration_s = session.end_s - session.start_s
    facts: dict[str, Any] = {
        "file": str(file),
        "session": session.name,
        "channels": session.n_channels,
        "seconds": round(duration_s, 3),
    }
    facts |= {
        name: text for name, text in sorted(session.attrs.items()) if name not in ("session_id", FINDINGS)
    }
    if arrays := session_arrays(session):
        facts["arrays"] = [str(array) for array in arrays]
    active = np.zeros(session.n_channels, np.int64)
    if session.events is not None:
        active += np.bincount(session.events.channel, minlength=session.n_channels)
        facts["events"] = len(session.events.time)
    if session.counts is not None:
        spikes = session.counts.values.sum(axis=0, dtype=np.int64)
        active += spikes
        facts["counts"] = (
            f"{len(session.counts.values)} bins of {session.counts.bin_width_s * 1e3:g} ms, "
            f"{int(spikes.sum())} spikes"
        )
    if (features := session.features) is not None:
        kinds = ", ".join(f"{n} {kind}" for kind, n in Counter(features.kinds).items())
        facts["features"] = (
            f"{len(features.time)} samples of {len(features.names)} columns ({kinds}) at "
            f"{1.0 / features.period_s:.4g} Hz"
        )
    if (detection := session.detection) is not None:
        kept = ("low_hz", "high_hz", "threshold_sd", "reference")
        facts["detection"] = ", ".join(f"{name} {detection.settings.get(name)}" for name in kept)
    if (observed := session.observed) is not None:
        seconds = float((observed[:, 1] - observed[:, 0]).sum())
        facts["observed"] = f"{len(observed)} intervals of {seconds:.1f} s in all"
    if (electrodes := session.electrodes) is not None:
        known = [label for label in electrodes.label if label]
        placed = "" if electrodes.x is None else ", with positions"
        if known:
            facts["electrodes"] = (
                f"{len(set(known))} for {session.n_channels} channels ({known[0]} … {known[-1]}){placed}"
            )
    facts["silent"] = int((active == 0).sum())
    if session.behavior is not None:
        columns = zip(session.behavior.names, session.behavior.units, strict=True)
        facts["behavior"] = f"{len(session.behavior.time)} samples of " + ", ".join(
            f"{n} ({u})" for n, u in columns
        )
    if session.trials is not None:
        facts["trials"] = len(session.trials.start)
    if session.markers is not None:
        facts["markers"] = len(session.markers.time)
    if session.decoded is not None:
        flags = session.decoded.flags
        flagged = {flag.name: int(((flags & flag) != 0).sum()) for flag in Flag}
        facts["decoded"] = f"{len(flags)} bins by model {', '.join(session.decoded.models)}"
        facts["flagged"] = {name: n for name, n in flagged.items() if n}
    log = [e for e in session.log if session.decoded is not None or e.kind in OF_SOURCES]
    if log:
        # A backlog has many entries of one bin: listed once.
        facts["log"] = list(dict.fromkeys(_entry_line(entry, session) for entry in log))
    facts["complete"] = session.complete
    if notes := [*session.notes, *map(str, examine(session))]:
        facts["notes"] = notes
    return facts
