"""The whole way from an image to hands in 3D, against exact truth in the world of dots."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dot_world import DotNetworks, blank, mirrored, paint, true_hand, turn
from knuckle.camera import Camera
from knuckle.codec import DetectedHand
from knuckle.pipeline import EstimatorSettings, HandEstimator, HandTracker, TrackerSettings
from knuckle.pipeline.judge import detected_odds
from knuckle.results import Frame, HandPose

CAMERA = Camera(300, 310, 155, 122)


@pytest.fixture(scope="module")
def estimator(dot_weights: Path) -> HandEstimator:
    return HandEstimator(weights_dir=dot_weights)


def assert_same(found: HandPose, truth: HandPose, *, px: float = 0.7, mm: float = 6.0) -> None:
    """Sides equal, joints as close as painted dots can be read back."""
    assert found.side == truth.side
    assert np.linalg.norm(found.joints_px - truth.joints_px, axis=1).max() < px
    assert np.linalg.norm(found.joints_root_mm - truth.joints_root_mm, axis=1).max() < mm
    # A quarter of a pixel on a palm of sixty moves the whole hand by half a percent in depth.
    assert np.linalg.norm(found.root_mm - truth.root_mm) < 0.015 * truth.root_mm[2] + mm


@settings(max_examples=25)
@given(
    side=st.sampled_from(["left", "right"]),
    in_plane=st.floats(-180, 180),
    tilt=st.floats(-20, 20),
    pan=st.floats(-20, 20),
    depth=st.floats(330, 550),
    flexion=st.floats(0, 12),
    mirror=st.booleans(),
)
def test_hands_are_found_in_3d(
    estimator: HandEstimator,
    side: str,
    in_plane: float,
    tilt: float,
    pan: float,
    depth: float,
    flexion: float,
    mirror: bool,
) -> None:
    """Any turn, side and place; and the mirrored picture shows the mirrored hand."""
    turned = turn(in_plane, tilt, pan)
    middle = turned @ np.array([0.0, -80.0, 0.0])
    truth = true_hand(
        CAMERA,
        (-middle[0], -middle[1], depth),
        side="right",
        rotation=turned,
        flexion_deg=flexion,
    )
    if side == "left":
        truth = mirrored(truth, 320)
    if mirror:
        truth = mirrored(truth, 320)
    (found,) = estimator(paint(blank(), [truth]), truth.camera)
    assert_same(found, truth)
    assert found.score > 0.95 and found.side_score > 0.9
    assert found.visible.all() and found.joint_score.min() > 0.9
    assert found.camera == truth.camera


def test_several_hands_are_found_each_once(estimator: HandEstimator) -> None:
    truths = [
        true_hand(CAMERA, (-170, 60, 600), rotation=turn(10)),
        true_hand(CAMERA, (0, 60, 600), side="left"),
        true_hand(CAMERA, (190, 60, 600), rotation=turn(-20)),
    ]
    found = estimator(paint(blank(), truths), CAMERA)
    assert len(found) == 3
    for truth in truths:
        assert_same(nearest(found, truth), truth)
    trust = [hand.score * hand.side_score for hand in found]
    assert trust == pytest.approx(sorted(trust, reverse=True), abs=1e-3)


def test_two_hands_in_one_detection_are_two(
    dot_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The detector sees both, but takes them for one."""
    merging = HandEstimator(weights_dir=dot_weights)
    detect = merging._networks.detect
    monkeypatch.setattr(
        merging._networks, "detect", lambda image: replace(d := detect(image), hands=d.hands[:1])
    )
    truths = [
        true_hand(CAMERA, (-55, 70, 520)),
        true_hand(CAMERA, (55, 70, 520), side="left", rotation=turn(15)),
    ]
    found = merging(paint(blank(), truths), CAMERA)
    assert len(found) == 2
    for truth in truths:
        again = nearest(found, truth)
        assert again.side == truth.side
        assert np.median(np.abs(again.joints_px - truth.joints_px)) < 0.7


def nearest(found: Sequence[HandPose], truth: HandPose) -> HandPose:
    return min(found, key=lambda hand: float(np.abs(hand.joints_px - truth.joints_px).max()))


def test_no_more_than_max_hands(dot_weights: Path) -> None:
    truths = [
        true_hand(CAMERA, (-130, 60, 550), side="left"),
        true_hand(CAMERA, (170, 60, 550)),
    ]
    image = paint(blank(), truths)
    assert len(HandEstimator(weights_dir=dot_weights, max_hands=1)(image)) == 1


