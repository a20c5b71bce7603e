"""Targets say the same as the samples they were cut from."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knuckle.camera import Camera
from knuckle.codec import NOWHERE_PX, DetectionCodec, HeatmapCodec
from knuckle.crop import MARGIN, Crop, knows_up
from knuckle.data.pack import PackSettings, crops_of
from knuckle.hand import Joint, bone_lengths
from knuckle.sample import UNKNOWN, HandLabel, Sample
from knuckle.train.examples import (
    crop_example,
    empty_crop_example,
    nothing_else_example,
    paint_over,
    stretched,
)
from knuckle.train.frame_examples import frame_example
from knuckle.train.kinds.keypoints import KeypointRecipe, crops
from knuckle.train.recipe import AugmentSettings

CODEC = HeatmapCodec(64, 16)
STILL = AugmentSettings(0, 0, 0, turned=0, other_side=0, no_hand=0, faults=0, cutout=0)
HAND_MM = np.array(
    [[0, 0, 0]]
    + [[x * k / 2, -30 - 20 * k, 4 * k] for x in (-30, -10, 0, 10, 20) for k in range(1, 5)],
    dtype=float,
)


def make_sample(side="right", known_mask=True, seed=0):
    rng = np.random.default_rng(seed)
    camera = Camera(300.0, 300.0, 99.5, 79.5)
    joints = HAND_MM * (1 if side == "right" else -1, 1, 1) + (rng.normal(0, 20), 60, 500)
    points = camera.project(joints)
    image = rng.integers(0, 255, (160, 200, 3)).astype(np.uint8)
    hand_map = np.zeros((160, 200), np.uint8)
    x0, y0, x1, y1 = *points.min(0).astype(int), *points.max(0).astype(int)
    hand_map[max(y0, 0) : y1, max(x0, 0) : x1] = 1
    hand = HandLabel(side=side, joints_px=points, joints_mm=joints, visible=np.ones(21, bool))
    return Sample(
        image=image,
        hands=(hand,),
        camera=camera,
        hand_map=hand_map if known_mask else np.full_like(hand_map, UNKNOWN),
        key="k",
    )


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(["left", "right"]), st.integers(0, 1000))
def test_view_of_targets_projects_onto_their_keypoints(side, seed):
    """The lifter's truth and the keypoints' truth are one hand, whatever the jitter."""
    sample = make_sample(side, seed=seed)
    rng = np.random.default_rng(seed)
    jitter = replace(STILL, shift=0.1, log_scale=0.2, angle=0.5)
    example = crop_example(sample, 0, rng, jitter, CODEC)
    root = sample.hands[0].joints_mm[0]
    homography = example["view_from_crop"]
    points = np.c_[example["points_px"], np.ones(21)] @ homography.T
    rays = points[:, :2] / points[:, 2:]
    # Any point of the ray through the wrist may be the root; its distance is the sample's.
    wrist = np.append(rays[0], 1) * np.linalg.norm(root) / np.linalg.norm(np.append(rays[0], 1))
    placed = example["joints_mm"] + wrist
    np.testing.assert_allclose(placed[:, :2] / placed[:, 2:], rays, atol=2e-5)
    np.testing.assert_allclose(
        bone_lengths(example["joints_mm"]), bone_lengths(sample.hands[0].joints_mm), rtol=1e-4
    )


def test_left_and_right_hands_give_the_same_example():
    right, left = make_sample("right"), make_sample("left")
    mirrored = replace(
        left,
        image=right.image[:, ::-1].copy(),
        hands=(
            replace(
                left.hands[0],
                joints_px=(199, 0) + right.hands[0].joints_px * (-1, 1),
                joints_mm=right.hands[0].joints_mm * (-1, 1, 1),
            ),
        ),
    )
    a = crop_example(right, 0, np.random.default_rng(0), STILL, CODEC)
    b = crop_example(mirrored, 0, np.random.default_rng(0), STILL, CODEC)
    np.testing.assert_allclose(a["points_px"], b["points_px"], atol=1e-3)
    np.testing.assert_allclose(a["joints_mm"], b["joints_mm"], atol=1e-3)
    assert np.abs(a["image"].astype(int) - b["image"]).mean() < 2


def test_wrong_side_teaches_the_side_and_where_the_hand_is_but_no_depth():
    wrong = replace(STILL, other_side=1.0)
    example = crop_example(make_sample(), 0, np.random.default_rng(0), wrong, CODEC)
    assert example["right"] == 0
    assert example["side_weight"] == 1
    assert example["point_weight"].sum() == 21
    assert example["joint_weight"].sum() == 0


def test_labels_that_scatter_weigh_less():
    exact = make_sample()
    rough = replace(exact, hands=(replace(exact.hands[0], sigma_px=np.full(21, 5.0)),))
    rng = np.random.default_rng(0)
    sharp = crop_example(exact, 0, rng, STILL, CODEC)["point_weight"]
    blunt = crop_example(rough, 0, rng, STILL, CODEC)["point_weight"]
    assert np.all(sharp == 1)
    assert np.all(blunt < 0.6)


def test_unknown_pixels_carry_no_weight():
    example = crop_example(make_sample(known_mask=False), 0, np.random.default_rng(0), STILL, CODEC)
    assert example["mask_weight"].sum() == 0


def test_empty_crops_stay_clear_of_hands_and_unsure_places():
    sample = make_sample()
    rng = np.random.default_rng(0)
    assert empty_crop_example(replace(sample, complete=False), rng, CODEC) is None
    everywhere = replace(sample, ignore_xyxy=np.array([[0.0, 0, 200, 160]]))
    assert empty_crop_example(everywhere, rng, CODEC) is None


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_frame_targets_decode_to_hands_on_the_picture(seed):
    codec = DetectionCodec(128, 16)
    example = frame_example(make_sample(seed=seed), np.random.default_rng(seed), STILL, codec)
    maps = np.concatenate([example["peaks"], example["geometry"]])
    hands = codec.decode(maps, threshold=0.99)
    assert len(hands) <= 1
    for hand in hands:
        assert 0 <= hand.centre_px[0] < 128
        assert 0 <= hand.centre_px[1] < 128
    if not hands:  # then the place of the hand is nobody's business
        assert example["geometry_weight"].sum() == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_a_part_of_a_frame_has_hands_that_fit(seed):
    codec, augment = DetectionCodec(256, 32), replace(STILL, window=64)
    example = frame_example(make_sample(seed=seed), np.random.default_rng(seed), augment, codec)
    assert example["image"].shape == (64, 64, 3) and example["mask"].shape == (2, 16, 16)
    maps = np.concatenate([example["peaks"], example["geometry"]])
    for hand in DetectionCodec(64, 8).decode(maps, threshold=0.99):
        assert hand.size_px < 64 and min(hand.centre_px) >= 0 and max(hand.centre_px) < 64


def test_cutout_changes_a_part_and_not_the_original():
    image = np.full((64, 64, 3), 100, np.uint8)
    image[::2] = 50
    painted = paint_over(image, np.random.default_rng(3))
    assert image.max() == 100
    assert 0 < np.mean(painted != image) < 0.5


def test_every_example_of_a_kind_stacks():
    sample = make_sample()
    rng = np.random.default_rng(0)
    full = crop_example(sample, 0, rng, STILL, CODEC)
    far = replace(sample, hands=())
    empty = empty_crop_example(far, rng, CODEC)
    assert empty is not None
    assert {k: np.shape(v) for k, v in empty.items()} == {k: np.shape(v) for k, v in full.items()}
    with pytest.raises(IndexError):
        crop_example(far, 0, rng, STILL, CODEC)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(0.05, 0.4))
def test_labels_follow_a_stretched_photograph(seed, spread):
    """A dot painted on a joint is found where the stretched label says."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(60, 100, (21, 2))
    image = np.zeros((160, 160, 3), np.uint8)
    column, row = points[7].round().astype(int)
    points[7] = column, row
    image[row - 1 : row + 2, column - 1 : column + 2] = 255
    photograph = Sample(image=image, hands=(HandLabel(side="right", joints_px=points),), key="k")
    warped = stretched(photograph, rng, spread)
    light = warped.image[..., 0].astype(float)
    ys, xs = np.mgrid[:160, :160]
    found = np.array([(light * xs).sum(), (light * ys).sum()]) / light.sum()
    np.testing.assert_allclose(found, warped.hands[0].joints_px[7], atol=0.1)
    assert not np.allclose(warped.hands[0].joints_px, points)


