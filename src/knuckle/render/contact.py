"""Where two hands touch, how deep they reach into each other, and how to get them out again.

For speed the flesh of a hand is a set of balls that fill its mesh: the medial balls of the mean
hand (shrinking-ball construction: Ma, Bae and Choi, "3D medial axis point approximation using
nearest neighbors and the normal field", The Visual Computer 28, 2012), as few as cover the skin
(greedy set cover). They follow pose and shape as the skin around them does. Two balls that overlap
say by how much, and in which direction, two hands pass through each other; ``resolve`` moves
fingers, wrists and the second hand until they no longer do, and until what shall touch touches.
``mesh_penetration_mm`` measures the same on the skinned mesh: slow and exact, for reports.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

import numba
import numpy as np

from knuckle.render.hand_model import (
    BONE_OF_JOINT,
    FINGER_ROWS,
    FLEXION,
    FOREARM_ROW,
    N_BONES,
    SPREAD,
    HandModel,
    HandParameters,
    rotation_from_angles,
)
from knuckle.render.poses import (
    DIP,
    MAX_PENETRATION_MM,
    MCP,
    PIP,
    constrain,
    finger_capsules,
    mean_palm_length_mm,
    segment_gap,
)
from knuckle.render.raster import vertex_normals
from knuckle.render.rotations import rotation_from_vector

_MIRROR = np.array([-1.0, 1.0, 1.0], dtype=np.float32)

#: Smallest ball, and how far the skin may lie from the nearest ball (mm).
_SMALLEST_MM, _COVERED_MM = 3.5, 1.5


@dataclass(frozen=True, eq=False)
class Flesh:
    """A hand's balls, as linear functions of its shape.

    Attributes:
        centre_mm, centre_basis_mm: (K, 3) and (S, K, 3), in the flat right hand's frame.
        radius_mm, radius_basis_mm: (K,) and (S, K).
        weight: (K, 19) skinning weights.
        bone: (K,) the bone that moves a ball most; balls are in the order of their bones.
    """

    centre_mm: np.ndarray
    centre_basis_mm: np.ndarray
    radius_mm: np.ndarray
    radius_basis_mm: np.ndarray
    weight: np.ndarray
    bone: np.ndarray

    @classmethod
    def load(cls) -> Flesh:
        """The balls of the hand that ships (computed once)."""
        return _flesh()

    def rest(self, shape: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Centres (N, K, 3) and radii (N, K) in flat right hands of the given shapes, mm."""
        basis = self.centre_basis_mm.reshape(len(self.centre_basis_mm), -1)
        centres = self.centre_mm + (shape @ basis).reshape(-1, *self.centre_mm.shape)
        return centres, self.radius_mm + shape @ self.radius_basis_mm


@cache
def _flesh() -> Flesh:
    model = HandModel.load()
    skin = model.vertices_mm.astype(np.float64)
    centres, radii = _medial_balls(skin, vertex_normals(model.vertices_mm, model.faces))
    distance = np.linalg.norm(skin[:, None] - centres, axis=2)  # (V, candidates)
    chosen = _cover(np.abs(distance - radii) < _COVERED_MM, radii >= _SMALLEST_MM)
    touching = np.abs(distance[:, chosen] - radii[chosen]) < _COVERED_MM
    share = (touching / touching.sum(axis=0)).T  # (K, V)
    weight = share @ model._dense_weights
    order = np.argsort(weight.argmax(axis=1), kind="stable")
    chosen, share, weight = chosen[order], share[order], weight[order]
    basis = model.shape_basis_mm
    centre_basis = share @ basis  # (S, K, 3)
    outward = skin - centres[chosen][:, None]  # (K, V, 3)
    outward *= (share / np.linalg.norm(outward, axis=2))[..., None]
    swell = basis.reshape(len(basis), -1) @ outward.reshape(len(outward), -1).T
    swell -= np.einsum("ki,ski->sk", outward.sum(axis=1), centre_basis)
    # The balls touch the skin from inside: on average it lies half of what is allowed further out.
    radius = radii[chosen] + _COVERED_MM / 2
    return Flesh(
        centre_mm=centres[chosen].astype(np.float32),
        centre_basis_mm=centre_basis.astype(np.float32),
        radius_mm=radius.astype(np.float32),
        radius_basis_mm=swell.astype(np.float32),
        weight=weight.astype(np.float32),
        bone=weight.argmax(axis=1),
    )


