"""Draw the contact sheet of rendered samples in the documentation, `docs/rendered_samples.jpg`.

python tools/draw_samples.py

The upper pictures are as the networks see them, the lower ones have their labels: joints (hollow
where hidden), bones, and the outline of every hand.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from knuckle.draw import SIDE_COLOURS
from knuckle.hand import BONES
from knuckle.render.scene import World, render_crops, render_frames
from knuckle.sample import Sample

SHEET = Path(__file__).parents[1] / "docs/rendered_samples.jpg"
COLUMNS = 8


def labelled(sample: Sample) -> np.ndarray:
    """The sample's picture with its labels drawn over it, RGB."""
    canvas = sample.image.copy()
    for number, hand in enumerate(sample.hands, start=1):
        colour = SIDE_COLOURS[hand.side]
        mask = (sample.hand_map == number).astype(np.uint8)
        outline = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
        cv2.drawContours(canvas, outline, -1, colour, 1)
        points = [tuple(round(16 * float(v)) for v in point) for point in hand.joints_px]
        for a, b in BONES:
            cv2.line(canvas, points[a], points[b], colour, 1, cv2.LINE_AA, shift=4)
        for point, seen in zip(points, hand.visible, strict=True):
            cv2.circle(canvas, point, 28, colour, -1 if seen else 1, cv2.LINE_AA, shift=4)
    return canvas


def rows(pictures: list[np.ndarray]) -> np.ndarray:
    """Pictures of one size, side by side in rows."""
    lines = [np.hstack(pictures[i : i + COLUMNS]) for i in range(0, len(pictures), COLUMNS)]
    return np.vstack(lines)


def main() -> None:
    """Draw and write the sheet."""
    world = World.of()
    crops = list(render_crops(np.random.default_rng(7), 5 * COLUMNS, world))
    frames = render_frames(np.random.default_rng(11), 200, world, width=320, height=240)
    crowded = [frame for frame in frames if len(frame.hands) >= 2][: COLUMNS // 2]
    first, second = crops[: 4 * COLUMNS], crops[4 * COLUMNS :]
    strip = np.hstack([cv2.resize(labelled(frame), (320, 240)) for frame in crowded])
    sheet = np.vstack([rows([s.image for s in first]), rows([labelled(s) for s in second]), strip])
    bgr = cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(SHEET), bgr, [cv2.IMWRITE_JPEG_QUALITY, 86])
    print(f"{SHEET}: {SHEET.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
