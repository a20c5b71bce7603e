"""What cameras do to pictures: blur, noise, compression, wrong colours, too little light.

Used on rendered pictures, and on real photographs as augmentation. Every fault is cheap (together
well under a millisecond for 160 x 160) and none moves a pixel, so that labels stay true.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from knuckle.errors import InputError

Fault = Callable[["CameraFaults", np.ndarray, np.random.Generator], np.ndarray]


def motion_kernel(length_px: float, angle: float) -> np.ndarray:
    """What a point becomes that moves evenly while the shutter is open.

    Args:
        length_px: how far it moves, at least 1.
        angle: radians, which way.

    Returns:
        (S, S) float32, S odd; it sums to one and is the same the other way round, so that
        labels in the middle of the motion stay true.
    """
    size = int(length_px) // 2 * 2 + 3
    middle = size // 2
    reach = 8 * length_px / 2 * np.array([np.cos(angle), np.sin(angle)])  # in eighths of a pixel
    kernel = np.zeros((size, size), np.float32)
    ends = [tuple(int(c) for c in np.round(8 * middle + sign * reach)) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0, 1, cv2.LINE_AA, shift=3)
    kernel += kernel[::-1, ::-1]  # OpenCV draws short lines half a pixel to the right
    return kernel / kernel.sum()


@dataclass(frozen=True)
class CameraFaults:
    """A camera with random faults, drawn anew for every picture.

    Attributes:
        strength: 0 does nothing; 1 covers what phones and webcams do, rarely their worst; 2 is a
            stress test. It scales both how often a fault occurs and how bad it gets.
        reference_px: the size of picture that blurs and resolutions are meant for.
    """

    strength: float = 1.0
    reference_px: int = 160

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 4:
            raise InputError(f"strength must lie in 0..4, got {self.strength}")

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A worse picture of the same thing: (H, W, 3) uint8 RGB -> the same."""
        if self.strength == 0:
            return image
        for fault, share in _IN_ORDER:
            if rng.random() < min(share * self.strength, 0.95):
                image = fault(self, image, rng)
        return image

    def _unit_px(self, image: np.ndarray) -> float:
        """Pixels of this picture per pixel of the reference."""
        return max(image.shape[:2]) / self.reference_px

    def _motion_blur(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        length = min(rng.exponential(3.5 * self.strength), 14.0) * self._unit_px(image)
        if length < 1:
            return image
        kernel = motion_kernel(length, rng.uniform(0, np.pi))
        return cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REPLICATE)

    def _defocus(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        sigma = min(rng.exponential(0.7 * self.strength), 2.5) * self._unit_px(image) + 0.3
        return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)

    def _low_resolution(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        height, width = image.shape[:2]
        shrink = rng.uniform(1.2, 2.2 + 1.3 * self.strength)
        small = (max(int(width / shrink), 8), max(int(height / shrink), 8))
        down = cv2.INTER_AREA if rng.random() < 0.7 else cv2.INTER_LINEAR
        up = cv2.INTER_LINEAR if rng.random() < 0.6 else cv2.INTER_CUBIC
        return cv2.resize(
            cv2.resize(image, small, interpolation=down), (width, height), None, 0, 0, up
        )

    def _dirt(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A greasy fingerprint on the lens: veiling glare here and there."""
        height, width = image.shape[:2]
        veil = cv2.resize(
            rng.random((4, 5), dtype=np.float32), (width, height), None, 0, 0, cv2.INTER_CUBIC
        )
        amount = np.clip((veil - 0.45) * 1.6, 0, 0.6)[..., None] * min(self.strength, 1.5)
        glow = cv2.GaussianBlur(image, (0, 0), 6 * self._unit_px(image)).astype(np.float32)
        mixed = image + (0.75 * glow + 50.0 - image) * amount
        return np.clip(mixed, 0, 255).astype(np.uint8)

    def _specks(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Dust and drops on the lens: discs out of focus, darker or brighter, without detail."""
        height, width = image.shape[:2]
        unit = self._unit_px(image)
        cover = np.zeros((height, width), np.float32)
        for _ in range(1 + rng.poisson(2.0 * self.strength)):
            centre = int(rng.integers(width)), int(rng.integers(height))
            radius = int((1.5 + min(rng.exponential(5.0), 16.0)) * unit)
            cv2.circle(cover, centre, radius, rng.uniform(0.3, 1.0), -1)
        soft = cv2.GaussianBlur(cover, (0, 0), 1.5 * unit)[..., None]
        behind = cv2.GaussianBlur(image, (0, 0), 4 * unit) * np.float32(rng.uniform(0.45, 1.25))
        return np.clip(image + (behind - image) * soft, 0, 255).astype(np.uint8)

    def _vignette(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        height, width = image.shape[:2]
        x = (np.arange(width, dtype=np.float32) / width - rng.uniform(0.2, 0.8)) ** 2
        y = (np.arange(height, dtype=np.float32) / height - rng.uniform(0.2, 0.8)) ** 2
        falloff = 1 - rng.uniform(0.1, 0.5) * min(self.strength, 1.6) * (y[:, None] + x[None]) * 1.2
        return (image * np.maximum(falloff, 0.1)[..., None]).astype(np.uint8)

    def _colours(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """White balance, exposure, gamma and contrast, as one table per channel."""
        s = min(self.strength, 2.0)
        stops = np.clip(rng.normal(0, 0.35 * s), -1.6, 0.9)
        warmth, tint = rng.normal(0, 0.09 * s), rng.normal(0, 0.04 * s)
        gains = 2.0 ** (stops + np.array([warmth, tint, -warmth]))
        gamma = np.exp(rng.normal(0, 0.12 * s))
        contrast = 1 + rng.normal(0, 0.12 * s)
        lift = rng.exponential(0.02 * s)  # haze, or blacks that are not black
        levels = np.linspace(0, 1, 256)[:, None]
        # Exposure acts on light: (gain * level**2.2) ** (1 / 2.2).
        value = (levels * gains ** (1 / 2.2)) ** gamma
        value = (value - 0.45) * contrast + 0.45
        value = lift + (1 - lift) * value
        table = np.clip(np.round(value * 255), 0, 255).astype(np.uint8)
        return cv2.LUT(image, table[None])

    def _desaturate(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Washed-out or over-vivid colours; sometimes grey."""
        amount = rng.choice(
            [rng.uniform(0.3, 1.0), 0.0, rng.uniform(1.0, 1.5)], p=[0.6, 0.15, 0.25]
        )
        grey = np.full((3, 3), 1 / 3) * (1 - amount) + np.eye(3) * amount
        return cv2.transform(image, grey)

    def _darkness(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A dim room, as a cheap sensor sees it: dark, flat and noisy."""
        if image.mean() < _DIM:  # darker still would leave nothing to see
            return image
        level = rng.uniform(0.15, 0.55)
        dim = image.astype(np.float32) * level
        noise = cv2.resize(
            rng.standard_normal((image.shape[0] // 2 + 1, image.shape[1] // 2 + 1, 3), np.float32),
            (image.shape[1], image.shape[0]),
        )
        return np.clip(dim + noise * rng.uniform(2, 9) + rng.uniform(0, 12), 0, 255).astype(
            np.uint8
        )

    def _noise(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Read noise plus shot noise, which grows with the root of the light."""
        read, shot = rng.exponential(2.0 * self.strength), rng.exponential(3.0 * self.strength)
        spread = np.sqrt(read**2 + shot**2 * np.arange(256) / 255).astype(np.float32)
        grain = _grain(image.shape, rng)
        return np.clip(image + grain * spread[image], 0, 255).astype(np.uint8)

    def _jpeg(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        quality = int(np.clip(rng.normal(65, 22), 12 if self.strength > 1 else 22, 95))
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        code = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        decoded = cv2.imdecode(code, cv2.IMREAD_COLOR)
        assert decoded is not None  # it was encoded one line above
        return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


#: Mean grey value below which a picture is dim already.
_DIM = 70
_GRAIN_SIZE = 512


def _grain(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Standard normal noise of a picture's shape: a random window of one fixed sheet if it fits."""
    height, width, _ = shape
    if height > _GRAIN_SIZE // 2 or width > _GRAIN_SIZE // 2:
        return rng.standard_normal(shape, np.float32)
    y, x = rng.integers(0, _GRAIN_SIZE - height), rng.integers(0, _GRAIN_SIZE - width)
    return _GRAIN[y : y + height, x : x + width]


_GRAIN = np.random.default_rng(0).standard_normal((_GRAIN_SIZE, _GRAIN_SIZE, 3), np.float32)

#: Each fault with the share of pictures that have it at strength 1, in the order in which light,
#: lens, sensor and file come about.
_IN_ORDER: tuple[tuple[Fault, float], ...] = (
    (CameraFaults._vignette, 0.10),
    (CameraFaults._dirt, 0.04),
    (CameraFaults._specks, 0.04),
    (CameraFaults._defocus, 0.22),
    (CameraFaults._motion_blur, 0.18),
    (CameraFaults._low_resolution, 0.20),
    (CameraFaults._colours, 0.85),
    (CameraFaults._desaturate, 0.15),
    (CameraFaults._darkness, 0.04),
    (CameraFaults._noise, 0.50),
    (CameraFaults._jpeg, 0.50),
)
