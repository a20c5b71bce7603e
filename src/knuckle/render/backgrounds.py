"""What is behind the hands: photographs from folders, and pictures made from nothing.

A handful of small photographs ships with the package, so that rendering works at once;
``tools/collect_backgrounds.py`` gathers many more. Licences are listed in ``docs/licences.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import cv2
import numpy as np

from knuckle.errors import InputError, NotFoundError

#: Photographs are kept no longer than this: hands are what needs the pixels.
LONGEST_SIDE = 512
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True, eq=False)
class Backgrounds:
    """A source of backgrounds."""

    photographs: Sequence[np.ndarray] = ()  # (H, W, 3) uint8 RGB each, any size
    procedural_share: float = 0.15  # how many of the backgrounds are made from nothing

    @classmethod
    def load(cls, *folders: Path, procedural_share: float = 0.15) -> Backgrounds:
        """All photographs below some folders, and those that ship with the package.

        Raises:
            FileNotFoundError: a folder does not exist.
        """
        paths = sorted(
            Path(str(resources.files("knuckle.render").joinpath("assets"))).glob("*.jpg")
        )
        for folder in folders:
            if not Path(folder).is_dir():
                raise NotFoundError(
                    f"the folder of backgrounds {folder} does not exist; make it with "
                    "tools/collect_backgrounds.py or leave it out"
                )
            paths += sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in _SUFFIXES)
        return cls([_read(path) for path in paths], procedural_share)

    def sample(self, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
        """One background, (height, width, 3) uint8 RGB."""
        made = not self.photographs or rng.random() < self.procedural_share
        source = _procedural_bank() if made else self.photographs
        picture = window(source[int(rng.integers(len(source)))], rng, height, width)
        if rng.random() < 0.3:  # nearer things are in focus
            picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.5, 3.0) * width / 160)
        return picture


def window(
    picture: np.ndarray, rng: np.random.Generator, height: int, width: int, smallest: float = 0.25
) -> np.ndarray:
    """A random part of a picture, of random size, sometimes mirrored, resized to fit."""
    full_height, full_width = picture.shape[:2]
    largest = min(full_height / height, full_width / width)
    scale = largest * rng.uniform(smallest, 1.0)
    part_height, part_width = max(int(height * scale), 2), max(int(width * scale), 2)
    top = int(rng.integers(full_height - part_height + 1))
    left = int(rng.integers(full_width - part_width + 1))
    part = picture[top : top + part_height, left : left + part_width]
    if rng.random() < 0.5:
        part = part[:, ::-1]
    shrink = part_width > width
    way = cv2.INTER_AREA if shrink else cv2.INTER_LINEAR
    return cv2.resize(np.ascontiguousarray(part), (width, height), None, 0, 0, way)


def procedural(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A picture made from nothing: walls, desks, boards, clutter, blinds, checks, wood."""
    base = _MAKERS[int(rng.integers(len(_MAKERS)))](rng, height, width)
    shade = _smooth(rng, height, width, 3) * rng.uniform(0.0, 0.25)
    picture = base * (1 + shade[..., None])
    if rng.random() < 0.6:
        picture += _smooth(rng, height, width, int(rng.integers(20, 60)))[..., None] * rng.uniform(
            0, 14
        )
    return np.clip(picture, 0, 255).astype(np.uint8)


@cache
def _procedural_bank() -> list[np.ndarray]:
    """Windows of pictures made once are as varied as new ones, and ten times as fast."""
    rng = np.random.default_rng(0)
    return [procedural(rng, 240, 320) for _ in range(240)]


def _read(path: Path) -> np.ndarray:
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise InputError(f"{path} is not a picture that can be read; remove it from the folder")
    scale = LONGEST_SIDE / max(bgr.shape[:2])
    if scale < 1:
        bgr = cv2.resize(bgr, None, None, scale, scale, cv2.INTER_AREA)
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def _colour(rng: np.random.Generator) -> np.ndarray:
    """Mostly dull, as rooms are; (3,) 0..255."""
    grey = 255 * rng.beta(1.6, 1.3)
    return np.clip(grey * (1 + rng.normal(0, rng.choice([0.04, 0.12, 0.4]), 3)), 4, 250)


def _skin_colour(rng: np.random.Generator) -> np.ndarray:
    light = rng.uniform(45, 235)
    return light * np.array([1.0, rng.uniform(0.68, 0.82), rng.uniform(0.5, 0.72)])


def _smooth(rng: np.random.Generator, height: int, width: int, cells: int) -> np.ndarray:
    """(height, width) smooth noise, about -1..1."""
    grid = rng.uniform(-1, 1, (cells + 2, cells + 2)).astype(np.float32)
    return cv2.resize(grid, (width, height), None, 0, 0, cv2.INTER_CUBIC)


