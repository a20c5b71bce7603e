"""From labelled samples to training examples: a crop with its targets, as arrays.

Examples are dictionaries of fixed-size numpy arrays, so that any loader can stack them. What is
not known about a sample has weight 0.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from knuckle.camera import Camera
from knuckle.codec import DetectedHand, HeatmapCodec, NeighbourCodec
from knuckle.crop import MARGIN, Crop, CropView, knows_up
from knuckle.hand import BONES, FINGERS, N_JOINTS, Joint, in_picture, other_side
from knuckle.mask import near_bones, painted_out
from knuckle.sample import UNKNOWN, HandLabel, Sample
from knuckle.train.recipe import AugmentSettings

Example = dict[str, np.ndarray]
#: Middle and side of a square, px.
Square = tuple[float, float, float]

#: A label that may be off by this share of the hand counts half.
_HALF_TRUST = 0.03
#: Share of the photographs that are stretched; of these the depth of bones is no longer known.
_STRETCHED = 0.5
#: Of pictures with decoys, so often one of these is shown where a hand would be.
_DECOY = 0.75
#: Decoys are cut out as a detector would, and then looked at again as a hand would: off by so much.
_DECOY_SHIFT, _DECOY_LOG_SCALE = 0.08, 0.2
#: A hand of which so many joints are seen in the crop of another one is its neighbour; of which
#: none is, is not; between, it is neither yes nor no.
_NEIGHBOUR_JOINTS = 6
#: Of a hand that is learnt from, more than this share of the joints is labelled and in the picture.
LEAST_SHARE = 0.6
#: Outlines of known hands are off by up to so many pixels; so often by a bite or a bump of a radius
#: of from-to, as a share of the crop.
_OUTLINE_PX, _BITTEN, _BITE = 5, 0.6, (0.03, 0.12)
#: Joints of known hands scatter by this share of their extent.
_OUTLINE_SCATTER = 0.025
#: Where a hand is looked for beside one that is known: so far off, and so much larger or smaller.
_LEFT_SHIFT, _LEFT_LOG_SCALE = 0.2, 0.2
#: Side of the detector's square, see ``codec.DetectedHand``.
_TIGHT = 1.0


def crop_example(
    sample: Sample,
    target: int,
    rng: np.random.Generator,
    augment: AugmentSettings,
    codec: HeatmapCodec,
) -> Example:
    """A jittered crop around ``sample.hands[target]`` and everything known about it.

    Raises:
        ValueError: which way the hand is up is not known (``crop.knows_up``).
    """
    only_2d = sample.hands[target].joints_mm is None and sample.hand_map is None
    if augment.stretch > 0 and only_2d and rng.random() < _STRETCHED:
        sample = stretched(sample, rng, augment.stretch)
    hand = sample.hands[target]
    crop = _jittered_crop(hand, rng, augment, codec.input_size)
    right = crop.mirror == (hand.side == "left")
    image, explained = crop.cut(sample.image), False
    if augment.explained > 0 and rng.random() < augment.explained:
        others = _others(sample, target, crop, rng)
        image, explained = painted_out(image, others), bool(others.any())
    example = _nothing(codec)
    points = np.where(hand.valid[:, None], crop.to_crop(hand.joints_px), example["points_px"])
    example |= {
        "image": image,
        "points_px": points.astype(np.float32),
        # A crop of the wrong side needs keypoints too: the right crop is made from them.
        "point_weight": _trust(hand).astype(np.float32),
        "present": np.array(1.0, np.float32),
        "right": np.array(right, np.float32),
        "side_weight": np.array(1.0, np.float32),
    }
    example["inside"] = (hand.valid & in_picture(points, (crop.out_size, crop.out_size))).astype(
        np.float32
    )
    if not explained:  # a neighbour that is painted out is no longer to be seen
        example |= _neighbour(sample, target, crop)
    if hand.visible is not None:
        example["visible"] = hand.visible.astype(np.float32)
        example["visible_weight"] = hand.valid.astype(np.float32)
    if sample.hand_map is not None:
        example["mask"], example["mask_weight"] = _crop_mask(sample.hand_map, target + 1, crop)
    camera = sample.camera or Camera.assume(sample.image.shape[1], sample.image.shape[0])
    view = CropView.of(crop, camera)
    example["view_from_crop"] = view.view_from_crop.astype(np.float32)
    example["rays_per_px"] = np.array(view.rays_per_px, np.float32)
    return example | (_depth_targets(hand, view) if right else {})


def nothing_left_example(
    sample: Sample, target: int, rng: np.random.Generator, codec: HeatmapCodec
) -> Example | None:
    """A crop about where a hand is, painted out with all others: what is left is no hand.

    None if hands may be left over: one that nobody labelled, or not all of it.
    """
    hands = sample.hands
    if not sample.complete or not all(hand.valid.all() for hand in hands):
        return None
    crop = Crop.from_joints(hands[target].joints_px, hands[target].side, out_size=codec.input_size)
    turned = float(rng.uniform(-np.pi, np.pi))
    crop = replace(crop, angle=crop.angle + turned, mirror=bool(rng.random() < 0.5))
    crop = crop.jittered(rng, shift=_LEFT_SHIFT, log_scale=_LEFT_LOG_SCALE, angle=0.0)
    known = np.any([_outline(sample, i, crop, rng) for i in range(len(hands))], axis=0)
    example = _no_hand(sample, crop, codec)
    example["image"] = painted_out(example["image"], known)
    example["mask_weight"] = np.zeros_like(example["mask"])  # of the hand, an edge is left
    return example


def _others(sample: Sample, target: int, crop: Crop, rng: np.random.Generator) -> np.ndarray:
    """(S, S) bool, where a crop shows other hands than the one it was cut for."""
    others = [i for i, hand in enumerate(sample.hands) if i != target and hand.valid.all()]
    if not others:
        return np.zeros((crop.out_size, crop.out_size), bool)
    return np.any([_outline(sample, i, crop, rng) for i in others], axis=0)


def _outline(sample: Sample, i: int, crop: Crop, rng: np.random.Generator) -> np.ndarray:
    """(S, S) bool, where a crop shows hand ``i``, as well as a look at that hand may know."""
    joints_px = sample.hands[i].joints_px
    scatter = _OUTLINE_SCATTER * float(np.ptp(joints_px, axis=0).max())
    joints_px = joints_px + rng.normal(0, scatter, joints_px.shape)
    seen = near_bones(crop.to_crop(joints_px), crop.out_size)
    if sample.hand_map is not None:
        unsure = (sample.hand_map == i + 1) | (sample.hand_map == UNKNOWN)
        seen &= _as_seen(crop.cut(unsure.astype(np.float32)) > 0.5, rng)
    return seen


def _as_seen(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A mask (S, S) as a network may see it: a little too small or large, with a bite or a bump."""
    reach = int(rng.integers(1, _OUTLINE_PX + 1))
    change = cv2.dilate if rng.random() < 0.5 else cv2.erode
    seen = change(mask.astype(np.uint8), np.ones((reach, reach), np.uint8))
    if mask.any() and rng.random() < _BITTEN:
        near = cv2.dilate(mask.astype(np.uint8), np.ones((_OUTLINE_PX, _OUTLINE_PX), np.uint8))
        y, x = rng.choice(np.argwhere(near)).tolist()
        radius = len(mask) * float(rng.uniform(*_BITE))
        cv2.circle(seen, (x, y), round(radius), int(rng.random() < 0.5), -1)
    return seen > 0


