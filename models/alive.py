"""Which channels count as firing, for every model and everything that looks at an array."""

from __future__ import annotations

#: A channel that fires less is dead: no model reads it.
DEAD_BELOW_HZ = 0.05