def photograph_with_depth(depth):
    points = np.random.default_rng(0).uniform(60, 100, (21, 2))
    hand = HandLabel(side="left", joints_px=points, bone_depth=depth)
    return Sample(image=np.zeros((160, 160, 3), np.uint8), hands=(hand,), key="k")


def test_depth_of_bones_arrives_where_it_is_known():
    depth = np.linspace(-1, 1, 20)
    depth[3] = np.nan
    rng = np.random.default_rng(0)
    example = crop_example(photograph_with_depth(depth), 0, rng, STILL, CODEC)
    np.testing.assert_array_equal(example["bone_depth_weight"], np.isfinite(depth))
    np.testing.assert_allclose(example["bone_depth"], np.nan_to_num(depth), rtol=1e-6)
    exact = crop_example(make_sample(), 0, rng, STILL, CODEC)  # joints_mm say it better
    assert not exact["bone_depth_weight"].any()


def test_a_photograph_that_is_stretched_or_of_the_wrong_side_tells_no_depth():
    rng = np.random.default_rng(0)
    photograph = photograph_with_depth(np.full(20, 0.5))
    assert stretched(photograph, rng, 0.1).hands[0].bone_depth is None
    told = [
        crop_example(photograph, 0, rng, replace(STILL, stretch=0.2), CODEC)["bone_depth_weight"]
        for _ in range(40)
    ]
    assert 8 < sum(weight.all() for weight in told) < 32
    wrong = crop_example(photograph, 0, rng, replace(STILL, other_side=1.0), CODEC)
    assert not wrong["bone_depth_weight"].any()