def _medial_balls(skin: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each vertex the largest ball inside that touches it: centres (V, 3), radii (V,)."""
    away = skin[None] - skin[:, None]
    inward = -np.einsum("pqi,pi->pq", away, normals.astype(np.float64))
    # A ball through p with its centre on the normal, and through q, has this radius.
    with np.errstate(divide="ignore", invalid="ignore"):
        radius = np.where(inward > 1e-3, (away**2).sum(-1) / (2 * inward), np.inf)
    radii = radius.min(axis=1)
    return skin - normals * radii[:, None], radii


def _cover(covered: np.ndarray, allowed: np.ndarray, enough: float = 0.97) -> np.ndarray:
    """Greedy set cover: columns of ``covered`` (V, C) until a share of the rows has one."""
    covered = covered & allowed
    left, chosen = covered.any(axis=1), []
    target = (1 - enough) * left.sum()
    while left.sum() > target:
        chosen.append(int(covered[left].sum(axis=0).argmax()))
        left &= ~covered[:, chosen[-1]]
    return np.array(chosen)


# --- one hand's balls and how they move ----------------------------------------------------------

#: (22,) rows and columns of ``pose_deg`` that ``resolve`` may change, and how willingly: their
#: standard deviations in degrees. The wrist's turn the forearm.
MOVES = tuple(
    [(int(FINGER_ROWS[0, 0]), FLEXION, 8.0), (int(FINGER_ROWS[0, 0]), SPREAD, 8.0),
     (int(FINGER_ROWS[0, 1]), FLEXION, 10.0), (int(FINGER_ROWS[0, 2]), FLEXION, 10.0)]
    + [(int(row), FLEXION, 10.0) for row in MCP] + [(int(row), SPREAD, 5.0) for row in MCP]
    + [(int(row), FLEXION, 12.0) for row in PIP] + [(int(row), FLEXION, 7.0) for row in DIP]
    + [(FOREARM_ROW, FLEXION, 10.0), (FOREARM_ROW, SPREAD, 6.0)]
)  # fmt: skip
_ROWS = np.array([row for row, _, _ in MOVES])
_COLUMNS = np.array([column for _, column, _ in MOVES])


@dataclass(frozen=True, eq=False)
class _Balls:
    """The balls of N posed hands, in each hand's own right-handed frame.

    Attributes:
        centre_mm, radius_mm: (N, K, 3) and (N, K).
        joints_mm: (N, 21, 3).
        axis, pivot_mm: (N, 22, 3) about what each of ``MOVES`` turns.
    """

    centre_mm: np.ndarray
    radius_mm: np.ndarray
    joints_mm: np.ndarray
    axis: np.ndarray
    pivot_mm: np.ndarray

    @classmethod
    def of(cls, pose_deg: np.ndarray, shape: _Shape) -> _Balls:
        model, flesh = HandModel.load(), Flesh.load()
        transforms = model.transforms_from_pose(pose_deg, shape.joints_mm)  # (N, 19, 3, 4)
        blended = (flesh.weight @ transforms.reshape(len(pose_deg), N_BONES, 12)).reshape(
            *shape.centre_mm.shape[:2], 3, 4
        )
        centre = (blended[..., :3] @ shape.centre_mm[..., None])[..., 0] + blended[..., 3]
        of_joint = transforms[:, BONE_OF_JOINT]
        joints = (of_joint[..., :3] @ shape.joints_mm[..., None])[..., 0] + of_joint[..., 3]
        axis, pivot = _axes(model, transforms, pose_deg, shape.joints_mm)
        return cls(centre, shape.radius_mm, joints, axis, pivot)

    def slopes(self, ball: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """(N, C, 22) mm per radian: how far balls (N, C) move along directions (N, C, 3)."""
        at = np.take_along_axis(self.centre_mm, ball[..., None], axis=1)
        return self._levers(at, direction) * _carried()[ball]

    def own_contacts(self, worst: int = 6) -> tuple[np.ndarray, np.ndarray]:
        """Gaps (N, C) between the fingers that reach deepest into each other or into the palm, by
        the capsules of ``poses.finger_penetration_mm``, and their slopes (N, C, 22).
        """
        starts, ends, radii, pairs = finger_capsules()
        one, two = pairs.T
        joints = self.joints_mm
        apart, at = segment_gap(
            joints[:, starts[one]], joints[:, ends[one]], joints[:, starts[two]],
            joints[:, ends[two]],
        )  # fmt: skip
        scale = np.linalg.norm(joints[:, 9] - joints[:, 0], axis=1) / mean_palm_length_mm()
        distance = np.linalg.norm(apart, axis=2)
        gap = distance - (radii[one] + radii[two]) * scale[:, None]
        deepest = np.argpartition(gap, worst, axis=1)[:, :worst]
        apart, at, distance = (
            np.take_along_axis(a, deepest[..., None], 1) for a in (apart, at, distance[..., None])
        )
        direction = apart / np.maximum(distance, 1e-3)
        slopes = self._levers(at, direction) * _carried_capsules()[one[deepest]]
        slopes -= self._levers(at - apart, direction) * _carried_capsules()[two[deepest]]
        return np.take_along_axis(gap, deepest, 1), slopes

    def _levers(self, at: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """(N, C, 22) what turning each joint does to points that it carries, along directions."""
        lever = np.cross(at, direction) @ self.axis.transpose(0, 2, 1)
        lever -= direction @ np.cross(self.axis, self.pivot_mm).transpose(0, 2, 1)
        return lever


@dataclass(frozen=True, eq=False)
class _Shape:
    """What the shape of N hands says: flat joints (N, 21, 3), balls (N, K, 3) and (N, K)."""

    joints_mm: np.ndarray
    centre_mm: np.ndarray
    radius_mm: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> _Shape:
        return _Shape(self.joints_mm[rows], self.centre_mm[rows], self.radius_mm[rows])

    @classmethod
    def of(cls, shape: np.ndarray) -> _Shape:
        return cls(HandModel.load().rest_joints(shape), *Flesh.load().rest(shape))


@cache
def _bones_of_moves() -> np.ndarray:
    """(22,) the bone that each of ``MOVES`` turns."""
    rows = HandModel.load().bone_pose_row
    return np.array([int(np.flatnonzero(rows == row)[-1]) for row in _ROWS])


@cache
def _carried_capsules() -> np.ndarray:
    """(19, 22) whether a joint of ``MOVES`` carries each of ``poses.finger_capsules``."""
    carried = np.zeros((19, len(MOVES)), np.float32)
    for finger, rows in enumerate(FINGER_ROWS):
        for bone in range(3):
            carried[3 * finger + bone] = np.isin(_ROWS, rows[: bone + 1])
    return carried


@cache
def _carried() -> np.ndarray:
    """(K, 22) share of each ball that goes along when a joint of ``MOVES`` turns."""
    parent, weight = HandModel.load().bone_parent, Flesh.load().weight
    carried = np.zeros((len(weight), len(MOVES)), np.float32)
    for bone in range(N_BONES):
        above, chain = bone, [bone]
        while parent[above] >= 0:
            above = int(parent[above])
            chain.append(above)
        carried += weight[:, bone : bone + 1] * np.isin(_bones_of_moves(), chain)
    return carried


def _axes(
    model: HandModel, transforms: np.ndarray, pose_deg: np.ndarray, joints_mm: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Axes (N, 22, 3) and pivots (N, 22, 3) of ``MOVES`` in posed hands."""
    bones = _bones_of_moves()
    before = transforms[:, model.bone_parent[bones]]
    flexed = np.zeros((len(pose_deg), len(MOVES), 3), np.float32)
    flexed[..., 0] = pose_deg[:, _ROWS, FLEXION] * model.bone_pose_gain[bones]
    local = np.where((_COLUMNS == FLEXION)[:, None], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0])
    local = local * model.bone_pose_gain[bones, None]
    turned = rotation_from_angles(flexed) @ local.astype(np.float32)[..., None]
    axis = (before[..., :3] @ (model.R_hand_from_bone[bones] @ turned))[..., 0]
    pivot = joints_mm[:, model.bone_pivot[bones], :, None]
    return axis, (before[..., :3] @ pivot + before[..., 3:])[..., 0]