def test_without_a_camera_one_is_assumed(estimator: HandEstimator) -> None:
    assumed = Camera.assume(320, 240)
    truth = true_hand(assumed, (0, 60, 550))
    (found,) = estimator(paint(blank(), [truth]))
    assert found.camera == assumed and found.camera.assumed
    assert_same(found, truth)


@pytest.mark.parametrize("wrong", [{}, "camera.json", (300, 300, 160, 120)])
def test_a_camera_that_is_none_is_refused(dot_weights: Path, wrong: object) -> None:
    for made in (HandEstimator, HandTracker):
        with pytest.raises(TypeError, match=r"knuckle\.Camera or None, got \w+: make one"):
            made(weights_dir=dot_weights)(blank(), wrong)  # type: ignore[arg-type]


def test_a_frame_brings_its_camera(estimator: HandEstimator) -> None:
    image = paint(blank(), [true_hand(CAMERA, (40, 70, 420))])
    own, given = (Camera.from_fov(320, 240, angle) for angle in (40, 80))
    frame = Frame(image, 0.0, 0, own)
    (hand,), (other,) = estimator(frame), estimator(frame, camera=given)
    assert hand.camera == own
    assert other.camera == given


def test_a_distorting_lens_is_accounted_for(estimator: HandEstimator) -> None:
    lens = Camera(300, 300, 160, 120, (-0.25, 0.07, 0.001, -0.001))
    truth = true_hand(lens, (-90, 100, 480), rotation=turn(15))
    (found,) = estimator(paint(blank(), [truth]), lens)
    assert_same(found, truth, mm=8)


def test_joints_reproject_onto_their_keypoints(estimator: HandEstimator) -> None:
    truth = true_hand(CAMERA, (40, 70, 420), rotation=turn(20, 15, -10), flexion_deg=20)
    (found,) = estimator(paint(blank(), [truth]), CAMERA)
    gap = np.linalg.norm(CAMERA.project(found.joints_mm) - found.joints_px, axis=1)
    assert gap.max() < 0.3


def test_a_known_hand_length_sets_scale_and_distance(dot_weights: Path) -> None:
    truth = true_hand(CAMERA, (0, 60, 450))
    image = paint(blank(), [truth])
    (found,) = HandEstimator(weights_dir=dot_weights)(image, CAMERA)
    length = float(found.bone_lengths_mm[8:12].sum())
    (half,) = HandEstimator(weights_dir=dot_weights, hand_length_mm=length / 2)(image, CAMERA)
    np.testing.assert_allclose(half.joints_mm, found.joints_mm / 2, rtol=0.02, atol=2)


def test_hidden_joints_are_said_to_be_hidden(estimator: HandEstimator) -> None:
    truth = true_hand(CAMERA, (0, 60, 450))
    image = paint(blank(), [truth])
    x, y = truth.joints_px[8].astype(int)
    image[y - 12 : y + 8, x - 8 : x + 8] = 128  # something grey before the index finger's tip
    (found,) = estimator(image, CAMERA)
    np.testing.assert_array_equal(np.flatnonzero(~found.visible), [8])
    assert found.joint_score[8] < 0.5 < np.delete(found.joint_score, 8).min()
    seen = np.delete(np.arange(21), 8)
    off = np.linalg.norm(found.joints_mm - truth.joints_mm, axis=1)[seen]
    assert off.max() < 12


def test_masks_cover_their_hands(estimator: HandEstimator) -> None:
    truth = true_hand(CAMERA, (40, 70, 420), side="left", rotation=turn(50))
    (found,) = estimator(paint(blank(), [truth]), CAMERA)
    assert found.mask.shape == (240, 320)
    x, y = truth.joints_px.round().astype(int).T
    assert found.mask[y, x].all()
    assert found.mask.sum() < 0.15 * found.mask.size


def test_a_detector_that_confuses_sides_is_corrected(tmp_path: Path) -> None:
    liar = HandEstimator(weights_dir=DotNetworks(swap_sides=True).write(tmp_path))
    for side in ("left", "right"):
        truth = true_hand(CAMERA, (20, 70, 420), side=side, rotation=turn(25))
        (found,) = liar(paint(blank(), [truth]), CAMERA)
        assert_same(found, truth)


