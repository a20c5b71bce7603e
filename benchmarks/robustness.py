"""How detection and localisation degrade: hands cut off, dark, blurred, noisy, turned.

    python benchmarks/robustness.py --mediapipe-python PEERS/bin/python

Photographs with one labelled hand that are held out of training, each degraded in one way at a
time, by growing amounts. A hand counts as found if its joints lie within 0.3 of its extent on
average, and as of the right side if its side is; 2D is the mean error over the extent, of the
joints inside the picture, over the hands that both systems find. The teacher's labels are from
MediaPipe itself, run many times on the unmodified picture: read what is lost, not what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from board import (
    KNUCKLE,
    LABELS,
    SHARED,
    Data,
    Hand,
    Labels,
    PeerPython,
    System,
    Table,
    Weights,
    command,
    knuckle_system,
    with_peer,
)
from held_back import FOUND, held_back, joints_of
from knuckle.hand import Side


@dataclass(frozen=True, eq=False)
class Shown:
    """A picture with one hand."""

    image: np.ndarray  # (H, W, 3) uint8 RGB
    joints_px: np.ndarray  # (21, 2)
    side: Side
    camera: None = None

    @property
    def extent_px(self) -> float:
        """Longer side of the box around the joints."""
        return float(np.ptp(self.joints_px, axis=0).max())

    def error(self, hand: Hand) -> float:
        """Mean distance of the joints that are in the picture, in extents."""
        size = self.image.shape[1::-1]
        inside = ((self.joints_px >= -0.5) & (self.joints_px < np.array(size) - 0.5)).all(axis=1)
        gaps = np.linalg.norm(hand.joints_px - self.joints_px, axis=1)[inside]
        return float(gaps.mean() / self.extent_px) if inside.any() else float("nan")


#: A way to make a picture worse, by an amount; the generator is the picture's own.
Worse = Callable[[Shown, float, np.random.Generator], Shown]


def _cut_off(shown: Shown, share: float, rng: np.random.Generator) -> Shown:
    """The border of the picture cuts so much of the hand's box away, at one of its sides."""
    (x0, y0), (x1, y1) = shown.joints_px.min(axis=0), shown.joints_px.max(axis=0)
    height, width = shown.image.shape[:2]
    low, high = [0, 0], [width, height]
    axis, first = int(rng.integers(2)), bool(rng.integers(2))
    start, end = (x0, x1) if axis == 0 else (y0, y1)
    if first:
        low[axis] = max(round(start + share * (end - start)), 0)
    else:
        high[axis] = min(round(end - share * (end - start)), high[axis])
    image = shown.image[low[1] : high[1], low[0] : high[0]].copy()
    return Shown(image, shown.joints_px - np.array(low), shown.side)


def _with_image(shown: Shown, image: np.ndarray) -> Shown:
    return Shown(np.clip(np.rint(image), 0, 255).astype(np.uint8), shown.joints_px, shown.side)


def _dark(shown: Shown, share: float, rng: np.random.Generator) -> Shown:
    """So much of the light, in 8 bits, with the noise of a sensor that lacks it."""
    light = (shown.image / 255.0) ** 2.2 * share
    noisy = rng.poisson(light * 4000) / 4000 + rng.normal(0, 0.001, light.shape)
    return _with_image(shown, 255 * np.clip(noisy, 0, 1) ** (1 / 2.2))


def _bright(shown: Shown, gain: float, rng: np.random.Generator) -> Shown:
    """So many times the light: what is bright burns out."""
    return _with_image(shown, 255 * np.clip((shown.image / 255.0) ** 2.2 * gain, 0, 1) ** (1 / 2.2))