# --- gaps ----------------------------------------------------------------------------------------


def _turns(hand: HandParameters) -> np.ndarray:
    """(N, 3, 3) from each hand's own right-handed frame to the common one, mirror included."""
    left = hand.is_left()[:, None, None]
    return np.where(left, hand.R_camera_from_hand * _MIRROR, hand.R_camera_from_hand)


def _gaps(one: np.ndarray, one_radius: np.ndarray, two: np.ndarray, two_radius: np.ndarray
          ) -> np.ndarray:  # fmt: skip
    """(N, K, K) gap between every ball of one hand and every ball of another, mm."""
    middle = one.mean(axis=1, keepdims=True)  # near zero, squares keep their digits
    a, b = one - middle, two - middle
    squared = -2.0 * (a @ b.transpose(0, 2, 1))
    squared += (a * a).sum(-1)[:, :, None]
    squared += (b * b).sum(-1)[:, None, :]
    gaps = np.sqrt(np.maximum(squared, 0.0, out=squared), out=squared)
    gaps -= one_radius[:, :, None]
    gaps -= two_radius[:, None, :]
    return gaps


def gap_mm(first: HandParameters, second: HandParameters) -> np.ndarray:
    """(N,) least gap between two hands by their balls, mm; negative: how deep they overlap.

    Args:
        first: N hands of any side. Forearms count.
        second: N hands of any side, in the same frame.
    """
    placed = []
    for hand in (first, second):
        balls = _Balls.of(hand.pose_deg, _Shape.of(hand.shape))
        at = balls.centre_mm @ _turns(hand).transpose(0, 2, 1) + hand.root_mm[:, None]
        placed += [at, balls.radius_mm]
    return _gaps(*placed).min(axis=(1, 2))


