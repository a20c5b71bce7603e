"""A hand of known bones through the rays of all cameras that see it.

Least squares in the 63 coordinates of the joints, a few Gauss-Newton steps: the rays of each joint,
the shape that each camera saw along its own line of sight, where rays cannot tell, and the bones.
Everything weighs what its expected error says; a ray that misses by much more than that, less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from knuckle.hand import BONES, KNUCKLES, N_JOINTS, Joint, bone_vectors
from knuckle.results import HandPose
from knuckle.track.skeleton import joints_from_bones
from knuckle.track.uncertainty import Uncertainty
from knuckle.views.decisions import FITTING, HOLDING
from knuckle.views.looks import Looks, shape_in_world
from knuckle.views.rig import Rig, RigCamera
from knuckle.views.triangulation import Sight

#: (20, 21) of each bone: 1 for its child, -1 for its parent.
_ENDS = np.eye(N_JOINTS)[BONES[:, 1]] - np.eye(N_JOINTS)[BONES[:, 0]]


@dataclass(frozen=True, eq=False)
class Fit:
    """The outcome."""

    joints_mm: np.ndarray  # (21, 3) in the world, bones of exactly the given lengths
    sigma_mm: np.ndarray  # (21,) expected distance of each joint from the truth


@dataclass(frozen=True, eq=False)
class Held:
    """What is known beforehand of a hand that one camera alone sees, in that camera's frame."""

    depth_mm: float  # of the middle of its joints
    sigma_mm: float  # expected error of that
    off_mm: np.ndarray  # (21,) what the depths lack that the camera says
    doubt: float  # what is left of their expected errors if that is added, as a share


def fit(
    rig: Rig,
    looks: Looks,
    members: Sequence[int],
    sight: Sight,
    used: np.ndarray,
    lengths_mm: np.ndarray,
    *,
    start_mm: np.ndarray | None = None,
    new: bool = False,
    held: Held | None = None,
) -> Fit:
    """Fit the hand of bones (20,) that the looks ``members`` show, by their rays.

    ``used`` is (S, 21) bool, the rays of S members that count. It begins at ``start_mm`` (21, 3),
    by default the mean of what the cameras say; ``new`` are bones that are not known well yet;
    ``held`` is for a hand that one camera alone sees.
    """
    cameras = [rig.cameras[looks.camera[i]] for i in members]
    shapes = [
        shape_in_world(rig, looks.camera[i], looks.poses[i], float(lengths_mm.sum()))
        for i in members
    ]
    if held is not None:
        shapes = [shapes[0] + held.off_mm[:, None] * cameras[0].T_camera_from_world.rotation[2]]
    parts = [
        _shape_rows(camera, shape, looks.doubts[i], looks.poses[i], held)
        for i, camera, shape in zip(members, cameras, shapes, strict=True)
    ]
    if held is not None:
        parts.append(_held_row(cameras[0], held))
    A, b = (np.concatenate(each) for each in zip(*parts, strict=True))
    known = A.T @ A + FITTING.inertia * np.eye(A.shape[1])
    x = np.mean(shapes, axis=0) if start_mm is None else start_mm
    bone_sigma = FITTING.new_bone * lengths_mm if new else np.full(len(lengths_mm), FITTING.bone_mm)
    doubted = sight if start_mm is None else _doubted(sight, x)
    for _ in range(FITTING.steps):
        N, c = _information(doubted, used, x)
        if held is not None:
            N, c = _of_unknown_size(N, c, x, cameras[0])
        H, g = _bone_part(x, lengths_mm, bone_sigma)
        information = N + H + known
        step = np.linalg.solve(information, c + g + A.T @ (b - A @ x.ravel()))
        x = x + step.reshape(N_JOINTS, 3)
        doubted = _doubted(sight, x)
        if np.abs(step).max() < FITTING.still_mm:
            break
    own = np.linalg.inv(information).diagonal().reshape(N_JOINTS, 3).sum(axis=-1)
    common = _common_covariance(sight, used, x)
    if held is not None:
        common = _across(common, cameras[0])
    sigma = np.sqrt(np.maximum(own + np.trace(common), 0))
    return Fit(_of_exact_bones(x, lengths_mm, own), sigma)


def _doubted(sight: Sight, x: np.ndarray) -> Sight:
    """The rays, each as unsure as its miss of joints (21, 3) makes it: weights of Student's t."""
    missed = np.nan_to_num(sight.misses(x) / sight.sigma)
    return sight.unsure(sight.sigma * np.sqrt(1 + missed**2 / FITTING.freedom))


