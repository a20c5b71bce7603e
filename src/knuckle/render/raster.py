"""A z-buffer rasteriser: which triangle is seen in each pixel, where in it, and how far away.

It follows the project's pixel convention: pixel (0, 0) is the centre of the top-left pixel, so a
vertex that projects to whole numbers lies in the middle of that pixel. Supersampling is nothing
but a larger buffer drawn with ``Camera.resized``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from knuckle.camera import Camera

#: Triangles that reach nearer to the camera than this are left out instead of being cut.
NEAR_MM = 20.0


@dataclass(frozen=True, eq=False)
class GBuffer:
    """What each pixel sees."""

    depth_mm: np.ndarray  # (H, W) float32, z of the nearest surface; infinite where there is none
    triangle: np.ndarray  # (H, W) int32 row of ``faces``; -1 where there is none
    #: (H, W, 2) float32, perspective-correct weights of the triangle's second and third corner; the
    #: first has what is left to 1.
    bary: np.ndarray

    @classmethod
    def empty(cls, height: int, width: int) -> GBuffer:
        """A buffer that sees nothing yet."""
        return cls(
            np.full((height, width), np.inf, np.float32),
            np.full((height, width), -1, np.int32),
            np.zeros((height, width, 2), np.float32),
        )

    def draw(self, points: np.ndarray, faces: np.ndarray, *, first: int = 0, cull: bool) -> None:
        """Draw triangles over what is there; the nearest wins.

        Args:
            points: (V, 3) float32, x and y in px and z in mm, as ``project_vertices`` gives.
            faces: (F, 3) int32.
            first: number of the first of these triangles; later ones count on.
            cull: leave out triangles seen from behind (clockwise on the screen is in front, which
                is anticlockwise from outside in a frame with y up): right for closed meshes.
        """
        _draw(points, faces, first, cull, self.depth_mm, self.triangle, self.bary)


def project_vertices(vertices_mm: np.ndarray, camera: Camera) -> np.ndarray:
    """Vertices in the camera frame to the screen: (V, 3) mm -> (V, 3) float32 x px, y px, z mm.

    Vertices behind ``NEAR_MM`` get a harmless place; ``GBuffer.draw`` drops their triangles.
    """
    z = vertices_mm[:, 2:]
    pixels = camera.pixels_from_rays(vertices_mm[:, :2] / np.maximum(z, NEAR_MM))
    return np.concatenate([pixels, z], axis=1).astype(np.float32)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _pixels_between(a: float, b: float, c: float, count: int) -> tuple[int, int]:
    """First and last pixel, of so many, whose centres lie between three coordinates."""
    low, high = min(max(min(a, b, c), 0.0), count), max(min(max(a, b, c), count - 1.0), -1.0)
    return int(np.ceil(low)), int(np.floor(high))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _draw(
    points: np.ndarray,
    faces: np.ndarray,
    first: int,
    cull: bool,
    depth: np.ndarray,
    triangle: np.ndarray,
    bary: np.ndarray,
) -> None:
    height, width = depth.shape
    for t in range(faces.shape[0]):
        a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
        za, zb, zc = np.float64(points[a, 2]), np.float64(points[b, 2]), np.float64(points[c, 2])
        if min(za, zb, zc) < NEAR_MM:
            continue
        xa, ya = np.float64(points[a, 0]), np.float64(points[a, 1])
        xb, yb = np.float64(points[b, 0]), np.float64(points[b, 1])
        xc, yc = np.float64(points[c, 0]), np.float64(points[c, 1])
        area = (xb - xa) * (yc - ya) - (xc - xa) * (yb - ya)
        if area == 0.0 or (cull and area > 0.0):
            continue
        x0, x1 = _pixels_between(xa, xb, xc, width)
        y0, y1 = _pixels_between(ya, yb, yc, height)
        if x0 > x1:
            continue
        # Screen-space weights are linear in x and y; divided by z they are so in space as well.
        scale = 1.0 / area
        ia, ib, ic = 1.0 / za, 1.0 / zb, 1.0 / zc
        b_by_x, b_by_y = (yc - ya) * scale, (xa - xc) * scale
        c_by_x, c_by_y = (ya - yb) * scale, (xb - xa) * scale
        for y in range(y0, y1 + 1):
            wb = (x0 - xa) * b_by_x + (y - ya) * b_by_y
            wc = (x0 - xa) * c_by_x + (y - ya) * c_by_y
            for x in range(x0, x1 + 1):
                if wb >= 0.0 and wc >= 0.0 and wb + wc <= 1.0:
                    z = 1.0 / (ia + wb * (ib - ia) + wc * (ic - ia))
                    if z < depth[y, x]:
                        depth[y, x] = z
                        triangle[y, x] = first + t
                        bary[y, x, 0] = wb * ib * z
                        bary[y, x, 1] = wc * ic * z
                wb += b_by_x
                wc += c_by_x


@numba.njit(cache=True, nogil=True, error_model="numpy")
def draw_depth(points: np.ndarray, faces: np.ndarray, depth: np.ndarray) -> None:
    """Orthographic depth only, both sides: for shadow maps.

    Args:
        points: (V, 3) float32, x and y in cells, z in mm along the light.
        faces: (F, 3) int32.
        depth: (H, W) float32, filled with infinity or with earlier meshes; changed in place.
    """
    height, width = depth.shape
    for t in range(faces.shape[0]):
        a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
        xa, ya, za = points[a, 0], points[a, 1], points[a, 2]
        xb, yb, zb = points[b, 0], points[b, 1], points[b, 2]
        xc, yc, zc = points[c, 0], points[c, 1], points[c, 2]
        area = (xb - xa) * (yc - ya) - (xc - xa) * (yb - ya)
        if area == 0.0:
            continue
        x0, x1 = _pixels_between(xa, xb, xc, width)
        y0, y1 = _pixels_between(ya, yb, yc, height)
        if x0 > x1:
            continue
        scale = 1.0 / area
        b_by_x, b_by_y = (yc - ya) * scale, (xa - xc) * scale
        c_by_x, c_by_y = (ya - yb) * scale, (xb - xa) * scale
        for y in range(y0, y1 + 1):
            wb = (x0 - xa) * b_by_x + (y - ya) * b_by_y
            wc = (x0 - xa) * c_by_x + (y - ya) * c_by_y
            for x in range(x0, x1 + 1):
                if wb >= 0.0 and wc >= 0.0 and wb + wc <= 1.0:
                    z = za + wb * (zb - za) + wc * (zc - za)
                    if z < depth[y, x]:
                        depth[y, x] = z
                wb += b_by_x
                wc += c_by_x


@numba.njit(cache=True, nogil=True, error_model="numpy")
def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals out of the surface, weighted by area: (V, 3), (F, 3) -> (V, 3) float32."""
    normals = np.zeros((vertices.shape[0], 3), np.float32)
    for t in range(faces.shape[0]):
        a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
        ux, uy, uz = (
            vertices[b, 0] - vertices[a, 0],
            vertices[b, 1] - vertices[a, 1],
            vertices[b, 2] - vertices[a, 2],
        )
        vx, vy, vz = (
            vertices[c, 0] - vertices[a, 0],
            vertices[c, 1] - vertices[a, 1],
            vertices[c, 2] - vertices[a, 2],
        )
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for corner in (a, b, c):
            normals[corner, 0] += nx
            normals[corner, 1] += ny
            normals[corner, 2] += nz
    for v in range(normals.shape[0]):
        length = np.sqrt(normals[v, 0] ** 2 + normals[v, 1] ** 2 + normals[v, 2] ** 2)
        if length > 0.0:
            normals[v] /= length
    return normals
