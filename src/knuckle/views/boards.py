"""Where cameras stand, from a ChArUco board that is carried before them.

The printed board has true lengths, and every corner is known by its number: what two cameras see of
it at a time says where one is from the other. First each look by itself, then all looks at once, by
least squares over the cameras' poses and the board's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import cv2
import numpy as np

from knuckle.camera import Camera
from knuckle.errors import InputError
from knuckle.results import Frame
from knuckle.rigid import RigidTransform
from knuckle.views.board_adjustment import BoardAdjustment, Look
from knuckle.views.decisions import BY_BOARDS
from knuckle.views.motions import chained
from knuckle.views.rig import Rig, RigCamera

#: Of a printed board; in metres all are smaller.
_LEAST_SQUARE_MM = 1.0


@dataclass(frozen=True)
class Charuco:
    """A printed board."""

    #: ``columns``, ``rows``: squares.
    columns: int
    rows: int
    square_mm: float  # side of a square
    marker_mm: float  # side of a marker within
    dictionary: str = "4X4_50"  # of the markers, as OpenCV calls it, without ``DICT_``

    def __post_init__(self) -> None:
        if min(self.columns, self.rows) < 3:
            raise InputError(
                f"a ChArUco board has 3 x 3 squares or more, got {self.columns} x {self.rows}"
            )
        if not 0 < self.marker_mm < self.square_mm:
            raise InputError(
                f"markers lie within squares: expected 0 < marker < square, got "
                f"{self.marker_mm:g} and {self.square_mm:g} mm"
            )
        if self.square_mm < _LEAST_SQUARE_MM:
            raise InputError(
                f"no camera sees squares of {self.square_mm:g} mm: multiply metres by 1000"
            )
        if not hasattr(cv2.aruco, f"DICT_{self.dictionary}"):
            known = sorted(n[5:] for n in dir(cv2.aruco) if n.startswith("DICT_"))
            raise InputError(
                f"{self.dictionary!r} is no dictionary of markers: they are {', '.join(known)}"
            )
        needed, there = self.columns * self.rows // 2, len(self._dictionary.bytesList)
        if needed > there:
            raise InputError(
                f"{self.columns} x {self.rows} squares have {needed} markers, {self.dictionary} "
                f"has {there}: give --dictionary, the one that the board was printed with"
            )

    @cached_property
    def _detector(self) -> cv2.aruco.CharucoDetector:
        return cv2.aruco.CharucoDetector(self._board)

    @cached_property
    def _board(self) -> cv2.aruco.CharucoBoard:
        size = self.columns, self.rows
        return cv2.aruco.CharucoBoard(size, self.square_mm, self.marker_mm, self._dictionary)

    @cached_property
    def _dictionary(self) -> cv2.aruco.Dictionary:
        return cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, f"DICT_{self.dictionary}"))

    @cached_property
    def points_mm(self) -> np.ndarray:
        """(M, 3) inner corners by their numbers."""
        return np.asarray(self._board.getChessboardCorners(), dtype=float)

    def picture(self, px_per_square: int) -> np.ndarray:
        """(H, W) uint8 to print."""
        size = self.columns * px_per_square, self.rows * px_per_square
        return np.asarray(self._board.generateImage(size))

    def find(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Numbers (N,) and px (N, 2) of the corners in an RGB image; None if they are too few.

        A board that was printed white on black is found as well.
        """
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        for seen in (grey, 255 - grey):
            corners, numbers, _, _ = self._detector.detectBoard(seen)
            if numbers is not None and len(numbers) >= BY_BOARDS.least_corners:
                return np.ravel(numbers), corners.reshape(-1, 2).astype(float)
        return None


@dataclass(frozen=True, eq=False)
class BoardCalibration:
    """The outcome."""

    rig: Rig  # the cameras; the world is the first one's frame, mm
    instants: int  # at which two or more of them saw the board
    miss_px: float  # median distance of a corner from its image
    turn_deg: np.ndarray  # (V,) expected errors of each camera's pose; the first has none
    shift_mm: np.ndarray  # (V,) expected errors of each camera's pose; the first has none

    def __str__(self) -> str:
        """Lines for people."""
        head = (
            f"{len(self.rig)} cameras from the board at {self.instants} instants, corners "
            f"{self.miss_px:.2f} px off (median); the world is the frame of {self.rig.names[0]}"
        )
        return "\n".join([head, *self.rig.told(self.turn_deg, self.shift_mm)])


