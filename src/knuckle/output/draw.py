"""Draws hands onto pictures: for overlays, the viewer, and pictures of an evaluation.

Near is thick and on top, far is thin and underneath; what the network is unsure of is faint, what
is hidden is hollow. Each stroke has a dark edge, so that it can be seen on any skin and any
background. Only the pixels around a hand are touched.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from knuckle.draw import (
    EDGE_COLOUR,
    FINGER_COLOURS,
    SHIFT,
    SIDE_COLOURS,
    WRIST_COLOUR,
    Colour,
    disc,
    fixed,
)
from knuckle.hand import BONES, FINGERS, N_JOINTS, Joint
from knuckle.image import to_rgb
from knuckle.mask import CropMask
from knuckle.results import Frame, HandPose, TrackedHand

#: Depth over which strokes go from thick to thin, mm around the wrist-to-tip middle.
_DEPTH_RANGE_MM = 120.0
#: Dark edges are a pixel wide, and of wide strokes this share, or nobody would see them.
_EDGE_SHARE = 1 / 8
#: Letters grow with strokes: never too small to read, and at most the picture's height by this.
_LEAST_SCALE, _UNITS_OF_HEIGHT = 0.5, 600.0
#: They do so in steps, so many until they are twice as large.
_STEPS_A_DOUBLING = 2
#: A plate takes at most this share of the picture's height; below this scale nobody can read it.
_MOST_OF_HEIGHT, _READABLE_SCALE = 1 / 3, 0.3


@dataclass(frozen=True)
class DrawStyle:
    """What to draw."""

    mask: bool = True  # tint the hand's own pixels, if it was segmented
    label: bool = True  # a box's corners with side, id and score
    stroke: float = 0.022  # thickness of a bone as a share of the hand's size on screen
    mask_opacity: float = 0.28  # of the tint, 0..1
    least_opacity: float = 0.25  # of the least certain joint, 0..1


def draw_hands(
    image: np.ndarray | Frame, hands: Sequence[HandPose], style: DrawStyle | None = None
) -> np.ndarray:
    """A copy of an image with hands drawn on it, the farthest first.

    Args:
        image: (H, W, 3) uint8 RGB, or anything else that ``HandEstimator`` accepts.
        hands: poses whose ``joints_px`` belong to this image.
        style: see ``DrawStyle``.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        TypeError: the image is not an array, or ``hands`` is not a list of hands.
        ValueError: the image is not as described.
    """
    style = style or DrawStyle()
    canvas = to_rgb(image.image if isinstance(image, Frame) else image).copy()
    if not (isinstance(hands, Sequence) and all(isinstance(hand, HandPose) for hand in hands)):
        several = isinstance(hands, Sequence) and not isinstance(hands, str | bytes)
        kinds = {type(hand).__name__ for hand in hands} if several else set()
        raise TypeError(
            "hands must be a list of HandPose, as HandEstimator gives them (of a RigHand, "
            "hand.seen_from(number, camera) is one), got "
            f"{type(hands).__name__}{' of ' * bool(kinds)}{', '.join(sorted(kinds))}"
        )
    drawable = [hand for hand in hands if np.isfinite(hand.joints_px).all()]
    for hand in sorted(drawable, key=lambda hand: -_depths_mm(hand)[Joint.WRIST]):
        _draw_hand(canvas, hand, style)
    return canvas


def _depths_mm(hand: HandPose) -> np.ndarray:
    """(21,) how far away each joint is; of a hand without 3D, as of labels, all as far as any."""
    depths_mm = hand.joints_mm[:, 2]
    return depths_mm if np.isfinite(depths_mm).all() else np.zeros(N_JOINTS)


def _draw_hand(canvas: np.ndarray, hand: HandPose, style: DrawStyle) -> None:
    thickness = _thickness(hand, canvas.shape, style)
    if style.mask and hand.crop_mask is not None:
        _tint(canvas, hand, hand.crop_mask, thickness, style.mask_opacity)
    _draw_skeleton(canvas, hand, thickness, style)
    if style.label:
        _draw_label(canvas, hand, thickness)


def _thickness(hand: HandPose, shape: tuple[int, ...], style: DrawStyle) -> float:
    size = float(np.ptp(hand.joints_px, axis=0).max())
    return float(np.clip(style.stroke * size, 1.2, max(shape[:2]) / 100 + 2))


def _region(
    canvas: np.ndarray, hand: HandPose, margin: float
) -> tuple[np.ndarray, tuple[int, int]]:
    """The part of the picture around a hand (a view), and where it begins, x and y."""
    low, high = hand.box_xyxy[:2] - margin, hand.box_xyxy[2:] + margin
    size = canvas.shape[1::-1]
    x0, y0 = np.clip(np.floor(low), 0, size).astype(int).tolist()
    x1, y1 = np.clip(np.ceil(high), 0, size).astype(int).tolist()
    return canvas[y0:y1, x0:x1], (x0, y0)


def _draw_skeleton(canvas: np.ndarray, hand: HandPose, thickness: float, style: DrawStyle) -> None:
    view, origin = _region(canvas, hand, margin=4 * thickness + 4)
    if not view.size:
        return  # wholly outside the picture
    strokes, opacity = view.copy(), np.zeros(view.shape[:2], np.float32)
    _Skeleton(hand, origin, thickness, style).draw(strokes, opacity)
    view[:] = cv2.blendLinear(strokes, view, opacity, 1 - opacity)


class _Skeleton:
    """The strokes of one hand, in the coordinates of its region."""

    def __init__(
        self, hand: HandPose, origin: tuple[int, int], thickness: float, style: DrawStyle
    ) -> None:
        depth = _depths_mm(hand)
        nearness = 0.5 - (depth - depth.mean()) / _DEPTH_RANGE_MM
        width = thickness * np.clip(0.65 + 0.7 * nearness, 0.6, 1.5)  # (21,)
        certain = np.clip(hand.joint_score, 0, 1)
        opacity = style.least_opacity + (1 - style.least_opacity) * certain  # (21,)
        self.edge = _edge(thickness)
        self.points = fixed(hand.joints_px - origin)
        self.visible = hand.visible.tolist()
        self.radius = (1.25 * width + 0.8).tolist()
        self.joint_opacity = opacity.tolist()
        self.bone_width = np.maximum(np.round(width[BONES].mean(axis=1)), 1).astype(int).tolist()
        self.bone_opacity = opacity[BONES].mean(axis=1).tolist()
        # A joint lies on its bones: a bone is as far away as its farther end.
        parts = np.concatenate([depth, depth[BONES].max(axis=1) + 0.1])  # (21 + 20,)
        self.far_to_near = np.argsort(-parts, kind="stable").tolist()

    def draw(self, strokes: np.ndarray, opacity: np.ndarray) -> None:
        """Bones and joints, far to near, onto a copy of the picture and a map of opacity."""
        for part in self.far_to_near:
            if part < N_JOINTS:
                self._joint(strokes, opacity, part)
            else:
                self._bone(strokes, opacity, part - N_JOINTS)

    def _bone(self, strokes: np.ndarray, opacity: np.ndarray, bone: int) -> None:
        parent, child = BONES[bone].tolist()
        a, b, width = self.points[parent], self.points[child], self.bone_width[bone]
        edged = width + 2 * round(self.edge)
        cv2.line(opacity, a, b, self.bone_opacity[bone], edged + 2, cv2.LINE_8, SHIFT)
        cv2.line(strokes, a, b, EDGE_COLOUR, edged, cv2.LINE_AA, SHIFT)
        cv2.line(strokes, a, b, _colour_of(child), width, cv2.LINE_AA, SHIFT)

    def _joint(self, strokes: np.ndarray, opacity: np.ndarray, joint: int) -> None:
        centre, radius, edge = self.points[joint], self.radius[joint], self.edge
        disc(opacity, centre, radius + 1.2 * edge + 1.3, self.joint_opacity[joint], cv2.LINE_8)
        disc(strokes, centre, radius + 1.2 * edge, EDGE_COLOUR)
        disc(strokes, centre, radius, _colour_of(joint))
        if not self.visible[joint]:
            disc(strokes, centre, max(radius - 1.6 * edge, 0.8), EDGE_COLOUR)


def _edge(width: float) -> float:
    """How far the dark edge of a stroke reaches beyond it, px."""
    return max(width * _EDGE_SHARE, 1.0)


def _colour_of(joint: int) -> Colour:
    if joint == Joint.WRIST:
        return WRIST_COLOUR
    return FINGER_COLOURS[(joint - 1) // FINGERS.shape[1]]


def _tint(
    canvas: np.ndarray, hand: HandPose, mask: CropMask, thickness: float, opacity: float
) -> None:
    """Colour the pixels that show the hand, and draw their outline."""
    # Flesh reaches a little beyond the outermost joints.
    view, origin = _region(canvas, hand, 0.25 * float(np.ptp(hand.joints_px, axis=0).max()))
    if not view.size:
        return
    outlines = [np.array(fixed(line - origin), np.int32) for line in mask_outlines(mask)]
    tinted, colour = view.copy(), SIDE_COLOURS[hand.side]
    cv2.fillPoly(tinted, outlines, colour, cv2.LINE_AA, SHIFT)
    cv2.addWeighted(tinted, opacity, view, 1 - opacity, 0.0, dst=tinted)
    _edged_lines(tinted, outlines, True, colour, max(round(thickness * 0.4), 1))
    view[:] = tinted


def _edged_lines(
    canvas: np.ndarray, lines: list[np.ndarray], closed: bool, colour: Colour, width: int
) -> None:
    """Lines in fixed point with a dark edge."""
    for each, wide in ((EDGE_COLOUR, width + 2 * round(_edge(width))), (colour, width)):
        cv2.polylines(canvas, lines, closed, each, wide, cv2.LINE_AA, SHIFT)


def mask_outlines(mask: CropMask, fineness: int = 4) -> list[np.ndarray]:
    """Where a mask's probability passes 1/2: closed lines (n, 2) in frame px, holes included.

    The network's coarse map is interpolated to ``fineness`` times its size first.
    """
    size, coarse = mask.probability.shape[0] * fineness, mask.probability.astype(np.float32)
    fine = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
    fine = cv2.GaussianBlur(fine, (0, 0), 0.75 * fineness)  # the steps of the coarse map
    inside = (fine > 0.5).astype(np.uint8)
    lines, _ = cv2.findContours(inside, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_TC89_L1)
    crop = replace(mask.crop, out_size=size)
    return [crop.to_frame(line[:, 0].astype(np.float64)) for line in lines]


def _draw_label(canvas: np.ndarray, hand: HandPose, thickness: float) -> None:
    """Corners of the box around the hand, and what is known of it, on a dark plate."""
    colour = SIDE_COLOURS[hand.side]
    margin = 3 * thickness
    low, high = hand.box_xyxy[:2] - margin, hand.box_xyxy[2:] + margin
    arm = 0.12 * float((high - low).max())
    width = max(round(thickness * 0.5), 1)
    (x0, y0), (x1, y1) = low, high
    for x, y, right, down in ((x0, y0, 1, 1), (x1, y0, -1, 1), (x0, y1, 1, -1), (x1, y1, -1, -1)):
        corner = np.array([(x + arm * right, y), (x, y), (x, y + arm * down)])
        path = np.array(fixed(corner), np.int32)
        _edged_lines(canvas, [path], False, colour, width)
    largest = max(canvas.shape[0] / _UNITS_OF_HEIGHT, 1.2)
    scale = min(_label_scale(thickness), largest)
    _plate(canvas, _label(hand), (x0, y0, y1), colour, scale)


def _label_scale(thickness: float) -> float:
    """Size of the letters beside lines so thick, in steps: in a video letters do not tremble."""
    steps = round(_STEPS_A_DOUBLING * math.log2(thickness / 6 / _LEAST_SCALE))
    return _LEAST_SCALE * 2 ** (max(steps, 0) / _STEPS_A_DOUBLING)


def _label(hand: HandPose) -> str:
    name = f"{hand.side} {hand.track_id}" if isinstance(hand, TrackedHand) else hand.side
    return f"{name}  {100 * hand.score:.0f}%"


def _plate(
    canvas: np.ndarray, text: str, box: tuple[float, float, float], colour: Colour, scale: float
) -> None:
    """Text on a dark plate above a box, given its left, upper and lower side, or else below it.

    It is kept inside the picture; there is none where it has no room.
    """
    font = cv2.FONT_HERSHEY_SIMPLEX
    weight, pad = max(round(1.7 * scale), 1), max(round(4 * scale), 5)
    (width, height), below = cv2.getTextSize(text, font, scale, weight)
    room = canvas.shape[1] - 2 * pad, _MOST_OF_HEIGHT * canvas.shape[0] - 2 * pad
    if (share := min(room[0] / width, room[1] / (height + below))) < 1:
        if scale * share >= _READABLE_SCALE:  # a little less, as widths of letters are rounded
            _plate(canvas, text, box, colour, scale * min(share, 0.95))
        return
    left, upper, lower = box
    tall = height + below + 2 * pad
    under = lower + 4 + tall
    bottom = under if upper - 4 < tall and under <= canvas.shape[0] else upper - 4
    x = int(np.clip(left, 0, max(canvas.shape[1] - width - 2 * pad, 0)))
    bottom = int(np.clip(bottom, tall, canvas.shape[0]))
    top = bottom - tall
    plate = canvas[max(top, 0) : bottom, x : x + width + 2 * pad]
    plate[:] = plate // 4
    baseline = (x + pad, bottom - pad - below)
    cv2.putText(canvas, text, baseline, font, scale, colour, weight, cv2.LINE_AA)