def test_networks_of_other_sizes_work(tmp_path: Path) -> None:
    networks = DotNetworks(crop_size=160, frame_size=192, features=7)
    estimator = HandEstimator(weights_dir=networks.write(tmp_path))
    truth = true_hand(CAMERA, (20, 70, 420), rotation=turn(25))
    (found,) = estimator(paint(blank(), [truth]), CAMERA)
    assert_same(found, truth)


def box_of(hand: HandPose, margin: float = 8.0) -> np.ndarray:
    return hand.box_xyxy + np.array([-margin, -margin, margin, margin])


def test_boxes_give_their_hands_in_order(estimator: HandEstimator) -> None:
    truths = [
        true_hand(CAMERA, (150, 60, 550), rotation=turn(-20)),
        true_hand(CAMERA, (-130, 60, 550), side="left", rotation=turn(30)),
    ]
    image = paint(blank(), truths)
    for order in ([0, 1], [1, 0], [1, 1, 0]):
        found = estimator(image, CAMERA, np.array([box_of(truths[i]) for i in order]))
        assert len(found) == len(order)
        for hand, i in zip(found, order, strict=True):
            assert_same(hand, truths[i])


def test_an_empty_box_gives_an_unlikely_hand(estimator: HandEstimator) -> None:
    (found,) = estimator(blank(), CAMERA, np.array([[10, 10, 60, 60]]))
    assert found.score < 0.1
    assert np.isfinite(found.joints_mm).all()


def test_boxes_may_lie_outside_the_image(estimator: HandEstimator) -> None:
    (found,) = estimator(blank(), CAMERA, np.array([[-500.0, -500, -400, -300]]))
    assert found.score < 0.1


@pytest.mark.parametrize("empty", [[], np.empty((0, 4))])
def test_no_boxes_no_hands(estimator: HandEstimator, empty: object) -> None:
    assert estimator(blank(), CAMERA, empty) == []


@pytest.mark.parametrize(
    ("boxes", "says"),
    [
        ([1, 2, 3, 4], r"must have shape \(N, 4\), got \(4,\)"),
        ([[1, 2, 3]], r"must have shape \(N, 4\)"),
        ([[0, 0, 9, 9], [5, 5, 5, 9]], r"x0 < x1 and y0 < y1, .* got .* at 1"),
        ([[9, 0, 0, 9]], "x0 < x1"),
        ([[0.2, 0.3, 0.5, 0.9]], "multiply shares of the picture by its width and height"),
        ([[300, 200, 90, 110]], "add the corner to a width and a height"),
        ([[0, 0, np.nan, 9]], "got"),
        ([[0, 0, np.inf, 9]], "got"),
    ],
)
def test_bad_boxes_are_refused(estimator: HandEstimator, boxes: list, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        estimator(blank(), CAMERA, np.array(boxes))


def test_all_kinds_of_images_give_the_same_hand(estimator: HandEstimator) -> None:
    truth = true_hand(CAMERA, (20, 70, 420))
    image = paint(blank(), [truth])
    wide = np.zeros((240, 640, 3), np.uint8)
    wide[:, ::2] = image
    rgba = np.concatenate([image, image[..., :1]], axis=2)
    for same in (rgba, image.astype(np.uint16) * 257, image / 255, wide[:, ::2]):
        (found,) = estimator(same, CAMERA)
        assert_same(found, truth)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (2, 3), (33, 17)])
def test_tiny_images_hold_no_hand(estimator: HandEstimator, size: tuple[int, int]) -> None:
    assert estimator(blank(*size)) == []


@pytest.mark.parametrize("grey", [0, 255])
def test_grey_images_are_searched(estimator: HandEstimator, grey: int) -> None:
    assert estimator(np.full((240, 320), grey, np.uint8)) == []


def test_bad_images_are_refused(estimator: HandEstimator) -> None:
    with pytest.raises(ValueError, match="found nan"):
        estimator(np.full((4, 4, 3), np.nan))
    with pytest.raises(TypeError, match="NumPy array"):
        estimator("hand.jpg")


