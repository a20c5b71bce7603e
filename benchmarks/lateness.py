"""How late cameras are, from hands and from independent evidence.

    python benchmarks/lateness.py

``views_two_hands``: a printed board moves in the same recording; its corners, located to a fraction
of a pixel, give the same by the same least squares. ``stereo_video``: frames are left out of both
videos, a given number later in the second, so that clocks differ by a known amount.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from board import Table, command
from knuckle import Rig
from knuckle.errors import InputError
from knuckle.hand import N_JOINTS
from knuckle.pose.confidence import score_of
from knuckle.results import Frame, HandPose, TrackedHand
from knuckle.views.lateness import lateness
from knuckle.views.sync import Followed, follow
from views import read

TABLE = Table({"recording": "", "by": "", "clocks": "", "expected": ""})
SQUARE_MM = 54.0
#: A corner is off by so many px of a board that is some hundred px large.
_CORNER = 1 / 300


def told(rig: Rig, seen: Sequence[Followed]) -> str:
    """What clocks show at one instant."""
    try:
        found = lateness(rig, seen)
    except InputError:
        return "not told"
    each = zip(rig.names, 1000 * found.late_s, 1000 * found.doubt_s, strict=True)
    return ", ".join(f"{name} {late:+.0f} ± {doubt:.0f} ms" for name, late, doubt in each)


def board_followed(rig: Rig, videos: Sequence[Path]) -> list[Followed]:
    """The corners of the printed board, as if they were joints of a hand."""
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_1000)
    board = cv2.aruco.CharucoBoard((4, 5), SQUARE_MM, 0.75 * SQUARE_MM, dictionary)
    detector = cv2.aruco.CharucoDetector(board)
    corners_mm = board.getChessboardCorners()
    seen = []
    for each, frames in zip(rig.cameras, read(rig, videos), strict=True):
        size = frames[0].image.shape[1::-1]
        hands = [_as_hand(frame, detector, corners_mm) for frame in frames]
        times_s = np.array([frame.time_s for frame in frames])
        seen.append(Followed(each.name, size, each.camera, times_s, hands))
    return seen


def _as_hand(
    frame: Frame, detector: cv2.aruco.CharucoDetector, corners_mm: np.ndarray
) -> list[TrackedHand]:
    """All corners of the board, by those that are seen; nothing if these are few."""
    grey = 255 - cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY)  # it is printed inverted
    corners, ids, _, _ = detector.detectBoard(grey)
    if ids is None or len(ids) < 6:
        return []
    known = corners_mm[ids.ravel()].astype(float)
    rays = frame.camera.rays(corners.reshape(-1, 2))
    _, turn, shift = cv2.solvePnP(known, rays[:, None], np.eye(3), None)
    there = corners_mm @ cv2.Rodrigues(turn)[0].T + shift.ravel()
    joints_mm = np.resize(there, (N_JOINTS, 3))  # the first ones twice
    pose = HandPose(
        side="right",
        side_score=1.0,
        score=1.0,
        joints_px=frame.camera.project(joints_mm),
        joints_mm=joints_mm,
        joint_score=np.full(N_JOINTS, float(score_of(np.array(_CORNER)))),
        visible=np.ones(N_JOINTS, bool),
        joint_sigma_mm=np.ones(N_JOINTS),
        camera=frame.camera,
    )
    return [TrackedHand.of(pose, raw=pose, track_id=0, age_s=0.0, velocity_mm_s=np.zeros(3))]


def left_out(seen: Sequence[Followed], every: int, later: int) -> list[Followed]:
    """Of each so many frames one, of the second camera one that is so many frames later."""
    count = min(len(each.times_s) for each in seen) // every - 1
    return [
        replace(
            each,
            times_s=each.times_s[::every][:count],
            hands=each.hands[later * number :: every][:count],
        )
        for number, each in enumerate(seen)
    ]


@dataclass(frozen=True)
class Late:
    """Measure how late cameras are."""

    data: Path = Path("../shared/data")

    def run(self) -> None:
        """Measure and print."""
        print(TABLE.head)
        folder = self.data / "views_two_hands" / "charuco_calibration"
        rig = Rig.load(folder / "camera_array.toml").select(["cam_1", "cam_2", "cam_3", "cam_0"])
        videos = [folder / f"calibration/extrinsic/{name}.mp4" for name in rig.names]
        board = told(rig, board_followed(rig, videos))
        print(TABLE.row("views_two_hands", "the board", board, "–"), flush=True)
        seen = [follow(v, each.camera) for v, each in zip(videos, rig.cameras, strict=True)]
        for cameras in ([0, 1, 2, 3], [0, 1, 2], [0, 1], [0, 2], [0, 3], [1, 2, 3]):
            some = rig.select([rig.names[c] for c in cameras])
            by_hands = told(some, [seen[c] for c in cameras])
            print(TABLE.row("views_two_hands", "hands", by_hands, "the board's"), flush=True)
        stereo = Rig.load(self.data / "stereo_video", unit=40)
        videos = [self.data / "stereo_video" / f"{name}_test.mp4" for name in stereo.names]
        seen = [
            follow(v, each.camera, max_hands=1)
            for v, each in zip(videos, stereo.cameras, strict=True)
        ]
        for every in (1, 2, 3, 5):
            for later in range(every):
                expected = f"{-1000 * later / 30:+.0f} ms, and what one of 1 says"
                which = f"stereo_video, one of {every} frames, {later} later"
                said = told(stereo, left_out(seen, every, later))
                print(TABLE.row(which, "hands", said, expected), flush=True)


if __name__ == "__main__":
    command(Late)
