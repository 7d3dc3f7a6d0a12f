"""Calibrate a model of other days to today, and judge whether it may be deployed.

result = calibrate_session("today.h5", base)
if result.deployable:
    write_artifact("today.safetensors", result.artifact)
result.reason
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact
from rtdecode.calibrate.adaptation.finetune_settings import FinetuneSettings
from rtdecode.calibrate.adaptation.gate import Verdict, judge
from rtdecode.calibrate.adaptation.ladder import Taken, default_rung, fresh_name, take_rung
from rtdecode.calibrate.adaptation.session import Today, read_today
from rtdecode.calibrate.channels.checkup import Channels, examine
from rtdecode.calibrate.channels.statistics import carried, remember, with_memory
from rtdecode.calibrate.data.metrics import nullable, pcc
from rtdecode.calibrate.data.provenance import created_now, numeric_versions
from rtdecode.calibrate.data.refit_labels import RECORDED, REFIT
from rtdecode.calibrate.fitting.fitters import same_day_filter
from rtdecode.calibrate.run import Progress, Run, ignore
from rtdecode.decode.load import load_decoder
from rtdecode.errors import RtdecodeError

#: Labelled time below which nothing can be learnt and judged; and time, where there are no labels.
SHORTEST_S, SHORTEST_SPIKES_S = 50.0, 20.0

#: Part of the budget that reading and judging take.
JUDGING = 0.2

#: Without labels, so many of the base's channels have to fire today.
FEWEST_ALIVE = 0.5


@dataclass(frozen=True, eq=False)
class Calibration:
    """What came of it.

    Attributes:
        artifact: today's model; None where none could be made.
        rung: how it was made.
        deployable: whether it passed the gate.
        reason: why, or why not, in a line.
        labels: what the scores are against, "recorded" or "refit" (intention).
        verdict: the scores of the held-out fifth; None without labels.
        pcc: f8[D], Pearson's correlation there; None without labels.
        holdout_s: seconds that were held out.
        seconds: that it took.
        notes: what someone who uses it must know, a sentence each.
        today: the session.
        channels: what was found about its channels; None where nothing could be made of the session.
        decoded: f4[held out, D], by today's model; None without labels.
    """

    artifact: ModelArtifact | None
    rung: str
    deployable: bool
    reason: str
    verdict: Verdict | None
    pcc: NDArray[np.float64] | None
    holdout_s: float
    seconds: float
    notes: list[str]
    today: Today
    channels: Channels | None = None
    decoded: NDArray[np.float32] | None = None
    labels: str = RECORDED


def calibrate_session(
    path: Path | str,
    base: ModelArtifact,
    *,
    incumbent: ModelArtifact | None = None,
    rung: str | None = None,
    budget_s: float | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Progress = ignore,
    blocks: Sequence[str] = (),
    finetune: FinetuneSettings | None = None,
) -> Calibration:
    """Calibrate a network to a session.

    The first 80 % of the labelled time is learnt from. The last fifth is scored once, at the end: the new
    model, the incumbent, and a Wiener filter fitted to the same 80 %.

    Args:
        path: session file.
        base: the network to start from.
        incumbent: the model in use, which has to be beaten; None for the base as it is.
        rung: one of `rungs.RUNGS`; None for what the session and the installation allow.
        budget_s: seconds that it may take; None for as long as it does.
        seed: of everything random.
        device: to train on.
        progress: told how far the work is.
        blocks: whose trials' time is taken; () for the whole session.
        finetune: settings of fine-tuning; None for the defaults.

    Raises:
        RtdecodeError: the session cannot be read or does not fit the base, the base is no network or was
            trained on all of the session, or the rung cannot be taken. A session with too little in it is no
            error: it is refused, with a reason.
    """
    started = time.monotonic()
    if budget_s is not None and not budget_s > 0:
        raise RtdecodeError(f"a budget of {budget_s:g} s", where="--budget", fix="give seconds above 0")
    progress("reading the session", 0.0)
    labels = REFIT if rung == "refit" else RECORDED
    today = read_today(
        Path(path), base, spikes_will_do=rung == "unsup", seed=seed, refit=labels == REFIT, blocks=blocks
    )
    _check_unseen(base, today)
    chosen = rung if rung is not None else default_rung(today.learnt_s)
    reason = _hopeless(today, base)
    if reason:
        seconds = time.monotonic() - started
        return Calibration(
            None, chosen, False, reason, None, None, today.held_out_s, seconds, [], today, labels=labels
        )
    stage = f"calibrating {chosen}"

    def looked(best_r2: float) -> None:
        nonlocal stage
        stage = f"calibrating {chosen}: R² {best_r2:.3f} on the last fifth of its labels"

    seen, targets = today.counts[: today.end], today.learnt_targets if today.labelled else None
    channels = examine(seen, targets, base, today.bin_width_s)
    # A masked channel is a silent one to all that learns; what is made is judged on what comes in live.
    heard = replace(today, counts=np.where(channels.noisy, np.uint8(0), today.counts))
    taken = take_rung(
        chosen,
        base,
        heard,
        Run(
            seed=seed,
            device=device,
            deadline_s=None if budget_s is None else started + (1.0 - JUDGING) * budget_s,
            progress=lambda done: progress(stage, 0.1 + 0.7 * done),
            on_validation=looked,
        ),
        finetune,
    )
    progress("judging", 0.8)
    kept = remember(seen, targets, today.bin_width_s, base.count_max)
    made = with_memory(taken.artifact, (carried(base) if targets is None else {}) | kept)
    notes = [*taken.notes, *channels.notes]
    if today.intention is not None:
        notes.insert(0, today.intention.note())
    if today.synthetic_times:
        notes.append("the session's counts were spread over finer bins: their times in there are not real")
    verdict, correlation, values = None, None, None
    if today.labelled:
        rival = base if incumbent is None else incumbent
        if not _comparable(rival, base):
            notes.append(f"the model in use, {rival.model_id}, has other bins or outputs: not compared")
        values = _decoded(made, today)
        verdict = judge(
            values,
            today.judging_targets,
            today.bin_width_s,
            incumbent=_decoded(rival, today) if _comparable(rival, base) else None,
            wiener=_decoded(_filter(base, heard), today),
            seed=seed,
        )
        correlation = pcc(values, today.judging_targets)
        deployable, reason = verdict.deployable, verdict.reason
        if today.intention is not None:
            reason += ", against labels of intention"
    else:
        deployable, reason = _by_channels(base, made, channels)
    progress("done", 1.0)
    return Calibration(
        artifact=replace(made, provenance=_provenance(base, today, taken, verdict, seed, notes)),
        rung=taken.rung,
        deployable=deployable,
        reason=reason,
        verdict=verdict,
        pcc=correlation,
        holdout_s=today.held_out_s,
        seconds=time.monotonic() - started,
        notes=notes,
        today=today,
        channels=channels,
        decoded=values,
        labels=labels,
    )


def forced(result: Calibration) -> Calibration:
    """A calibration that was refused, to be deployed all the same: the model's provenance says so.

    Raises:
        RtdecodeError: there is no model.
    """
    if result.artifact is None:
        raise RtdecodeError(f"no model could be made: {result.reason}", where="--force")
    provenance = result.artifact.provenance | {"forced": result.reason}
    return replace(result, artifact=replace(result.artifact, provenance=provenance))


def _check_unseen(base: ModelArtifact, today: Today) -> None:
    """Nothing can be judged by what was learnt from."""
    for seen in base.provenance.get("sessions", ()):
        whole = not seen.get("validation") and not seen.get("holdout_s")
        if seen.get("sha256") == today.sha256 and whole:
            raise RtdecodeError(
                "the base was trained on this very session, which cannot judge it then",
                where=str(today.path),
                fix="name a base of other days with --base, or record anew",
            )


def _hopeless(today: Today, base: ModelArtifact) -> str:
    """Why nothing can be made of the session; "" if something can."""
    if not today.statistics(base.count_max)[2].any():
        return "no channel fires: is the array connected?"
    seconds = len(today.counts) * today.bin_width_s
    if not today.labelled:
        if seconds < SHORTEST_SPIKES_S:
            return f"the session lasts {seconds:.0f} s, and {SHORTEST_SPIKES_S:g} s are needed"
        return ""
    labelled_s = today.learnt_s + today.held_out_s
    if labelled_s < SHORTEST_S:
        what = "of behaviour" if today.intention is None else "on the way to targets"
        return f"the session has {labelled_s:.0f} s {what}, and {SHORTEST_S:g} s are needed"
    for which, rows in (("first 80 %", today.learnt), ("last fifth", today.held_out)):
        if not (np.ptp(today.targets[rows], axis=0) > 0).any():
            return f"the behaviour of its {which} does not vary"
    return ""


def _by_channels(base: ModelArtifact, new: ModelArtifact, channels: Channels) -> tuple[bool, str]:
    """The gate of a model without scores."""
    if channels.reordered:
        return False, f"channels look reordered: {channels.reordered}; check the connectors"
    before, now = np.array(base.channel_mask), np.array(new.channel_mask)
    alive, of = int((before & now).sum()), int(before.sum())
    if alive < FEWEST_ALIVE * of:
        return False, f"only {alive} of the base's {of} channels fire today"
    return True, f"no labels, so no scores; {alive} of the base's {of} channels fire today"


def _comparable(one: ModelArtifact, other: ModelArtifact) -> bool:
    return (one.bin_width_s, one.n_channels, one.output_names) == (
        other.bin_width_s, other.n_channels, other.output_names
    )  # fmt: skip


def _decoded(artifact: ModelArtifact, today: Today) -> NDArray[np.float32]:
    """Values f4[held out, D], decoded from the session's first bin on."""
    values = np.empty(today.targets.shape, np.float32)
    load_decoder(artifact).run(today.counts, values)
    return values[today.held_out]


def _filter(base: ModelArtifact, today: Today) -> ModelArtifact:
    return same_day_filter(today.counts[: today.end], today.learnt_targets, base.outputs, today.bin_width_s)


def _provenance(
    base: ModelArtifact,
    today: Today,
    taken: Taken,
    verdict: Verdict | None,
    seed: int,
    notes: list[str],
) -> dict[str, Any]:
    scores: dict[str, Any] | None = None
    name = fresh_name(base, today.name)
    if verdict is not None:
        each = {"new": verdict.new, "incumbent": verdict.incumbent, "wiener": verdict.wiener}
        scores = {name: None if score is None else nullable(score) for name, score in each.items()}
        scores["bound"], scores["chance"] = nullable((verdict.bound, verdict.chance))
    return {
        "created": created_now(),
        "base": base.model_id,
        "rung": taken.rung,
        "calibration": taken.settings,
        "sessions": [*base.provenance.get("sessions", ()), today.provenance() | {"name": name}],
        "labels": RECORDED if today.intention is None else REFIT,
        "seed": seed,
        "scores": scores,
        "notes": notes,
        "versions": numeric_versions(),
    }