def penetration_mm(first: HandParameters, second: HandParameters) -> np.ndarray:
    """(N,) how deep two hands reach into each other by their balls, mm; 0 where they do not."""
    return np.maximum(-gap_mm(first, second), 0.0)


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
    sides = ["left" if left else "right" for left in first.is_left()]
    others = ["left" if left else "right" for left in second.is_left()]
    depth = np.zeros(len(first))
    for i, (a, b) in enumerate(zip(*skins, strict=True)):
        into_b = _deepest(a, b, model.faces_of(others[i]))  # type: ignore[arg-type]
        into_a = _deepest(b, a, model.faces_of(sides[i]))  # type: ignore[arg-type]
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


# --- getting out of each other, and into touch ---------------------------------------------------

#: How deep flesh is pressed where hands touch, by the balls, mm.
GIVE_MM = 1.0

#: The second hand as a whole: standard deviations of its shift (mm) and its turn (degrees).
_SHIFT_MM, _TURN_DEG = 6.0, 6.0
_SD = np.concatenate([
    np.full(3, _SHIFT_MM), np.full(3, np.deg2rad(_TURN_DEG)),
    *[np.deg2rad([sd for _, _, sd in MOVES])] * 2,
]).astype(np.float32)  # fmt: skip
_CONTACTS = 28  # overlaps looked at in one step
_OVERLAP_MM, _TOUCH_MM = 0.3, 1.5  # one unit of residual
_OWN_GIVE_MM = MAX_PENETRATION_MM - 1.0
_LARGEST_STEP = 1.0  # in standard deviations
_SETTLED = 0.6  # residual below which nothing needs to be done any more
_PALM_MM = np.array([0.0, 60.0, 0.0], dtype=np.float32)  # about where the second hand turns