def _jittered_crop(
    hand: HandLabel, rng: np.random.Generator, augment: AugmentSettings, out_size: int
) -> Crop:
    """A crop around a hand as inexact as those of the pipeline; now and then of the wrong side."""
    cut_off = augment.cut_off > 0 and rng.random() < augment.cut_off
    around = _without_a_finger(hand, rng) if cut_off else hand.valid
    crop = Crop.from_joints(hand.joints_px, hand.side, valid=around, out_size=out_size)
    crop = crop.jittered(rng, shift=augment.shift, log_scale=augment.log_scale, angle=augment.angle)
    if rng.random() < augment.turned:
        crop = replace(crop, angle=crop.angle + float(rng.uniform(-np.pi, np.pi)))
    wrong_side = rng.random() < augment.other_side
    return replace(crop, mirror=not crop.mirror) if wrong_side else crop


def _depth_targets(hand: HandLabel, view: CropView) -> Example:
    """The joints in 3D, or, where these are unknown, by how much bones lead away."""
    if hand.joints_mm is not None:
        relative_mm = view.to_view(hand.joints_mm - hand.joints_mm[Joint.WRIST])
        joints_mm = np.where(hand.valid[:, None], relative_mm, 0.0)
        return {
            "joints_mm": joints_mm.astype(np.float32),
            "joint_weight": hand.valid.astype(np.float32),
        }
    if hand.bone_depth is not None:
        return {
            "bone_depth": np.nan_to_num(hand.bone_depth).astype(np.float32),
            "bone_depth_weight": np.isfinite(hand.bone_depth).astype(np.float32),
        }
    return {}