def with_unlabelled(sample, valid, nonsense):
    """The sample with something else in the place of the joints that nobody labelled."""
    hand = sample.hands[0]
    hidden = ~valid[:, None]
    label = replace(
        hand,
        valid=valid,
        joints_px=np.where(hidden, nonsense, hand.joints_px),
        joints_mm=np.where(hidden, nonsense, hand.joints_mm),
        sigma_px=np.where(valid, 1.0, nonsense),
    )
    return replace(sample, hands=(label,))


_LABELLED = st.lists(st.booleans(), min_size=21, max_size=21).map(np.array)


@settings(max_examples=30, deadline=None)
@given(_LABELLED | st.integers(0, 20).map(lambda k: np.arange(21) != k), st.integers(0, 100))
@pytest.mark.parametrize("nonsense", [np.nan, 0.0, 1e4])
def test_what_stands_in_place_of_unlabelled_joints_changes_nothing(nonsense, valid, seed):
    """Data sets put zeros there, or NaN, or a guess."""
    sample = make_sample(seed=seed)
    jitter = replace(STILL, shift=0.1, log_scale=0.2, angle=0.5)
    recipe = KeypointRecipe(name="k", augment=jitter)
    detector = DetectionCodec(128, 16)
    told = []
    for there in (7.0, nonsense):
        one = with_unlabelled(sample, valid, there)
        rng = np.random.default_rng(seed)
        told.append([*crops(recipe)(one, rng), frame_example(one, rng, jitter, detector)])
    assert len(told[0]) == len(told[1])
    for before, after in zip(*told, strict=True):
        for name, value in before.items():
            np.testing.assert_array_equal(value, after[name], err_msg=name)
            assert np.isfinite(value).all(), name


@pytest.mark.parametrize("joint", range(21))
def test_a_joint_that_nobody_labelled_does_not_turn_the_crop(joint):
    """The crop of a hand is that of the whole hand, but for its size, or there is none."""
    sample = make_sample()
    hand = sample.hands[0]
    whole = Crop.from_joints(hand.joints_px, hand.side)
    valid = np.arange(21) != joint
    label = with_unlabelled(sample, valid, 0.0).hands[0]
    if not knows_up(valid):
        with pytest.raises(ValueError, match="which way a hand is up"):
            Crop.from_joints(label.joints_px, label.side, valid=valid)
        return
    crop = Crop.from_joints(label.joints_px, label.side, valid=valid)
    assert crop.angle == pytest.approx(whole.angle)
    assert 0.6 * whole.size_px < crop.size_px <= whole.size_px * (1 + 1e-9)


