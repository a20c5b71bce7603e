"""Procedural skin: an atlas over the hand's surface, patterns painted on it, and skin tones.

A pattern holds where pigment and blood lie, where the skin folds and where the nails are; it has
no colour. Colour comes from two pigments at shading time, after the usual two-layer picture of skin
(Tsumura et al. 2003): light passes melanin (epidermis) and haemoglobin (dermis) on its way in and
out, so reflectance is ``DERMIS * exp(-melanin * a - blood * b)`` per channel. One pattern can so
be worn by every tone between the lightest and the darkest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import cv2
import numba
import numpy as np

from knuckle.render.hand_model import PART_NAMES, HandModel
from knuckle.render.raster import GBuffer, vertex_normals

ATLAS_HEIGHT, ATLAS_WIDTH = 320, 256
#: Rows of the atlas that show the hand; the forearm has the rest.
HAND_ROWS = 256
#: The asset's islands of the forearm lie at larger v than this, those of the hand at smaller.
_FOREARM_ISLAND_BELOW = 0.5

#: Channels of a pattern, uint8: amounts of melanin (128 as usual) and blood (100 as usual), then
#: how deep a fold is, what is nail, and what is palm, 0..255; and how high the skin stands, in
#: steps of ``RELIEF_STEP_MM`` from 128.
MELANIN, BLOOD, FOLD, NAIL, PALMAR, RELIEF = range(6)
RELIEF_STEP_MM = 1 / 64

# Linear RGB. Melanin absorbs blue most, haemoglobin green; both fitted so that the Monk scale's
# swatches of equal lightness are met within a few per cent.
DERMIS = np.array([0.90, 0.74, 0.62])
MELANIN_ABSORPTION = np.array([1.0, 1.55, 2.1])
BLOOD_ABSORPTION = np.array([0.10, 0.34, 0.28])
#: What even the darkest skin scatters back.
FLOOR = np.array([0.016, 0.011, 0.009])

#: CIE lightness of the ten swatches of the Monk skin tone scale (Monk 2019), lightest first.
_MONK_LIGHTNESS = np.array([94.2, 92.3, 93.1, 87.6, 77.9, 55.1, 42.5, 30.7, 21.1, 14.6])
#: Lightness of measured skin, lightest and darkest people (Chardon 1991, Del Bino 2013); swatches
#: are drawn lighter and darker than skin reflects.
_SKIN_LIGHTNESS = (76.0, 26.0)


@dataclass(frozen=True, eq=False)
class Atlas:
    """What lies under each texel, in the mean flat hand."""

    uv: np.ndarray  # (F, 3, 2) float32 place of each triangle's corners in texels (x, y)
    inside: np.ndarray  # (H, W) bool, texels that show skin
    position_mm: np.ndarray  # (H, W, 3) hand frame
    palmar: np.ndarray  # (H, W) 0 on the back .. 1 on the palm and the pads of the fingers.
    part: np.ndarray  # (H, W) index into ``hand_model.PART_NAMES``
    nail: np.ndarray  # (H, W) 0..1


@cache
def atlas() -> Atlas:
    """The atlas of the shipped hand (made once)."""
    model = HandModel.load()
    uv = _pack_islands(model.uv, model.uv[..., 1].mean(axis=1) > _FOREARM_ISLAND_BELOW)
    corners = np.concatenate([uv, np.full((*uv.shape[:2], 1), 1000.0)], axis=2)
    buffer = GBuffer.empty(ATLAS_HEIGHT, ATLAS_WIDTH)
    corner_faces = np.arange(corners.shape[0] * 3, dtype=np.int32).reshape(-1, 3)
    buffer.draw(corners.reshape(-1, 3).astype(np.float32), corner_faces, cull=False)

    inside = buffer.triangle >= 0
    triangle, bary = _spread_outwards(inside, buffer.triangle, buffer.bary)
    weights = np.concatenate([1 - bary.sum(-1, keepdims=True), bary], axis=-1)  # (H, W, 3)

    def over_texels(values: np.ndarray) -> np.ndarray:
        corner_values = values[model.faces[triangle]]  # (H, W, 3, ...)
        extra = corner_values.ndim - weights.ndim
        return (corner_values * weights.reshape(*weights.shape, *[1] * extra)).sum(axis=2)

    normals = over_texels(vertex_normals(model.vertices_mm, model.faces))
    part = face_parts()[triangle]
    outward = (normals * model.R_hand_from_bone[part][..., 2]).sum(-1)
    return Atlas(
        uv=uv,
        inside=inside,
        position_mm=over_texels(model.vertices_mm),
        palmar=_smoothed(_smoothstep(-0.15, 0.55, outward), inside),
        part=part,
        nail=_smoothstep(0.35, 0.65, over_texels(model.nail)),
    )


@cache
def face_parts() -> np.ndarray:
    """(F,) uint8 part that at least two corners of a triangle belong to (or the first one's)."""
    model = HandModel.load()
    parts = model.part[model.faces]
    return np.where(parts[:, 1] == parts[:, 2], parts[:, 1], parts[:, 0]).astype(np.uint8)


def _pack_islands(uv: np.ndarray, forearm: np.ndarray) -> np.ndarray:
    """The hand's islands above, the forearm's below, each stretched over its rows; (x, y) px."""
    out = np.zeros(uv.shape, np.float32)
    for faces, top, rows in (
        (~forearm, 0, HAND_ROWS),
        (forearm, HAND_ROWS, ATLAS_HEIGHT - HAND_ROWS),
    ):
        island = uv[faces]
        points = island.reshape(-1, 2)
        real = points[points.any(axis=1)]  # the cap of the elbow has uv 0
        low, high = real.min(axis=0), real.max(axis=0)
        size = np.array([ATLAS_WIDTH - 5, rows - 5])
        out[faces] = (np.maximum(island, low) - low) / (high - low) * size + (2, top + 2)
    return out


def _smoothed(field: np.ndarray, inside: np.ndarray, texels: float = 3.0) -> np.ndarray:
    """A field over the skin, blurred without what lies between the islands.

    Neighbouring parts turn their insides different ways; palm and back run into each other.
    """
    weight = cv2.GaussianBlur(inside.astype(np.float64), (0, 0), texels)
    blurred = cv2.GaussianBlur(field * inside, (0, 0), texels)
    return np.where(weight > 1e-3, blurred / np.maximum(weight, 1e-3), field)


def _spread_outwards(
    inside: np.ndarray, triangle: np.ndarray, bary: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Give empty texels what their nearest full one has, so that seams do not show."""
    _, labels = cv2.distanceTransformWithLabels(
        (~inside).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    texel_of_label = np.zeros(labels.max() + 1, np.int64)
    texel_of_label[labels[inside]] = np.flatnonzero(inside)
    nearest = texel_of_label[labels]
    return triangle.reshape(-1)[nearest], bary.reshape(-1, 2)[nearest]


# --- patterns ------------------------------------------------------------------------------------

N_PATTERNS = 24


@cache
def pattern_bank() -> np.ndarray:
    """(N_PATTERNS, H, W, 6) uint8, made once in a process (about half a second)."""
    return np.stack([paint_pattern(np.random.default_rng(seed)) for seed in range(N_PATTERNS)])


def paint_pattern(rng: np.random.Generator) -> np.ndarray:
    """One person's pattern: (H, W, 6) uint8 of melanin, blood, folds, nails, palm, relief."""
    ground = atlas()
    age = rng.uniform(0.0, 1.0)
    fold = _folds(ground, rng) * (0.5 + 0.5 * age)
    knuckles = _near_joints(ground, (6, 10, 14, 18), 9.0) + 0.7 * _near_joints(
        ground, (5, 9, 13, 17, 3), 11.0
    )
    knuckles *= 1 - ground.palmar
    tips = _near_joints(ground, (4, 8, 12, 16, 20), 9.0)
    palmar, back = ground.palmar, 1 - ground.palmar

    melanin = 1.0 + 0.10 * _noise(ground, rng, 25.0) + 0.05 * _noise(ground, rng, 6.0)
    melanin += rng.uniform(0.05, 0.35) * knuckles
    melanin += back * rng.uniform(0, 0.5) * age**2 * _spots(ground, rng)
    melanin += back * rng.uniform(0.0, 0.5) * _hair(ground, rng)

    blood = 0.88 + 0.18 * _noise(ground, rng, 16.0) + 0.10 * _noise(ground, rng, 4.0)
    blood += (
        palmar * (0.25 + rng.uniform(0.05, 0.3) * _noise(ground, rng, 9.0))
        + 0.4 * tips
        + 0.3 * knuckles
    )
    veins = _veins(ground, rng)
    blood -= back * rng.uniform(0.0, 0.5) * veins

    relief_mm = -0.5 * np.maximum(fold - 0.12, 0.0)  # without what is too fine to be seen
    relief_mm += back * (rng.uniform(0.0, 0.35) * veins + rng.uniform(0.2, 0.9) * _tendons(ground))
    # The forearm's texels are too coarse, and nails do not crease.
    smooth = np.where(ground.part == PART_NAMES.index("forearm"), 1.0, ground.nail)
    relief = 128 + (1 - smooth) * relief_mm / RELIEF_STEP_MM

    channels = [melanin * 128, blood * 100, fold * 255, ground.nail * 255, palmar * 255, relief]
    return np.clip(np.stack(channels, axis=-1), 0, 255).astype(np.uint8)


#: Keeps the whole hand at positive coordinates of the noise grid.
_NOISE_ORIGIN_MM = np.array([55.0, 255.0, 50.0])


def _noise(ground: Atlas, rng: np.random.Generator, size_mm: float) -> np.ndarray:
    """(H, W) smooth noise in space (no seams), about -1..1, with features of ``size_mm``."""
    shape = np.ceil(np.array([150.0, 450.0, 110.0]) / size_mm).astype(np.int64) + 3
    grid = rng.uniform(-1.6, 1.6, shape)
    return _value_noise(grid, (ground.position_mm + _NOISE_ORIGIN_MM) / size_mm)


@numba.njit(cache=True, nogil=True)
def _value_noise(grid: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Smooth interpolation of a grid at (H, W, 3) places in cells -> (H, W)."""
    height, width = at.shape[:2]
    out = np.empty((height, width))
    for y in range(height):
        for x in range(width):
            i, j, k = int(at[y, x, 0]), int(at[y, x, 1]), int(at[y, x, 2])
            u, v, w = at[y, x, 0] - i, at[y, x, 1] - j, at[y, x, 2] - k
            u, v, w = u * u * (3 - 2 * u), v * v * (3 - 2 * v), w * w * (3 - 2 * w)
            total = 0.0
            for a in range(2):
                for b in range(2):
                    edge = grid[i + a, j + b, k] * (1 - w) + grid[i + a, j + b, k + 1] * w
                    total += edge * (u if a else 1 - u) * (v if b else 1 - v)
            out[y, x] = total
    return out


def _near_joints(ground: Atlas, joints: tuple[int, ...], radius_mm: float) -> np.ndarray:
    """(H, W) bumps of height 1 around joints."""
    rest = HandModel.load().joints_mm
    distance2 = [((ground.position_mm - rest[j]) ** 2).sum(-1) for j in joints]
    nearest = np.sqrt(np.min(distance2, axis=0))
    return _smoothstep(radius_mm * 1.5, radius_mm * 0.8, nearest)


def _spots(ground: Atlas, rng: np.random.Generator) -> np.ndarray:
    """Freckles and age spots."""
    return _smoothstep(0.75, 1.0, _noise(ground, rng, 3.5)) + _smoothstep(
        0.85, 1.1, _noise(ground, rng, 7.0)
    )


def _hair(ground: Atlas, rng: np.random.Generator) -> np.ndarray:
    """Hair as dark streaks along the forearm and, thinner, the back of the hand."""
    streaks = rng.uniform(0, 1, ground.inside.shape).astype(np.float32)
    streaks = cv2.GaussianBlur(streaks, (0, 0), sigmaX=0.6, sigmaY=2.0) - 0.5
    where = _smoothstep(60.0, -60.0, ground.position_mm[..., 1])
    return np.clip(streaks * 9, 0, 1) * (0.15 + 0.85 * where)


def _veins(ground: Atlas, rng: np.random.Generator) -> np.ndarray:
    """Thin bands where a slow noise crosses zero, on the back of the hand and the wrist."""
    field = _noise(ground, rng, 22.0)
    band = _smoothstep(0.16, 0.03, np.abs(field))
    return band * _smoothstep(100.0, 70.0, ground.position_mm[..., 1])


def _tendons(ground: Atlas) -> np.ndarray:
    """(H, W) ridges of height 1 from the wrist to the knuckles of the four fingers."""
    rest = HandModel.load().joints_mm
    on_hand = np.isin(ground.part, (0, 17, 18))
    ridges = np.zeros(ground.inside.shape)
    for knuckle in rest[[5, 9, 13, 17], :2]:
        line = np.stack([0.25 * knuckle, knuckle])
        ridges = np.maximum(ridges, _line(_distance(ground.position_mm[..., :2], line), 3.2))
    return on_hand * ridges


#: Main lines of the palm as (x, y) mm in the flat mean hand: heart, head, life.
_PALM_LINES = (
    np.array([[-40, 58], [-25, 61], [-8, 66], [6, 74], [12, 84]], float),
    np.array([[31, 62], [16, 58], [-4, 49], [-24, 38]], float),
    np.array([[31, 63], [18, 54], [9, 40], [4, 24], [3, 8]], float),
)


def _folds(ground: Atlas, rng: np.random.Generator) -> np.ndarray:
    """(H, W) 0..1: lines of the palm, creases under the joints, wrinkles over the knuckles."""
    model = HandModel.load()
    rest = model.joints_mm
    wobble = np.stack([_noise(ground, rng, 14.0), _noise(ground, rng, 14.0)], axis=-1) * 1.8
    palm_xy = ground.position_mm[..., :2] + wobble
    on_palm = np.isin(ground.part, (0, 1, 17, 18)) * ground.palmar
    folds = np.zeros(ground.inside.shape)
    for line in _PALM_LINES:
        line = line + rng.normal(0, 2.0, line.shape)
        width = rng.uniform(0.7, 1.3)
        folds = np.maximum(folds, on_palm * _line(_distance(palm_xy, line), width))
    minor = np.abs(_noise(ground, rng, 11.0))
    folds = np.maximum(folds, 0.35 * on_palm * _line(minor, 0.07))

    for finger in range(5):
        member = np.isin(ground.part, 1 + 3 * finger + np.arange(3))
        for k in (1, 2):
            bone = 1 + 3 * finger + k
            local = (ground.position_mm - rest[1 + 4 * finger + k]) @ model.R_hand_from_bone[bone]
            along = local[..., 1] + wobble[..., 0] * 0.35 + 0.02 * local[..., 0] ** 2
            under = ground.palmar * np.maximum(
                _line(along - 0.6, 0.9), 0.6 * _line(along + rng.uniform(1.5, 3.0), 0.6)
            )
            wrinkles = 0.5 + 0.5 * np.cos(2 * np.pi * along / rng.uniform(2.2, 3.2))
            reach = 8.0 if k == 1 else 4.5
            over = (
                (1 - ground.palmar) * wrinkles**3 * _smoothstep(reach, 0.3 * reach, np.abs(along))
            )
            folds = np.maximum(folds, member * np.maximum(under, rng.uniform(0.3, 0.8) * over))
        if finger:  # the crease where the finger leaves the palm
            base = rest[1 + 4 * finger] * 0.56 + rest[2 + 4 * finger] * 0.44
            along = ground.position_mm[..., 1] - base[1] + wobble[..., 0] * 0.4
            beside = np.abs(ground.position_mm[..., 0] - base[0]) < 11
            folds = np.maximum(folds, beside * ground.palmar * _line(along, 1.0) * 0.9)
    wrist = ground.position_mm[..., 1] + wobble[..., 0]
    at_wrist = np.maximum(_line(wrist - 1.0, 1.0), 0.7 * _line(wrist + 8.0, 0.8))
    folds = np.maximum(folds, 0.6 * ground.palmar * at_wrist)
    return np.clip(folds + 0.12 * _noise(ground, rng, 1.6), 0, 1) * (1 - ground.nail)


def _line(distance_mm: np.ndarray, width_mm: float) -> np.ndarray:
    return np.exp(-0.5 * (distance_mm / (0.6 * width_mm)) ** 2)


def _distance(points: np.ndarray, polyline: np.ndarray) -> np.ndarray:
    """(H, W, 2) points to a polyline (K, 2): (H, W) distances."""
    nearest = np.full(points.shape[:2], np.inf)
    for start, end in pairwise(polyline):
        along = end - start
        t = np.clip(((points - start) @ along) / (along @ along), 0, 1)
        gap = points - start - t[..., None] * along
        nearest = np.minimum(nearest, np.hypot(gap[..., 0], gap[..., 1]))
    return nearest


def _smoothstep(start: float, end: float, x: np.ndarray) -> np.ndarray:
    t = np.clip((x - start) / (end - start), 0.0, 1.0)
    return t * t * (3 - 2 * t)


# --- tones ---------------------------------------------------------------------------------------


def albedo(melanin: np.ndarray | float, blood: np.ndarray | float = 0.85) -> np.ndarray:
    """Linear RGB reflectance of skin, (...) -> (..., 3)."""
    melanin, blood = np.asarray(melanin)[..., None], np.asarray(blood)[..., None]
    through = np.exp(-melanin * MELANIN_ABSORPTION - blood * BLOOD_ABSORPTION)
    return FLOOR + (DERMIS - FLOOR) * through


@cache
def _melanin_by_lightness() -> tuple[np.ndarray, np.ndarray]:
    """Lightness (rising) and the melanin that gives it."""
    melanin = np.linspace(6.0, 0.0, 400)
    return _lightness(albedo(melanin)), melanin


def melanin_of_tone(tone: float) -> float:
    """Amount of melanin of a place on the Monk scale, 0 (lightest) .. 9 (darkest)."""
    lightest, darkest = _SKIN_LIGHTNESS
    swatch = np.interp(tone, np.arange(10), np.sort(_MONK_LIGHTNESS)[::-1])
    share = (swatch - _MONK_LIGHTNESS[-1]) / (_MONK_LIGHTNESS[0] - _MONK_LIGHTNESS[-1])
    lightness = darkest + (lightest - darkest) * share
    levels, melanin = _melanin_by_lightness()
    return float(np.interp(lightness, levels, melanin))


def _lightness(linear_rgb: np.ndarray) -> np.ndarray:
    """CIE L* of linear RGB."""
    y = linear_rgb @ (0.2126, 0.7152, 0.0722)
    return np.where(y > 0.008856, 116 * np.cbrt(y) - 16, 903.3 * y)
