"""From labelled samples to the detector's training examples: a frame and its maps, as arrays.

As in ``examples``, they are dictionaries of arrays of fixed size, and what is not known about a
sample has weight 0.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from knuckle.codec import DetectedHand, DetectionCodec
from knuckle.crop import Crop, knows_up
from knuckle.letterbox import Letterbox
from knuckle.sample import UNKNOWN, Sample
from knuckle.train.examples import (
    LEAST_SHARE,
    Example,
    Square,
    detected_hand,
    square_around,
    squares_of,
)
from knuckle.train.recipe import AugmentSettings

#: Hands smaller than this in the detector's picture are left out, px.
_SMALLEST_PX = 12.0
#: Share of the parts of frames that are cut around a hand.
_WITH_HAND = 0.85
#: Share of the windows that are grey beyond the frame; in the others its border goes on.
_WITH_BARS = 0.8


def frame_example(
    sample: Sample,
    rng: np.random.Generator,
    augment: AugmentSettings,
    codec: DetectionCodec,
) -> Example:
    """A whole frame, scaled, turned, mirrored and shifted, with the detector's maps.

    More than half of the frames are zoomed: out, so that hands become small, or into the
    neighbourhood of a hand, as selfies and desk views are; most is to be learnt from large hands.
    """
    crop = _frame_window(sample, rng, codec.input_size)
    if augment.window:
        crop = _part_with_hand(crop, sample, rng, augment.window)
        codec = replace(
            codec, input_size=augment.window, map_size=round(augment.window / codec.stride)
        )
    kept, unsure = _frame_hands(sample, crop, codec.input_size)
    maps, weight = codec.encode(kept)
    peak_weight = _peak_weight(unsure, maps[:2].max(axis=0) > 0.1, sample.complete, codec)
    bars = rng.random() < _WITH_BARS
    mask, mask_weight = _frame_masks(sample, crop, codec.map_size * 2, bars=bars)
    return {
        "image": crop.cut(sample.image, fill=Letterbox.FILL if bars else None),
        "peaks": maps[:2],
        "peak_weight": peak_weight,
        "geometry": maps[2:],
        "geometry_weight": weight,
        "mask": mask,
        "mask_weight": mask_weight,
    }


def _frame_hands(
    sample: Sample, crop: Crop, input_size: int
) -> tuple[list[DetectedHand], list[Square]]:
    """The hands that a detector should find in a frame, and squares that it may find or not.

    It may find hands that are cut by the border, tiny or hardly labelled, and unlabelled places.
    """
    kept, unsure = list[DetectedHand](), list[Square]()
    for hand in sample.hands:
        points = crop.to_crop(hand.joints_px)
        inside = hand.valid & np.all((points > 0) & (points < input_size - 1), axis=-1)
        clear = inside.mean() > LEAST_SHARE and knows_up(hand.valid)
        detected = detected_hand(hand, points, crop.mirror) if clear else None
        if detected is not None and detected.size_px >= _SMALLEST_PX:
            kept.append(detected)
        elif hand.valid.any():
            unsure.append(square_around(points[hand.valid]))
    for box in sample.ignore_xyxy:
        *middle, side = square_around(box.reshape(2, 2))
        x, y = crop.to_crop(np.array(middle)).tolist()
        unsure.append((x, y, side * crop.out_size / crop.size_px))
    return kept, unsure


def _peak_weight(
    unsure: list[Square], is_peak: np.ndarray, complete: bool, codec: DetectionCodec
) -> np.ndarray:
    """(2, M, M) weight of the map of peaks: 0 where a hand may be that is none of its peaks."""
    weight = np.ones((2, codec.map_size, codec.map_size), np.float32)
    if not complete:
        weight[:, ~is_peak] = 0.0
    ys, xs = np.mgrid[: codec.map_size, : codec.map_size]
    for x, y, size in unsure:
        column, row = (np.array([x, y]) + 0.5) / codec.stride - 0.5
        reach = max(size / codec.stride / 2, 1.0)
        near = (np.abs(xs - column) <= reach) & (np.abs(ys - row) <= reach)
        weight[:, near & ~is_peak] = 0.0
    return weight


def _frame_window(sample: Sample, rng: np.random.Generator, size: int) -> Crop:
    """Which square of the picture the detector is shown, as a crop."""
    height, width = sample.image.shape[:2]
    x, y, side = (width - 1) / 2, (height - 1) / 2, float(max(width, height))
    kind = rng.random()
    squares = squares_of(sample)
    squares += [square_around(box.reshape(2, 2)) for box in sample.decoys_xyxy]
    if kind < 0.4 and squares:
        hx, hy, hand = squares[int(rng.integers(len(squares)))]
        side = min(hand * float(rng.uniform(1.6, 5.0)), side)
        x, y = hx + float(rng.normal(0, 0.15)) * side, hy + float(rng.normal(0, 0.15)) * side
    elif kind < 0.55:
        side *= float(rng.uniform(1.0, 1.6))
        x, y = x + float(rng.normal(0, 0.1)) * side, y + float(rng.normal(0, 0.1)) * side
    angle = float(rng.normal(0, 0.2)) if rng.random() < 0.8 else float(rng.uniform(-np.pi, np.pi))
    return Crop((x, y), side, angle, bool(rng.random() < 0.5), size)


def _part_with_hand(frame: Crop, sample: Sample, rng: np.random.Generator, size: int) -> Crop:
    """A square of what the detector would be shown, as large as there, mostly with a hand in it.

    A hand that would not fit is made smaller.
    """
    side = frame.size_px * size / frame.out_size
    squares = squares_of(sample)
    if squares and rng.random() < _WITH_HAND:
        x, y, hand = squares[int(rng.integers(len(squares)))]
        side = max(side, hand / float(rng.uniform(0.4, 0.75)))
        room = max(side - hand, 0.2 * side) / 2
    else:
        (x, y), room = frame.centre_px, (frame.size_px - side) / 2
    centre = (x + float(rng.uniform(-room, room)), y + float(rng.uniform(-room, room)))
    return replace(frame, centre_px=centre, size_px=side, out_size=size)


def _frame_masks(
    sample: Sample, crop: Crop, size: int, *, bars: bool
) -> tuple[np.ndarray, np.ndarray]:
    """(2, size, size) share of left and right hands in each cell, and where that is known.

    In ``bars`` beyond the frame there are none; else its border goes on, hands and all.
    """
    window, fill = replace(crop, out_size=size), 0 if bars else None
    masks = np.zeros((2, size, size), np.float32)
    if sample.hand_map is None:
        return masks, np.zeros_like(masks)
    for index, hand in enumerate(sample.hands):
        is_right = (hand.side == "right") != crop.mirror
        part = window.cut((sample.hand_map == index + 1).astype(np.float32), fill)
        masks[int(is_right)] = np.maximum(masks[int(is_right)], part)
    unknown = window.cut((sample.hand_map == UNKNOWN).astype(np.float32), fill) > 0.5
    return masks, np.broadcast_to(~unknown, masks.shape).astype(np.float32)