def test_a_packed_hand_without_its_wrist_is_no_example_and_one_without_a_tip_is():
    """The whole way: packed, read again, cut for the networks."""
    recipe = KeypointRecipe(name="k", augment=STILL)
    sample = make_sample()
    for joint, used in ((Joint.LITTLE_TIP, True), (Joint.WRIST, False)):
        label = with_unlabelled(sample, np.arange(21) != joint, np.nan).hands[0]
        (packed,) = crops_of(replace(sample, hands=(label,)), PackSettings(size_px=96))
        examples = list(crops(recipe)(packed, np.random.default_rng(0)))
        assert len(examples) == int(used)
        for example in examples:
            points = example["points_px"][label.valid]
            fills = np.ptp(points, axis=0).max() / recipe.keypoints.input_size
            assert fills == pytest.approx(1 / MARGIN, abs=0.02)


def test_a_neighbour_of_which_nobody_knows_the_angle_is_neither_there_nor_not():
    sample = make_sample()
    other = with_unlabelled(make_sample(seed=1), np.arange(21) != Joint.WRIST, 0.0).hands[0]
    both = replace(sample, hands=(sample.hands[0], other))
    example = crop_example(both, 0, np.random.default_rng(0), STILL, CODEC)
    assert example["neighbour_weight"] == 0 and example["has_neighbour"] == 0


def test_a_crop_may_cut_off_a_finger_and_its_keypoints_stay_where_they_are():
    """As a tracker cuts it that has seen the finger folded; the palm is always there."""
    sample = make_sample()
    finger = sample.hands[0].joints_px.copy()
    finger[5:9] = finger[5] + (finger[5:9] - finger[5]) * 3  # one that is long
    sample = replace(sample, hands=(replace(sample.hands[0], joints_px=finger),))
    fits, cut = [], []
    for seed in range(20):
        for share, into in ((0.0, fits), (1.0, cut)):
            augment = replace(STILL, cut_off=share)
            example = crop_example(sample, 0, np.random.default_rng(seed), augment, CODEC)
            inside = example["inside"].astype(bool)
            into.append(inside)
            far, near = np.linalg.norm(
                example["points_px"][[8, 5]] - example["points_px"][0], axis=1
            )
            true_far, true_near = np.linalg.norm(finger[[8, 5]] - finger[0], axis=1)
            assert far / near == pytest.approx(true_far / true_near, rel=1e-4)  # not held back
            assert inside[[0, 5, 9, 13, 17]].all()
    assert np.all(fits)
    assert 1 <= sum(not inside.all() for inside in cut) <= 10  # one finger of five sticks out


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_of_two_hands_the_one_that_is_not_asked_for_is_told_nearly_as_it_is(seed):
    sample = make_sample(seed=seed)
    hand = sample.hands[0]
    other = replace(hand, side="left", joints_px=hand.joints_px + np.array([20.0, 0.0]))
    both = replace(sample, hands=(hand, other))
    untold, told = (
        crop_example(both, 0, np.random.default_rng(seed), replace(STILL, known=share), CODEC)
        for share in (0.0, 1.0)
    )
    assert (untold["known_px"] == np.float32(NOWHERE_PX)).all()
    crop = Crop.from_joints(hand.joints_px, hand.side, out_size=CODEC.input_size)
    off = np.linalg.norm(told["known_px"] - crop.to_crop(other.joints_px), axis=-1).mean()
    assert 0 < off < 0.6 * CODEC.input_size
    assert told["present"] == 1
    for what in ("image", "points_px", "mask", "visible", "neighbour"):
        np.testing.assert_array_equal(untold[what], told[what])


def test_of_a_hand_alone_no_other_is_told():
    augment = replace(STILL, known=1.0)
    example = crop_example(make_sample(), 0, np.random.default_rng(0), augment, CODEC)
    assert (example["known_px"] == np.float32(NOWHERE_PX)).all()


