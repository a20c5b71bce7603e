"""A hand beside a thing of known size: the plane is found, and the hand has its true length."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import knuckle.pipeline
from dot_world import right_hand_mm
from knuckle.camera import Camera
from knuckle.cli import main
from knuckle.hand import FINGERS, hand_length
from knuckle.hand_scale import HEIGHT_MM, measure_hand
from knuckle.results import Frame, HandPose
from knuckle.rigid import RigidTransform
from knuckle.video.reference import SHEETS, Board, Reference, Sheet, find_plane

CAMERA = Camera.from_fov(1280, 720, 65.0)
BOARD = Board(7, 5, 12.0)
THINGS: dict[str, Reference] = {**SHEETS, "board": BOARD}


def from_above(slant_deg: float, turn_deg: float, distance_mm: float) -> RigidTransform:
    """``T_camera_from_plane``: the plane's z away from the camera, turned and slanted."""
    turn = cv2.Rodrigues(np.array([0.0, 0.0, np.radians(turn_deg)]))[0]
    slant = cv2.Rodrigues(np.array([np.radians(slant_deg), 0.0, 0.0]))[0]
    return RigidTransform(slant @ turn, np.array([0.0, 0.0, distance_mm]))


def flat_hand(view: RigidTransform, hand_mm: np.ndarray, corner_mm: Sequence[float]) -> np.ndarray:
    """(21, 3) in the camera: the hand over the plane, its wrist at a corner, at true heights."""
    heights = np.zeros(21)
    heights[0] = HEIGHT_MM[0]
    heights[FINGERS] = HEIGHT_MM[1:]
    placed = np.column_stack([hand_mm[:, :2] + corner_mm, -heights])
    return view(placed)


