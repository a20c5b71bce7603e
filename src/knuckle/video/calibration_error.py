"""How far a calibration can be trusted: error bars that come true, and the board's own bend.

Corners of one view are wrong together (blur, light, the finder's bias), so that counting corners
promises too much. What counts is the view: the error bars say by how much the intrinsics change as
each view is left out (the jackknife). All in one linear step around the solution, with the pose of
each view eliminated from its equations.

No leaving out shows an error that every view shares. The commonest is paper that is not flat, so a
bend of the board is solved for beside the intrinsics: if the views ask for one, they say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

#: fx, fy, cx, cy, k1, k2, p1, p2: what is solved for.
N_INTRINSICS = 8
#: A bend counts as seen from so many standard errors on.
_SEEN = 4.0
#: From this condition number on, equations do not decide all unknowns.
_UNDECIDED = 1e7
#: Columns of ``cv2.projectPoints``' derivatives: a pose, then the intrinsics.
_POSE = slice(0, 6)
_INTRINSICS = slice(6, 6 + N_INTRINSICS)


@dataclass(frozen=True)
class CalibrationError:
    """Errors of the intrinsics of one calibration.

    Attributes:
        sigma_px: (4,) standard errors of fx, fy, cx, cy, px; infinite where one view decides alone.
        bend: by what share of its width the board is bent, if the views say that it is
            and the focal length suffers, else 0.
        focal_shift: share by which fx is another if the board is bent so.
    """

    sigma_px: np.ndarray
    bend: float = 0.0
    focal_shift: float = 0.0


def calibration_error(
    board: np.ndarray,
    views: Sequence[np.ndarray],
    poses: Sequence[tuple[np.ndarray, np.ndarray]],
    matrix: np.ndarray,
    distortion: np.ndarray,
) -> CalibrationError:
    """Errors at a least-squares solution.

    Args:
        board: (N, 3) its corners, z = 0.
        views: (N, 2) corners as seen, px, for each view.
        poses: rotation vector and place of the board for each view.
        matrix: (3, 3) of the solution.
        distortion: (5,) of the solution.
    """
    bends = _bends(board)
    equations = [
        _without_pose(board, bends, view, pose, matrix, distortion)
        for view, pose in zip(views, poses, strict=True)
    ]
    flat = [(design[:, :N_INTRINSICS], residual) for design, residual in equations]
    _, sigma = _step_and_sigma(flat)
    step, spread = _step_and_sigma(equations)
    bend_by, bend_sigma = step[N_INTRINSICS:], spread[N_INTRINSICS:]
    seen = (np.abs(bend_by) > _SEEN * bend_sigma).any()
    if not seen or abs(step[0]) < 2 * sigma[0]:  # none, or too little to matter
        return CalibrationError(sigma[:4])
    height = bends @ bend_by
    width = float(np.ptp(board[:, :2], axis=0).max())
    return CalibrationError(
        sigma[:4], float(np.ptp(height)) / width, float(abs(step[0]) / matrix[0, 0])
    )


def _bends(board: np.ndarray) -> np.ndarray:
    """(N, 3) heights of a board that is curved along, across and twisted."""
    x, y = ((board[:, :2] - board[:, :2].mean(axis=0)) / np.ptp(board[:, :2])).T
    return np.stack([x * x, x * y, y * y], axis=1)


def _without_pose(
    board: np.ndarray,
    bends: np.ndarray,
    view: np.ndarray,
    pose: tuple[np.ndarray, np.ndarray],
    matrix: np.ndarray,
    distortion: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """A view's linear equations for intrinsics and bends: ((2 N, 11), (2 N,)).

    Whatever another pose of the board explains as well is taken out of both.
    """
    points, slopes = cv2.projectPoints(board, *pose, matrix, distortion)
    step = 1e-4 * float(np.ptp(board[:, :2]))
    lifted, _ = cv2.projectPoints(board + np.array([0, 0, step]), *pose, matrix, distortion)
    by_height = (lifted - points)[:, 0] / step  # (N, 2)
    by_bend = (by_height[:, :, None] * bends[:, None, :]).reshape(-1, bends.shape[1])
    design = np.hstack([slopes[:, _INTRINSICS], by_bend])
    residual = (view.reshape(-1, 2) - points[:, 0]).ravel()
    basis, _ = np.linalg.qr(slopes[:, _POSE])
    design -= basis @ (basis.T @ design)
    return design, residual - basis @ (basis.T @ residual)


def _step_and_sigma(
    equations: Sequence[tuple[np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray]:
    """The step that all views ask for, and its standard error by leaving out each of them."""
    scale = np.linalg.norm(np.vstack([design for design, _ in equations]), axis=0)
    normal = np.stack([design.T @ design for design, _ in equations]) / np.outer(scale, scale)
    pull = np.stack([design.T @ residual for design, residual in equations]) / scale
    left = normal.sum(axis=0) - normal
    if (np.linalg.cond(left) > _UNDECIDED).any():
        return np.zeros(len(scale)), np.full(len(scale), np.inf)
    step = np.linalg.solve(normal.sum(axis=0), pull.sum(axis=0))
    steps = np.linalg.solve(left, (pull.sum(axis=0) - pull)[..., None])[..., 0]
    n = len(equations)
    variance = (n - 1) / n * ((steps - steps.mean(axis=0)) ** 2).sum(axis=0)
    return step / scale, np.sqrt(variance) / scale