def resolve(
    first: HandParameters,
    second: HandParameters,
    touch: np.ndarray | None = None,
    *,
    steps: int = 14,
    give_mm: float | np.ndarray = GIVE_MM,
    freedom: np.ndarray | None = None,
) -> tuple[HandParameters, HandParameters]:
    """Move two hands until they no longer pass through each other, and touch where they shall.

    Damped Gauss-Newton on the deepest overlaps: each step is the smallest one, in units of how
    willingly every joint and the second hand move, that ends the overlaps as far as they are
    linear. What no longer overlaps is left where it is.

    Args:
        first: N hands; their wrists stay in their places.
        second: N hands in the same frame.
        touch: (N, S) bones that shall come to touch anything of the other hand: 0..18 of the first
            hand, 19 + bone of the second one, -1 for none. A bone further off than 30 mm is let be.
        steps: iterations.
        give_mm: overlap that is left, as flesh yields; one for all or (N,).
        freedom: (50,) factor on how willingly shift (3), turn (3), and the first and the second
            hand's ``MOVES`` (22 each) change; 1 if None.

    Returns:
        Both hands, moved. Whether they are free is for ``penetration_mm`` to say.
    """
    sd = _SD if freedom is None else _SD * np.asarray(freedom, np.float32)
    shapes = _Shape.of(first.shape), _Shape.of(second.shape)
    busy = np.arange(len(first))
    give = np.broadcast_to(np.asarray(give_mm, np.float32), len(first))[:, None]
    for _ in range(steps):
        one, two = first[busy], second[busy]
        own = shapes[0][busy], shapes[1][busy]
        closing = None if touch is None else touch[busy]
        residual, jacobian = _contacts(one, two, own, closing, give[busy])
        step = _least_step(residual, jacobian * sd) * sd
        one, two = _moved(one, two, step)
        first, second = first.with_rows(busy, one), second.with_rows(busy, two)
        busy = busy[np.abs(residual).max(axis=1) > _SETTLED]
        if not len(busy):
            break
    return first, second


def _least_step(residual: np.ndarray, jacobian: np.ndarray) -> np.ndarray:
    """(N, 50) smallest step that ends the residuals (N, C) as far as it can, damped."""
    turned = jacobian.transpose(0, 2, 1)
    normal = jacobian @ turned + np.eye(residual.shape[1], dtype=np.float32)
    step = -(turned @ np.linalg.solve(normal, residual[..., None]))[..., 0]
    return np.clip(step, -_LARGEST_STEP, _LARGEST_STEP)


