"""The recorder thread, without a stream."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtdecode.serve.recording.beside import Beside
from rtdecode.serve.recording.buffers import RecordBuffers
from rtdecode.serve.recording.recorder import Recorder
from rtdecode.session.contents import Contents
from rtdecode.session.read import read_session


@pytest.mark.parametrize(("overwrite", "written"), [(False, "today.2.h5"), (True, "today.h5")])
def test_a_name_that_is_taken_after_the_start_costs_no_recording(
    tmp_path: Path, overwrite: bool, written: str
) -> None:
    recorder = Recorder(
        tmp_path / "today.h5",
        buffers=RecordBuffers(1, 0),
        beside=Beside(None, None, None),
        contents=lambda: Contents(n_channels=1, events=True),
        overwrite=overwrite,
    )
    (tmp_path / "today.h5").write_text("another's")
    recorder.start()
    recorder.stop()
    assert (recorder.error, recorder.path.name) == ("", written)
    assert read_session(tmp_path / written).complete
    assert ((tmp_path / "today.h5").read_bytes() == b"another's") is not overwrite