def _moved(shown: Shown, share: float, rng: np.random.Generator) -> Shown:
    """Blurred along a line of so many extents."""
    length, angle = share * shown.extent_px, rng.uniform(0, np.pi)
    size = int(length) // 2 * 2 + 3
    way = length / 2 * np.array([np.cos(angle), np.sin(angle)])
    kernel = np.zeros((size, size), np.float32)
    ends = [tuple(np.rint(8 * (size // 2 + sign * way)).astype(int).tolist()) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0, 1, cv2.LINE_AA, shift=3)
    return _with_image(shown, cv2.filter2D(shown.image, -1, kernel / kernel.sum()))


def _coarse(shown: Shown, pixels: float, rng: np.random.Generator) -> Shown:
    """The hand has so many pixels, and is enlarged again."""
    height, width = shown.image.shape[:2]
    scale = min(pixels / shown.extent_px, 1.0)
    size = max(1, round(scale * width)), max(1, round(scale * height))
    small = cv2.resize(shown.image, size, interpolation=cv2.INTER_AREA)
    return _with_image(shown, cv2.resize(small, (width, height)))


def _noisy(shown: Shown, sigma: float, rng: np.random.Generator) -> Shown:
    """Noise of so many grey levels."""
    return _with_image(shown, shown.image + rng.normal(0, sigma, shown.image.shape))


def _compressed(shown: Shown, quality: float, rng: np.random.Generator) -> Shown:
    """JPEG of this quality."""
    _, data = cv2.imencode(".jpg", shown.image, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    return _with_image(shown, cv2.imdecode(data, cv2.IMREAD_COLOR))


def _turned(shown: Shown, degrees: float, rng: np.random.Generator) -> Shown:
    """The camera held turned by quarters."""
    joints_px, image = shown.joints_px, shown.image
    for _ in range(int(degrees) // 90):
        joints_px = np.stack([image.shape[0] - 1 - joints_px[:, 1], joints_px[:, 0]], axis=1)
        image = np.rot90(image, -1)
    return Shown(np.ascontiguousarray(image), joints_px, shown.side)


def _mirrored(shown: Shown, amount: float, rng: np.random.Generator) -> Shown:
    """As a mirror shows it: the hand is one of the other side."""
    x, y = shown.joints_px.T
    joints_px = np.stack([shown.image.shape[1] - 1 - x, y], axis=1)
    side: Side = "left" if shown.side == "right" else "right"
    return Shown(np.ascontiguousarray(shown.image[:, ::-1]), joints_px, side)


def _grey(shown: Shown, amount: float, rng: np.random.Generator) -> Shown:
    """Without colour."""
    grey = cv2.cvtColor(shown.image, cv2.COLOR_RGB2GRAY)
    return _with_image(shown, np.repeat(grey[..., None], 3, axis=-1))


#: What is done, the amounts, and how they are named.
WORSE: dict[str, tuple[Worse, tuple[float, ...]]] = {
    "cut off by the border: {:.0%} of the hand": (_cut_off, (0.15, 0.3, 0.45)),
    "dark: {:.1%} of the light": (_dark, (0.1, 0.02, 0.005)),
    "bright: {:.0f} times the light": (_bright, (2, 4, 8)),
    "moving: blurred by {:.0%} of the hand": (_moved, (0.1, 0.2, 0.35)),
    "coarse: the hand has {:.0f} px": (_coarse, (48, 32, 20)),
    "noise of {:.0f} grey levels": (_noisy, (15, 35, 60)),
    "JPEG of quality {:.0f}": (_compressed, (20, 8, 4)),
    "the camera turned by {:.0f}°": (_turned, (90, 180)),
    "mirrored": (_mirrored, (1,)),
    "without colour": (_grey, (1,)),
}


def photographs(data: Path, labels: Path) -> list[Shown]:
    """Held-back photographs with one labelled hand."""
    return [
        Shown(photo.image, joints_of(photo)[0], photo.hands[0]["side"])
        for photo in held_back(data, labels)
        if len(photo.hands) == 1
    ]


def nearest(shown: Sequence[Shown], answers: Sequence[Sequence[Hand]]) -> list[Hand | None]:
    """What a system says of each picture's hand, if it found it."""
    found: list[Hand | None] = []
    for picture, hands in zip(shown, answers, strict=True):
        best = min(hands, key=picture.error, default=None)
        found.append(best if best is not None and picture.error(best) < FOUND else None)
    return found


@dataclass(frozen=True)
class Robustness:
    """Make pictures worse, and count what is still found."""

    data: Data = SHARED
    labels: Labels = LABELS
    mediapipe_python: PeerPython = None
    weights: Weights = None
    every: int = 2
    """Only each how-manieth photograph."""

    def run(self) -> None:
        """Measure and print."""
        whole = photographs(self.data, self.labels)[:: self.every]
        systems = with_peer({KNUCKLE: knuckle_system(self.weights)}, self.mediapipe_python)
        forms = {"found": "{:.1%}", "of these, side right": "{:.1%}", "2D": "{:.2%}"}
        columns = {f"{name}: {what}": form for name in systems for what, form in forms.items()}
        table = Table({"pictures": "", **columns})
        print(f"{len(whole)} photographs of one hand\n\n{table.head}")
        print(table.row("as they are", *self._row(whole, systems)), flush=True)
        for name, (worse, amounts) in WORSE.items():
            for amount in amounts:
                shown = [
                    worse(picture, amount, np.random.default_rng(number))
                    for number, picture in enumerate(whole)
                ]
                print(table.row(name.format(amount), *self._row(shown, systems)), flush=True)

    def _row(self, shown: Sequence[Shown], systems: dict[str, System]) -> list[float]:
        """Found, side right and 2D of each system."""
        found = [nearest(shown, system(shown)) for system in systems.values()]
        by_all = [all(hand is not None for hand in each) for each in zip(*found, strict=True)]
        values: list[float] = []
        for hands in found:
            pairs = [(s, h) for s, h in zip(shown, hands, strict=True) if h is not None]
            errors = [
                picture.error(hand)
                for picture, hand, counts in zip(shown, hands, by_all, strict=True)
                if counts and hand is not None
            ]
            sides = [picture.side == hand.side for picture, hand in pairs]
            values += [len(pairs) / len(shown), _mean(sides), _mean(errors)]
        return values


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


if __name__ == "__main__":
    command(Robustness)
