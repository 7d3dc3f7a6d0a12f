"""What has changed since the base: channels, rates, their order, tuning, and whether latents still meet."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np

from rtdecode.artifact import ModelArtifact
from rtdecode.calibrate.adaptation.calibrate import Calibration
from rtdecode.calibrate.adaptation.ladder import torch_is_installed
from rtdecode.calibrate.channels.checkup import listed, rate_change
from rtdecode.calibrate.report.figures import direction_pair, tuned_in_both, turned_degrees
from rtdecode.models.renormalise import renormalised


def since_base(result: Calibration, base: ModelArtifact) -> list[tuple[str, str]]:
    """Headings and sentences; none where nothing could be made of the session."""
    found = result.channels
    if found is None or result.artifact is None:
        return []
    used = np.array(result.artifact.channel_mask)
    return [
        (
            "Channels",
            f"{int(used.sum())} of {len(used)} decoded, {int(found.memory.used.sum())} by the base. "
            f"Masked as noisy: {listed(found.noisy) or 'none'}. Silent: {listed(found.silent) or 'none'}. "
            f"New: {listed(found.new) or 'none'}. Silent, and unused by the base: "
            f"{listed(found.never) or 'none'}.",
        ),
        ("Rates", _rates(result)),
        ("Order", _order(result)),
        ("Tuning", _tuning(result)),
        ("Latents", " ".join(_latents(result, base))),
    ]


def _rates(result: Calibration) -> str:
    assert result.channels is not None
    change = rate_change(result.channels)
    if not np.isfinite(change):
        return "The base keeps no rates."
    return f"The median channel fires {change:.2f} times as much as in the base's last session."


def _order(result: Calibration) -> str:
    assert result.channels is not None
    order = result.channels.order
    if order is None:
        return "The base keeps nothing that channels could be told apart by."
    alike = f"By {order.by}; as they stand, channels are alike with r = {order.in_place:.2f}."
    if order.reordered:
        return f"Changed: {order.words} (evidence {order.gain:.1f} of 1 needed). {alike}"
    return (
        f"As in the base: the best other order has {max(order.gain, 0.0):.2f} of the evidence needed. {alike}"
    )


def _tuning(result: Calibration) -> str:
    found = result.channels
    assert found is not None
    assert result.artifact is not None
    if found.memory.tuning is None:
        return "The base keeps no tuning: made by an earlier version, or without labels."
    if found.today.tuning is None:
        return "No labels today, so no tuning."
    pair = direction_pair(result.artifact.outputs)
    tuned = tuned_in_both(found)
    text = f"{int(tuned.sum())} channels are tuned in both."
    if pair is None or not tuned.any():
        return text
    turned = turned_degrees(found, pair)
    depth, before = (
        tuning.depth_and_direction(pair)[0][tuned] for tuning in (found.today.tuning, found.memory.tuning)
    )
    ratio = float(np.median(depth / np.maximum(before, 1e-9)))
    return (
        f"{text} Preferred directions turned by {turned:.0f}° in the median (90° would be another array); "
        f"depths are {ratio:.2f} times the base's."
    )


def _latents(result: Calibration, base: ModelArtifact) -> Iterator[str]:
    """How well spikes and behaviour meet, for the base with today's statistics and for today's model."""
    made, today = result.artifact, result.today
    assert made is not None
    if made.kind != "alignnet":
        yield f"Not available: a {made.kind} model has no latents."
        return
    if result.verdict is None:
        yield "Not available: no behaviour."
        return
    if "torch" not in sys.modules:
        # To load it takes longer than all the rest of the page.
        why = "torch is not installed" if not torch_is_installed() else f"rung {result.rung} loads no torch"
        yield f"Not available: {why}."
        return
    from rtdecode.calibrate.report.alignment import agreement_of

    mean, sd, good = today.statistics(base.count_max)
    found = result.channels
    good = good & ~found.noisy if found is not None else good
    read_in = renormalised(base, "\0today", mean, sd, good)
    rows = np.flatnonzero(today.held_out)
    held = slice(int(rows[0]), int(rows[-1]) + 1)
    counts = np.minimum(today.counts[held], np.uint8(base.count_max))
    told = False
    for name, model in (("the base, read in today", read_in), ("today's model", made)):
        agreement = agreement_of(model, counts, today.targets[held], today.bin_width_s)
        if agreement is None:
            continue
        told = True
        yield (
            f"{name[0].upper()}{name[1:]}: cosine {agreement.own:.2f} with the behaviour of the same 2 s, "
            f"{agreement.other:.2f} with that of others; finds its own among {agreement.n_windows} in "
            f"{agreement.found:.0%} (chance {agreement.chance:.0%})."
        )
    if not told:
        yield "Not available: too little held-out time."
