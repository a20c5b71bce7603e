"""Two hands posed and placed where they will meet, before their fingers close."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from knuckle.render.contact import gap_mm, penetration_mm
from knuckle.render.hand_model import (
    FLEXION,
    FOREARM_ROW,
    N_BONES,
    N_POSE_ROWS,
    SPREAD,
    HandModel,
    HandParameters,
)
from knuckle.render.interaction.frames import MIRROR, unit
from knuckle.render.interaction.meetings import MEETINGS, NAMES, SLOTS, Meeting, Site
from knuckle.render.poses import DIP, MCP, PIP, constrain, sample_poses
from knuckle.render.rotations import rotation_from_vector
from knuckle.rows import Rows


@dataclass(frozen=True, eq=False)
class Approach(Rows):
    """Pairs before their fingers close; contact is not resolved yet."""

    #: ``first``, ``second``: a right and a left hand, in the frame of the first.
    first: HandParameters
    second: HandParameters
    touch: np.ndarray  # (N, S) bones that are pulled to the other hand, see ``contact.resolve``
    #: (N, 3) unit vector from the meeting place to where the second hand came from.
    retreat: np.ndarray
    normal: np.ndarray  # (N, 3) unit vector out of the first hand's skin at the meeting place


def draw_approach(
    rng: np.random.Generator, first_shape: np.ndarray, second_shape: np.ndarray, kind: np.ndarray
) -> Approach:
    """Draw poses and places for pairs of the given kinds."""
    n = len(kind)
    poses = np.zeros((2, n, N_POSE_ROWS, 3))
    turn, root = np.tile(np.eye(3), (n, 1, 1)), np.zeros((n, 3))
    retreat, normal = np.zeros((n, 3)), np.zeros((n, 3))
    touch = np.full((n, SLOTS), -1)
    model = HandModel.load()
    for row, name in enumerate(NAMES):
        mine = np.flatnonzero(kind == row)
        if not len(mine):
            continue
        meeting = MEETINGS[name]
        poses[:, mine] = _poses(rng, meeting, len(mine), interlaced=name == "interlaced")
        bones = [*meeting.first_closing, *(N_BONES + bone for bone in meeting.closing)]
        touch[mine, : len(bones)] = bones
        hands = [
            HandParameters.at_origin(pose[mine], shape[mine])
            for pose, shape in zip(poses, (first_shape, second_shape), strict=True)
        ]
        place = _place_interlaced if name == "interlaced" else _place
        turn[mine], root[mine], retreat[mine], normal[mine] = place(rng, model, meeting, *hands)
    first = HandParameters.at_origin(poses[0], first_shape)
    second = HandParameters(poses[1], second_shape, turn, root, "left")
    apart = np.where((kind == NAMES.index("interlaced"))[:, None], 0.0, retreat)
    return Approach(first, _without_overlap(first, second, apart), touch, retreat, normal)


def _without_overlap(
    first: HandParameters, second: HandParameters, retreat: np.ndarray
) -> HandParameters:
    """The second hands, moved along ``retreat`` until they hardly overlap the first."""
    for _ in range(4):
        deep = np.maximum(penetration_mm(first, second) - 3.0, 0.0)
        second = replace(second, root_mm=second.root_mm + deep[:, None] * retreat)
    return second


def _poses(rng: np.random.Generator, meeting: Meeting, n: int, *, interlaced: bool) -> np.ndarray:
    """(2, N, 17, 3) poses of both hands before they close."""
    poses = np.stack([sample_poses(rng, n, mix) for mix in (meeting.first, meeting.second)])
    if meeting.wrist_deg is not None:
        poses[:, :, FOREARM_ROW, FLEXION] = rng.normal(*meeting.wrist_deg, (2, n))
    if interlaced:
        poses[:, :, MCP, FLEXION] = rng.normal(18, 8, (2, n, 1)) + rng.normal(0, 2, (2, n, 4))
        poses[:, :, PIP, FLEXION] = rng.normal(12, 6, (2, n, 1))
        poses[:, :, DIP, FLEXION] = 5.0
        fan = np.array([1.0, 0.1, -0.8, -1.7])
        poses[:, :, MCP, SPREAD] = rng.normal(14, 2, (2, n, 1)) * fan
    for rows in (MCP, PIP, DIP):
        poses[1, :, rows, FLEXION] *= 1 - meeting.straightened
    return np.stack([constrain(pose) for pose in poses])


#: Turn (N, 3, 3) and root (N, 3), mm, of the second hand; retreat and normal as in ``Approach``.
Placement = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _place(
    rng: np.random.Generator, model: HandModel, meeting: Meeting,
    first: HandParameters, second: HandParameters,
) -> Placement:  # fmt: skip
    """A place of the second hand's skin on one of the first hand's."""
    n = len(first)
    point, out, along = _sites(rng, model, first, meeting.at)
    own_point, own_out, own_along = _sites(rng, model, second, meeting.with_)
    twists, scatter = meeting.twist_deg
    twist = np.radians(rng.choice(np.array(twists), n) + rng.normal(0, scatter, n))
    tilt = rotation_from_vector(rng.normal(0, 0.12, (n, 3)))
    out = (tilt @ out[..., None])[..., 0]
    along = unit(along - (along * out).sum(-1, keepdims=True) * out)
    across = np.cross(out, along)
    aim = np.cos(twist)[:, None] * along + np.sin(twist)[:, None] * across
    target = np.stack([aim, -out, np.cross(aim, -out)], axis=-1)
    own_out, own_along = own_out * MIRROR, own_along * MIRROR
    own_along = unit(own_along - (own_along * own_out).sum(-1, keepdims=True) * own_out)
    own = np.stack([own_along, own_out, np.cross(own_along, own_out)], axis=-1)
    turn = target @ own.transpose(0, 2, 1)
    scatter_mm = rng.normal(0, meeting.scatter_mm, (2, n, 1))
    point = point + scatter_mm[0] * along + scatter_mm[1] * across + meeting.distance_mm * out
    root = point - (turn @ (own_point * MIRROR)[..., None])[..., 0]
    return turn, root, out, out


def _place_interlaced(
    rng: np.random.Generator, model: HandModel, meeting: Meeting,
    first: HandParameters, second: HandParameters,
) -> Placement:  # fmt: skip
    """Fingers between fingers: both rows of knuckles parallel, half a finger apart."""
    n = len(first)
    joints = [model.joints_from_pose(h.pose_deg, model.rest_joints(h.shape)) for h in
              (first, second)]  # fmt: skip
    share = rng.uniform(0.7, 1.1, (n, 1, 1))
    rows = [(1 - share) * j[:, 5:20:4] + share * j[:, 6:20:4] for j in joints]  # (N, 4, 3)
    fingers = [unit((j[:, 6:20:4] - j[:, 5:20:4]).mean(axis=1)) for j in joints]
    bend = [np.arctan2(f[:, 2], f[:, 1]) for f in fingers]
    between = np.radians(rng.normal(85, 16, n))
    fold = np.zeros((n, 3))
    fold[:, 0] = -(between - bend[0] - bend[1])
    turn = rotation_from_vector(fold) @ np.diag([-1.0, 1.0, -1.0])
    turn = rotation_from_vector(rng.normal(0, 0.07, (n, 3))) @ turn
    middle, own_middle = (row.mean(axis=1) for row in rows)
    root = middle - (turn @ (own_middle * MIRROR)[..., None])[..., 0]
    half = 0.5 * np.linalg.norm(rows[0][:, 0] - rows[0][:, 3], axis=1) / 3
    root[:, 0] += np.where(rng.random(n) < 0.5, 1, -1) * half
    root = _with_most_room(first, HandParameters(second.pose_deg, second.shape, turn, root, "left"))
    own_finger = (turn @ (fingers[1] * MIRROR)[..., None])[..., 0]
    return turn, root, -own_finger, -own_finger


def _with_most_room(first: HandParameters, second: HandParameters) -> np.ndarray:
    """(N, 3) the second hands' roots, shifted along the knuckles to where there is most room."""
    shifts = np.linspace(-5.0, 5.0, 6)[:, None, None] * np.array([1.0, 0.0, 0.0])
    roots = second.root_mm + shifts  # (6, N, 3)
    gaps = np.stack([gap_mm(first, replace(second, root_mm=root)) for root in roots])
    return roots[gaps.argmax(axis=0), np.arange(len(first))]


def _sites(
    rng: np.random.Generator, model: HandModel, hand: HandParameters, sites: tuple[Site, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One of ``sites`` on each hand: place, outwards and along (N, 3), in the hand's own frame."""
    drawn = rng.integers(len(sites), size=len(hand))
    bone = np.array([site.bone for site in sites])[drawn]
    local = np.array([(site.at_mm, site.out, site.along) for site in sites])[drawn]  # (N, 3, 3)
    transform = model.bone_transforms(hand)[np.arange(len(hand)), bone].astype(np.float64)
    frame = model.R_hand_from_bone[bone]
    pivot = model.rest_joints(hand.shape)[np.arange(len(hand)), model.bone_pivot[bone]]
    place, out, along = (frame[:, None] @ local[..., None])[..., 0].transpose(1, 0, 2)
    place = place + pivot
    moved = (transform[:, None, :, :3] @ np.stack([place, out, along], 1)[..., None])[..., 0]
    return moved[:, 0] + transform[:, :, 3], unit(moved[:, 1]), unit(moved[:, 2])
