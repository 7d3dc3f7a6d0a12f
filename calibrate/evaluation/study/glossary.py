"""What the study's page says about its numbers and figures, as far as there are such."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

from rtdecode.calibrate.evaluation.study.rows import (
    CROSS_DAY,
    DECODING,
    SIMULATION,
    SINGLE_DAY,
    Row,
    forms_of,
    listed,
    main_split,
    pick,
)

#: Captions by the figures' files, in the order of the page: a title, and how to read it.
CAPTIONS = MappingProxyType(
    {
        "scores.png": (
            "The table above as a picture",
            "A mark for each session, its seeds averaged; a bar at the mean over sessions. Scores far to "
            "the left are named at the edge. In italics: models that had learnt from other days than the "
            "protocol's.",
        ),
        "figure-5.png": (
            "Spikes to behaviour",
            "As the paper's figure 5. Red, thick: recorded. Blue: decoded. Dashed: decoded by the offline "
            "form, which sees what comes after. Sessions, and stretches without gaps, are drawn at random "
            "with a fixed seed from the first minute of held-out time; R² is of all held-out time.",
        ),
        "figure-6.png": (
            "Behaviour to spikes",
            "As the paper's figure 6: 100 bins, the darker, the more spikes. Recorded above, simulated "
            "from behaviour below, in the same shades; drawn at random with a fixed seed.",
        ),
        "figure-7.png": (
            "Firing of the channels",
            "As the paper's figure 7: the part of the bins in which a channel fired (equation 20), red "
            "recorded, blue simulated, in groups of 8 channels, of one session drawn at random; to the "
            "right all channels of all sessions and seeds, and the correlation over them (equation 19).",
        ),
    }
)


def headline(rows: Sequence[Row]) -> tuple[str, str]:
    """The page's title, and a sentence below it."""
    if not rows:
        return "No job is finished", "There is nothing to show yet."
    directions = [d for d in (DECODING, SIMULATION) if pick(rows, direction=d)]
    sessions = len({tuple(row["test"]) for row in rows})
    kinds = len({row["kind"] for row in rows})
    title = ", ".join(
        [
            f"{sessions} session{'' if sessions == 1 else 's'}",
            f"{kinds} kind{'' if kinds == 1 else 's'} of decoder",
            "both directions" if len(directions) == 2 else directions[0],
        ]
    )
    tests = [
        text
        for protocol, text in ((SINGLE_DAY, "on the rest of the same day"), (CROSS_DAY, "on the next day"))
        if pick(rows, protocol=protocol)
    ]
    return title, f"Trained on recordings, and scored {listed(tests)}."


def meanings(rows: Sequence[Row]) -> dict[str, str]:
    """What each number and word of the tables is, by what stands there."""
    return {
        "R²": "1 − squared error / spread of the recorded values, over the held-out bins, for each output "
        "(equation 18 of the paper): 1 is perfect, 0 as good as the mean; it may be negative. “Mean” "
        "counts all outputs alike, “weighted” by their variances.",
        "PCC": "Pearson's correlation with what was recorded (equation 19); of spikes, of the counts per "
        "bin, mean over channels that vary. “Pooled” is one correlation of all channels and bins: that "
        "channels differ in their rates alone makes it high.",
        "±": "standard deviation over sessions, of each session's mean over seeds. Small figures below: n, "
        "how many sessions; and the pooled standard deviation over seeds within sessions, where there are "
        "several.",
        **_forms(rows),
        **_protocols(rows),
        "*": "highest mean of those that were trained alike, in the same form, and scored on as many "
        "sessions as any.",
        "cost": "parameters, and the bytes they take; multiply-adds of one bin if none is left out (dense "
        "MACs); additions that spikes cause in one bin (effective ACs); the part of the neurons' bins "
        "without a spike (sparsity); time per bin and of training, as measured on the machine that did it.",
    }


def _forms(rows: Sequence[Row]) -> dict[str, str]:
    forms = set(forms_of(rows))
    said = {
        "causal": "a bin's value is made of that bin and earlier ones, as in closed loop.",
        "offline": "the decoder sees later bins, too, as the paper's; no closed loop can. Compare within "
        "a form.",
        "offline-2d": "offline, with convolutions over channels and time, as the paper prints them.",
    }
    names = {"causal": "causal", "offline": "offline", "offline-2d": "2-D"}
    return {names[form]: text for form, text in said.items() if form in forms}


def _protocols(rows: Sequence[Row]) -> dict[str, str]:
    said = {}
    parts = {"chronological": "the last 20 %", "random": "a random 20 %"}
    splits = [split for split in parts if pick(pick(rows, protocol=SINGLE_DAY), split=split)]
    if splits:
        texts = [f"trained on 80 % of a day, tested on {listed([parts[s] for s in splits], 'or')} of it."]
        if len(splits) > 1:
            texts.append(f"The first table is of {parts[main_split(rows)]}.")
        if "random" in splits:
            texts.append("What is held out at random lies between bins that were trained on.")
        said["single-day"] = " ".join(texts)
    across = [row for row in pick(rows, protocol=CROSS_DAY) if row["base"] is None]
    if across:
        days = listed([str(n) for n in sorted({len(row["train"]) for row in across})], "or")
        said["cross-day"] = f"trained on {days} day{'' if days == '1' else 's'}, tested on the next."
    bases = sorted({row["base"] for row in rows if row["base"] is not None})
    if bases:
        said["pretrained"] = (
            "scored as it is on a day that it has not seen (zero-shot); it has learnt from other days than "
            "the protocol's, and is not compared with the rest. Those of one form and direction are averaged "
            f"as seeds are. Here: {', '.join(bases)}."
        )
    return said
