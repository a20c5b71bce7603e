"""Shadows: a depth map along a light, and how much of the light reaches a point."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from knuckle.render.raster import draw_depth
from knuckle.render.rotations import cross
from knuckle.render.stage import Lights, Stage

#: Cells of the shadow map on a side, and how far behind the first surface shadow begins.
_SHADOW_SIZE = 112
_SHADOW_BIAS_MM = 3.0
_X, _Z = np.eye(3)[[0, 2]]
#: Places in which a soft shadow is looked up, in radii of its border.
_TAPS = np.array(
    [[0, 0], [0.5, 0.2], [-0.2, 0.5], [-0.5, -0.2], [0.2, -0.5], [0.35, 0.85], [-0.85, 0.35],
     [-0.35, -0.85], [0.85, -0.35]], np.float32,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class ShadowMap:
    """Depth along a light, and the map from the camera frame to its cells."""

    depth_mm: np.ndarray  # (S, S) float32
    cells_from_camera: np.ndarray  # (3, 4) float32: x and y in cells, z in mm along the light
    radius: float  # width of the shadow's border in cells
    #: How far off a surface its light is looked up, so that it does not shade itself: the further,
    #: the coarser the cells are.
    offset_mm: float

    @classmethod
    def cast(cls, stage: Stage, lights: Lights) -> ShadowMap:
        """Draw the stage as the first light sees it."""
        towards = lights.directions[0] / np.linalg.norm(lights.directions[0])
        aside = cross(towards, _Z if abs(towards[2]) < 0.9 else _X)
        aside /= np.linalg.norm(aside)
        axes = np.stack([aside, cross(towards, aside), -towards])
        points, matrix, cell = _fit_into_cells(stage.vertices_mm, axes, _SHADOW_SIZE)
        depth = np.full((_SHADOW_SIZE, _SHADOW_SIZE), np.inf, np.float32)
        draw_depth(points, stage.faces, depth)
        offset = max(1.5, 0.75 * (cell - 2.0))
        return cls(depth, matrix, min(lights.softness_mm / cell, 4.0), offset)


@numba.njit(cache=True, nogil=True)
def _fit_into_cells(
    vertices: np.ndarray, axes: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Vertices along a light's axes, scaled into ``size`` cells.

    Returns the (V, 3) points, the (3, 4) matrix that makes them, and the width of a cell in mm.
    """
    points = np.empty(vertices.shape, np.float32)
    low, high = np.full(2, np.inf), np.full(2, -np.inf)
    for v in range(vertices.shape[0]):
        for a in range(3):
            value = (
                axes[a, 0] * vertices[v, 0] + axes[a, 1] * vertices[v, 1]
                + axes[a, 2] * vertices[v, 2]
            )  # fmt: skip
            points[v, a] = value
            if a < 2:
                low[a], high[a] = min(low[a], value), max(high[a], value)
    cell = max(max(high[0] - low[0], high[1] - low[1]) / (size - 3), 0.5)
    matrix = np.zeros((3, 4), np.float32)
    for a in range(2):
        matrix[a, :3] = axes[a] / cell
        matrix[a, 3] = 1.0 - low[a] / cell
        for v in range(vertices.shape[0]):
            points[v, a] = points[v, a] / cell + matrix[a, 3]
    matrix[2, :3] = axes[2]
    return points, matrix, cell


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def lit_share(
    shadow_depth: np.ndarray,
    matrix: np.ndarray,
    radius: np.float32,
    offset: np.float32,
    p: np.ndarray,
    n: np.ndarray,
) -> np.float32:
    """Share of the first light that reaches a point, 0..1, softened over ``radius`` cells."""
    px, py, pz = p[0] + n[0] * offset, p[1] + n[1] * offset, p[2] + n[2] * offset
    x = matrix[0, 0] * px + matrix[0, 1] * py + matrix[0, 2] * pz + matrix[0, 3]
    y = matrix[1, 0] * px + matrix[1, 1] * py + matrix[1, 2] * pz + matrix[1, 3]
    z = matrix[2, 0] * px + matrix[2, 1] * py + matrix[2, 2] * pz + matrix[2, 3]
    size = shadow_depth.shape[0]
    limit = z - np.float32(_SHADOW_BIAS_MM)
    if radius < 1:  # a sharp border, smoothed over one cell
        x = min(max(x, np.float32(0.0)), np.float32(size - 1.001))
        y = min(max(y, np.float32(0.0)), np.float32(size - 1.001))
        i, j = int(x), int(y)
        u, v = x - i, y - j
        free = np.float32(0.0)
        if shadow_depth[j, i] > limit:
            free += (1 - u) * (1 - v)
        if shadow_depth[j, i + 1] > limit:
            free += u * (1 - v)
        if shadow_depth[j + 1, i] > limit:
            free += (1 - u) * v
        if shadow_depth[j + 1, i + 1] > limit:
            free += u * v
        return free
    lit = 0
    for k in range(_TAPS.shape[0]):
        i = int(x + radius * _TAPS[k, 0] + np.float32(0.5))
        j = int(y + radius * _TAPS[k, 1] + np.float32(0.5))
        i, j = min(max(i, 0), size - 1), min(max(j, 0), size - 1)
        if shadow_depth[j, i] > limit:
            lit += 1
    return np.float32(lit) / np.float32(_TAPS.shape[0])


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def catch_shadow(
    triangle: np.ndarray, plane: np.ndarray, shadow_depth: np.ndarray, shadow_matrix: np.ndarray,
    shadow_radius: np.float32, camera: np.ndarray, dark: np.float32, image: np.ndarray,
) -> None:  # fmt: skip
    """Darken the background where a plane in it lies in the shadow of what is drawn."""
    p, n = np.empty(3, np.float32), np.zeros(3, np.float32)
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            covered = True
            for k in range(4):
                if triangle[2 * y + (k >> 1), 2 * x + (k & 1)] < 0:
                    covered = False
            if covered:
                continue
            rx, ry = (x - camera[1]) / camera[0], (y - camera[2]) / camera[0]
            slope = plane[0] * rx + plane[1] * ry + plane[2]
            if slope == 0 or plane[3] / slope <= 0:
                continue
            p[2] = plane[3] / slope
            p[0], p[1] = rx * p[2], ry * p[2]
            kept = 1 - dark * (
                1 - lit_share(shadow_depth, shadow_matrix, shadow_radius, np.float32(0.0), p, n)
            )
            if kept < 1:
                # In sRGB a factor on the light is about its root of 2.2.
                kept = kept ** np.float32(1 / 2.2)
                for c in range(3):
                    image[y, x, c] = np.uint8(image[y, x, c] * kept)
