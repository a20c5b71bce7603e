"""``knuckle camera calibrate``: intrinsics from a video of a checkerboard, with their error bars.

Zhang's method as OpenCV implements it: the board is seen at many angles, and the intrinsics that
explain all views best are sought. Absolute depth is proportional to the focal length: its error in
percent is that of every distance that is measured with the camera.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from knuckle.camera import Camera
from knuckle.errors import InputError
from knuckle.results import Frame
from knuckle.video.calibration_error import CalibrationError, calibration_error

#: Views beyond these add time and hardly anything else.
MAX_VIEWS = 40
MIN_VIEWS = 6
#: OpenCV finds no smaller board.
_MIN_CORNERS = 3
#: Least mean motion of the corners between two views, as a share of the picture's diagonal.
_MIN_MOTION = 0.04
#: Largest reprojection error: above it the board is not flat, not sharp, or another one.
_MAX_RMS_PX = 2.0
#: Least relative depth range of a tilted board: below it, it faces the camera.
_MIN_DEPTH_SPAN = 0.03
_QUICK = cv2.CALIB_CB_ADAPTIVE_THRESH | cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_FAST_CHECK
#: Largest half-width of the window in which a corner is refined.
_MAX_WINDOW_PX = 8
#: Largest standard error of a focal length that is better than an assumed one, percent.
_MAX_SIGMA_PERCENT = 2.0
#: Least share of the picture that the boards must cover to fix the lens's distortion.
_MIN_COVERAGE = 0.4


@dataclass(frozen=True)
class Calibration:
    """The outcome."""

    camera: Camera  # intrinsics, with distortion
    error: CalibrationError  # standard errors of fx, fy, cx, cy, and what they leave out
    covered: float  # share of the picture in which corners were seen, 0..1
    rms_px: float  # distance of the corners from where the camera says they are
    n_views: int  # views that were used
    size: tuple[int, int]  # (width, height) px of the pictures

    @property
    def doubts(self) -> list[str]:
        """Why this calibration is not to be trusted, and what to do: a sentence each."""
        found, spread = [], 100 * self.error.sigma_px[0] / self.camera.fx
        if not spread < _MAX_SIGMA_PERCENT:
            how = f"to ± {spread:.1f} % alone" if np.isfinite(spread) else "by a single view"
            found.append(
                f"the focal length is decided {how}: record the board again in more views, tilted "
                "by 20 to 45 degrees to every side"
            )
        if self.error.bend:
            bend, shift = 100 * self.error.bend, 100 * self.error.focal_shift
            found.append(
                f"the board seems to be bent, by {bend:.1f} % of its width, and the focal length "
                f"off by {shift:.1f} % for it: fix the board to something flat, such as glass, and "
                "record it again"
            )
        if self.covered < _MIN_COVERAGE:
            found.append(
                f"the board was seen in {100 * self.covered:.0f} % of the picture, beyond which "
                "the lens's distortion is a guess: move it into all four corners"
            )
        return found

    def __str__(self) -> str:
        """Lines for people."""
        camera, sigma = self.camera, self.error.sigma_px
        lines = (
            f"fx {camera.fx:.1f} ± {sigma[0]:.1f}, fy {camera.fy:.1f} ± {sigma[1]:.1f}, "
            f"cx {camera.cx:.1f} ± {sigma[2]:.1f}, cy {camera.cy:.1f} ± {sigma[3]:.1f} px at "
            f"{self.size[0]} x {self.size[1]}",
            f"diagonal field of view {self._diagonal_deg:.1f}°; depth to ± "
            f"{100 * sigma[0] / camera.fx:.2f} % (one standard error) as far as the camera decides "
            "it",
            f"{self.n_views} views, corners within {self.rms_px:.2f} px",
            *(f"not to be trusted: {doubt}" for doubt in self.doubts),
        )
        return "\n".join(lines)

    @property
    def _diagonal_deg(self) -> float:
        """Angle between the rays of two opposite corners of the picture."""
        corners = np.array([[0, 0], self.size]) - 0.5
        a, b = np.pad(self.camera.rays(corners), ((0, 0), (0, 1)), constant_values=1.0)
        return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b)))


def calibrate(frames: Iterable[Frame], columns: int, rows: int) -> Calibration:
    """Find the intrinsics of the camera that took a checkerboard, moved and tilted before it.

    ``columns`` and ``rows`` count its **inner** corners, where four squares meet.

    Raises:
        ValueError: there is no such board, it was seen too seldom, or the views contradict each
            other.
    """
    check_board(columns, rows)
    views: list[np.ndarray] = []
    size, n_frames, n_seen = (0, 0), 0, 0
    for frame in frames:
        n_frames += 1
        found = frame.image.shape[1], frame.image.shape[0]
        if n_frames > 1 and found != size:
            raise InputError(
                f"expected pictures of one size, found {size[0]} x {size[1]} and {found[0]} x "
                f"{found[1]}: a camera file holds for one size, give the pictures of one alone"
            )
        size = found
        if len(views) >= MAX_VIEWS:
            break
        corners = find_board(frame.image, columns, rows)
        if corners is None:
            continue
        n_seen += 1
        if not views or _motion_px(corners, views[-1]) > _MIN_MOTION * np.hypot(*size):
            views.append(corners)
    if len(views) < MIN_VIEWS:
        raise InputError(
            f"expected a checkerboard of {columns} x {rows} inner corners in at least {MIN_VIEWS} "
            f"different views, found it in {n_seen} of {n_frames} frames and {len(views)} views; "
            "count the corners where four squares meet, light the board evenly, move it about"
        )
    if max(_depth_span(view, columns, rows) for view in views) < _MIN_DEPTH_SPAN:
        raise InputError(
            f"the board faces the camera in all {len(views)} views, which says nothing of the "
            "focal length: tilt it by 20 to 45 degrees, to every side, and record it again"
        )
    return solve(views, columns, rows, size)


def check_board(columns: int, rows: int) -> None:
    """Refuse a board with so few inner corners that it cannot be found.

    Raises:
        ValueError: it has.
    """
    if min(columns, rows) < _MIN_CORNERS:
        raise InputError(
            f"expected a checkerboard with at least {_MIN_CORNERS} x {_MIN_CORNERS} inner corners, "
            f"got {columns} x {rows}: count the corners where four squares meet"
        )


def _depth_span(view: np.ndarray, columns: int, rows: int) -> float:
    """By what share of its distance a board's corners differ in depth: none if it is face-on."""
    board = np.mgrid[:columns, :rows].T.reshape(-1, 2).astype(np.float64)
    homography, _ = cv2.findHomography(board, view.astype(np.float64))
    depth = board @ homography[2, :2] + homography[2, 2]
    return float((depth.max() - depth.min()) / np.abs(depth).mean())


