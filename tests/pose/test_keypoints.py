"""Keypoints of crops: batches, frames and sides; and lifting that does not know the side."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dot_world import blank, mirrored, paint, true_hand, turn
from knuckle.camera import Camera
from knuckle.codec import HeatmapCodec
from knuckle.crop import Crop
from knuckle.hand import Side, other_side
from knuckle.pipeline.looks import averaged
from knuckle.pose import Keypoints
from knuckle.sample import HandLabel, Sample
from knuckle.stages import Network
from knuckle.stages.keypoints import KeypointEstimator
from knuckle.stages.lifter import Lifter
from knuckle.train.examples import crop_example
from knuckle.train.recipe import AugmentSettings

CAMERA = Camera(300, 310, 155, 122)
RIGHT = true_hand(CAMERA, (-90, 60, 520), rotation=turn(20, 10, -10))
LEFT = true_hand(CAMERA, (100, 50, 560), side="left", rotation=turn(-35, 5, 10))
IMAGE = paint(blank(), [RIGHT, LEFT])
#: A look that is neither sure of a hand nor of its absence.
SEEN = Keypoints(
    crops=(Crop((0.0, 0.0), 100.0, 0.0),),
    points_crop=np.linspace(10, 100, 42).reshape(1, 21, 2),
    sigma_crop=np.full((1, 21), 4.0),
    visible=np.ones((1, 21)),
    presence=np.array([0.7]),
    side_score=np.array([0.8]),
    mask=np.ones((1, 8, 8)),
    on_border=np.zeros((1, 3)),
    pixels=np.zeros((1, 8, 8, 3), np.uint8),
    features=np.zeros((1, 21, 4)),
    neighbour=np.zeros((1, 6)),
    log_odds=np.zeros(1),
)


@pytest.fixture(scope="module")
def estimator(dot_weights: Path) -> KeypointEstimator:
    return KeypointEstimator(Network(dot_weights / "keypoints.onnx", "keypoints"))


@pytest.fixture(scope="module")
def lifter(dot_weights: Path) -> Lifter:
    return Lifter(Network(dot_weights / "lifter.onnx", "lifter"))


@pytest.fixture(scope="module")
def both(estimator: KeypointEstimator) -> Keypoints:
    crops = [Crop.from_joints(hand.joints_px, hand.side) for hand in (RIGHT, LEFT)]
    return estimator(IMAGE, crops)


def test_keypoints_are_those_of_the_frame(both: Keypoints) -> None:
    truth = np.stack([RIGHT.joints_px, LEFT.joints_px])
    assert np.linalg.norm(both.points_px - truth, axis=-1).max() < 0.7
    assert [both.side(0), both.side(1)] == ["right", "left"]
    assert (both.side_score > 0.9).all() and (both.score > 0.9).all()
    shares = [crop.size_px / crop.out_size for crop in both.crops]
    np.testing.assert_allclose(both.sigma_px, both.sigma_crop * np.array(shares)[:, None])


def test_a_crop_of_the_wrong_side_says_so(estimator: KeypointEstimator) -> None:
    wrong = estimator(IMAGE, [Crop.from_joints(RIGHT.joints_px, "left")])
    assert wrong.side_score[0] < 0.1 and wrong.presence[0] > 0.9 and wrong.trust[0] < 0.1
    assert np.linalg.norm(wrong.points_px[0] - RIGHT.joints_px, axis=-1).max() < 0.7


@given(st.floats(-6, 6), st.floats(-6, 6))
def test_what_else_is_known_adds_up_and_tells_hands_not_looks(first: float, then: float) -> None:
    looks = Keypoints.concatenate(SEEN, SEEN).with_prior(np.array([0.3, 0.0]))
    assume(min(abs(0.3 + first), abs(0.3 + first + then)) > 1e-3)  # 0 is that nobody named it
    together = looks.with_prior(np.array([first + then, 0.0]))
    in_turn = looks.with_prior(np.array([first, 0.0])).with_prior(np.array([then, 0.0]))
    np.testing.assert_allclose(in_turn.score, together.score, rtol=1e-6)
    np.testing.assert_array_equal(together.trust, looks.trust)
    assert together.score[1] == looks.score[1] == looks.look_score[1]
    odds = [np.log(score[0] / (1 - score[0])) for score in (looks.score, together.score)]
    assert odds[1] - odds[0] == pytest.approx(first + then, abs=1e-3)


@given(st.floats(0, 2 * np.pi), st.floats(0.0, 0.4))
def test_what_is_thin_as_a_line_is_no_hand(angle: float, across: float) -> None:
    """A bare arm is; whichever way it points."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(21, 2))
    points = (points - points.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(points.T)).T)
    turned = (
        points * (1, across) @ [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
    )
    assume(abs(across - 0.1) > 1e-3)
    seen = replace(SEEN, points_crop=(40 * turned + 72)[None]).look_score
    assert (seen > 0).all() == (across > 0.1)


def test_a_batch_is_what_its_crops_are_alone(estimator: KeypointEstimator, both: Keypoints) -> None:
    for i, crop in enumerate(both.crops):
        alone = estimator(IMAGE, [crop])
        np.testing.assert_allclose(alone.points_crop[0], both.points_crop[i], atol=1e-3)
        np.testing.assert_allclose(alone.mask[0], both.mask[i], atol=1e-4)


def test_taking_and_joining(both: Keypoints) -> None:
    swapped = both.take([1, 0])
    assert swapped.crops == both.crops[::-1]
    np.testing.assert_array_equal(swapped.points_px, both.points_px[::-1])
    again = Keypoints.concatenate(both.take([0]), both.take([1]))
    assert again.crops == both.crops
    np.testing.assert_array_equal(again.features, both.features)
    assert len(both.take([])) == 0 and len(Keypoints.nothing()) == 0
    assert Keypoints.concatenate(Keypoints.nothing(), both) is both
    assert Keypoints.concatenate(both, Keypoints.nothing()) is both


def test_lifting_gives_the_shape_in_the_cameras_axes(both: Keypoints, lifter: Lifter) -> None:
    lifted_mm, _ = lifter(both, CAMERA)
    for i, truth in enumerate((RIGHT, LEFT)):
        off = np.linalg.norm(lifted_mm[i] - truth.joints_root_mm, axis=1)
        assert off.max() < 5
    np.testing.assert_array_equal(lifted_mm[:, 0], 0)


def test_lifting_a_mirrored_picture_gives_the_mirrored_shape(
    estimator: KeypointEstimator, lifter: Lifter
) -> None:
    other = mirrored(RIGHT, 320)
    crops = [Crop.from_joints(hand.joints_px, hand.side) for hand in (RIGHT, other)]
    pictures = [paint(blank(), [hand]) for hand in (RIGHT, other)]
    shapes = [
        lifter(estimator(picture, [crop]), hand.camera)[0][0]
        for picture, crop, hand in zip(pictures, crops, (RIGHT, other), strict=True)
    ]
    np.testing.assert_allclose(shapes[1] * (-1, 1, 1), shapes[0], atol=4)


def test_two_looks_at_one_hand_meet_between_them(both: Keypoints) -> None:
    """Through another crop, moved in the frame, half as sure: a fifth of the way."""
    looser = [replace(crop, size_px=crop.size_px * 1.25, angle=0.3) for crop in both.crops]
    moved = np.stack([crop.to_crop(p + 5) for crop, p in zip(looser, both.points_px, strict=True)])
    other = replace(
        both, crops=tuple(looser), points_crop=moved, sigma_crop=2 * both.sigma_crop / 1.25
    )
    mean = averaged(both, other)
    np.testing.assert_allclose(mean.points_px, both.points_px + 1, atol=1e-3)
    assert (mean.sigma_px > both.sigma_px).all() and (mean.sigma_px < other.sigma_px).all()


def test_a_look_at_another_hand_changes_nothing(both: Keypoints) -> None:
    crops = tuple(replace(crop, angle=0.2) for crop in both.crops)
    elsewhere = replace(both, crops=crops, points_crop=both.points_crop[:, ::-1])
    # The very same look; hands of the other side; the fingers in another order.
    for other in (both, both.take([1, 0]), elsewhere):
        np.testing.assert_array_equal(averaged(both, other).points_crop, both.points_crop)


@given(seed=st.integers(0, 1000), side=st.sampled_from(["left", "right"]))
def test_a_neighbour_is_found_where_training_says_it_is(seed: int, side: Side) -> None:
    """What an example encodes in the crop is the square around the other hand in the frame."""
    rng = np.random.default_rng(seed)
    hands = tuple(
        HandLabel(side=which, joints_px=middle + rng.normal(0, 20, (21, 2)))
        for which, middle in ((side, (90.0, 100.0)), (other_side(side), (115.0, 90.0)))
    )
    sample = Sample(image=np.zeros((200, 220, 3), np.uint8), hands=hands, key="pair")
    example = crop_example(sample, 0, rng, AugmentSettings(other_side=0), HeatmapCodec())
    crop = Crop.from_joints(hands[0].joints_px, side)
    assert example["has_neighbour"] == 1

    still = AugmentSettings(shift=0, log_scale=0, angle=0, turned=0, other_side=0)
    exact = crop_example(sample, 0, rng, still, HeatmapCodec())
    values = np.concatenate([[0.9], exact["neighbour"]])[None]
    look = replace(Keypoints.nothing(), crops=(crop,), neighbour=values)
    seen = look.neighbour_of(0)
    true = Crop.from_joints(hands[1].joints_px, hands[1].side, margin=1.0)
    np.testing.assert_allclose(seen.centre_px, true.centre_px, atol=1e-3)
    assert seen.size_px == pytest.approx(true.size_px, rel=1e-4)
    assert np.cos(seen.angle - true.angle) == pytest.approx(1, abs=1e-5)
    assert seen.side == hands[1].side and seen.score == pytest.approx(0.9)
