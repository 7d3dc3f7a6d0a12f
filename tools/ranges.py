"""One wording for a value that is out of its range."""

from __future__ import annotations

from rtdecode.errors import RtdecodeError


def check_range(where: str, fine: bool, allowed: str, value: float) -> None:
    """Check a setting.

    Args:
        where: its flag or name.
        fine: whether the value is in its range.
        allowed: the range, such as "between 0 and 1".
        value: in the unit of the flag.

    Raises:
        RtdecodeError: the value is out of its range.
    """
    if not fine:
        raise RtdecodeError(
            f"must be {allowed}, not {value:g}", where=where, fix="give a value in this range"
        )
