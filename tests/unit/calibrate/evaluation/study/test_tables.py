"""The study's tables: the numbers in their cells, the best marked, and dashes where jobs are missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from studies import SESSIONS, simulated_study

from rtdecode.calibrate.evaluation.study.frames import StudyFrames, study_frames
from rtdecode.calibrate.evaluation.study.rows import CROSS_DAY, DECODING, SIMULATION, SINGLE_DAY, Row, pick
from rtdecode.calibrate.evaluation.study.tables import Block, cost_blocks, output_blocks, score_blocks
from rtdecode.cli.common import table


def by_kind(block: Block) -> dict[str, list[str]]:
    return {str(row[0]): [str(cell) for cell in row[1:]] for row in block.rows}


def test_table_one_has_a_block_for_each_causality(whole: StudyFrames) -> None:
    blocks = score_blocks(whole)
    assert [block.title.partition(" (")[0] for block in blocks] == ["Causal", "Offline", "Offline, 2-D"]
    assert all("last 20 %" in block.title for block in blocks)
    causal = by_kind(blocks[0])
    assert list(causal) == [
        "wiener", "kalman", "gru", "mlp", "resnet", "resnet-unet", "alignnet", "alignnet, pretrained",
    ]  # fmt: skip
    days = [
        np.mean([
            row["r2_mean"]
            for row in pick(
                whole.rows, protocol=SINGLE_DAY, split="chronological", direction=DECODING,
                causality="causal", name="gru",
            )
            if row["test"] == [day]
        ])
        for day in SESSIONS
    ]  # fmt: skip
    assert causal["gru"][0].startswith(f"{np.mean(days):.3f} ± {np.std(days, ddof=1):.3f} (4)")
    # A model of other days has no scores on the day that a protocol trains on.
    assert causal["alignnet, pretrained"][:2] == ["–", "–"]
    assert causal["alignnet, pretrained"][2].endswith("(2)")
    assert list(by_kind(blocks[2])) == ["alignnet"]
    printed = table(blocks[0].headings, blocks[0].texts()).splitlines()
    # The bracket of a marked number is aligned with the others.
    first = [line.index(")") for line in printed[1:8]]
    assert len(set(first)) == 1


def with_score(row: Row, kind: str, score: float | None, day: str = "a", base: str | None = None) -> Row:
    return {**row, "kind": kind, "r2_mean": score, "test": [day], "base": base}


def test_the_best_of_those_trained_and_scored_alike_is_marked(whole: StudyFrames) -> None:
    row = pick(whole.rows, protocol=CROSS_DAY, direction=DECODING, causality="causal", name="gru")[0]
    study = [
        with_score(row, kind, score, day) for kind, score in (("gru", 0.5), ("mlp", 0.6)) for day in "ab"
    ]
    # Neither a model trained on more days nor one scored on fewer is the best.
    study += [with_score(row, "alignnet", 0.9, day, base="12345678") for day in "ab"]
    study += [with_score(row, "resnet", 0.8, "a"), with_score(row, "wiener", None, "a")]
    (block,) = score_blocks(study_frames(study))
    best = {str(cells[0]): [cell.best for cell in cells[1:]] for cells in block.rows}
    assert [kind for kind, marks in best.items() if any(marks)] == ["mlp"]
    assert block.headings == ["kind", "cross-day R²"]
    assert block.title == "Causal"
    assert by_kind(block)["mlp"][0] == "0.600 ± 0.000 (2)*"
    assert by_kind(block)["wiener"] == ["–"]
    # Alone, nothing is the best.
    (alone,) = score_blocks(study_frames([each for each in study if each["kind"] == "mlp"]))
    assert not any(cell.best for cells in alone.rows for cell in cells)


def test_one_session_has_no_deviation_and_no_row_no_table(whole: StudyFrames) -> None:
    one = [row for row in whole.rows if row["test"] == [SESSIONS[0]]]
    causal = by_kind(score_blocks(study_frames(one))[0])
    assert causal["gru"][0].rstrip("* ").endswith("± – (1)")
    # It was scored on its own day alone: no column of other days, and no time of training on them.
    assert score_blocks(study_frames(one))[0].headings == ["kind", "single-day R²", "single-day PCC"]
    assert cost_blocks(study_frames(one))[0].headings[-2:] == ["s single-day", "jobs"]
    assert cost_blocks(whole)[0].headings[-3:] == ["s single-day", "s cross-day", "jobs"]
    empty = study_frames([])
    assert score_blocks(empty) == output_blocks(empty) == cost_blocks(empty) == []


def test_where_only_the_random_split_was_made_the_table_says_so(whole: StudyFrames) -> None:
    blocks = score_blocks(study_frames(pick(whole.rows, protocol=SINGLE_DAY, split="random")))
    assert all("random 20 %" in block.title for block in blocks)
    assert by_kind(blocks[0])["gru"][0] != "–"


def test_outputs_are_grouped_by_test_set(whole: StudyFrames) -> None:
    blocks = {block.title: block for block in output_blocks(whole)}
    behavior = blocks["R²: causal, spikes to behaviour"]
    assert behavior.headings == ["kind", "test set", "x", "y", "vx", "vy", "mean", "weighted"]
    lines = [[str(cell) for cell in row] for row in behavior.rows]
    test_sets = ("last 20 %", "random 20 %", "next day")
    place = next(i for i, line in enumerate(lines) if line[0] == "gru")
    assert tuple(line[1] for line in lines[place : place + 3]) == test_sets
    assert [line[0] for line in lines[place : place + 4]] == ["gru", "", "", "mlp"]
    for line, split in zip(lines[place:], ("chronological", "random"), strict=False):
        vx = {
            day: np.mean([
                row["r2"][2]
                for row in pick(whole.rows, protocol=SINGLE_DAY, split=split, direction=DECODING)
                if (row["kind"], row["form"], row["test"]) == ("gru", "causal", [day])
            ])
            for day in SESSIONS
        }  # fmt: skip
        assert line[4] == f"{np.mean(list(vx.values())):.3f}"
    spikes = blocks["PCC: offline, behaviour to spikes"]
    assert spikes.headings == ["kind", "test set", "mean", "pooled"]
    assert [block.note != "" for block in output_blocks(whole)].count(True) == 1


def test_costs_are_medians_and_dashes(whole: StudyFrames) -> None:
    decoding, simulating = cost_blocks(whole)
    costs = {(str(row[0]), str(row[1])): [str(cell) for cell in row[2:]] for row in decoding.rows}
    jobs = pick(whole.rows, direction=DECODING, causality="causal", name="alignnet")
    alignnet = costs["alignnet", "causal"]
    assert alignnet[0] == f"{jobs[0]['parameters']:,}"
    assert alignnet[1] == f"{jobs[0]['footprint_bytes'] / 1000:.1f}"
    assert alignnet[3] == f"{np.median([row['effective_acs'] for row in jobs]):,.0f}"
    assert alignnet[5] == f"{np.median([row['decode_us'] for row in jobs]):.1f}"
    for place, protocol in ((6, SINGLE_DAY), (7, CROSS_DAY)):
        seconds = [row["train_seconds"] for row in pick(jobs, protocol=protocol)]
        assert alignnet[place] == f"{np.median(seconds):.1f}"
    assert alignnet[8] == str(len(jobs))
    assert costs["gru", "offline"][3:5] == ["–", "–"]
    # A pretrained model took no time to train here.
    assert costs["alignnet, pretrained", "causal"][6:8] == ["–", "–"]
    assert simulating.title == f"Cost, {SIMULATION}"
    assert all(len(row) == len(block.headings) for block in (decoding, simulating) for row in block.rows)


def test_a_simulated_study_has_all_traces(tmp_path: Path) -> None:
    few = simulated_study(tmp_path, sessions=["only"], kinds=["alignnet"], seeds=[3], n_bins=120)
    assert {row["trace"] for row in few} == {f"jobs/{row['job']}.npz" for row in few}
    assert all((tmp_path / str(row["trace"])).is_file() for row in few)
