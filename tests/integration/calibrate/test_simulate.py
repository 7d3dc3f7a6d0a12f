"""`rtdecode simulate` on a real session, replayed into a daemon; and a subject that fires by a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import document_here
from daemon import assert_once_in_order, cut

from rtdecode.artifact import read_artifact
from rtdecode.cli.calibrate.simulate import simulate
from rtdecode.errors import RtdecodeError
from rtdecode.model_store import find_model
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session
from rtdecode.tools.loopback import LoopbackRig

KEYS = {
    "output", "model", "seed", "bins", "channels", "spikes", "pcc", "firing", "rate_hz", "seconds", "notes",
}  # fmt: skip


@pytest.fixture(scope="module")
def simulated(indy: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Spikes of the bundled model for 20 seconds of a real session, and the JSON document about them."""
    folder = tmp_path_factory.mktemp("simulate")
    write_session(folder / "piece.h5", cut(read_session(indy), 99.84, 119.84))
    given = [folder / "piece.h5", "--model", "indy", "--output", folder / "out.h5", "--seed", 3]
    return folder / "out.h5", document_here("simulate", *given)


def test_simulated_spikes_are_like_recorded_ones(simulated: tuple[Path, dict[str, Any]]) -> None:
    path, document = simulated
    assert document.keys() >= KEYS
    assert (document["output"], document["seed"], document["channels"]) == (str(path), 3, 96)
    session = read_session(path)
    assert document["bins"] == len(session.counts.values) > 990
    assert document["spikes"] == len(session.events.time)
    # The model was trained on this day among others; this only tests the direction.
    correlations = np.array([np.nan if one is None else one for one in document["pcc"]])
    assert np.nanmedian(correlations) > 0.05
    recorded, made = (np.array(document["rate_hz"][which]) for which in ("recorded", "simulated"))
    assert np.corrcoef(recorded, made)[0, 1] > 0.6
    firing = (np.array(document["firing"][which]) for which in ("recorded", "simulated"))
    assert np.abs(np.subtract(*firing)).mean() < 0.08
    assert any("distributed at random" in note for note in document["notes"])


def test_a_model_decodes_its_own_spikes(simulated: tuple[Path, dict[str, Any]]) -> None:
    document = document_here("decode", simulated[0], "--model", "indy", "--from", 2)
    assert document["bins"] == simulated[1]["bins"]
    assert np.mean(document["pcc"]) > 0.3


def test_a_simulated_session_is_replayed_into_a_daemon(
    rig: LoopbackRig, serve: Any, replay: Any, simulated: tuple[Path, dict[str, Any]]
) -> None:
    served = serve(find_model("indy"), "--record", "live.h5", "--behavior", "hand")
    replay(simulated[0], "--behavior", "hand", "--speed", "4", "--wait", "30").wait(60.0)
    rig.end("replay")
    served.end()
    assert_once_in_order(served.subscriber.messages)
    sent, live = read_session(simulated[0]).events, read_session(rig.folder / "live.h5")
    assert live.decoded.lost.sum() == 0
    # All but what went out before the daemon was there.
    n = len(live.events.time)
    assert n > 0.4 * len(sent.time)
    np.testing.assert_array_equal(live.events.channel, sent.channel[-n:])
    assert live.behavior.names == ("x", "y", "vx", "vy")


def test_a_subject_of_a_generator_writes_a_session(tmp_path: Path) -> None:
    given = ["--generator", "indy", "--seconds", 20, "--open-loop", tmp_path / "open.h5"]
    document, session = document_here("subject", *given), read_session(tmp_path / "open.h5")
    assert document["channels"] == session.n_channels == 96
    assert document["generator"] == read_artifact(find_model("indy")).model_id
    assert document["spikes"] > 20 * 96
    for wrong, line in (
        (
            ["--channels", 64],
            "--channels: is 64, but the generator has 96 channels. Fix: leave --channels out",
        ),
        (["--day", 2], "--day: is 2, but the units of a generator do not drift. Fix: "),
    ):
        with pytest.raises(RtdecodeError) as refused:
            document_here("subject", *given[:-1], tmp_path / "not.h5", *wrong)
        assert str(refused.value).startswith(line)
    assert not (tmp_path / "not.h5").exists()


def test_what_cannot_be_simulated_is_one_line(
    indy_piece: Path, simulated_model: Path, simulated: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    out = tmp_path / "out.h5"
    for model, day, to, line in (
        (
            str(simulated_model),
            None,
            out,
            f"{simulated_model}: a wiener model does not simulate spikes from behaviour",
        ),
        ("indy", "monday", out, "--rates-of: the model has no session 'monday', but"),
        ("indy", None, indy_piece, f"{indy_piece}: is read or written by this command"),
        ("indy", None, simulated[0], f"{simulated[0]}: exists already. Fix: "),
    ):
        with pytest.raises(RtdecodeError) as refused:
            simulate(indy_piece, model, to, read_in=day)
        assert str(refused.value).startswith(line)
    assert not out.exists()


def test_the_table_has_rates_fractions_and_correlations(
    indy_piece: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulate(indy_piece, "indy", tmp_path / "out.h5", read_in="indy_20161005_06")
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert "rates of indy_20161005_06" in lines[0]
    assert [line.split("  ")[0] for line in lines[1:6]] == [
        "channels", "mean", "lower quartile", "median", "upper quartile",
    ]  # fmt: skip
    assert len(lines) == 14
    assert all(
        len(line.split()) - line.count("quartile") - line.startswith("channel ") == 6 for line in lines[2:]
    )
    assert "note: the recorded counts are coarser" in captured.err
