"""A centre-out task with pygame: the decoded cursor on the screen, and its events as LSL markers.

Copy it and make it yours. It needs `pip install pygame pylsl` and the package `rtdecode` (its client alone):

    rtdecode serve --stream M1 --record today.h5 --markers task --trials 'start=go,stop=hit|miss,success=hit'
    python centre_out.py

What it shows of rtdecode:

- `CursorClient.latest()` never waits, so it fits into a loop with the frame rate of the display. The cursor
  turns red, and the trial's time stands still, while `client.link` is not LIVE: then nobody steers.
- Lengths are in the units of the decoded position (mm for most models). Only `on_screen` knows pixels.
  Targets are sent in these same units, which `rtdecode calibrate today.h5 --rung refit` needs.
- A marker is stamped after the display was flipped, when the subject can see it.

The position is that of the output stage (`[output]` in rig.toml) if there is one, else the first two decoded
values, which must be positions x and y. Escape ends the task.
"""

from __future__ import annotations

import json
import math
import random
import sys

import pygame
from msgspec import UNSET
from pylsl import StreamInfo, StreamOutlet, local_clock

from rtdecode.client import CursorClient, Link

CURSOR = "tcp://127.0.0.1:5556"
SIZE_PX = (1000, 1000)
PX_PER_MM = 4.0
DISTANCE_MM, RADIUS_MM, CURSOR_MM = 80.0, 15.0, 4.0
N_DIRECTIONS = 8
HOLD_S, LIMIT_S, PAUSE_S = 0.3, 5.0, 0.5

BLACK, WHITE, RED, GREEN = (0, 0, 0), (255, 255, 255), (220, 40, 40), (40, 200, 90)


def on_screen(position: tuple[float, float]) -> tuple[float, float]:
    """Pixels of a position in mm; y points up."""
    return SIZE_PX[0] / 2 + PX_PER_MM * position[0], SIZE_PX[1] / 2 - PX_PER_MM * position[1]


def next_target(number: int) -> tuple[float, float]:
    """Every second target is the centre."""
    if number % 2:
        return 0.0, 0.0
    angle = 2.0 * math.pi * random.randrange(N_DIRECTIONS) / N_DIRECTIONS
    return DISTANCE_MM * math.cos(angle), DISTANCE_MM * math.sin(angle)


def main() -> None:
    """Run trials until Escape."""
    pygame.display.init()
    screen = pygame.display.set_mode(SIZE_PX)
    clock = pygame.time.Clock()
    markers = StreamOutlet(StreamInfo("task", "Markers", 1, 0.0, "string", "centre-out-task"))
    cursor, target = (0.0, 0.0), next_target(0)
    number, left_s, held_s, pause_s = 0, LIMIT_S, 0.0, PAUSE_S
    with CursorClient(CURSOR) as client:
        while True:
            step_s = clock.tick(60) / 1000.0
            for event in pygame.event.get():
                if event.type == pygame.QUIT or (
                    event.type == pygame.KEYDOWN and event.key == pygame.K_ESCAPE
                ):
                    sys.exit()
            newest = client.latest()
            live = client.link is Link.LIVE
            if newest is not None and live:
                x, y = (newest.value if newest.out is UNSET else newest.out)[:2]
                cursor = (x, y)

            happened = ""
            if not live:
                held_s = 0.0
            elif pause_s > 0.0:
                pause_s -= step_s
                happened = "go" if pause_s <= 0.0 else ""
            else:
                left_s -= step_s
                held_s = held_s + step_s if math.dist(cursor, target) <= RADIUS_MM else 0.0
                happened = "hit" if held_s >= HOLD_S else "miss" if left_s <= 0.0 else ""

            screen.fill(BLACK)
            if pause_s <= 0.0 and happened not in ("hit", "miss"):
                pygame.draw.circle(screen, GREEN, on_screen(target), PX_PER_MM * RADIUS_MM)
            pygame.draw.circle(screen, WHITE if live else RED, on_screen(cursor), PX_PER_MM * CURSOR_MM)
            pygame.display.flip()

            if happened:
                marker = {"event": happened, "trial": number, "target": target, "radius": RADIUS_MM}
                markers.push_sample([json.dumps(marker)], local_clock())
            if happened in ("hit", "miss"):
                number += 1
                target, left_s, held_s, pause_s = next_target(number), LIMIT_S, 0.0, PAUSE_S


if __name__ == "__main__":
    main()
