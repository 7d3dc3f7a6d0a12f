"""Changes since the base: channels, rates, channel order, tuning, and the alignment of latents."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import numpy as np

from rtdecode.artifact import ModelArtifact, Output
from rtdecode.calibrate.adaptation.calibrate import Calibration
from rtdecode.calibrate.adaptation.ladder import torch_is_installed
from rtdecode.calibrate.channels.checkup import Channels, listed, rate_change
from rtdecode.calibrate.report.figures import direction_pair, tuned_in_both, turned_degrees
from rtdecode.models.alive import clipped_inputs
from rtdecode.models.renormalise import renormalised


def changes_since_base(result: Calibration, base: ModelArtifact) -> list[tuple[str, str]]:
    """Headings and sentences; none where no model could be made."""
    found = result.channels
    if found is None or result.artifact is None:
        return []
    used = np.array(result.artifact.channel_mask)
    return [
        (
            "Channels",
            f"{int(used.sum())} of {len(used)} decoded, {int(found.base.used.sum())} by the base. "
            f"Masked as noisy: {listed(found.noisy) or 'none'}. Silent: {listed(found.silent) or 'none'}. "
            f"New: {listed(found.new) or 'none'}. Silent, and unused by the base: "
            f"{listed(found.never) or 'none'}.",
        ),
        ("Rates", _rates(found)),
        ("Order", _permutation(found)),
        ("Tuning", _tuning(found, result.artifact.outputs)),
        ("Alignment", " ".join(_alignment(result, base))),
    ]


def _rates(found: Channels) -> str:
    change = rate_change(found)
    if not np.isfinite(change):
        return "The base keeps no rates."
    return f"The median channel fires {change:.2f} times as much as in the base's last session."


def _permutation(channels: Channels) -> str:
    found = channels.permutation
    if found is None:
        return "The base keeps no statistics that distinguish channels."
    similar = f"By {found.evidence}; in this order, channels are similar with r = {found.similarity:.2f}."
    if found.reordered:
        return f"Changed: {found.description} (evidence {found.gain:.1f} of 1 needed). {similar}"
    return f"Unchanged: the best permutation has {max(found.gain, 0.0):.2f} of the evidence needed. {similar}"


def _tuning(found: Channels, outputs: Sequence[Output]) -> str:
    if found.base.tuning is None:
        return "The base keeps no tuning: made by an earlier version, or without labels."
    if found.today.tuning is None:
        return "No labels today, so no tuning."
    pair = direction_pair(outputs)
    tuned = tuned_in_both(found)
    text = f"{int(tuned.sum())} channels are tuned in both."
    if pair is None or not tuned.any():
        return text
    turned = turned_degrees(found, pair)
    depth, before = (
        tuning.depth_and_direction(pair)[0][tuned] for tuning in (found.today.tuning, found.base.tuning)
    )
    ratio = float(np.median(depth / np.maximum(before, 1e-9)))
    return (
        f"{text} Preferred directions turned by {turned:.0f}° in the median (90° would be another array); "
        f"depths are {ratio:.2f} times the base's."
    )


def _alignment(result: Calibration, base: ModelArtifact) -> Iterator[str]:
    """Alignment of spikes and behaviour, for the base re-normalised for the session and for the new model."""
    made, day = result.artifact, result.session
    assert made is not None
    if made.kind != "alignnet":
        yield f"Not available: a {made.kind} model has no latents."
        return
    if result.verdict is None:
        yield "Not available: no behaviour."
        return
    if "torch" not in sys.modules:
        # Loading it takes longer than the rest of the page.
        loads = f"rung {result.rung} does not load torch"
        yield f"Not available: {loads if torch_is_installed() else 'torch is not installed'}."
        return
    from rtdecode.calibrate.report.alignment import latent_alignment

    mean, sd, good = day.statistics(base.count_max)
    found = result.channels
    if found is not None:
        good[: len(found.noisy)] &= ~found.noisy
    read_in = renormalised(base, "\0today", mean, sd, good, day.of.features)
    rows = np.flatnonzero(day.test)
    test = slice(int(rows[0]), int(rows[-1]) + 1)
    inputs = clipped_inputs(day.inputs[test], base.count_max, len(base.features))
    for name, model in (("The base, re-normalised", read_in), ("Today's model", made)):
        alignment = latent_alignment(model, inputs, day.targets[test], day.bin_width_s)
        if alignment is None:
            yield "Not available: the test part is too short."
            return
        yield (
            f"{name}: cosine {alignment.same_window:.2f} with the behaviour of the same "
            f"2 s, {alignment.other_windows:.2f} with that of others; retrieves its own among "
            f"{alignment.n_windows} in {alignment.retrieval:.0%} (chance {alignment.chance:.0%})."
        )
