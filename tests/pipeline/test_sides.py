"""Two hands of one side that touch: one of them is looked at as the other side."""

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from dot_world import true_hand
from knuckle.camera import Camera
from knuckle.crop import Crop
from knuckle.pipeline.sides import touch, with_sides_reconsidered
from knuckle.pose import Keypoints
from knuckle.results import HandPose

CAMERA = Camera(600, 600, 320, 240)
IMAGE = np.zeros((480, 640, 3), np.uint8)
#: How surely a hand is of its side, and of the other, where each is looked at as such.
SURE, UNSURE = 0.95, 0.6


def hand(x: float) -> HandPose:
    return true_hand(CAMERA, (x, 60, 600))


def looks(poses: Sequence[HandPose], crops: Sequence[Crop], right: Sequence[float]) -> Keypoints:
    n = len(crops)
    points = [c.to_crop(p.joints_px) for c, p in zip(crops, poses, strict=True)]
    return replace(
        Keypoints.nothing(),
        crops=tuple(crops),
        points_crop=np.array(points).reshape(n, 21, 2),
        sigma_crop=np.full((n, 21), 1.0),
        visible=np.ones((n, 21)),
        presence=np.ones(n),
        right=np.array(right),
        mask=np.zeros((n, 4, 4)),
        pixels=np.zeros((n, 4, 4, 3), np.uint8),
        features=np.zeros((n, 21, 1)),
        neighbour=np.zeros((n, 6)),
        log_odds=np.zeros(n),
    )


def reconsidered(
    poses: Sequence[HandPose], right: Sequence[float], as_left: float, followed: int = 0
) -> tuple[Keypoints, int]:
    """Hands that were taken for right ones, reconsidered, and the crops that were looked at."""
    asked: list[Crop] = []

    def look(image: np.ndarray, crops: Sequence[Crop]) -> Keypoints:
        asked.extend(crops)
        about = [min(poses, key=lambda p: abs(p.joints_px.mean(0) - c.centre_px).sum())
                 for c in crops]  # fmt: skip
        return looks(about, crops, [as_left] * len(crops))

    stages: Any = SimpleNamespace(look=look, crop_around=Crop.from_joints)
    crops = [Crop.from_joints(pose.joints_px, "right") for pose in poses]
    found = with_sides_reconsidered(stages, IMAGE, looks(poses, crops, right), followed)
    for i, pose in enumerate(poses):
        np.testing.assert_allclose(found.points_px[i], pose.joints_px, atol=1e-6)
    return found, len(asked)


def sides(of: tuple[Keypoints, int]) -> tuple[list[str], int]:
    found, asked = of
    return [found.side(i) for i in range(len(found))], asked


def test_the_less_certain_of_two_that_touch_becomes_the_other_side() -> None:
    assert sides(reconsidered([hand(-30), hand(30)], [SURE, UNSURE], 0.9)) == (["right", "left"], 1)
    assert sides(reconsidered([hand(-30), hand(30)], [UNSURE, SURE], 0.9)) == (["left", "right"], 1)


def test_two_hands_that_are_surely_of_one_side_stay_so() -> None:
    assert sides(reconsidered([hand(-30), hand(30)], [SURE, SURE], 0.1)) == (["right", "right"], 1)


def test_hands_that_do_not_touch_are_not_looked_at_again() -> None:
    assert not touch(hand(-150).joints_px, hand(150).joints_px)
    assert sides(reconsidered([hand(-150), hand(150)], [SURE, 0.3], 0.99)) == (
        ["right", "right"],
        0,
    )


def test_no_hand_and_one_hand_have_nothing_to_be_compared_with() -> None:
    assert sides(reconsidered([], [], 0.9)) == ([], 0)
    assert sides(reconsidered([hand(0)], [0.2], 0.9)) == (["right"], 0)


def test_a_track_keeps_its_side_but_gets_a_vote_against_it() -> None:
    pair = [hand(-30), hand(30)]
    found, asked = reconsidered(pair, [SURE, UNSURE], 0.9, followed=2)
    assert [found.side(0), found.side(1)] == ["right", "right"] and asked == 1
    assert found.right[0] == SURE and found.right[1] < 0.5
    found, _ = reconsidered(pair, [SURE, SURE], 0.01, followed=2)
    assert (found.right > 0.9).all()


def test_beside_a_track_the_newcomer_is_doubted() -> None:
    pair = [hand(-30), hand(30)]
    assert sides(reconsidered(pair, [UNSURE, SURE], 0.9, followed=1)) == (["right", "left"], 1)
