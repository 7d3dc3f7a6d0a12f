"""Which channel of the model each channel of a stream is, from a text file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rtdecode.errors import RtdecodeError
from rtdecode.files import user_path

#: Channels of a recording are unsigned 16-bit numbers.
MOST_CHANNELS = 1 << 16


@dataclass(frozen=True)
class ChannelMap:
    """Channels of a stream and those of the model, from 0.

    Attributes:
        path: of the file.
        channels: channel of the model by what the stream calls it: a number as text, or a label.
    """

    path: Path
    channels: Mapping[str, int]

    @property
    def n_channels(self) -> int:
        """One more than the highest channel of the model."""
        return 1 + max(self.channels.values())

    def by_number(self) -> dict[int, int]:
        """Channel of the model by the number that an event carries.

        Raises:
            RtdecodeError: a channel has a label.
        """
        labels = [name for name in self.channels if re.fullmatch(r"-?\d+", name) is None]
        if labels:
            raise RtdecodeError(
                f"names channel {labels[0]!r} by a label, but events carry numbers of channels",
                where=str(self.path),
                fix="write in its first column the numbers that the stream sends",
            )
        return {int(name): channel for name, channel in self.channels.items()}


def read_channel_map(text: str) -> ChannelMap:
    """The file that `--channel-map` names: a line `STREAM,MODEL` for each channel that is decoded.

    The two are separated by a comma, a semicolon or blanks; a first line of names, empty lines and what
    follows a `#` are skipped.

    Raises:
        RtdecodeError: the file cannot be read, or a line is written in another way or repeats a channel.
    """
    path = user_path(text)
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeError) as error:
        what = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise RtdecodeError(
            f"cannot be read: {what}", where=str(path), fix="check --channel-map (in rig.toml channel_map)"
        ) from None
    channels: dict[str, int] = {}
    begun = False
    for number, line in enumerate(lines, 1):
        fields = [field.strip("\"'") for field in re.split(r"\s*[,;\s]\s*", line.partition("#")[0].strip())]
        if fields == [""]:
            continue
        is_row = len(fields) == 2 and all(fields) and fields[1].isdecimal() and int(fields[1]) < MOST_CHANNELS
        if not is_row and len(fields) == 2 and not begun and not any(map(str.isdecimal, fields)):
            begun = True
            continue
        begun = True
        where = f"{path}, line {number}"
        if not is_row:
            fix = "write the channel of the stream, a comma, and that of the model, such as 17,16"
            raise RtdecodeError(f"must be STREAM,MODEL, not {line.strip()!r}", where=where, fix=fix)
        name = str(int(fields[0])) if fields[0].isdecimal() else fields[0]
        if name in channels or int(fields[1]) in channels.values():
            twice = f"channel {name} of the stream" if name in channels else f"model channel {fields[1]}"
            raise RtdecodeError(f"{twice} is named twice", where=where, fix="delete one of the lines")
        channels[name] = int(fields[1])
    if not channels:
        raise RtdecodeError("names no channel", where=str(path), fix="write a line STREAM,MODEL for each")
    return ChannelMap(path, channels)
