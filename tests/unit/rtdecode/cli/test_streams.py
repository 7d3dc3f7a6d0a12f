"""`rtdecode streams` names what `serve` would read each stream as."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from rtdecode.cli.commands import app
from rtdecode.ingest.connection.choice import needs_kinds
from rtdecode.ingest.connection.streams import Network
from rtdecode.ingest.signals.layouts import StreamDescription

READ_AS = [
    (StreamDescription("a", "", 96, 50.0, "float32"), "counts, or features, as the model reads"),
    (StreamDescription("b", "", 96, 50.0, "float32", kinds=("power",) * 96), "features"),
    (StreamDescription("c", "Features", 96, 50.0, "int16"), "features"),
    (StreamDescription("d", "Spikes", 3, 0.0, "int32"), "events"),
    (StreamDescription("e", "", 32, 30_000.0, "float32"), "broadband"),
    (StreamDescription("f", "", 32, 30_000.0, "int16"), "broadband, or raster, if 0 and 1"),
    (StreamDescription("g", "", 32, 2000.0, "int8"), "raster, if 0 and 1"),
    (StreamDescription("h", "Position", 2, 0.0, "int32"), "–; with --columns events"),
    (StreamDescription("i", "Markers", 1, 0.0, "string"), "markers"),
    (StreamDescription("j", "EEG", 8, 2000.0, "float32"), "–"),
]


def test_each_stream_is_listed_with_all_that_serve_may_read_it_as(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Network, "seen", lambda *_: [stream for stream, _ in READ_AS])
    listed = CliRunner().invoke(app, ["streams", "--wait", "0.1"], catch_exceptions=False).stdout
    for line, (stream, read_as) in zip(listed.splitlines()[-len(READ_AS) :], READ_AS, strict=True):
        assert line.startswith(stream.name)
        assert line.rstrip().endswith(f"  {read_as}")
    done = CliRunner().invoke(app, ["streams", "--wait", "0.1", "--json"], catch_exceptions=False)
    documents = {each["name"]: each for each in json.loads(done.stdout)}
    assert (documents["a"]["layout"], documents["a"]["layouts"]) == ("counts", ["counts", "features"])
    assert (documents["j"]["layout"], documents["j"]["layouts"]) == (None, [])


def test_only_what_may_be_features_is_asked_for_the_kinds_of_its_columns() -> None:
    assert [stream.name for stream, _ in READ_AS if needs_kinds(stream)] == ["a"]
