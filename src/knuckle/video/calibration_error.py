"""Standard errors of a camera calibration, and whether its board is bent.

Errors of corners in one view are correlated (blur, light, the detector's bias), so the errors of
the intrinsics are estimated from views, not corners: by the jackknife, leaving out each view in
turn. This is one linear step around the solution, with the pose of each view eliminated.

The jackknife does not show errors that all views share. The commonest is paper that is not flat, so
a bend of the board is estimated beside the intrinsics and reported if it is significant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

#: fx, fy, cx, cy, k1, k2, p1, p2: what is solved for.
N_INTRINSICS = 8
#: A bend is significant above this number of standard errors.
_MIN_SIGNIFICANCE = 4.0
#: Above this condition number, the equations do not determine all unknowns.
_MAX_CONDITION = 1e7
#: Columns of ``cv2.projectPoints``' derivatives: a pose, then the intrinsics.
_POSE = slice(0, 6)
_INTRINSICS = slice(6, 6 + N_INTRINSICS)


@dataclass(frozen=True)
class CalibrationError:
    """Errors of the intrinsics of one calibration."""

    #: (4,) standard errors of fx, fy, cx, cy, px; infinite where one view decides.
    sigma_px: np.ndarray
    #: Of the board, as a share of its width; 0 if it is not significant or hardly changes the focal
    #: length.
    bend: float = 0.0
    focal_shift: float = 0.0  # relative change of fx by this bend


def calibration_error(
    board: np.ndarray,
    views: Sequence[np.ndarray],
    poses: Sequence[tuple[np.ndarray, np.ndarray]],
    matrix: np.ndarray,
    distortion: np.ndarray,
) -> CalibrationError:
    """Errors at a least-squares solution: ``matrix`` (3, 3) and ``distortion`` (5,).

    The board has corners (N, 3), z = 0; each view sees them at (N, 2) px, from a rotation vector
    and a place of the board.
    """
    bends = _bend_shapes(board)
    equations = [
        _pose_eliminated(board, bends, view, pose, matrix, distortion)
        for view, pose in zip(views, poses, strict=True)
    ]
    flat = [(design[:, :N_INTRINSICS], residual) for design, residual in equations]
    _, sigma = _step_and_sigma(flat)
    step, spread = _step_and_sigma(equations)
    bend_by, bend_sigma = step[N_INTRINSICS:], spread[N_INTRINSICS:]
    seen = (np.abs(bend_by) > _MIN_SIGNIFICANCE * bend_sigma).any()
    if not seen or abs(step[0]) < 2 * sigma[0]:  # none, or too little to matter
        return CalibrationError(sigma[:4])
    height = bends @ bend_by
    width = float(np.ptp(board[:, :2], axis=0).max())
    return CalibrationError(
        sigma[:4], float(np.ptp(height)) / width, float(abs(step[0]) / matrix[0, 0])
    )


def _bend_shapes(board: np.ndarray) -> np.ndarray:
    """(N, 3) heights of a board that is curved along, across and twisted."""
    x, y = ((board[:, :2] - board[:, :2].mean(axis=0)) / np.ptp(board[:, :2])).T
    return np.stack([x * x, x * y, y * y], axis=1)


def _pose_eliminated(
    board: np.ndarray,
    bends: np.ndarray,
    view: np.ndarray,
    pose: tuple[np.ndarray, np.ndarray],
    matrix: np.ndarray,
    distortion: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """A view's linear equations for intrinsics and bends: ((2 N, 11), (2 N,)).

    What a change of the pose explains as well is projected out of both.
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
    """The least-squares step of all views, and its standard error by the jackknife."""
    scale = np.linalg.norm(np.vstack([design for design, _ in equations]), axis=0)
    normal = np.stack([design.T @ design for design, _ in equations]) / np.outer(scale, scale)
    pull = np.stack([design.T @ residual for design, residual in equations]) / scale
    left = normal.sum(axis=0) - normal
    if (np.linalg.cond(left) > _MAX_CONDITION).any():
        return np.zeros(len(scale)), np.full(len(scale), np.inf)
    step = np.linalg.solve(normal.sum(axis=0), pull.sum(axis=0))
    steps = np.linalg.solve(left, (pull.sum(axis=0) - pull)[..., None])[..., 0]
    n = len(equations)
    variance = (n - 1) / n * ((steps - steps.mean(axis=0)) ** 2).sum(axis=0)
    return step / scale, np.sqrt(variance) / scale