def _information(sight: Sight, used: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(63, 63) and (63,) of the rays about joints (21, 3), from where they are now."""
    depth = sight.in_cameras(x)[..., 2]
    N, c = sight.normals(depth)
    N, c = (N * used[..., None, None]).sum(axis=0), (c * used[..., None]).sum(axis=0)
    whole = np.zeros((N_JOINTS, 3, N_JOINTS, 3))
    whole[np.arange(N_JOINTS), :, np.arange(N_JOINTS), :] = N
    gradient = c - (N @ x[..., None])[..., 0]
    return whole.reshape(3 * N_JOINTS, 3 * N_JOINTS), gradient.ravel()


def _shape_rows(
    rig_camera: RigCamera,
    shape_mm: np.ndarray,
    doubt: Uncertainty,
    hand: HandPose,
    held: Held | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """(21, 63) and (21,): the depths that a camera says, each of them by what it alone tells.

    Depths of a look err together: the covariance of all is that of the whole hand's distance and
    tilt, which one camera hardly tells, and of each joint beside that.

    ``shape_mm`` (21, 3) is what the camera says, in the world, put right by ``held`` already.
    """
    T = rig_camera.T_camera_from_world
    sideways = (shape_mm - shape_mm.mean(axis=0)) @ T.rotation[:2].T
    distance = float(hand.joints_mm[:, 2].mean())
    share, farther = 1.0, FITTING.distance_doubt
    if held is not None:
        share, farther = held.doubt, HOLDING.distance_doubt
    together = share * np.column_stack(
        [np.full(N_JOINTS, farther * distance), FITTING.tilt_doubt * sideways]
    )
    own = share * FITTING.shape_doubt * doubt.along_mm
    own[Joint.WRIST] = own[KNUCKLES].mean()  # depths are told from the wrist, itself as unsure
    whitening = np.linalg.inv(np.linalg.cholesky(np.diag(own**2) + together @ together.T))
    rows = (whitening[:, :, None] * T.rotation[2]).reshape(N_JOINTS, -1)
    return rows, rows @ shape_mm.ravel()


def _held_row(rig_camera: RigCamera, held: Held) -> tuple[np.ndarray, np.ndarray]:
    """(1, 63) and (1,): the depth at which the hand's middle is known to have been."""
    T = rig_camera.T_camera_from_world
    row = np.tile(T.rotation[2] / N_JOINTS, (1, N_JOINTS))
    lies = np.array([held.depth_mm - T.translation_mm[2]])
    return row / held.sigma_mm, lies / held.sigma_mm


def _bone_part(
    x: np.ndarray, lengths_mm: np.ndarray, sigma_mm: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(63, 63) and (63,) of the bones that should have their lengths.

    A bone that is too long also resists being turned, which Gauss and Newton leave out: without it
    steps overshoot, and swing about short bones whose rays contradict them.
    """
    parent, child = BONES.T
    bone = x[child] - x[parent]
    length = np.maximum(np.linalg.norm(bone, axis=1), 1e-6)
    along = bone / length[:, None]
    weight, over = sigma_mm**-2, length - lengths_mm
    aside = weight * np.maximum(over, 0) / length
    pull = (weight * over)[:, None] * along
    hold = aside[:, None, None] * np.eye(3)
    hold += (weight - aside)[:, None, None] * along[:, :, None] * along[:, None, :]
    H = np.zeros((N_JOINTS, 3, N_JOINTS, 3))
    H[child, :, parent, :] = H[parent, :, child, :] = -hold
    joint = np.arange(N_JOINTS)
    H[joint, :, joint, :] = (abs(_ENDS).T @ hold.reshape(-1, 9)).reshape(-1, 3, 3)
    return H.reshape(3 * N_JOINTS, 3 * N_JOINTS), -(_ENDS.T @ pull).ravel()


def _of_exact_bones(x: np.ndarray, lengths_mm: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Joints (21, 3) with exactly these bones, where the surest of ``x`` are."""
    exact = joints_from_bones(bone_vectors(x), lengths_mm)
    weight = 1 / np.maximum(variance, 1e-6)
    return exact + weight @ (x - exact) / weight.sum()


def _of_unknown_size(
    N: np.ndarray, c: np.ndarray, x: np.ndarray, rig_camera: RigCamera
) -> tuple[np.ndarray, np.ndarray]:
    """What rays (63, 63) and (63,) say if their hand may be larger or smaller in the picture.

    Keypoints of one look err together. With bones that are known, their spread would tell the
    distance as if each erred by itself.
    """
    R = rig_camera.T_camera_from_world.rotation
    larger = ((x - x.mean(axis=0)) @ R[:2].T @ R[:2]).ravel()
    along = N @ larger
    share = along / (HOLDING.distance_doubt**-2 + larger @ along)
    return N - np.outer(share, along), c - share * (larger @ c)


def _across(covariance: np.ndarray, rig_camera: RigCamera) -> np.ndarray:
    """What is left of a (3, 3) covariance across a camera's axis."""
    axis = rig_camera.T_camera_from_world.rotation[2]
    across = np.eye(3) - np.outer(axis, axis)
    return across @ covariance @ across


def _common_covariance(sight: Sight, used: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(3, 3) of the shift that all joints share, as each camera's keypoints are off by one."""
    N, _ = sight.normals(sight.in_cameras(x)[..., 2])
    each = (N * used[..., None, None]).sum(axis=1)  # (S, 3, 3)
    count = np.maximum(used.sum(axis=1), 1)[:, None, None]
    return np.linalg.inv((each / count).sum(axis=0) / FITTING.common**2 + 1e-4 * np.eye(3))