def look_at(board: Charuco, camera: Camera, number: int, image: np.ndarray) -> Look | None:
    """The board in a picture of a camera."""
    found = board.find(image)
    if found is None:
        return None
    numbers, px = found
    points, rays = board.points_mm[numbers], camera.rays(px)
    there = np.isfinite(rays).all(axis=1)
    if there.sum() < BY_BOARDS.least_corners:
        return None
    points, rays = points[there], rays[there]
    solved, turn, shift = cv2.solvePnP(points, rays, np.eye(3), None, flags=cv2.SOLVEPNP_IPPE)
    if not solved:
        return None
    pose = RigidTransform(cv2.Rodrigues(turn)[0], np.ravel(shift))
    return Look(number, points, rays, pose)


def calibrate_rig_by_board(
    names: Sequence[str],
    cameras: Sequence[Camera],
    sizes: Sequence[tuple[int, int]],
    board: Charuco,
    instants: Iterable[Sequence[Frame | None]],
) -> BoardCalibration:
    """Find where V cameras of these names, lenses and picture sizes (width, height) stand.

    An instant has a frame of each camera, in their order; the board is carried before them.

    Raises:
        ValueError: too few cameras see the board at a time.
    """
    seen = [
        [
            look
            for number, frame in enumerate(frames)
            if frame is not None
            and (look := look_at(board, cameras[number], number, frame.image)) is not None
        ]
        for frames in instants
    ]
    shared = [looks for looks in seen if len(looks) >= 2]
    keep = np.unique(
        np.linspace(0, max(len(shared) - 1, 0), BY_BOARDS.most_looks).round().astype(int)
    )
    shared = [shared[i] for i in keep] if shared else []
    focal = np.array([np.sqrt(camera.fx * camera.fy) for camera in cameras])
    problem = BoardAdjustment(shared, _first_poses(shared, names), focal)
    problem.solve()
    problem.drop_wrong()
    problem.solve()
    turn, shift = problem.pose_errors()
    each = zip(names, cameras, problem.poses, sizes, strict=True)
    return BoardCalibration(
        rig=Rig(tuple(RigCamera(*parts) for parts in each), "the calibrated rig"),
        instants=len(problem.shots),
        miss_px=float(np.median(np.concatenate([r for _, _, r in problem.misses()]))),
        turn_deg=turn,
        shift_mm=shift,
    )


def _first_poses(shots: Sequence[Sequence[Look]], names: Sequence[str]) -> list[RigidTransform]:
    """``T_camera_from_world`` of each, joined along the pairs with most looks in common."""
    between: dict[tuple[int, int], list[RigidTransform]] = {}
    for looks in shots:
        for a, b in combinations(looks, 2):
            T = b.T_camera_from_board @ a.T_camera_from_board.inverse()
            between.setdefault((a.camera, b.camera), []).append(T)
    return chained(
        {pair: len(of) for pair, of in between.items()},
        names,
        BY_BOARDS.least_shared,
        lambda i, k: _middle(between[i, k]),
        lambda lonely, most: (
            f"{lonely} and the other cameras see the board at {most} instants at a time, "
            f"expected {BY_BOARDS.least_shared} or more: carry it where both see all of it, "
            "check that the board is the one described and, without --together, that hands are "
            "seen too"
        ),
    )


def _middle(transforms: Sequence[RigidTransform]) -> RigidTransform:
    """The one that most of the others agree with: flat boards are seen turned the wrong way."""
    R = np.stack([T.rotation for T in transforms])
    t = np.stack([T.translation_mm for T in transforms])
    turned = np.linalg.norm(R[:, None] - R[None], axis=(2, 3))
    usual_mm = max(float(np.median(np.linalg.norm(t, axis=1))), 1.0)
    apart = turned + np.linalg.norm(t[:, None] - t[None], axis=2) / usual_mm
    return transforms[int(np.argmin(np.median(apart, axis=1)))]
