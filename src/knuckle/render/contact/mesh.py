"""How deep two hands are in each other by their skinned meshes: slow and exact, for reports."""

from __future__ import annotations

import numba
import numpy as np

from knuckle.render.hand_model import HandModel, HandParameters


def mesh_penetration_mm(first: HandParameters, second: HandParameters) -> np.ndarray:
    """How deep the skin of either hand lies inside the other, at worst, on the skinned meshes.

    Inside is where the winding number of the closed mesh is not zero (Jacobson et al., SIGGRAPH
    2013); depth is the distance to the nearest point of its surface. Some 50 ms a pair.

    Args:
        first: N hands of any side.
        second: N hands of any side, in the same frame.

    Returns:
        (N,) mm, 0 where no vertex of one hand is inside the other.
    """
    model = HandModel.load()
    skins = [model.vertices(hand).astype(np.float64) for hand in (first, second)]
    depth = np.zeros(len(first))
    for i, (a, b) in enumerate(zip(*skins, strict=True)):
        into_b = _deepest(a, b, model.faces_of(second.sides[i]))
        into_a = _deepest(b, a, model.faces_of(first.sides[i]))
        depth[i] = max(into_a, into_b)
    return depth


def _deepest(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> float:
    """How deep the deepest of some points lies inside a closed mesh, mm."""
    near = ((points > vertices.min(axis=0)) & (points < vertices.max(axis=0))).all(axis=1)
    return float(_depths(points[near], vertices[np.ascontiguousarray(faces)]).max(initial=0.0))


@numba.njit(cache=True, fastmath=True)
def _depths(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(P,) depth of points inside a closed mesh (F, 3, 3); 0 outside."""
    depth = np.zeros(len(points))
    for i in range(len(points)):
        x, y, z = points[i]
        winding = 0.0
        for f in range(len(triangles)):
            winding += _solid_angle(triangles[f], x, y, z)
        if abs(winding) > 2.0 * np.pi:
            nearest = np.inf
            for f in range(len(triangles)):
                nearest = min(nearest, _squared_distance(triangles[f], x, y, z))
            depth[i] = np.sqrt(nearest)
    return depth


@numba.njit(cache=True, fastmath=True)
def _solid_angle(triangle: np.ndarray, x: float, y: float, z: float) -> float:
    """Of a triangle seen from a point (Van Oosterom and Strackee, 1983)."""
    ax, ay, az = triangle[0, 0] - x, triangle[0, 1] - y, triangle[0, 2] - z
    bx, by, bz = triangle[1, 0] - x, triangle[1, 1] - y, triangle[1, 2] - z
    cx, cy, cz = triangle[2, 0] - x, triangle[2, 1] - y, triangle[2, 2] - z
    a, b, c = (
        np.sqrt(ax * ax + ay * ay + az * az),
        np.sqrt(bx * bx + by * by + bz * bz),
        np.sqrt(cx * cx + cy * cy + cz * cz),
    )
    volume = ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz) + az * (bx * cy - by * cx)
    ab, bc, ca = (
        ax * bx + ay * by + az * bz,
        bx * cx + by * cy + bz * cz,
        cx * ax + cy * ay + cz * az,
    )
    return 2.0 * np.arctan2(volume, a * b * c + ab * c + bc * a + ca * b)


@numba.njit(cache=True, fastmath=True)
def _squared_distance(triangle: np.ndarray, x: float, y: float, z: float) -> float:
    """From a point to the nearest point of a triangle."""
    nearest = np.inf
    for k in range(3):  # to its edges
        p, q = triangle[k], triangle[(k + 1) % 3]
        ex, ey, ez = q[0] - p[0], q[1] - p[1], q[2] - p[2]
        ox, oy, oz = x - p[0], y - p[1], z - p[2]
        along = (ox * ex + oy * ey + oz * ez) / max(ex * ex + ey * ey + ez * ez, 1e-12)
        along = min(max(along, 0.0), 1.0)
        gx, gy, gz = ox - along * ex, oy - along * ey, oz - along * ez
        nearest = min(nearest, gx * gx + gy * gy + gz * gz)
    ax, ay, az = triangle[0]
    ux, uy, uz = triangle[1, 0] - ax, triangle[1, 1] - ay, triangle[1, 2] - az
    vx, vy, vz = triangle[2, 0] - ax, triangle[2, 1] - ay, triangle[2, 2] - az
    ox, oy, oz = x - ax, y - ay, z - az
    uu, uv, vv = (
        ux * ux + uy * uy + uz * uz,
        ux * vx + uy * vy + uz * vz,
        vx * vx + vy * vy + vz * vz,
    )
    ou, ov = ox * ux + oy * uy + oz * uz, ox * vx + oy * vy + oz * vz
    area = max(uu * vv - uv * uv, 1e-12)
    s, t = (vv * ou - uv * ov) / area, (uu * ov - uv * ou) / area
    if s >= 0 and t >= 0 and s + t <= 1:  # to its inside
        gx, gy, gz = ox - s * ux - t * vx, oy - s * uy - t * vy, oz - s * uz - t * vz
        nearest = min(nearest, gx * gx + gy * gy + gz * gz)
    return nearest