def _contacts(
    first: HandParameters, second: HandParameters, shapes: tuple[_Shape, _Shape],
    touch: np.ndarray | None, give_mm: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Residuals (N, C) and their slopes (N, C, 50): what overlaps, and what shall touch."""
    hands = first, second
    balls = [_Balls.of(hand.pose_deg, shape) for hand, shape in zip(hands, shapes, strict=True)]
    turns = [_turns(hand) for hand in hands]
    at = [
        ball.centre_mm @ turn.transpose(0, 2, 1) + hand.root_mm[:, None]
        for ball, turn, hand in zip(balls, turns, hands, strict=True)
    ]
    gaps = _gaps(at[0], balls[0].radius_mm, at[1], balls[1].radius_mm)
    one, two, gap = _deepest_pairs(gaps)
    weight = np.where(gap < -give_mm, 1.0 / _OVERLAP_MM, 0.0)
    if touch is not None:
        bone_one, bone_two, bone_gap = _nearest_to_bones(gaps, touch)
        wanted = (touch >= 0) & (bone_gap < 30.0)
        one, two = np.concatenate([one, bone_one], 1), np.concatenate([two, bone_two], 1)
        gap = np.concatenate([gap, bone_gap], 1)
        weight = np.concatenate([weight, wanted / _TOUCH_MM], 1)
    weight = weight.astype(np.float32)
    ends = [np.take_along_axis(a, i[..., None], 1) for a, i in zip(at, (one, two), strict=True)]
    apart = ends[0] - ends[1]
    apart /= np.maximum(np.linalg.norm(apart, axis=2, keepdims=True), 1e-3)
    palm = (turns[1] @ _PALM_MM + second.root_mm)[:, None]
    jacobian = np.concatenate([
        -apart, -np.cross(ends[1] - palm, apart),
        balls[0].slopes(one, apart @ turns[0]), -balls[1].slopes(two, apart @ turns[1]),
    ], axis=2)  # fmt: skip
    residual, jacobian = (gap + give_mm) * weight, jacobian * weight[..., None]
    return _with_own_contacts(residual, jacobian, balls)


def _with_own_contacts(
    residual: np.ndarray, jacobian: np.ndarray, balls: list[_Balls]
) -> tuple[np.ndarray, np.ndarray]:
    """The residuals and slopes, and those of either hand's fingers in each other and the palm."""
    residuals, jacobians = [residual], [jacobian]
    for number, hand in enumerate(balls):
        gap, slopes = hand.own_contacts()
        weight = np.where(gap < -_OWN_GIVE_MM, 1.0 / _OVERLAP_MM, 0.0).astype(np.float32)
        residuals.append((gap + _OWN_GIVE_MM).astype(np.float32) * weight)
        wide = np.zeros((*gap.shape, jacobian.shape[2]), np.float32)
        low = 6 + number * len(MOVES)
        wide[..., low : low + len(MOVES)] = slopes * weight[..., None]
        jacobians.append(wide)
    return np.concatenate(residuals, axis=1), np.concatenate(jacobians, axis=1)


def _deepest_pairs(gaps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first hand's balls that are deepest in the second, each with its partner: (N, C) each."""
    partner = gaps.argmin(axis=2)
    least = np.take_along_axis(gaps, partner[..., None], 2)[..., 0]
    one = np.argpartition(least, _CONTACTS, axis=1)[:, :_CONTACTS]
    return one, np.take_along_axis(partner, one, 1), np.take_along_axis(least, one, 1)


def _nearest_to_bones(
    gaps: np.ndarray, touch: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For every bone of ``touch`` its nearest pair of balls and their gap: (N, S) each."""
    starts = np.searchsorted(Flesh.load().bone, np.arange(N_BONES + 1))
    each = np.arange(len(gaps))
    found = []
    for side in (gaps, gaps.transpose(0, 2, 1)):
        partner = side.argmin(axis=2)
        least = np.take_along_axis(side, partner[..., None], 2)[..., 0]
        for low, high in pairwise(starts):
            own = low + least[:, low:high].argmin(axis=1)
            found.append((own, partner[each, own], least[each, own]))
    own, partner, least = (np.stack(values, axis=1) for values in zip(*found, strict=True))
    slot = np.maximum(touch, 0)
    own, partner, least = (np.take_along_axis(a, slot, 1) for a in (own, partner, least))
    of_second = slot >= N_BONES
    return np.where(of_second, partner, own), np.where(of_second, own, partner), least


def _moved(
    first: HandParameters, second: HandParameters, step: np.ndarray
) -> tuple[HandParameters, HandParameters]:
    """Both hands after a step (N, 50)."""
    shift, turn, *angles = np.split(step, [3, 6, 6 + len(MOVES)], axis=1)
    poses = []
    for hand, change in zip((first, second), angles, strict=True):
        pose = hand.pose_deg.copy()
        pose[:, _ROWS, _COLUMNS] += np.rad2deg(change)
        poses.append(constrain(pose))
    palm = _turns(second) @ _PALM_MM + second.root_mm
    rotation = rotation_from_vector(turn)
    arm = (rotation @ (second.root_mm - palm)[..., None])[..., 0]
    return replace(first, pose_deg=poses[0]), replace(
        second,
        pose_deg=poses[1],
        R_camera_from_hand=rotation @ second.R_camera_from_hand,
        root_mm=palm + arm + shift,
    )
