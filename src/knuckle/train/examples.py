"""From labelled samples to training examples: a crop with its targets, as arrays.

Examples are dictionaries of fixed-size numpy arrays, so that any loader can stack them. What is
not known about a sample has weight 0.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from knuckle.camera import Camera
from knuckle.codec import NOWHERE_PX, DetectedHand, HeatmapCodec, NeighbourCodec
from knuckle.crop import MARGIN, Crop, CropView, knows_up
from knuckle.hand import (
    BONES,
    FINGERS,
    N_JOINTS,
    Joint,
    extent_px,
    in_picture,
    middle_px,
    other_side,
)
from knuckle.sample import UNKNOWN, HandLabel, Sample
from knuckle.train.bone_masks import bone_mask
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
#: A known hand is off by this share of its extent, and so are its joints on average.
_KNOWN_SPREAD = 0.04
#: Where another hand is looked for beside one that is known: so far off, so much larger or smaller,
#: and so often any way up.
_ELSE_SHIFT, _ELSE_LOG_SCALE, _ELSE_TURNED = 0.2, 0.2, 0.6
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
    example = _nothing(codec)
    points = np.where(hand.valid[:, None], crop.to_crop(hand.joints_px), example["points_px"])
    example |= {
        "image": crop.cut(sample.image),
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
    example |= _neighbour(sample, target, crop)
    if augment.known > 0 and rng.random() < augment.known:
        example["known_px"] = _other_known(sample, target, crop, rng)
    if hand.visible is not None:
        example["visible"] = hand.visible.astype(np.float32)
        example["visible_weight"] = hand.valid.astype(np.float32)
    example |= _mask_targets(sample, target, crop)
    camera = sample.camera or Camera.assume(sample.image.shape[1], sample.image.shape[0])
    view = CropView.of(crop, camera)
    example["view_from_crop"] = view.view_from_crop.astype(np.float32)
    example["rays_per_px"] = np.array(view.rays_per_px, np.float32)
    return example | (_depth_targets(hand, view) if right else {})


def nothing_else_example(
    sample: Sample, target: int, rng: np.random.Generator, codec: HeatmapCodec
) -> Example | None:
    """A crop about where a lone hand is, which is known: there is no hand of the other side.

    For that the crop is always of the other side: a hand is only ever looked for beside one of the
    other side, and crops of its own side would teach doubt about hands that are there.
    None if there may be one: that nobody labelled, or of which not all is labelled.
    """
    hands = sample.hands
    if len(hands) > 1 or not hands[target].valid.all():
        return None
    joints_px, side = hands[target].joints_px, other_side(hands[target].side)
    crop = Crop.from_joints(joints_px, side, out_size=codec.input_size)
    turned = float(rng.uniform(-np.pi, np.pi)) if rng.random() < _ELSE_TURNED else 0.0
    crop = replace(crop, angle=crop.angle + turned)
    crop = crop.jittered(rng, shift=_ELSE_SHIFT, log_scale=_ELSE_LOG_SCALE, angle=0.0)
    if _may_show_more(sample, crop):
        return None
    return _no_hand(sample, crop, codec) | {"known_px": _as_known(joints_px, crop, rng)}


def _other_known(sample: Sample, target: int, crop: Crop, rng: np.random.Generator) -> np.ndarray:
    """(21, 2) crop px of the nearest of the other hands, as a look at it may know them."""
    others = [h for i, h in enumerate(sample.hands) if i != target and h.valid.all()]
    if not others:
        return np.full((N_JOINTS, 2), NOWHERE_PX, np.float32)
    middles = [middle_px(hand.joints_px) - crop.centre_px for hand in others]
    nearest = others[int(np.argmin(np.linalg.norm(middles, axis=1)))]
    return _as_known(nearest.joints_px, crop, rng)


def _as_known(joints_px: np.ndarray, crop: Crop, rng: np.random.Generator) -> np.ndarray:
    """Joints (21, 2) in crop px, off as those of a look are: the whole hand and each of them."""
    extent, middle = float(extent_px(joints_px)), middle_px(joints_px)
    spread = extent * _KNOWN_SPREAD * float(rng.exponential())
    size = float(np.exp(rng.normal(0, _KNOWN_SPREAD)))
    off = rng.normal(0, extent * _KNOWN_SPREAD, 2) + rng.normal(0, spread, joints_px.shape)
    return crop.to_crop(middle + size * (joints_px - middle) + off).astype(np.float32)


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

    Its hands must have neither ``joints_mm`` nor a map; ``spread`` is the standard deviation of the
    logarithm of the factor.
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
        "known_px": np.full((N_JOINTS, 2), NOWHERE_PX, np.float32),
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
        alone = not most and not _may_show_more(sample, crop)
        return {"neighbour_weight": np.array(alone, np.float32)}
    return {
        "neighbour": NeighbourCodec(crop.out_size).encode(square).astype(np.float32),
        "has_neighbour": np.array(1.0, np.float32),
        "neighbour_weight": np.array(most >= _NEIGHBOUR_JOINTS, np.float32),
    }


def _may_show_more(sample: Sample, crop: Crop) -> bool:
    """Whether a crop may show a hand that nobody labelled."""
    corners = crop.to_crop(sample.ignore_xyxy[:, [[0, 1], [2, 1], [2, 3], [0, 3]]])  # (K, 4, 2)
    low, high = corners.min(axis=1), corners.max(axis=1)
    meets = ((low < crop.out_size - 0.5) & (high > -0.5)).all(axis=1)
    return not sample.complete or bool(meets.any())


def _trust(hand: HandLabel) -> np.ndarray:
    """(21,) weight of each 2D label: 1 if exact, half where it may be off by ``_HALF_TRUST``."""
    if hand.sigma_px is None:
        return hand.valid.astype(np.float64)
    size = max(float(np.ptp(hand.joints_px[hand.valid], axis=0).max()), 1.0)
    trust = 1 / (1 + (hand.sigma_px / (size * _HALF_TRUST)) ** 2)
    return np.where(hand.valid, trust, 0.0)


def _mask_targets(sample: Sample, target: int, crop: Crop) -> Example:
    """(S/2, S/2) share of the hand in each cell, as drawn or as joints tell it, and where known."""
    hand, hand_map = sample.hands[target], sample.hand_map
    half = replace(crop, out_size=crop.out_size // 2)
    if hand_map is not None:
        mask = half.cut((hand_map == target + 1).astype(np.float32))
        unknown = half.cut((hand_map == UNKNOWN).astype(np.float32))
        return {"mask": mask, "mask_weight": (unknown < 0.5).astype(np.float32)}
    if hand.visible is None or not hand.valid.all():
        return {}
    mask, known = bone_mask(half.to_crop(hand.joints_px), hand.visible, half.out_size)
    return {"mask": mask, "mask_weight": known}


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
    side = other_side(hand.side) if mirrored else hand.side
    tight = Crop.from_joints(points, side, valid=hand.valid, margin=_TIGHT)
    return DetectedHand(tight.centre_px, tight.size_px, tight.angle, side)