def _wall(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Two colours running into each other."""
    angle = rng.uniform(0, 2 * np.pi)
    x, y = np.linspace(-1, 1, width)[None], np.linspace(-1, 1, height)[:, None]
    t = np.clip(0.5 + 0.5 * (x * np.cos(angle) + y * np.sin(angle)), 0, 1)[..., None]
    start = _colour(rng)
    return start * (1 - t) + np.clip(start + rng.normal(0, 30, 3), 0, 255) * t


def _clouds(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Noise over several octaves between two colours."""
    field = sum(_smooth(rng, height, width, 3 * 2**k) * 0.6**k for k in range(4))
    t = np.clip(0.5 + 0.5 * field * rng.uniform(0.6, 2.5), 0, 1)[..., None]
    return _colour(rng) * (1 - t) + _colour(rng) * t


def _checks(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Checks or stripes, turned: tiles, shirts, blinds."""
    angle, pitch = rng.uniform(0, np.pi), width / rng.uniform(3, 24)
    y, x = np.mgrid[:height, :width]
    along = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / pitch)
    across = np.sin((y * np.cos(angle) - x * np.sin(angle)) * 2 * np.pi / pitch)
    kind = rng.integers(3)
    field = along if kind == 0 else along * across if kind == 1 else along + across
    t = np.clip(0.5 + field * rng.uniform(0.5, 6), 0, 1)[..., None]
    return _colour(rng) * (1 - t) + _colour(rng) * t


def _wood(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Grain: a ramp bent by noise."""
    x = np.linspace(0, 1, width)[None] * rng.uniform(4, 14)
    grain = np.sin(2 * np.pi * (x + 0.5 * _smooth(rng, height, width, 5)))
    fine = cv2.resize(rng.uniform(-1, 1, (4, width // 2)).astype(np.float32), (width, height))
    t = np.clip(0.5 + 0.3 * grain + 0.25 * fine, 0, 1)[..., None]
    brown = np.array([150, 105, 65]) * rng.uniform(0.4, 1.5) + rng.normal(0, 12, 3)
    picture = brown * (0.75 + 0.35 * t)
    return (
        picture
        if rng.random() < 0.5
        else cv2.rotate(cv2.resize(picture, (height, width)), cv2.ROTATE_90_CLOCKWISE)
    )


def _clutter(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Boxes, discs and lines before a wall: a room, a desk, writing on a board."""
    picture = np.clip(_wall(rng, height, width), 0, 255).astype(np.uint8)
    for _ in range(int(rng.integers(3, 24))):
        colour = tuple(float(c) for c in _colour(rng))
        x, y = (int(v) for v in rng.uniform(-0.1, 1.1, 2) * (width, height))
        w, h = (max(int(v), 1) for v in rng.exponential(0.18, 2) * (width, height))
        kind = rng.integers(4)
        if kind == 0:
            cv2.rectangle(picture, (x, y), (x + w, y + h), colour, -1, cv2.LINE_AA)
        elif kind == 1:
            cv2.ellipse(
                picture, (x, y), (w, h), rng.uniform(0, 180), 0, 360, colour, -1, cv2.LINE_AA
            )
        elif kind == 2:
            end = (x + int(rng.normal(0, width / 3)), y + int(rng.normal(0, height / 3)))
            cv2.line(picture, (x, y), end, colour, max(w // 12, 1), cv2.LINE_AA)
        else:
            text = "".join(chr(c) for c in rng.integers(48, 122, 6))
            cv2.putText(
                picture, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, h / 40, colour, max(w // 20, 1)
            )
    return picture.astype(np.float32)


def _people(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Skin without hands: ovals like faces and tubes like arms, in front of a wall or clutter."""
    picture = (_clutter if rng.random() < 0.5 else _wall)(rng, height, width).astype(np.float32)
    for _ in range(int(rng.integers(1, 4))):
        colour = _skin_colour(rng)
        x, y = rng.uniform(0, 1, 2) * (width, height)
        layer = np.zeros((height, width), np.float32)
        long = rng.uniform(0.15, 0.5) * width
        wide, angle = long * rng.uniform(0.2, 0.8), rng.uniform(0, 180)
        cv2.ellipse(
            layer, (int(x), int(y)), (int(long), int(wide)), angle, 0, 360, 1.0, -1, cv2.LINE_AA
        )
        relief = (
            0.85 + 0.2 * _smooth(rng, height, width, 2) + 0.05 * _smooth(rng, height, width, 12)
        )
        light = cv2.GaussianBlur(layer, (0, 0), wide / 3 + 0.5) * 0.6 + 0.4
        skin = colour * (relief * light)[..., None]
        picture += (skin - picture) * layer[..., None]
    return picture


_MAKERS: tuple[Callable[[np.random.Generator, int, int], np.ndarray], ...] = (
    _wall, _wall, _clouds, _checks, _wood, _clutter, _clutter, _people, _people,
)  # fmt: skip