@pytest.mark.parametrize("made", [HandEstimator, HandTracker])
def test_more_looks_see_the_same_hands(dot_weights: Path, made: type) -> None:
    """Of two hands each keeps its own, and no look is worse than what dots allow."""
    right = true_hand(CAMERA, (-90, 60, 520), rotation=turn(20, 10, -10))
    left = true_hand(CAMERA, (100, 50, 560), side="left", rotation=turn(-35, 5, 10))
    image = paint(blank(), [right, left])
    once, often = (made(weights_dir=dot_weights, looks=n)(image, camera=CAMERA) for n in (1, 4))
    assert len(once) == len(often) == 2
    for one, many, truth in zip(
        once, often, sorted([right, left], key=lambda h: h.side != once[0].side), strict=True
    ):
        assert_same(many, truth)
        assert not np.array_equal(one.joints_px, many.joints_px)


@pytest.mark.parametrize("made", [HandEstimator, HandTracker])
def test_unknown_options_are_refused(made: type) -> None:
    with pytest.raises(TypeError, match=r"unknown option max_hand; there are max_hands, detector"):
        made(max_hand=2)
    with pytest.raises(TypeError, match=r"settings must be \w+Settings, got 2: give options"):
        made(2)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"max_hands": 0}, "max_hands must be at least 1, got 0"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"looks": 0}, "looks must be at least 1"),
        ({"detector_threshold": 1.5}, r"detector_threshold must be in 0\.\.1, got 1\.5"),
        ({"score_threshold": -1}, "score_threshold"),
        ({"hand_length_mm": 0.18}, r"hand_length_mm must be in 40\.\.400 mm"),
        ({"hand_length_mm": 18.5}, "got 18.5: an adult's is about 185"),
    ],
)
@pytest.mark.parametrize("made", [HandEstimator, HandTracker])
def test_options_out_of_range_are_refused(made: type, options: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        made(**options)


@pytest.mark.parametrize("name", ["detector_threshold", "score_threshold", "hand_length_mm"])
@pytest.mark.parametrize("made", [HandEstimator, HandTracker])
def test_text_is_no_number(made: type, name: str) -> None:
    with pytest.raises(TypeError, match=rf"{name} must be a number, got '0\.4' \(str\): convert"):
        made(**{name: "0.4"})


@pytest.mark.parametrize("name", ["keep_threshold", "doubt_threshold", "memory_s"])
@pytest.mark.parametrize("value", ["0.4", None, True])
def test_tracker_options_are_numbers(name: str, value: object) -> None:
    with pytest.raises(TypeError, match=rf"{name} must be a number, got"):
        HandTracker(**{name: value})


@pytest.mark.parametrize("count", [2.5, "2", None, True])
@pytest.mark.parametrize("made", [HandEstimator, HandTracker])
def test_counts_are_whole_numbers(made: type, count: object) -> None:
    with pytest.raises(TypeError, match="max_hands must be a whole number, got"):
        made(max_hands=count)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"smooth": "kalman"}, "smooth must be None or one of one_euro, got 'kalman'"),
        ({"keep_threshold": 2}, "keep_threshold"),
        ({"doubt_threshold": -1}, "doubt_threshold"),
        ({"search_every": 0}, "search_every must be at least 1"),
        ({"idle_search_every": 0}, "idle_search_every"),
        ({"memory_s": -1}, "memory_s must not be negative"),
    ],
)
def test_tracker_options_out_of_range_are_refused(options: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        HandTracker(**options)


@pytest.mark.parametrize("made", [HandEstimator, HandTracker])
def test_missing_weights_are_named(made: type, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        made(weights_dir=tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"detector\.onnx does not exist"):
        made(weights_dir=tmp_path)(blank())


def test_settings_and_options_are_one(dot_weights: Path) -> None:
    settings = EstimatorSettings(weights_dir=dot_weights, max_hands=3)
    assert HandEstimator(settings, threads=1).settings == EstimatorSettings(
        weights_dir=dot_weights, max_hands=3, threads=1
    )
    assert HandTracker().settings == TrackerSettings()


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_surer_detection_speaks_for_a_hand_and_a_poor_one_against_it(a: float, b: float) -> None:
    low, high = sorted((a, b))
    odds = detected_odds([DetectedHand((0.0, 0.0), 50.0, 0.0, "left", s) for s in (low, high)])
    assert odds[0] <= odds[1] and np.abs(odds).max() < 6  # neither is believed without limit
    sure, poor = (DetectedHand((0.0, 0.0), 50.0, 0.0, "left", s) for s in (0.9, 0.2))
    assert detected_odds([poor])[0] < 0 < detected_odds([sure])[0] == pytest.approx(np.log(9))
    assert detected_odds([]).shape == (0,)