def find_board(image: np.ndarray, columns: int, rows: int) -> np.ndarray | None:
    """(rows * columns, 2) corners of a checkerboard in an RGB image, px; None if it is not seen."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    board = (columns, rows)
    found, corners = cv2.findChessboardCorners(grey, board, flags=_QUICK)
    if not found:  # slower, and sees boards in worse light
        found, corners = cv2.findChessboardCornersSB(grey, board)
    return _refined(grey, corners.reshape(rows, columns, 2)) if found else None


def _refined(grey: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Corners to a few hundredths of a pixel: finders leave errors ten times as large."""
    along, down = (np.linalg.norm(np.diff(corners, axis=axis), axis=-1) for axis in (1, 0))
    reach = int(np.clip(0.3 * min(along.min(), down.min()), 2, _MAX_WINDOW_PX))
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 50, 1e-3)
    start = np.ascontiguousarray(corners, np.float32).reshape(-1, 1, 2)
    return cv2.cornerSubPix(grey, start, (reach, reach), (-1, -1), stop).reshape(-1, 2)


def _motion_px(corners: np.ndarray, before: np.ndarray) -> float:
    """Mean distance; a board that is found the other way round has moved less than it seems."""
    return float(
        min(np.linalg.norm(corners - other, axis=1).mean() for other in (before, before[::-1]))
    )


def solve(
    views: Sequence[np.ndarray], columns: int, rows: int, size: tuple[int, int]
) -> Calibration:
    """The intrinsics that explain (rows * columns, 2) corners of each view, px, best."""
    # The unit does not matter for the intrinsics: squares of side 1.
    board = np.zeros((rows * columns, 3), np.float32)
    board[:, :2] = np.mgrid[:columns, :rows].T.reshape(-1, 2)
    rms_px, matrix, distortion, turns, places = cv2.calibrateCamera(
        [board] * len(views),
        [view.astype(np.float32) for view in views],
        size,
        np.eye(3),
        np.zeros(5),
        flags=cv2.CALIB_FIX_K3,  # hand-held boards do not reach the corners that would decide k3
    )
    if not rms_px < _MAX_RMS_PX:
        raise InputError(
            f"the {len(views)} views contradict each other (corners off by {rms_px:.1f} px): "
            "expected one flat board, one camera that does not zoom or refocus, and sharp pictures"
        )
    (fx, _, cx), (_, fy, cy), _ = matrix.tolist()
    camera = Camera(fx, fy, cx, cy, tuple(np.ravel(distortion)[:5].tolist()))
    poses = list(zip(turns, places, strict=True))
    error = calibration_error(board, views, poses, matrix, distortion)
    return Calibration(camera, error, _coverage(views, size), float(rms_px), len(views), size)


def _coverage(views: Sequence[np.ndarray], size: tuple[int, int]) -> float:
    """Share of the picture within the outermost of all corners."""
    hull = cv2.convexHull(np.concatenate(views).astype(np.float32))
    return cv2.contourArea(hull) / (size[0] * size[1])
