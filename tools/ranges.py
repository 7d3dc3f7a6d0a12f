"""One wording for a value that is out of its range."""

from __future__ import annotations

from rtdecode.errors import RtdecodeError


def check_range(where: str, fine: bool, allowed: str, value: float) -> None:
    """Refuse the value of a flag, in the flag's unit, that is not in the `allowed` range.

    Raises:
        RtdecodeError: it is not.
    """
    if not fine:
        raise RtdecodeError(
            f"must be {allowed}, not {value:g}", where=where, fix="give a value in this range"
        )
