"""Samples are decoded as pyxdf decodes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import pyxdf
from files.xdf import FORMATS, XdfFile

from rtdecode.tools.files.xdf.chunks import scan
from rtdecode.tools.files.xdf.samples import StreamFile
from rtdecode.tools.files.xdf.streams import describe


@pytest.mark.parametrize("form", [*FORMATS, "string"])
def test_like_pyxdf(tmp_path: Path, form: str) -> None:
    rng = np.random.default_rng(0)
    file = XdfFile()
    file.header(1, name="a", type="b", nominal_srate=100, channel_count=3, channel_format=form)
    # All samples with stamps, none, only the first, and any.
    for k, kept in enumerate((1.0, 0.0, -1.0, 0.5, 0.5)):
        stamps = [k + 0.01 * i if rng.random() < kept or (kept < 0 and not i) else None for i in range(8)]
        file.samples(1, stamps, [[int(v) for v in row] for row in rng.integers(-99, 99, (8, 3))])  # type: ignore[arg-type]
    file.offset(1, 0.0, 100.0)
    path = file.write(tmp_path / "a.xdf")
    (expected,), _ = pyxdf.load_xdf(path, dejitter_timestamps=False)
    with path.open("rb") as opened:
        chunks = scan(opened).streams[1]
    assert chunks.header is not None
    stream = describe(chunks.header)
    assert stream is not None
    samples = StreamFile(path, stream, chunks).load()
    assert np.allclose(samples.time, expected["time_stamps"], rtol=0, atol=1e-9)
    assert samples.values.tolist() == np.array(expected["time_series"], object).tolist()
    assert len(StreamFile(path, stream, chunks).load(about=14).time) == 24
    assert StreamFile(path, stream, chunks).load(reduce=lambda values: values[:, :1]).values.shape == (40, 1)
