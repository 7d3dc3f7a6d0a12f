"""A detection as a session file keeps it: settings, noise and weights that give the same spikes again."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rtdecode.detection.settings import DetectionSettings, Measured, PowerSettings
from rtdecode.errors import RtdecodeError
from rtdecode.session.layout import Detection, Session


def recorded(
    rate_hz: float, settings: DetectionSettings, measured: Measured, power: PowerSettings | None = None
) -> Detection:
    """The part of a session file that keeps a detection; `power` of its features, None without."""
    kept = {"rate_hz": rate_hz, **asdict(settings)} | ({} if power is None else {"power": asdict(power)})
    return Detection(kept, measured.noise, measured.weights)


def detection_of(session: Session) -> tuple[float, DetectionSettings, Measured, PowerSettings | None]:
    """Rate in Hz, settings, noise and weights with which a session's events were detected, and of its power.

    Raises:
        RtdecodeError: they were not detected in voltage, or by a newer rtdecode.
    """
    where = str(session.path or session.name)
    if (detection := session.detection) is None:
        raise RtdecodeError(
            "does not say how its events were detected",
            where=where,
            fix="name a session made by rtdecode detect",
        )
    given: dict[str, Any] = dict(detection.settings)
    try:
        rate_hz, power = float(given.pop("rate_hz")), given.pop("power", None)
        of_power = None if power is None else PowerSettings(**power)
        return rate_hz, DetectionSettings(**given), Measured(detection.noise, detection.weights), of_power
    except (KeyError, TypeError, ValueError) as error:
        raise RtdecodeError(
            f"has settings of detection that cannot be read ({error})",
            where=f"{where}:/detection",
            fix="pip install --upgrade rtdecode",
        ) from error
