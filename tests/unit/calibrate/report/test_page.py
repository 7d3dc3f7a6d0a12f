"""The report: its verdict, its content, and that nothing in a file can break it."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from daemon import cut
from simulated_days import with_values

from rtdecode.artifact import ModelArtifact, read_artifact
from rtdecode.calibrate.adaptation.calibrate import Calibration, calibrate_session, forced
from rtdecode.calibrate.channels.statistics import channel_tensors, with_statistics
from rtdecode.calibrate.data.sessions import read_labelled
from rtdecode.calibrate.report.alignment import latent_alignment
from rtdecode.calibrate.report.changes import changes_since_base
from rtdecode.calibrate.report.figures import direction_pair, draw_svg, turned_degrees
from rtdecode.calibrate.report.page import page, report_or_note, trust_in
from rtdecode.model_store import bundled_models
from rtdecode.session.layout import Session
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session

KEPT_ROWS = 2400


def minutes(session: Session, swap: bool = False, labels: bool = True) -> Session:
    """Two and a half minutes of a session, banks swapped and unlabelled on demand."""
    piece = cut(session, 64.0, 64.0 + 0.064 * KEPT_ROWS)
    values = piece.counts.values[:, np.r_[32:64, 0:32, 64:96]] if swap else piece.counts.values
    return replace(
        piece,
        path=None,
        counts=replace(piece.counts, values=values),
        behavior=piece.behavior if labels else None,
        attrs=session.attrs | {"date": "<script>alert(1)</script> & Söhne"},
    )


@pytest.fixture(scope="module")
def recorded(data_dir: Path) -> Session:
    return read_session(data_dir / "indy" / "indy_20170123_02.h5")


@pytest.fixture(scope="module")
def base(data_dir: Path) -> ModelArtifact:
    """The bundled model with the channel statistics of another day."""
    (path,) = [path for path in bundled_models() if path.name == "indy.safetensors"]
    artifact = read_artifact(path)
    day = read_labelled(data_dir / "indy" / "indy_20161220_02.h5", artifact.bin_width_s)
    kept = channel_tensors(day.binned.counts, day.targets, artifact.bin_width_s, artifact.count_max)
    return with_statistics(artifact, kept)


def calibrated(
    folder: Path, session: Session, base: ModelArtifact, rung: str | None = None, **how: Any
) -> Calibration:
    path = folder / "today.h5"
    write_session(path, minutes(session, **how))
    return calibrate_session(path, base, rung=rung)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, recorded: Session, base: ModelArtifact) -> Calibration:
    return calibrated(tmp_path_factory.mktemp("good"), recorded, base, "readout")


def test_a_model_that_passed_is_trusted(good: Calibration, base: ModelArtifact) -> None:
    passed = replace(good, deployable=True, reason="mean R² 0.8, better than a same-day Wiener filter (0.7)")
    assert trust_in(passed).headline == "TRUST"
    text = page(passed, base, {"stream": "M1"})
    assert '<header class="trust"' in text
    assert "Mean R² 0.8, better than a same-day Wiener filter (0.7)." in text
    for score in (good.verdict.new, good.verdict.wiener, [good.verdict.bound, good.verdict.chance]):
        assert all(f"{value:.3f}" in text for value in score)
    assert "Preferred directions turned by" in text
    assert "with the behaviour of the same 2 s" in text
    assert "stream <b>M1</b>" in text


def test_a_model_in_use_that_does_as_well_is_kept(good: Calibration) -> None:
    better = replace(good.verdict, deployable=False, incumbent=good.verdict.new + 0.1)
    refused = replace(
        good, deployable=False, reason="the model in use does as well or better", verdict=better
    )
    assert trust_in(refused).headline == "KEEP THE MODEL IN USE"
    assert "The model in use does as well or better." in trust_in(refused).why
    # Unless a same-day filter beats it, or it decodes nothing.
    for incumbent in (good.verdict.wiener - 0.1, np.full(4, -0.5), None):
        worse = replace(good.verdict, deployable=False, incumbent=incumbent, new=np.full(4, -0.6))
        assert trust_in(replace(refused, verdict=worse)).headline == "DO NOT USE"
    assert trust_in(forced(refused)).headline == "DO NOT USE"


def test_nothing_in_a_file_becomes_markup_and_nothing_is_fetched(
    good: Calibration, base: ModelArtifact
) -> None:
    outputs = tuple(replace(output, name=f"<b>${i}$^") for i, output in enumerate(good.artifact.outputs))
    strange = replace(
        good, artifact=replace(good.artifact, outputs=outputs), reason="<img src=x>", notes=["<i onload=1>"]
    )
    text = page(strange, base, {"base": "<iframe>"})
    assert "alert(1)" in text
    assert not re.search(r"<(script|img|iframe|b>\$|i onload|link|image)", text)
    # Names of XML vocabularies are not fetched.
    assert not re.search(r"(src|href)\s*=\s*[\"'](?!#)|url\((?!#)|@import", text)


def test_the_figure_is_one_well_formed_drawing(good: Calibration) -> None:
    day = good.session
    how: dict[str, Any] = {"decoded": good.decoded, "targets": day.targets[day.test]}
    svg = draw_svg(good.channels, good.artifact.outputs, day.bin_width_s, verdict=good.verdict, **how)
    root = ET.fromstring(svg)
    assert root.tag.endswith("svg")
    words = "".join(root.itertext())
    for title in ("test part", "rates of channels", "preferred directions (vx, vy)", "R² in the test part"):
        assert title in words
    assert svg == draw_svg(good.channels, good.artifact.outputs, day.bin_width_s, verdict=good.verdict, **how)
    pair = direction_pair(good.artifact.outputs)
    assert pair == (2, 3)
    assert turned_degrees(good.channels, pair) < 45


def test_swapped_banks_without_labels_are_refused_and_reported(
    tmp_path: Path, recorded: Session, base: ModelArtifact
) -> None:
    result = calibrated(tmp_path, recorded, base, swap=True, labels=False)
    assert result.rung == "unsup"
    assert not result.deployable
    assert result.reason == "channels look reordered: 0–31 and 32–63 are swapped; check the connectors"
    text = page(result, base, {})
    assert "DO NOT USE" in text
    assert result.reason in text
    assert "No behaviour, so no scores." in text
    assert "made current nevertheless" in page(forced(result), base, {})


def test_with_labels_the_scores_decide_and_the_page_lists_oddities(
    tmp_path: Path, recorded: Session, base: ModelArtifact
) -> None:
    result = calibrated(tmp_path, recorded, base, "readout", swap=True)
    assert "look reordered" not in result.reason
    assert any("0–31 and 32–63 are swapped" in note for note in result.notes)
    assert "are swapped" in trust_in(result).why
    passed = trust_in(replace(result, deployable=True))
    assert passed.headline == "TRUST WITH CARE"
    assert "0–31 and 32–63 are swapped" in passed.why


def test_without_labels_a_model_is_not_judged(tmp_path: Path, recorded: Session, base: ModelArtifact) -> None:
    result = calibrated(tmp_path, recorded, base, labels=False)
    trust = trust_in(result)
    assert (trust.level, trust.headline) == ("care", "NOT JUDGED")
    assert "Watch the first trials" in trust.why
    assert "It was made current nevertheless" in trust_in(forced(result)).why
    assert "no labels today" in page(result, base, {})


def test_without_a_model_the_page_has_the_reason(
    tmp_path: Path, recorded: Session, base: ModelArtifact
) -> None:
    write_session(tmp_path / "still.h5", with_values(minutes(recorded), np.zeros_like))
    result = calibrate_session(tmp_path / "still.h5", base, rung="readout")
    text = page(result, base, {})
    assert "DO NOT USE" in text
    assert "does not vary" in text
    assert "No model could be made." in text


def test_latents_are_aligned_in_the_same_window_and_in_no_other(data_dir: Path, base: ModelArtifact) -> None:
    day = read_labelled(data_dir / "indy" / "indy_20170123_02.h5", base.bin_width_s)
    counts, targets = day.binned.counts[3000:9000], day.targets[3000:9000]
    same = latent_alignment(base, counts, targets, base.bin_width_s)
    other = latent_alignment(base, counts, np.roll(targets, 2500, axis=0), base.bin_width_s)
    assert same.n_windows == 60
    assert same.chance == pytest.approx(1 / 60)
    assert same.same_window > same.other_windows + 0.1
    assert same.retrieval > 3 * same.chance
    assert other.same_window < same.same_window - 0.1
    assert latent_alignment(replace(base, kind="gru", widths=()), counts, targets, base.bin_width_s) is None
    assert latent_alignment(base, counts[:300], targets[:300], base.bin_width_s) is None


def test_alignment_is_left_out_where_it_is_not_available(
    good: Calibration, base: ModelArtifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reported(result: Calibration) -> str:
        return dict(changes_since_base(result, base))["Alignment"]

    gru = replace(good, artifact=replace(good.artifact, kind="gru", widths=(), fractional_bits=None))
    assert reported(gru) == "Not available: a gru model has no latents."
    assert reported(replace(good, verdict=None)) == "Not available: no behaviour."
    monkeypatch.delitem(sys.modules, "torch")
    assert reported(good) == "Not available: rung readout does not load torch."
    monkeypatch.setattr("rtdecode.calibrate.report.changes.torch_is_installed", lambda: False)
    assert reported(good) == "Not available: torch is not installed."


def test_the_page_is_written_atomically_and_a_failure_is_a_note(
    tmp_path: Path, good: Calibration, base: ModelArtifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "today.report.html"
    assert report_or_note(path, good, base) is None
    assert path.read_text().endswith("</html>\n")
    assert list(tmp_path.iterdir()) == [path]
    nowhere = tmp_path / "missing" / "a.html"
    note = report_or_note(nowhere, good, base)
    assert note.startswith(f"the report could not be written ({nowhere}: cannot be written")

    def broken(*_arguments: Any, **_more: Any) -> str:
        raise ZeroDivisionError("a figure")

    before = path.read_bytes()
    monkeypatch.setattr("rtdecode.calibrate.report.page.draw_svg", broken)
    assert report_or_note(path, good, base) == "the report could not be written (ZeroDivisionError: a figure)"
    assert path.read_bytes() == before
