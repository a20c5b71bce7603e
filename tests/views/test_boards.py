"""Cameras found from a ChArUco board."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from knuckle.cli import main
from knuckle.results import Frame
from knuckle.rigid import RigidTransform
from knuckle.views.boards import Charuco, calibrate_rig_by_board
from knuckle.views.rig import Rig, RigCamera
from rigs import LENSES, SIZE
from rigs import rig as make_rig

BOARD = Charuco(4, 5, 60.0, 45.0)


def boards(rng: np.random.Generator, count: int) -> list[RigidTransform]:
    """``T_world_from_board`` of a board carried about, that faces the cameras more or less."""
    found = []
    for _ in range(count):
        turn = cv2.Rodrigues(rng.normal(0, 0.3, 3).reshape(3, 1))[0]
        middle = -turn @ (BOARD.points_mm.mean(axis=0))
        found.append(RigidTransform(turn, middle + rng.uniform(-60, 60, 3)))
    return found


def picture(each: RigCamera, board: RigidTransform, inverted: bool) -> np.ndarray:
    """What a camera sees of the board."""
    printed = BOARD.picture(60)
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * (4, 5) * 60.0
    px = each.project(board(np.concatenate([corners, np.zeros((4, 1))], axis=1)))
    H, _ = cv2.findHomography(corners - 0.5, px)
    seen = cv2.warpPerspective(printed, H, SIZE, borderValue=255, flags=cv2.INTER_AREA)
    return np.repeat((255 - seen if inverted else seen)[..., None], 3, axis=-1)


def instants(rig: Rig, count: int, inverted: bool = False) -> list[list[Frame | None]]:
    """The board before all cameras; the last one is unplugged now and then."""
    shots: list[list[Frame | None]] = []
    for number, board in enumerate(boards(np.random.default_rng(0), count)):
        frames: list[Frame | None] = [
            Frame(picture(each, board, inverted), number / 5, number, None) for each in rig.cameras
        ]
        if number % 3 == 2:
            frames[-1] = None
        shots.append(frames)
    return shots


@pytest.mark.parametrize("inverted", [False, True])
def test_cameras_are_found_where_they_stand(inverted: bool) -> None:
    rig = make_rig(3, lenses=LENSES[1:2])  # straight lenses: the picture is one homography
    shots = instants(rig, 9, inverted)
    shots[4][1] = shots[0][1]  # one camera shows another instant
    lenses = [each.camera for each in rig.cameras]
    found = calibrate_rig_by_board(rig.names, lenses, [SIZE] * 3, BOARD, shots)
    first = rig.cameras[0].T_camera_from_world.inverse()
    assert found.turn_deg[0] == found.shift_mm[0] == 0
    for v in range(1, 3):
        each, expected = found.rig.cameras[v], rig.cameras[v].T_camera_from_world @ first
        turned = cv2.Rodrigues(each.T_camera_from_world.rotation @ expected.rotation.T)[0]
        moved = np.linalg.norm(each.centre_mm - expected.inverse().translation_mm)
        assert np.degrees(np.linalg.norm(turned)) < 2 * found.turn_deg[v] < 0.5
        assert moved < 2 * found.shift_mm[v] < 4
    assert found.miss_px < 0.5
    assert "cam_1: 4" in str(found)


def test_a_board_that_is_not_there_is_told() -> None:
    rig = make_rig(2)
    grey: list[Frame | None] = [Frame(np.full((*SIZE[::-1], 3), 90, np.uint8), 0.0, 0, None)] * 2
    with pytest.raises(ValueError, match="cam_1 and the other cameras see the board at 0 instants"):
        calibrate_rig_by_board(
            rig.names, [c.camera for c in rig.cameras], [SIZE] * 2, BOARD, [grey] * 4
        )


@pytest.mark.parametrize(
    ("board", "message"),
    [
        ({"columns": 2}, "3 x 3 squares or more"),
        ({"marker_mm": 60.0}, "markers lie within squares"),
        ({"square_mm": 0.06, "marker_mm": 0.045}, "multiply metres by 1000"),
        ({"dictionary": "9X9"}, "no dictionary of markers"),
        ({"columns": 12, "rows": 9, "dictionary": "4X4_50"}, "54 markers, 4X4_50 has 50"),
    ],
)
def test_what_is_no_board_is_refused(board: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Charuco(**{"columns": 4, "rows": 5, "square_mm": 60.0, "marker_mm": 45.0, **board})


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--charuco", "5by7"], "COLUMNSxROWS, squares and not corners"),
        (["--charuco", "5x7"], "give --intrinsics"),
        (["--charuco", "5x7", "--hand-length-mm", "180"], "leave out --hand-length-mm"),
    ],
)
def test_what_a_board_needs_is_told(
    flags: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["camera", "rig", "a.mp4", "b.mp4", "-o", str(tmp_path / "rig.toml")]
    assert main([*command, *flags]) == 2
    assert message in capsys.readouterr().err
