"""What a session looks like that it cannot mean: milliseconds, two clocks, rates for counts, trial time."""

from rtdecode.session.doctor.examine import examine
from rtdecode.session.doctor.finding import Finding

__all__ = ["Finding", "examine"]
