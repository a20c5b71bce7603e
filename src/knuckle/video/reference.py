"""Things of known size that nearly everyone has at hand: where they lie in a picture, and in space.

A flat thing of known size fixes the plane that it lies on. What else lies on that plane can then be
measured in millimetres. The focal length hardly matters for that: the picture of a plane is a
homography, and the thing's corners decide it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from knuckle.camera import Camera
from knuckle.errors import InputError
from knuckle.rigid import RigidTransform
from knuckle.video.calibrate import check_board, find_board

#: A contour is a quadrilateral if it deviates from one by less than this share of its length.
_MAX_DEVIATION = 0.02
#: Least and largest area of a usable reference, as shares of the picture's.
_MIN_AREA, _MAX_AREA = 0.004, 0.8
#: Largest reprojection error of the corners, as a share of the reference's diagonal.
_MAX_ERROR = 0.01
#: How far from the contour a side's edge is searched, px, and at how many points of it.
_REACH_PX, _N_PROBES = 6, 40
#: Largest rounding of a corner, as a share of the diagonal.
_MAX_ROUNDING = 0.08
#: That are tried: low ones find faint edges, high ones leave out clutter.
_CANNY_THRESHOLDS = (30, 80, 160)


@dataclass(frozen=True)
class Sheet:
    """A rectangle, such as a bank card or a sheet of paper."""

    width_mm: float  # of its longer side
    height_mm: float  # of its shorter side

    @property
    def points_mm(self) -> np.ndarray:
        """(4, 2) corners, once around."""
        return np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * (self.width_mm, self.height_mm)

    def find(self, image: np.ndarray) -> list[np.ndarray]:
        """Candidates in an RGB image, (4, 2) px each, in the order of ``points_mm`` or turned."""
        grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (5, 5), 0)
        candidates: list[np.ndarray] = []
        for edge in _CANNY_THRESHOLDS:
            edges = cv2.dilate(cv2.Canny(grey, edge / 2, edge), np.ones((3, 3), np.uint8))
            contours, _ = cv2.findContours(edges, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
            for contour in contours:
                corners = _quadrilateral(contour, grey)
                if corners is not None:
                    candidates.append(corners)
        return candidates


@dataclass(frozen=True)
class Board:
    """A checkerboard."""

    #: ``columns``, ``rows``: of its inner corners, where four squares meet.
    columns: int
    rows: int
    square_mm: float  # side of a square

    def __post_init__(self) -> None:
        check_board(self.columns, self.rows)
        if not 0 < self.square_mm < np.inf:
            raise InputError(f"the side of a square is more than 0 mm, got {self.square_mm:g}")

    @property
    def points_mm(self) -> np.ndarray:
        """(rows * columns, 2) inner corners, row by row."""
        grid = np.mgrid[: self.columns, : self.rows].T.reshape(-1, 2)
        return grid * self.square_mm

    def find(self, image: np.ndarray) -> list[np.ndarray]:
        """Where it is in an RGB image: one candidate, (rows * columns, 2) px, or none."""
        corners = find_board(image, self.columns, self.rows)
        return [] if corners is None else [corners]


Reference = Sheet | Board

#: ISO/IEC 7810 ID-1 (bank cards, driving licences), ISO 216 and ANSI paper.
SHEETS: dict[str, Sheet] = {
    "card": Sheet(85.60, 53.98),
    "a4": Sheet(297.0, 210.0),
    "a5": Sheet(210.0, 148.0),
    "letter": Sheet(279.4, 215.9),
}


@dataclass(frozen=True)
class Plane:
    """The plane on which a thing lies: z = 0, with z away from the camera."""

    T_camera_from_plane: RigidTransform  # millimetres
    corners_px: np.ndarray  # of the thing
    error_px: float  # by which its corners miss their places

    def points_above(
        self, points_px: np.ndarray, height_mm: np.ndarray, camera: Camera
    ) -> np.ndarray:
        """(N, 2) mm in the plane: over what points of the picture (N, 2) at these heights lie."""
        rays = camera.rays(points_px)
        rays = np.concatenate([rays, np.ones_like(rays[:, :1])], axis=1)
        back = self.T_camera_from_plane.inverse()
        origin, directions = back.translation_mm, rays @ back.rotation.T
        reach = (-height_mm - origin[2]) / directions[:, 2]
        return origin[:2] + directions[:, :2] * reach[:, None]


def find_plane(
    image: np.ndarray, thing: Reference, camera: Camera, *, apart_from: np.ndarray | None = None
) -> Plane | None:
    """The plane on which a thing of known size lies in a picture (H, W, 3), by what fits best.

    ``apart_from`` is a box (4,) where it is not, such as a hand's. None if nothing fits.
    """
    best: Plane | None = None
    for corners_px in thing.find(image):
        if apart_from is not None and _inside(corners_px.mean(axis=0), apart_from):
            continue
        plane = _fitted(corners_px, thing, camera)
        side_px = float(np.linalg.norm(np.ptp(corners_px, axis=0)))
        if plane.error_px > _MAX_ERROR * side_px:
            continue
        if best is None or plane.error_px / side_px < best.error_px / _diagonal(best.corners_px):
            best = plane
    return best


def _fitted(corners_px: np.ndarray, thing: Reference, camera: Camera) -> Plane:
    """The plane in which the corners lie best; a sheet may begin at any of its corners."""
    points = np.pad(thing.points_mm, ((0, 0), (0, 1))).astype(np.float64)
    turns = 2 if isinstance(thing, Sheet) else 1
    straight = camera.rays(corners_px)  # a lens of any model is undone where it is known
    planes = []
    for turn in range(turns):
        corners = np.roll(corners_px, turn, axis=0)
        given = points, np.roll(straight, turn, axis=0), np.eye(3), np.zeros(4)
        _, turned, place = cv2.solvePnP(*given, flags=cv2.SOLVEPNP_IPPE)
        turned, place = cv2.solvePnPRefineLM(*given, turned, place)
        view = RigidTransform(cv2.Rodrigues(turned)[0], np.ravel(place))
        missed = camera.project(view(points)) - corners
        planes.append(Plane(view, corners_px, float(np.sqrt((missed**2).sum(axis=1).mean()))))
    return min(planes, key=lambda plane: plane.error_px)


def _quadrilateral(contour: np.ndarray, grey: np.ndarray) -> np.ndarray | None:
    """(4, 2) corners of a contour that is one, clockwise in the picture and exact."""
    share = cv2.contourArea(contour) / grey.size
    if not _MIN_AREA < share < _MAX_AREA:
        return None
    around = cv2.approxPolyDP(contour, _MAX_DEVIATION * cv2.arcLength(contour, True), True)
    if len(around) != 4 or not cv2.isContourConvex(around):
        return None
    corners = around.reshape(4, 2).astype(np.float64)
    if cv2.contourArea(corners.astype(np.float32), oriented=True) < 0:
        corners = corners[::-1]
    return _refined_corners(corners, grey)


def _refined_corners(corners: np.ndarray, grey: np.ndarray) -> np.ndarray | None:
    """Corners where the straight sides would meet: those of cards are rounded."""
    lines = [_edge_between(corners[i], corners[(i + 1) % 4], grey) for i in range(4)]
    # A line (a, b, c) is a x + b y + c = 0; two meet at their cross product.
    meets = np.stack([np.cross(lines[i - 1], lines[i]) for i in range(4)])
    if (np.abs(meets[:, 2]) < 1e-9).any():
        return None
    sharp = meets[:, :2] / meets[:, 2:]
    moved = np.linalg.norm(sharp - corners, axis=1).max()
    return sharp if moved < _MAX_ROUNDING * _diagonal(corners) else None


def _edge_between(start: np.ndarray, end: np.ndarray, grey: np.ndarray) -> np.ndarray:
    """The line (3,) along the steepest edge beside a side, to a fraction of a pixel."""
    along = end - start
    across = np.array([-along[1], along[0]]) / max(float(np.linalg.norm(along)), 1e-9)
    places = start + np.linspace(0.15, 0.85, _N_PROBES)[:, None] * along
    steps = np.arange(-_REACH_PX, _REACH_PX + 1)
    probes = places[:, None] + steps[:, None] * across  # (probe, step, 2)
    x, y = probes.astype(np.float32).transpose(2, 0, 1)
    profile = cv2.remap(grey, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    slope = np.abs(np.gradient(profile.astype(np.float64), axis=1))
    weight = np.where(slope >= 0.5 * slope.max(axis=1, keepdims=True), slope, 0.0) + 1e-9
    edge = places + (weight @ steps / weight.sum(axis=1))[:, None] * across
    way = np.ravel(cv2.fitLine(edge.astype(np.float32), cv2.DIST_HUBER, 0, 0.01, 0.01))
    normal = np.array([-way[1], way[0]])
    return np.append(normal, -normal @ way[2:])


def _diagonal(corners_px: np.ndarray) -> float:
    return float(np.linalg.norm(np.ptp(corners_px, axis=0)))


def _inside(point: np.ndarray, box_xyxy: np.ndarray) -> bool:
    return bool((point >= box_xyxy[:2]).all() and (point <= box_xyxy[2:]).all())
