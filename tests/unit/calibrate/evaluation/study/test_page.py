"""The study's page: complete, well-formed, and nothing in a file can break it."""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ET

from studies import SESSIONS

from rtdecode.calibrate.evaluation.study.frames import StudyFrames, study_frames
from rtdecode.calibrate.evaluation.study.page import About, study_page
from rtdecode.calibrate.evaluation.study.rows import CROSS_DAY, Row, names_of, pick
from rtdecode.calibrate.evaluation.study.tables import cost_blocks, output_blocks, score_blocks

ABOUT = About(
    command="rtdecode study a.h5 --output study",
    made="2026-11-25",
    versions={"rtdecode": "1.2", "torch": "9.9"},
    notes=["times within bins are simulated"],
    sessions={SESSIONS[0]: "96 channels"},
    missing=["resnet, seed 1"],
)


FIGURES = {
    "scores.png": "The table above as a picture",
    "figure-5.png": "Spikes to behaviour",
    "figure-6.png": "Behaviour to spikes",
    "figure-7.png": "Firing of the channels",
}


def parsed(page: str) -> ET.Element:
    return ET.fromstring(page.removeprefix("<!DOCTYPE html>\n"))


def test_the_figures_are_in_the_page_in_their_order(whole: StudyFrames) -> None:
    figures = {name: name.encode() for name in reversed(FIGURES)}
    page = parsed(study_page(whole, figures, ABOUT))
    sources = [image.get("src", "") for image in page.findall(".//img")]
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    shown = [base64.b64decode(source.partition(",")[2]).decode() for source in sources]
    assert shown == list(FIGURES)
    captions = ["".join(caption.itertext()) for caption in page.findall(".//figcaption")]
    assert [caption.partition(". ")[0] for caption in captions] == list(FIGURES.values())
    assert all(len(caption) > 100 and caption.endswith(".") for caption in captions)


def test_every_session_kind_and_number_is_in_the_page(whole: StudyFrames) -> None:
    page = parsed(study_page(whole, {}, ABOUT))
    words = " ".join(page.itertext())
    for name in (*SESSIONS, *names_of(whole.rows), "day_b", "abcd1230", "96 channels"):
        assert name in words
    for text in ("Times within bins are simulated.", "Missing: resnet, seed 1.", ABOUT.command, "9.9"):
        assert text in words
    for block in (*score_blocks(whole), *output_blocks(whole), *cost_blocks(whole)):
        assert block.title in words
        assert all(cell.text in words for row in block.rows for cell in row)
    best = [cell for block in score_blocks(whole) for row in block.rows for cell in row if cell.best]
    marked = ["".join(cell.itertext()) for cell in page.findall(".//td[@class='best']")]
    assert len(best) == len(marked) == 8
    assert all(text.startswith(f"{cell.text}*n {cell.sessions}, seeds ± ")
               for cell, text in zip(best, marked, strict=True))  # fmt: skip
    terms = [term.text for term in page.findall(".//dt")]
    assert terms == [
        "R²", "PCC", "±", "causal", "offline", "2-D", "single-day", "cross-day", "pretrained", "*", "cost",
    ]  # fmt: skip
    assert page.findall(".//img") == []


def test_only_what_the_rows_contain_is_explained(whole: StudyFrames) -> None:
    part = [row for row in pick(whole.rows, protocol=CROSS_DAY, causality="causal") if row["base"] is None]
    page = parsed(study_page(study_frames(part), {}, About(command="x")))
    terms = [term.text for term in page.findall(".//dt")]
    assert terms == ["R²", "PCC", "±", "causal", "cross-day", "*", "cost"]
    assert "pretrained" not in " ".join(page.itertext())
    empty = parsed(study_page(study_frames([]), {}, About(command="x")))
    assert empty.findtext(".//h1") == "No job is finished"


def test_nothing_in_a_name_becomes_markup_and_nothing_comes_from_elsewhere(whole: StudyFrames) -> None:
    evil = "<script>alert('1')</script>&\"$^{"
    few = [row for row in whole.rows if row["kind"] in ("gru", "alignnet") and row["test"] == [SESSIONS[2]]]
    strange: list[Row] = [
        {
            **row,
            "test": [evil],
            "train": [evil],
            "kind": f"{row['kind']}{evil}",
            "form": evil if row["form"] == "offline" else row["form"],
            "base": evil if row["base"] else None,
            "outputs": [f"{name}{evil}" for name in row["outputs"]],
        }
        for row in few
    ]
    about = About(evil, evil, {evil: evil}, [evil], {evil: evil}, [evil])
    text = study_page(study_frames(strange), {"scores.png": b"PNG"}, about)
    assert "alert(" in text
    assert not re.search(r"<(script|iframe|link|object|svg)", text)
    assert not re.search(r"(src|href)\s*=\s*[\"'](?!data:image/png)|url\(|@import|https?:", text)
    words = " ".join(parsed(text).itertext())
    assert f"gru{evil}" in words
    assert f"x{evil}" in words
