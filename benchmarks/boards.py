"""Are the error bars of ``knuckle camera calibrate`` honest? Measured on rendered boards.

    python benchmarks/boards.py [--boards 50] [--views 12]

Each board is seen in several views, tilted at random, with soft edges, noise and JPEG artefacts. Of
the errors divided by their stated errors, 68 % should be below 1 and 95 % below 2. In a second
table the same boards are bent like paper: that shifts the focal length, and must be reported.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from knuckle.camera import Camera
from knuckle.errors import InputError
from knuckle.results import Frame
from knuckle.video.calibrate import Calibration, calibrate

COLUMNS, ROWS = 7, 5
#: Of the second table: height of the paper, in squares a square².
BEND = 0.004


CAMERA = Camera(330.0, 326.0, 165.0, 117.0, (-0.1, 0.02, 0.001, -0.0005))


@dataclass(frozen=True)
class Studio:
    """A camera, and how boards are held before it."""

    camera: Camera = CAMERA
    size: tuple[int, int] = (320, 240)
    tilt: float = 0.5
    bend: float = 0.0

    def view(self, rng: np.random.Generator) -> Frame:
        """A board somewhere in the picture, painted ray by ray."""
        pixels = np.stack(np.meshgrid(*map(np.arange, self.size)), axis=-1)
        rays = np.concatenate([self.camera.rays(pixels), np.ones((*self.size[::-1], 1))], axis=2)
        turn, _ = cv2.Rodrigues(
            np.array([*rng.uniform(-self.tilt, self.tilt, 2), rng.uniform(-0.3, 0.3)])
        )
        distance = rng.uniform(11, 16)
        reach = np.array(self.size) / 2 / (self.camera.fx / distance)
        reach -= [COLUMNS / 2 + 0.8, ROWS / 2 + 0.8]
        place = np.array([*rng.uniform(-reach, reach), distance])
        on_board = np.zeros((*self.size[::-1], 2))
        for _ in range(3 if self.bend else 1):  # where rays meet the paper, from the flat one on
            height = self.bend * on_board[..., 0] ** 2
            depth = (place @ turn[:, 2] + height) / (rays @ turn[:, 2])
            on_board = (rays * depth[..., None] - place) @ turn[:, :2]
        x, y = on_board[..., 0] + COLUMNS / 2, on_board[..., 1] + ROWS / 2
        # Edges as a sensor sees them: ramps of a pixel's width.
        steep = 2 / np.pi * self.camera.fx / distance
        wave = np.prod([np.clip(steep * np.sin(np.pi * each), -1, 1) for each in (x, y)], axis=0)
        inside = (x > -1) & (x < COLUMNS) & (y > -1) & (y < ROWS)
        grey = np.where(inside, 128 + 100 * wave, 228) + rng.normal(0, 4, self.size[::-1])
        grey = cv2.GaussianBlur(
            np.clip(grey, 0, 255).astype(np.uint8), (0, 0), rng.uniform(0.5, 1.2)
        )
        _, packed = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 80])
        return Frame(cv2.imdecode(packed, cv2.IMREAD_COLOR), 0.0, 0)

    def calibrated(self, seed: int, views: int) -> Calibration:
        """What is made of one board."""
        rng = np.random.default_rng(seed)
        return calibrate((self.view(rng) for _ in range(views)), COLUMNS, ROWS)


def in_sigmas(found: Calibration, true: Camera) -> np.ndarray:
    """(4,) errors of fx, fy, cx, cy, divided by those that were stated."""
    camera = found.camera
    errors = [camera.fx - true.fx, camera.fy - true.fy, camera.cx - true.cx, camera.cy - true.cy]
    return np.array(errors) / found.error.sigma_px


def calibrations(studio: Studio, boards: int, views: int) -> Iterator[Calibration]:
    """Of each board that was seen often enough."""
    for seed in range(boards):
        try:
            yield studio.calibrated(seed, views)
        except InputError:  # found in too few views
            continue


def main(boards: int = 50, views: int = 12) -> None:
    """Render, calibrate and print both tables."""
    cv2.setNumThreads(1)
    print(
        "| board | calibrated | below 1 σ | below 2 σ | largest | told as bent | fx off, median |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, studio in (("flat", Studio()), ("bent", Studio(bend=BEND))):
        found = list(calibrations(studio, boards, views))
        off = np.abs([in_sigmas(each, studio.camera) for each in found])
        bent = np.mean([each.error.bend > 0 for each in found])
        focal = np.median([abs(each.camera.fx / studio.camera.fx - 1) for each in found])
        print(
            f"| {name} | {len(found)} of {boards} | {100 * (off < 1).mean():.0f} % | "
            f"{100 * (off < 2).mean():.0f} % | {off.max():.1f} σ | {100 * bent:.0f} % | "
            f"{100 * focal:.2f} % |"
        )


if __name__ == "__main__":
    import tyro

    tyro.cli(main)
