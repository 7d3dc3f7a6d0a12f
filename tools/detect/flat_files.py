"""Raw voltage in NumPy files and in plain binary ones."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.session.diagnosis.containers import container_of
from rtdecode.tools.detect.voltage import RawOptions, RawVoltage, checked

#: Values in which the number of channels is looked for, up to so many above twice the stated one, and the
#: difference of autocorrelations from which it is another.
PERIOD_VALUES, MORE_CHANNELS, UNLIKE = 1 << 19, 256, 0.3


def of_npz(path: Path, options: RawOptions) -> tuple[str, NDArray[Any]]:
    """An array of an .npz file, unpacked on the disk so that it need not fit into memory."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
            wanted = options.dataset or (names[0] if len(names) == 1 else None)
            if wanted not in names:
                raise RtdecodeError(
                    f"holds {len(names)} arrays" + (f", none called {wanted}" if wanted else ""),
                    where=str(path),
                    fix=f"name one with --dataset: {', '.join(names[:10])}",
                )
            # The file is gone from the folder at once, its contents once the array is.
            with tempfile.NamedTemporaryFile() as unpacked, archive.open(f"{wanted}.npy") as packed:
                shutil.copyfileobj(packed, unpacked)
                unpacked.flush()
                return str(wanted), mapped(Path(unpacked.name), f"{path}:{wanted}")
    except zipfile.BadZipFile as error:
        raise RtdecodeError(f"is damaged: {error}", where=str(path), fix="copy it again") from error


def mapped(path: Path, where: str) -> NDArray[Any]:
    """The array of an .npy file, not read yet."""
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise RtdecodeError(
            f"cannot be read: {error}", where=where, fix="save numbers [samples, channels] with numpy.save"
        ) from error
    return array


def of_binary(path: Path, size: int, options: RawOptions) -> RawVoltage:
    """The voltage of a file that is samples from its first byte to its last."""
    where = str(path)
    if (kind := container_of(path)) is not None:
        raise RtdecodeError(
            f"is {kind[0]}, not plain samples",
            where=where,
            fix=f"{kind[1]} and save its voltage as .npy, [samples, channels]",
        )
    for value, option in (
        (options.n_channels, "--channels 96"),
        (options.rate_hz, "--rate 30000"),
        (options.dtype, "--dtype int16"),
    ):
        if value is None:
            raise RtdecodeError(
                f"is a plain binary file, which does not state its {option.split()[0][2:]}",
                where=where,
                fix=f"give {option}, or what it is here",
            )
    assert options.n_channels is not None
    dtype = np.dtype(options.dtype).newbyteorder("<")
    row = options.n_channels * dtype.itemsize
    if size % row:
        raise RtdecodeError(
            f"holds {size} bytes, not a whole number of samples: one of {options.n_channels} channels in "
            f"{options.dtype} is {row} bytes, and {size % row} are left",
            where=where,
            fix="correct --channels or --dtype, or cut off a header",
        )
    flat = np.memmap(path, dtype, "r")
    shape = (options.n_channels, -1) if options.channel_major else (-1, options.n_channels)
    found = RawVoltage(where, flat.reshape(shape), bool(options.channel_major), 0.0, 0.0)
    notes = []
    if dtype.kind == "i" and _looks_float(flat):
        notes.append(f"the values look like float32, and are read as {options.dtype}")
    elif not options.channel_major and (period := _period(flat[:PERIOD_VALUES], options.n_channels)):
        notes.append(f"the values repeat every {period}, and are read as {options.n_channels} channels")
    return checked(replace(found, notes=tuple(notes)), options)


def _period(flat: NDArray[Any], n_channels: int) -> int:
    """Number of channels for which samples are far more like the ones before; 0 if the stated one is right.

    Offsets of the channels, and field potentials, make a sample of a channel like its last one.
    """
    values = flat.astype(np.float64)
    if not np.isfinite(values).all() or len(values) < 4 * n_channels:
        return 0
    values -= values.mean()
    spectrum = np.abs(np.fft.rfft(values, 2 * len(values))) ** 2
    alike = np.fft.irfft(spectrum)[: min(2 * n_channels + MORE_CHANNELS, len(values) // 2)]
    best = int(alike[1:].argmax()) + 1
    return best if alike[best] - alike[n_channels] > UNLIKE * alike[0] else 0


def _looks_float(flat: NDArray[Any]) -> bool:
    """Whether integers are, bit by bit, plausible voltages in float32: in integers few are."""
    start = flat[:PERIOD_VALUES].tobytes()
    floats = np.frombuffer(start, "<f4", len(start) // 4)
    plausible = (floats == 0) | ((floats > 1e-9) & (floats < 1e9)) | ((floats < -1e-9) & (floats > -1e9))
    return bool(flat[:PERIOD_VALUES].any() and plausible.mean() > 0.99)
