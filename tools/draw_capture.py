"""Draw the contact sheet of a synthetic capture in the documentation, `docs/capture.jpg`.

python tools/draw_capture.py

Every row is one moment of one sequence, seen by the first cameras of the studio. The last two rows
show the labels: joints (hollow where hidden), the outline of every hand, and depth.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from draw_samples import labelled

from knuckle.data.capture import View, render_view
from knuckle.data.capture_motion import sample_sequence
from knuckle.data.capture_plan import CaptureSettings, Sequence, make_plan
from knuckle.render.contact import gap_mm
from knuckle.render.scene import World

SHEET = Path(__file__).parents[1] / "docs/capture.jpg"
#: What `knuckle data synth OUT --frames 20000 --seed 1` would record.
SETTINGS = CaptureSettings(frames=20_000, seed=1)
WIDTH, HEIGHT = 1640, 200
#: Numbers of the sequences that are shown.
SHOWN = (1, 6, 8, 3, 11, 4, 15, 21, 18)


def views_of(world: World, sequence: Sequence, count: int = 10) -> list[View]:
    """One moment of a sequence, of two hands the one at which they have come nearest."""
    motion = sample_sequence(SETTINGS, sequence)
    step = len(sequence.frames) // 2
    if len(motion.hands) == 2:
        gaps = gap_mm(*motion.hands)
        step = int(np.argsort(gaps)[len(gaps) // 8])
    (moment,) = motion.moments(np.array([step]))
    return [render_view(SETTINGS, world, sequence, step, moment, n) for n in range(count)]


def row(pictures: list[np.ndarray]) -> np.ndarray:
    """Pictures at one height, side by side, cut at the sheet's width."""
    scaled = [
        cv2.resize(p, (round(p.shape[1] * HEIGHT / p.shape[0]), HEIGHT),
                   interpolation=cv2.INTER_AREA)
        for p in pictures
    ]  # fmt: skip
    line = np.hstack(scaled)[:, :WIDTH]
    return np.pad(line, ((0, 0), (0, WIDTH - line.shape[1]), (0, 0)))


def coloured(depth_mm: np.ndarray) -> np.ndarray:
    """Depth as colours from near to far, black where there is nothing."""
    near, far = np.percentile(depth_mm[depth_mm > 0], (2, 98))
    scaled = np.clip(255 * (far - depth_mm) / (far - near), 0, 255).astype(np.uint8)
    picture = cv2.cvtColor(cv2.applyColorMap(scaled, cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)
    picture[depth_mm == 0] = 0
    return picture


def main() -> None:
    """Draw and write the sheet."""
    world = World.of()
    plan = make_plan(SETTINGS)
    moments = [views_of(world, plan[number]) for number in SHOWN]
    rows = [row([view.image for view in views]) for views in moments]
    first = moments[0]
    rows.append(row([labelled(view.sight.sample(view.image, "view")) for view in first]))
    rows.append(row([coloured(view.sight.depth_mm()) for view in first]))
    bgr = cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(SHEET), bgr, [cv2.IMWRITE_JPEG_QUALITY, 84])
    print(f"{SHEET}: {SHEET.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
