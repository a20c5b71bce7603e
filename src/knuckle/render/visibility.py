"""Which joints are seen, and which hand covers which pixel.

A joint lies inside the flesh, so "seen" needs a rule. A joint is visible if, at its own pixel,
the nearest surface

* belongs to the same hand (skin, glove, ring or sleeve: what is worn moves with the hand),
* belongs to the same finger, or to the palm where the joint is part of it, and
* lies no further in front of the joint than twice the flesh around it, plus 3 mm, in a hand of
  average size, and in proportion in others: enough for the thickest fingers, seen from the palm.

So a knuckle behind another finger, behind the own fingertip that points at the camera, behind the
palm, or outside the picture is hidden.
"""

from __future__ import annotations

from functools import cache

import numba
import numpy as np

from knuckle.camera import Camera
from knuckle.hand import FINGERS, N_JOINTS, Joint, in_picture
from knuckle.render.hand_model import FOREARM_BONE, PART_NAMES, HandModel
from knuckle.render.raster import GBuffer
from knuckle.render.shading import SUPERSAMPLING
from knuckle.render.stage import Stage

_PALM_PARTS = [PART_NAMES.index(name) for name in ("palm", "ring metacarpal", "little metacarpal")]


def visible_joints(
    joints_mm: np.ndarray, camera: Camera, stage: Stage, buffer: GBuffer, owner: int
) -> np.ndarray:
    """(21,) bool.

    Args:
        joints_mm: (21, 3) camera frame.
        camera: of the picture (not of the supersampled buffer).
        stage: what was drawn.
        buffer: the supersampled G-buffer.
        owner: number of the hand among the stage's meshes, counted from 1.
    """
    height, width = (n // SUPERSAMPLING for n in buffer.triangle.shape)
    in_front = joints_mm[:, 2] > 1.0
    pixels = np.full((N_JOINTS, 2), -1e6)
    pixels[in_front] = camera.project(joints_mm[in_front])
    inside = in_picture(pixels, (width, height))
    visible = np.zeros(N_JOINTS, bool)
    samples = ((pixels[inside] + 0.5) * SUPERSAMPLING).astype(int)
    triangle = buffer.triangle[samples[:, 1], samples[:, 0]]
    depth = buffer.depth_mm[samples[:, 1], samples[:, 0]]
    # Row -1 stands for "no surface" and is masked out.
    own = (triangle >= 0) & (stage.owner_of_mesh[stage.mesh_of_face[triangle]] == owner)
    part = np.minimum(stage.part[triangle], len(PART_NAMES))
    belongs = _belongs()[np.flatnonzero(inside), part]
    covered_by = joints_mm[inside, 2] - depth
    palm = np.linalg.norm(joints_mm[Joint.MIDDLE_MCP] - joints_mm[Joint.WRIST])
    visible[inside] = own & belongs & (covered_by < _reach_of_palm()[inside] * palm)
    return visible


def hand_map(stage: Stage, buffer: GBuffer) -> np.ndarray:
    """(H, W) uint8: the hand that covers most of each pixel of the picture, counted from 1.

    0 where it is none: forearms and things cover what is behind them.
    """
    height, width = (n // SUPERSAMPLING for n in buffer.triangle.shape)
    owners = np.zeros((height, width), np.uint8)
    owner_of_face = stage.owner_of_mesh[stage.mesh_of_face]
    _fill_owners(buffer.triangle, np.where(stage.part == FOREARM_BONE, 0, owner_of_face), owners)
    return owners


@numba.njit(cache=True, nogil=True)
def _fill_owners(triangle: np.ndarray, owner_of_face: np.ndarray, owners: np.ndarray) -> None:
    """What at least two of a pixel's four samples see; of two the higher number."""
    seen = np.empty(4, np.int64)
    for y in range(owners.shape[0]):
        for x in range(owners.shape[1]):
            for k in range(4):
                t = triangle[2 * y + (k >> 1), 2 * x + (k & 1)]
                seen[k] = owner_of_face[t] if t >= 0 else -1
            for k in range(4):
                count = 0
                for other in range(4):
                    count += seen[other] == seen[k]
                if count >= 2 and seen[k] > owners[y, x]:
                    owners[y, x] = seen[k]


@cache
def _belongs() -> np.ndarray:
    """(21, 20) bool: whether a surface of a part shows a joint. The last column is "no part"."""
    belongs = np.zeros((N_JOINTS, len(PART_NAMES) + 1), bool)
    for finger, joints in enumerate(FINGERS):
        belongs[joints[:, None], 1 + 3 * finger + np.arange(3)] = True
        belongs[joints[0], _PALM_PARTS] = True
    belongs[Joint.THUMB_MCP, _PALM_PARTS] = True
    belongs[Joint.WRIST, [*_PALM_PARTS, 1, FOREARM_BONE]] = True
    return belongs


@cache
def _reach_of_palm() -> np.ndarray:
    """(21,) how far in front of a joint its own skin may lie, as a share of the palm's length."""
    model = HandModel.load()
    reach = np.empty(N_JOINTS)
    for j, joint in enumerate(model.joints_mm):
        nearest = np.sort(np.linalg.norm(model.vertices_mm - joint, axis=1))[:24]
        reach[j] = 2.0 * float(np.median(nearest)) + 3.0
    return reach / float(np.linalg.norm(model.joints_mm[Joint.MIDDLE_MCP]))
