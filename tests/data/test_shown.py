"""Hands fitted to photographs' labels: what is shown comes back, whichever hand shows it."""

from __future__ import annotations

import numpy as np
import pytest

from knuckle.camera import Camera
from knuckle.data.shown import ShownHands, fit_labels, fit_photographs
from knuckle.hand import BONES, Side
from knuckle.metrics import pa_mpjpe
from knuckle.render.hand_model import HandModel, HandParameters
from knuckle.render.poses import sample_poses
from knuckle.sample import HandLabel
from stores import store_of

N = 40
PHONE = Camera(560.0, 560.0, 320.0, 240.0)


def posed(side: Side) -> np.ndarray:
    """(N, 21, 3) of people's hands before a phone, palms towards it or away."""
    rng = np.random.default_rng(4)
    upright = np.array([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]])  # fingers up, the palm to the camera
    turn = np.where(rng.random((N, 1, 1)) < 0.5, upright, upright * [-1, 1, -1])
    model = HandModel.load()
    params = HandParameters(
        pose_deg=sample_poses(rng, N),
        shape=np.zeros((N, model.n_shape)),
        R_camera_from_hand=turn,
        root_mm=rng.normal((0, 60, 520), 30, (N, 3)),
        side=side,
    )
    return model.joints(params).astype(np.float64)


def labels(joints_mm: np.ndarray, side: Side) -> list[HandLabel]:
    bones = joints_mm[:, BONES[:, 1]] - joints_mm[:, BONES[:, 0]]
    leans = bones[..., 2] / np.linalg.norm(bones, axis=-1)
    points = PHONE.project(joints_mm)
    return [
        HandLabel(side=side, joints_px=p, bone_depth=lean)
        for p, lean in zip(points, leans, strict=True)
    ]


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_hand_that_was_shown_is_found(side: Side) -> None:
    joints = posed(side)
    fit = fit_labels(labels(joints, side), np.full(N, PHONE.fx))
    assert np.median(pa_mpjpe(fit.joints_mm, joints)) < 5.0
    found = fit.joints_mm - fit.joints_mm[:, :1]
    away = np.linalg.norm(found - (joints - joints[:, :1]), axis=-1).mean(axis=1)
    assert np.median(away) < 12.0  # seen from there


def test_a_left_hand_is_the_right_one_in_the_mirror() -> None:
    joints = posed("right")[:12]
    mirrored = joints * [-1.0, 1.0, 1.0]
    right = fit_photographs(store_of(PHONE.project(joints), joints, "right", "train"))
    left = fit_photographs(store_of(PHONE.project(mirrored), mirrored, "left", "train"))
    assert len(right) == len(left) == 12
    assert np.allclose(right.pose_deg, left.pose_deg, atol=0.1)
    assert np.allclose(right.R_camera_from_hand, left.R_camera_from_hand, atol=1e-3)
    assert np.allclose(np.linalg.det(right.R_camera_from_hand), 1.0)


def test_what_no_hand_explains_and_what_is_held_back_are_left_out() -> None:
    joints = posed("right")[:6]
    points = PHONE.project(joints)
    points[:2] = np.random.default_rng(1).uniform(0, 400, (2, 21, 2))
    assert len(fit_photographs(store_of(points, joints, "right", "train"))) == 4
    held_back = store_of(points, joints, "right", "validation")
    assert len(fit_photographs(held_back)) == 0
    assert len(fit_photographs(held_back, "validation")) == 4


def test_what_is_saved_comes_back(tmp_path) -> None:
    rng = np.random.default_rng(0)
    shown = ShownHands(rng.normal(size=(3, 17, 3)), np.tile(np.eye(3), (3, 1, 1)))
    shown.save(tmp_path / "shown.npz")
    again = ShownHands.load(tmp_path / "shown.npz")
    assert np.array_equal(again.pose_deg, shown.pose_deg) and len(again) == 3


def test_what_is_not_there_says_how_to_make_it(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"python -m knuckle\.data\.shown"):
        ShownHands.load(tmp_path / "none.npz")
