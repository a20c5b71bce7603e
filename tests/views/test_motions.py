"""Small motions of cameras, and the expected errors that follow from them."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knuckle.rigid import RigidTransform
from knuckle.views import board_adjustment
from knuckle.views.board_adjustment import BoardAdjustment, Look
from knuckle.views.decisions import BY_BOARDS
from knuckle.views.motions import pose_errors, small
from rigs import looking_at

#: Where the second camera stands if the first is at 0 and both look at what is 500 mm before it.
PLACES = pytest.mark.parametrize(
    "centre_mm",
    [
        pytest.param((450.0, 0.0, 250.0), id="as far"),
        pytest.param((1500.0, 0.0, -800.0), id="farther"),
        pytest.param((200.0, 0.0, 280.0), id="nearer"),
    ],
)


@given(st.integers(0, 2**32 - 1))
def test_expected_errors_are_how_far_steps_move_the_lens_and_turn_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # As least squares give them: turns and shifts err together, the farther what is seen the more.
    mixed = rng.normal(0, 1, (6, 6)) * np.array([1e-4] * 3 + [0.3] * 3)[:, None]
    pose = RigidTransform(cv2.Rodrigues(rng.normal(0, 1, 3))[0], rng.normal(0, 800, 3))
    turns, moves = [], []
    for step in (rng.normal(0, 1, (400, 6)) @ mixed.T).reshape(-1, 6):
        other = small(step) @ pose
        moved = other.inverse().translation_mm - pose.inverse().translation_mm
        turned = cv2.Rodrigues(other.rotation @ pose.rotation.T)[0]
        moves.append(np.linalg.norm(moved))
        turns.append(np.degrees(np.linalg.norm(turned)))
    (turn,), (shift,) = pose_errors(mixed @ mixed.T)
    assert np.sqrt(np.mean(np.square(turns))) == pytest.approx(turn, rel=0.2)
    assert np.sqrt(np.mean(np.square(moves))) == pytest.approx(shift, rel=0.2)


def by_a_board(centre_mm: tuple[float, ...], seed: int) -> BoardAdjustment:
    """Two cameras that see a board, corners 0.3 px off, and begin where they stand."""
    rng, focal = np.random.default_rng(seed), 1000.0
    target = np.array([0.0, 0.0, 500.0])
    poses = [RigidTransform(np.eye(3), np.zeros(3)), looking_at(centre_mm, target)]
    corners = np.stack(np.meshgrid(np.arange(6) * 30.0, np.arange(4) * 30.0, [0.0]), -1)
    points = corners.reshape(-1, 3) - corners.reshape(-1, 3).mean(axis=0)
    shots = []
    for _ in range(12):
        turn = cv2.Rodrigues(rng.normal(0, 0.5, 3))[0]
        board = RigidTransform(turn, target + rng.normal(0, 60, 3))
        looks = []
        for camera, pose in enumerate(poses):
            seen = (pose @ board)(points)
            off = rng.normal(0, 0.3 / focal, (len(points), 2))
            looks.append(Look(camera, points, seen[:, :2] / seen[:, 2:] + off, pose @ board))
        shots.append(looks)
    problem = BoardAdjustment(shots, poses, np.full(2, focal))
    problem.solve()
    return problem


@PLACES
def test_cameras_are_as_far_off_as_is_said(
    centre_mm: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = replace(BY_BOARDS, variance_factor=1.0)  # these corners err by themselves
    monkeypatch.setattr(board_adjustment, "BY_BOARDS", alone)
    moves, turns, said = [], [], []
    true = looking_at(centre_mm, (0.0, 0.0, 500.0))
    for seed in range(16):
        problem = by_a_board(centre_mm, seed)
        found = problem.poses[1]
        moves.append(np.linalg.norm(found.inverse().translation_mm - centre_mm))
        turns.append(np.linalg.norm(cv2.Rodrigues(found.rotation @ true.rotation.T)[0]))
        turn, shift = problem.pose_errors()
        assert turn[0] == shift[0] == 0
        said.append((turn[1], shift[1]))
    off = np.degrees(np.sqrt(np.mean(np.square(turns)))), np.sqrt(np.mean(np.square(moves)))
    ratios = np.array(off) / np.mean(said, axis=0)
    assert (ratios > 0.65).all() and (ratios < 1.25).all(), ratios