def _without_a_finger(hand: HandLabel, rng: np.random.Generator) -> np.ndarray:
    """(21,) bool, the known joints but for those of one finger beyond its knuckle."""
    meant = hand.valid.copy()
    meant[rng.choice(FINGERS)[1:]] = False
    return meant


def stretched(sample: Sample, rng: np.random.Generator, spread: float) -> Sample:
    """The picture longer along one direction and shorter across, about its middle.

    To first order this is what turning the hand does to its picture, so that few views of real
    skin become many. Only for samples of which nothing but 2D is known.

    Args:
        sample: a photograph; its hands must have neither ``joints_mm`` nor a map.
        rng: for the direction and the amount.
        spread: standard deviation of the logarithm of the factor.
    """
    height, width = sample.image.shape[:2]
    factor = float(np.exp(np.clip(rng.normal(0, spread), -0.5, 0.5)))
    angle = rng.uniform(0, np.pi)
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]])
    linear = turn @ np.diag([factor, 1 / factor]) @ turn.T
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    shift = middle - linear @ middle
    image = cv2.warpAffine(
        sample.image,
        np.column_stack([linear, shift]),
        (width, height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    hands = tuple(
        replace(hand, joints_px=hand.joints_px @ linear.T + shift, bone_depth=None)
        for hand in sample.hands
    )
    # Boxes to be ignored would no longer be boxes.
    return replace(sample, image=image, hands=hands, complete=False)


def empty_crop_example(
    sample: Sample, rng: np.random.Generator, codec: HeatmapCodec
) -> Example | None:
    """A crop of a part of the picture that shows no hand; None if no such part was found."""
    if not sample.complete:
        return None
    if len(sample.decoys_xyxy) and rng.random() < _DECOY:
        return _no_hand(sample, _around_decoy(sample, rng, codec.input_size), codec)
    height, width = sample.image.shape[:2]
    taken = squares_of(sample)
    taken += [square_around(box.reshape(2, 2)) for box in sample.ignore_xyxy]
    for _ in range(8):
        size = max(width, height) * float(np.exp(rng.uniform(np.log(0.15), 0.0)))
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        clear = all(
            max(abs(x - cx), abs(y - cy)) > (size * 0.6 + side * 0.6) for cx, cy, side in taken
        )
        if clear:
            angle = float(rng.uniform(-np.pi, np.pi))
            crop = Crop((x, y), size, angle, bool(rng.random() < 0.5), codec.input_size)
            return _no_hand(sample, crop, codec)
    return None


def _around_decoy(sample: Sample, rng: np.random.Generator, out_size: int) -> Crop:
    """The crop that a network would cut around something that it takes for a hand."""
    box = sample.decoys_xyxy[int(rng.integers(len(sample.decoys_xyxy)))].astype(np.float64)
    x, y, side = square_around(box.reshape(2, 2))
    angle, mirror = float(rng.uniform(-np.pi, np.pi)), bool(rng.random() < 0.5)
    crop = Crop((x, y), side * MARGIN, angle, mirror, out_size)
    return crop.jittered(rng, shift=_DECOY_SHIFT, log_scale=_DECOY_LOG_SCALE, angle=0.0)


def _no_hand(sample: Sample, crop: Crop, codec: HeatmapCodec) -> Example:
    """The example of a crop that surely shows no hand."""
    example = _nothing(codec)
    example["image"] = crop.cut(sample.image)
    example["mask_weight"] = np.ones_like(example["mask"])
    return example


def paint_over(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A copy with a patch of noise, colour or shuffled picture over a part of it (cutout)."""
    size = image.shape[0]
    w, h = rng.integers(size // 8, size // 3, 2)
    x, y = rng.integers(0, size - w), rng.integers(0, size - h)
    image = image.copy()
    kind = rng.integers(3)
    if kind == 0:
        image[y : y + h, x : x + w] = rng.integers(0, 256, 3)
    elif kind == 1:
        image[y : y + h, x : x + w] = rng.integers(0, 256, (h, w, 3))
    else:
        u, v = rng.integers(0, size - w), rng.integers(0, size - h)
        image[y : y + h, x : x + w] = image[v : v + h, u : u + w].copy()
    return image


def _nothing(codec: HeatmapCodec) -> Example:
    """The example of a crop without a hand, about which nothing else is known."""
    half = codec.input_size // 2
    return {
        "points_px": np.full((N_JOINTS, 2), codec.input_size / 2, np.float32),
        "point_weight": np.zeros(N_JOINTS, np.float32),
        "inside": np.zeros(N_JOINTS, np.float32),
        "visible": np.zeros(N_JOINTS, np.float32),
        "visible_weight": np.zeros(N_JOINTS, np.float32),
        "joints_mm": np.zeros((N_JOINTS, 3), np.float32),
        "joint_weight": np.zeros(N_JOINTS, np.float32),
        "bone_depth": np.zeros(len(BONES), np.float32),
        "bone_depth_weight": np.zeros(len(BONES), np.float32),
        "view_from_crop": np.eye(3, dtype=np.float32),
        "rays_per_px": np.array(1.0, np.float32),
        "mask": np.zeros((half, half), np.float32),
        "mask_weight": np.zeros((half, half), np.float32),
        "present": np.array(0.0, np.float32),
        "right": np.array(0.0, np.float32),
        "side_weight": np.array(0.0, np.float32),
        "neighbour": np.zeros(NeighbourCodec.N_VALUES, np.float32),
        "has_neighbour": np.array(0.0, np.float32),
        "neighbour_weight": np.array(0.0, np.float32),
    }


def _neighbour(sample: Sample, target: int, crop: Crop) -> Example:
    """The hand of which the crop shows most beside the one that it was cut for."""
    most, square = 0, None
    for other in (*sample.hands[:target], *sample.hands[target + 1 :]):
        points = crop.to_crop(other.joints_px)
        seen = other.valid & in_picture(points, (crop.out_size, crop.out_size))
        seen &= True if other.visible is None else other.visible
        if seen.sum() > most:
            most = int(seen.sum())
            square = detected_hand(other, points, crop.mirror) if knows_up(other.valid) else None
    if square is None:
        return {"neighbour_weight": np.array(sample.complete and not most, np.float32)}
    return {
        "neighbour": NeighbourCodec(crop.out_size).encode(square).astype(np.float32),
        "has_neighbour": np.array(1.0, np.float32),
        "neighbour_weight": np.array(most >= _NEIGHBOUR_JOINTS, np.float32),
    }


def _trust(hand: HandLabel) -> np.ndarray:
    """(21,) weight of each 2D label: 1 if exact, half where it may be off by ``_HALF_TRUST``."""
    if hand.sigma_px is None:
        return hand.valid.astype(np.float64)
    size = max(float(np.ptp(hand.joints_px[hand.valid], axis=0).max()), 1.0)
    trust = 1 / (1 + (hand.sigma_px / (size * _HALF_TRUST)) ** 2)
    return np.where(hand.valid, trust, 0.0)


def _crop_mask(hand_map: np.ndarray, value: int, crop: Crop) -> tuple[np.ndarray, np.ndarray]:
    """(S/2, S/2) share of the hand in each cell, and where that is known."""
    half = replace(crop, out_size=crop.out_size // 2)
    mask = half.cut((hand_map == value).astype(np.float32))
    unknown = half.cut((hand_map == UNKNOWN).astype(np.float32))
    return mask, (unknown < 0.5).astype(np.float32)


def squares_of(sample: Sample) -> list[Square]:
    """The squares around the labelled joints of all hands."""
    return [square_around(hand.joints_px[hand.valid]) for hand in sample.hands if hand.valid.any()]


def square_around(points: np.ndarray) -> Square:
    """Middle and side, at least 1, of the square around points (N, 2)."""
    low, high = points.min(axis=0), points.max(axis=0)
    x, y = (low + high) / 2
    return float(x), float(y), max(float((high - low).max()), 1.0)


def detected_hand(hand: HandLabel, points: np.ndarray, mirrored: bool) -> DetectedHand:
    """A hand, which way it is up known, as the detector should report it in the window."""
    side = hand.side
    if mirrored:
        side = other_side(side)
    tight = Crop.from_joints(points, side, valid=hand.valid, margin=_TIGHT)
    return DetectedHand(tight.centre_px, tight.size_px, tight.angle, side)