def test_beside_a_lone_hand_that_is_known_there_is_none():
    sample = make_sample()
    example = nothing_else_example(sample, 0, np.random.default_rng(0), CODEC)
    assert example["present"] == 0 and not example["point_weight"].any()
    assert not example["mask"].any() and example["mask_weight"].all()
    inside = (example["known_px"] > 0) & (example["known_px"] < CODEC.input_size)
    assert inside.mean() > 0.5  # the crop shows the hand


@pytest.mark.parametrize("seed", range(5))
def test_no_hand_is_looked_for_as_one_of_the_other_side(seed):
    sample = make_sample()
    example = nothing_else_example(sample, 0, np.random.default_rng(seed), CODEC)
    own = crop_example(sample, 0, np.random.default_rng(seed), STILL, CODEC)
    assert own["right"] == 1
    assert _palm_turns(example["known_px"]) == -_palm_turns(own["points_px"])


def _palm_turns(points):
    """Which way round wrist, index and little knuckle follow each other: 1 or -1."""
    (ax, ay), (bx, by) = points[[Joint.INDEX_MCP, Joint.LITTLE_MCP]] - points[Joint.WRIST]
    return np.sign(ax * by - ay * bx)


def test_nothing_is_said_of_what_is_beside_a_hand_where_another_may_be():
    sample, rng = make_sample(), np.random.default_rng(0)
    unsure = replace(sample, complete=False)
    partly = with_unlabelled(sample, np.arange(21) != Joint.INDEX_TIP, 0.0)
    pair = replace(sample, hands=(sample.hands[0], sample.hands[0]))
    for other in (unsure, partly, pair):
        assert nothing_else_example(other, 0, rng, CODEC) is None


def test_joints_that_are_seen_teach_the_mask_where_nobody_drew_one():
    drawn_by_nobody = replace(make_sample(), hand_map=None)
    example = crop_example(drawn_by_nobody, 0, np.random.default_rng(0), STILL, CODEC)
    assert 0 < example["mask"].sum() < example["mask_weight"].sum() < example["mask"].size
    # Where nobody said which are seen, masks would be learnt to be empty.
    hand = replace(drawn_by_nobody.hands[0], visible=None)
    unseen = replace(drawn_by_nobody, hands=(hand,))
    assert not crop_example(unseen, 0, np.random.default_rng(0), STILL, CODEC)["mask_weight"].any()


def test_a_place_where_a_hand_may_be_is_no_place_without_a_neighbour():
    sample, rng = make_sample(), np.random.default_rng(0)
    low, high = sample.hands[0].joints_px.min(axis=0), sample.hands[0].joints_px.max(axis=0)
    beside = replace(sample, ignore_xyxy=np.array([[low[0], low[1], high[0] + 30, high[1]]]))
    far = replace(sample, ignore_xyxy=np.array([[-900.0, -900, -800, -800]]))
    for other, counts in ((sample, 1), (far, 1), (beside, 0)):
        example = crop_example(other, 0, rng, STILL, CODEC)
        assert not example["has_neighbour"] and example["neighbour_weight"] == counts
        assert (nothing_else_example(other, 0, rng, CODEC) is not None) == bool(counts)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_where_a_frame_ends_in_bars_its_hands_end_too(seed):
    """A picture that is all hand: grey beyond it is none, a border that goes on is one."""
    skin = np.full((60, 90, 3), 200, np.uint8)
    whole = replace(make_sample(), image=skin, hand_map=np.ones((60, 90), np.uint8))
    example = frame_example(whole, np.random.default_rng(seed), STILL, DetectionCodec(64, 8))
    side = int(example["mask"][1].sum() > example["mask"][0].sum())
    shown = example["image"][..., 0].reshape(16, 4, 16, 4).astype(float)
    all_skin, all_grey = (shown.min(axis=(1, 3)) > 190), (shown.max(axis=(1, 3)) < 124)
    assert (example["mask"][side][all_skin] > 0.3).all() and not example["mask"][1 - side].any()
    assert (example["mask"][side][all_grey] < 0.7).all()
    assert example["mask_weight"].all()