def picture(view: RigidTransform, thing: Reference, seed: int = 0, fine: int = 3) -> np.ndarray:
    """(720, 1280, 3) a table with the thing on it, its first corner at the plane's origin."""
    if isinstance(thing, Sheet):
        drawn = np.full((int(thing.height_mm * fine), int(thing.width_mm * fine)), 215, np.uint8)
        origin = 0.0
    else:
        cells = np.indices((thing.rows + 3, thing.columns + 3)).sum(axis=0) % 2 * 200 + 30
        cells[[0, -1]] = cells[:, [0, -1]] = 230  # a white border
        side = int(thing.square_mm * fine)
        drawn = np.kron(cells, np.ones((side, side))).astype(np.uint8)
        origin = -2 * thing.square_mm
    size = np.array(drawn.shape[::-1]) / fine
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * size + origin
    pixels = CAMERA.project(view(np.pad(corners, ((0, 0), (0, 1)))))
    ends = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * drawn.shape[::-1] - 0.5
    # Drawn at twice the size and shrunk, so that edges are smooth.
    H = cv2.getPerspectiveTransform(ends.astype(np.float32), (2 * pixels + 0.5).astype(np.float32))
    big = cv2.warpPerspective(drawn, H, (2560, 1440), borderValue=90, flags=cv2.INTER_AREA)
    grey = cv2.resize(big, (1280, 720), interpolation=cv2.INTER_AREA).astype(float)
    grey += np.random.default_rng(seed).normal(0, 4, grey.shape)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize(
    ("board", "message"),
    [((1, 5, 12.0), "at least 3 x 3 inner corners"), ((7, 5, -12.0), "more than 0 mm, got -12")],
)
def test_a_board_that_cannot_be_is_refused(board: tuple[int, int, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Board(*board)


@settings(max_examples=8, deadline=None)
@given(
    st.sampled_from(["card", "a5", "board"]),
    st.floats(-35, 35),
    st.floats(-170, 170),
    st.floats(420, 600),
)
def test_what_lies_on_the_plane_is_measured(
    name: str, slant_deg: float, turn_deg: float, distance_mm: float
) -> None:
    view, thing = from_above(slant_deg, turn_deg, distance_mm), THINGS[name]
    middle = thing.points_mm.mean(axis=0)
    view = RigidTransform(view.rotation, view.translation_mm - view.rotation @ [*middle, 0.0])
    plane = find_plane(picture(view, thing), thing, CAMERA)
    assert plane is not None
    points = np.array([[-60.0, 10.0], [120.0, -40.0], [30.0, 130.0]])
    height = np.array([0.0, 10.0, 25.0])
    seen = CAMERA.project(view(np.column_stack([points, -height])))
    found = plane.points_above(seen, height, CAMERA)
    true = np.linalg.norm(points[:, None] - points, axis=-1)
    np.testing.assert_allclose(
        np.linalg.norm(found[:, None] - found, axis=-1), true, rtol=0.02, atol=1e-9
    )


def test_a_wrong_focal_length_hardly_matters_from_above() -> None:
    view = from_above(5, 20, 500)
    for factor in (0.8, 1.25):
        wrong = replace(CAMERA, fx=CAMERA.fx * factor, fy=CAMERA.fy * factor)
        plane = find_plane(picture(view, SHEETS["card"]), SHEETS["card"], wrong)
        assert plane is not None
        ends = CAMERA.project(view(np.array([[100.0, 0.0, 0.0], [100.0, 150.0, 0.0]])))
        found = plane.points_above(ends, np.zeros(2), wrong)
        assert np.linalg.norm(found[1] - found[0]) == pytest.approx(150, rel=0.02)


def test_a_sheet_of_another_shape_is_not_taken_for_a_card() -> None:
    view = from_above(3, 10, 600)
    square = Sheet(90.0, 88.0)
    assert find_plane(picture(view, square), SHEETS["card"], CAMERA) is None


class TestMeasuring:
    VIEW = from_above(12, 8, 520)
    HAND = right_hand_mm(np.zeros((5, 3)))
    CORNER = (-60.0, 110.0)

    def pose(self, flexion_deg: float = 0.0) -> HandPose:
        joints_mm = flat_hand(self.VIEW, self.HAND, self.CORNER)
        joints_px = CAMERA.project(joints_mm)
        bent = right_hand_mm(np.full((5, 3), flexion_deg))
        return HandPose(
            side="right",
            side_score=1.0,
            score=1.0,
            joints_px=joints_px,
            joints_mm=bent + np.array([0.0, 0.0, 500.0]),
            joint_score=np.ones(21),
            visible=np.ones(21, bool),
            joint_sigma_mm=np.ones(21),
            camera=CAMERA,
        )

    def frames(self, count: int, thing: Reference = SHEETS["card"]) -> list[Frame]:
        return [Frame(picture(self.VIEW, thing, i), i / 30, i) for i in range(count)]

    def test_a_flat_hand_beside_a_card(self) -> None:
        found = measure_hand(self.frames(6), lambda *_: [self.pose()], SHEETS["card"])
        true = float(hand_length(flat_hand(self.VIEW, self.HAND, self.CORNER)))
        assert found.n_frames == 6
        assert found.length_mm == pytest.approx(true, rel=0.015)
        assert 0.03 < found.sigma_mm / found.length_mm < 0.05
        assert f"--hand-length-mm {found.length_mm:.0f}" in str(found)

    @pytest.mark.parametrize(
        ("hands", "thing", "sentence"),
        [
            ([], "card", "found a flat hand in 0 and both in 0 of 6 frames"),
            ([50.0], "card", "found a flat hand in 0 and both in 0 of 6"),
            ([0.0, 0.0], "card", "found a flat hand in 6 and both in 0 of 6"),
            ([0.0], "board", "found a flat hand in 6 and both in 0 of 6"),
        ],
    )
    def test_it_says_what_was_missing(self, hands: list[float], thing: str, sentence: str) -> None:
        poses = [self.pose(flexion) for flexion in hands]
        with pytest.raises(ValueError, match=sentence):
            measure_hand(self.frames(6), lambda *_: poses, THINGS[thing])

    def test_the_command_says_what_to_do_with_it(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setattr(
            knuckle.pipeline, "HandEstimator", lambda **options: lambda *_: [self.pose()]
        )
        for frame in self.frames(5):
            cv2.imwrite(str(tmp_path / f"{frame.index}.png"), frame.image)
        CAMERA.save(tmp_path / "camera.json")
        given = ["camera", "scale", str(tmp_path), "--camera", str(tmp_path / "camera.json")]
        assert main(given) == 0
        assert re.search(r"hand length 1\d\d ± \d+ mm", capsys.readouterr().out)
        assert main([*given, "--thing", "a4"]) == 2
        assert "is the thing beside it of the size that was said?" in capsys.readouterr().err
