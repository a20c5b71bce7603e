"""Pseudo-labels for unlabelled photographs, from many runs of MediaPipe's networks.

MediaPipe 0.10.21 needs numpy < 2, so this file is run *by path* with a separate interpreter (an
environment with the extra ``peers``) and imports nothing of knuckle::

    peers-venv/bin/python tools/teacher.py ../shared/data labels.json --pass quick
    peers-venv/bin/python tools/teacher.py ../shared/data labels.json --pass full

One answer of one network is off by some percent of the hand and sometimes by a whole finger.
So the palm detector looks at many *views* of a photograph (mirrored, turned, zoomed into tiles),
and the landmark network at many *looks* of each hand found (turned, scaled, mirrored); a label is
the median of the answers, and it is kept only where the answers agree with each other.

The output is one JSON file, rewritten whole every few seconds; a run that is interrupted goes on
where it stopped::

    {"teacher": "...", "records": [
      {"dataset": "photos_finger_count", "file": "a.jpg", "frame": null,
       "width": 480, "height": 360, "pass": "full", "views": 34,
       "hands": [{"side": "left" | "right",   as it appears in the picture, taken as unmirrored
                  "joints_px": 21 x [x, y],   pixels, (0, 0) is the centre of the top-left pixel
                  "spread_px": 21 x float,    median distance of an answer from the median, pixels
                  "world_mm": 21 x [x, y, z], hand-centred, x right, y down, z forward; weak depth
                  "hits": int, "asked": int,  looks that gave a hand, looks asked
                  "seen": int,                views in which the palm detector found it
                  "side_share": float,        share of the hits that agree on the side
                  "score": float}],           0..1: share of hits x agreement, see `score_of`
       "uncertain": [[x0, y0, x1, y1], ...],  something hand-like, not labelled: never a negative
       "faces": [[x0, y0, x1, y1], ...],      good examples of skin that is no hand
       "complete": bool,                      every hand that came with the set is labelled
       "empty": bool}]}                       no view and no look showed anything hand-like

Joints are wrist 0, thumb 1-4, index 5-8, middle 9-12, ring 13-16, little 17-20, base to tip.
`frame` is the index of the decoded frame where `file` is a video. `side` is the chirality of the
hand in the picture: a mirrored selfie cannot be told from a picture of the other hand.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

VIEW_SIZE = 384  # the palm detector shrinks to 192: twice that keeps its own resampling harmless
LOOK_SIZE = 224  # the landmark network's own input
PALM_THRESHOLD = 0.3
SMALLEST_PX = 14  # longer side of a hand's box; below, the networks answer anything
OTHER_SIDE = {"left": "right", "right": "left"}

# The joints MediaPipe's tracker takes its next crop from: fingertips move too much.
STEADY_JOINTS = (0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18)


# --------------------------------------------------------------------------------------------
# Squares of a photograph
# --------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Square:
    """A turned, possibly mirrored square of a photograph, in pixels and degrees (clockwise)."""

    x: float
    y: float
    side: float
    angle_deg: float = 0.0
    mirrored: bool = False

    def photo_from_crop(self, size: int) -> np.ndarray:
        """The (2, 3) affine map from the pixels of a ``size`` x ``size`` crop to the photograph."""
        angle = np.radians(self.angle_deg)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        linear = turn @ np.diag([-1.0 if self.mirrored else 1.0, 1.0]) * (self.side / size)
        centre_of_crop = np.full(2, (size - 1) / 2)
        offset = np.array([self.x, self.y]) - linear @ centre_of_crop
        return np.column_stack([linear, offset])

    def cut(self, photo: np.ndarray, size: int, border: int) -> np.ndarray:
        """The crop, (size, size, 3), with the photograph's border zero or replicated."""
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(
            photo, self.photo_from_crop(size), (size, size), flags=flags, borderMode=border
        )


def apply(affine: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Map (..., 2) points by a (2, 3) affine map."""
    return points @ affine[:, :2].T + affine[:, 2]


def box_of(points: np.ndarray) -> np.ndarray:
    """The (4,) box x0, y0, x1, y1 around (N, 2) points."""
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def longer_side(points: np.ndarray) -> float:
    """The longer side of the box around (N, 2) points."""
    return float(np.ptp(points, axis=0).max())


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes."""
    inner = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
    union = (a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - inner
    return float(inner / max(union, 1e-9))


def square_of_hand(points: np.ndarray) -> Square:
    """The upright square MediaPipe's tracker would cut next, from (21, 2) joints."""
    knuckles = (points[6] + points[14]) / 4 + points[10] / 2
    dx, dy = knuckles - points[0]
    angle = np.arctan2(dx, -dy)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    upright = points[list(STEADY_JOINTS)] @ turn  # (12, 2) in the hand's own axes
    low, high = upright.min(axis=0), upright.max(axis=0)
    height = high[1] - low[1]
    centre = turn @ ((low + high) / 2 - np.array([0.0, 0.1 * height]))
    return Square(centre[0], centre[1], 2.0 * float((high - low).max()), np.degrees(angle))


def square_of_palm(box: np.ndarray, wrist: np.ndarray, middle: np.ndarray) -> Square:
    """The upright square MediaPipe cuts around a palm, from its box and two of its keypoints."""
    dx, dy = middle - wrist
    angle = np.arctan2(dx, -dy)
    side = float((box[2:] - box[:2]).max())
    up = np.array([np.sin(angle), -np.cos(angle)])
    centre = (box[:2] + box[2:]) / 2 + 0.5 * side * up
    return Square(centre[0], centre[1], 2.6 * side, np.degrees(angle))


# --------------------------------------------------------------------------------------------
# MediaPipe's two networks, each on its own
# --------------------------------------------------------------------------------------------
PALM_GRAPH = """
input_stream: "image"
output_stream: "detections"
input_side_packet: "model_complexity"
node {
  calculator: "PalmDetectionCpu"
  input_stream: "IMAGE:image"
  input_side_packet: "MODEL_COMPLEXITY:model_complexity"
  output_stream: "DETECTIONS:detections"
}
"""

LANDMARK_GRAPH = """
input_stream: "image"
input_stream: "roi"
output_stream: "landmarks"
output_stream: "world"
output_stream: "handedness"
input_side_packet: "model_complexity"
node {
  calculator: "HandLandmarkCpu"
  input_stream: "IMAGE:image"
  input_stream: "ROI:roi"
  input_side_packet: "MODEL_COMPLEXITY:model_complexity"
  output_stream: "LANDMARKS:landmarks"
  output_stream: "WORLD_LANDMARKS:world"
  output_stream: "HANDEDNESS:handedness"
}
"""


@dataclass(frozen=True)
class Palm:
    """One palm in a photograph: the square around its hand, and the detector's score."""

    square: Square
    score: float


@dataclass(frozen=True)
class Answer:
    """One answer of the landmark network, in the photograph."""

    joints_px: np.ndarray  # (21, 2)
    world_mm: np.ndarray  # (21, 3)
    side: str


class PalmNetwork:
    """MediaPipe's palm detector (full), without the rest of its graph."""

    def __init__(self, threshold: float = PALM_THRESHOLD) -> None:
        from mediapipe.python.solution_base import PacketDataType, SolutionBase

        self._graph = SolutionBase(
            graph_config=_parse(PALM_GRAPH),
            calculator_params={
                "palmdetectioncpu__TensorsToDetectionsCalculator.min_score_thresh": threshold
            },
            side_inputs={"model_complexity": 1},
            outputs=["detections"],
            stream_type_hints={"detections": PacketDataType.PROTO_LIST},
        )

    def __call__(self, photo: np.ndarray, view: Square) -> list[Palm]:
        """The palms in one view of an RGB photograph."""
        crop = view.cut(photo, VIEW_SIZE, cv2.BORDER_CONSTANT)
        detections = self._graph.process({"image": crop}).detections or []
        photo_from_crop = view.photo_from_crop(VIEW_SIZE)
        return [self._in_photo(detection, photo_from_crop) for detection in detections]

    @staticmethod
    def _in_photo(detection: Any, photo_from_crop: np.ndarray) -> Palm:
        data = detection.location_data
        box = data.relative_bounding_box
        half = VIEW_SIZE * np.array([box.width, box.height]) / 2
        centre = VIEW_SIZE * np.array([box.xmin, box.ymin]) + half
        points = VIEW_SIZE * np.array([[k.x, k.y] for k in data.relative_keypoints])
        # The box stays upright in the photograph; only its middle and its size are mapped.
        half = half * np.linalg.norm(photo_from_crop[:, 0])
        centre, wrist, middle = apply(photo_from_crop, np.stack([centre, points[0], points[2]]))
        box_in_photo = np.concatenate([centre - half, centre + half])
        return Palm(square_of_palm(box_in_photo, wrist, middle), float(detection.score[0]))


class LandmarkNetwork:
    """MediaPipe's landmark network (full), on any square it is given."""

    def __init__(self) -> None:
        from mediapipe.framework.formats import rect_pb2
        from mediapipe.python.solution_base import PacketDataType, SolutionBase

        proto = PacketDataType.PROTO
        self._graph = SolutionBase(
            graph_config=_parse(LANDMARK_GRAPH),
            side_inputs={"model_complexity": 1},
            outputs=["landmarks", "world", "handedness"],
            stream_type_hints={
                "roi": proto,
                "landmarks": proto,
                "world": proto,
                "handedness": proto,
            },
        )
        self._whole_crop = rect_pb2.NormalizedRect(x_center=0.5, y_center=0.5, width=1, height=1)

    def __call__(self, photo: np.ndarray, look: Square) -> Answer | None:
        """What the network sees in this square, or None where it sees no hand."""
        crop = look.cut(photo, LOOK_SIZE, cv2.BORDER_REPLICATE)
        found = self._graph.process({"image": crop, "roi": self._whole_crop})
        if not found.landmarks:
            return None
        joints = LOOK_SIZE * np.array([[p.x, p.y] for p in found.landmarks.landmark])
        world = 1000 * np.array([[p.x, p.y, p.z] for p in found.world.landmark])
        photo_from_crop = look.photo_from_crop(LOOK_SIZE)
        turn = photo_from_crop[:, :2] / (look.side / LOOK_SIZE)  # rotation, and mirror if any
        world[:, :2] = world[:, :2] @ turn.T
        # MediaPipe names the side as in a mirror: on a picture that is none, it is the other one.
        side = OTHER_SIDE[found.handedness.classification[0].label.lower()]
        return Answer(
            joints_px=apply(photo_from_crop, joints),
            world_mm=world - world.mean(axis=0),
            side=OTHER_SIDE[side] if look.mirrored else side,
        )


class FaceNetwork:
    """MediaPipe's face detector for whole scenes."""

    def __init__(self, threshold: float = 0.5) -> None:
        from mediapipe.python.solutions.face_detection import FaceDetection

        self._graph = FaceDetection(min_detection_confidence=threshold, model_selection=1)

    def __call__(self, photo: np.ndarray) -> list[np.ndarray]:
        """Boxes x0, y0, x1, y1 of the faces in an RGB photograph."""
        size = np.array([photo.shape[1], photo.shape[0]])
        boxes = []
        for detection in self._graph.process(photo).detections or []:
            box = detection.location_data.relative_bounding_box
            low = size * (box.xmin, box.ymin)
            boxes.append(np.concatenate([low, low + size * (box.width, box.height)]))
        return boxes


def _parse(graph: str) -> Any:
    from google.protobuf import text_format
    from mediapipe.framework import calculator_pb2

    return text_format.Parse(graph, calculator_pb2.CalculatorGraphConfig())


# --------------------------------------------------------------------------------------------
# How much is asked
# --------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Pass:
    """How many views and looks one pass over the photographs takes."""

    name: str
    turns: tuple[tuple[float, bool], ...]
    """(angle, mirrored) of every view of the whole photograph and of its zooms."""
    tile_turns: tuple[tuple[float, bool], ...]
    """(angle, mirrored) of every tile."""
    look_angles_deg: tuple[float, ...]
    look_scales: tuple[float, ...]


PASSES = {
    "quick": Pass(
        "quick",
        turns=((0, False), (0, True)),
        tile_turns=((0, False),),
        look_angles_deg=(-12, 12),
        look_scales=(0.95, 1.1),
    ),
    "full": Pass(
        "full",
        turns=((0, False), (0, True), (-25, False), (25, True), (90, False), (-90, True)),
        tile_turns=((0, False), (0, True)),
        look_angles_deg=(-32, -16, 0, 16, 32),
        look_scales=(0.88, 1.0, 1.12, 1.28),
    ),
}


@dataclass(frozen=True)
class PhotoSet:
    """A folder of photographs or videos, and how to look for hands in it."""

    folder: str
    pattern: str
    wholes: tuple[float, ...] = (1.0,)
    """Sides of the views around the picture's middle, in longer sides of the picture."""
    tiles: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """Sides of the square tiles of each pass, in longer sides of the picture."""
    every: int = 1
    """Of a video, each how-manieth frame."""
    filled: bool = False
    """Whether one hand fills every picture."""


PHOTO_SETS = (
    PhotoSet("photos_finger_count", "*.jpg", tiles={"full": (0.5,)}),
    PhotoSet("photos_gesture_room", "*.jpg", tiles={"quick": (0.5,), "full": (0.5, 0.3)}),
    PhotoSet("photos_sign_digits", "*.jpg", wholes=(1.5, 1.15, 2.0), filled=True),
    PhotoSet("stereo_video", "cam*_test.mp4", tiles={"full": (0.6,)}, every=3),
    PhotoSet("photos_more/emrecan_hand", "images/*.jpg", tiles={"quick": (0.5,), "full": (0.3,)}),
    PhotoSet("photos_more", "*/images/*.jpg", tiles={"full": (0.5,)}),
    PhotoSet("photos_more", "*/hard/*.jpg", wholes=(1.3, 1.0, 0.7), tiles={"full": (0.5,)}),
)


def views_of(
    photo: np.ndarray, photo_set: PhotoSet, known: list[Square], plan: Pass
) -> list[Square]:
    """Every square of a photograph in which the palm detector is to look."""
    height, width = photo.shape[:2]
    longer = max(width, height)
    middle = ((width - 1) / 2, (height - 1) / 2)
    wholes = [Square(*middle, longer * share) for share in photo_set.wholes]
    wholes += [replace(square, side=1.4 * square.side) for square in known]
    tiles = [
        Square(x, y, side)
        for side in (longer * share for share in photo_set.tiles.get(plan.name, ()))
        for y in _tile_centres(height, side)
        for x in _tile_centres(width, side)
    ]
    return [
        replace(square, angle_deg=angle, mirrored=mirrored)
        for squares, turns in ((wholes, plan.turns), (tiles, plan.tile_turns))
        for square in squares
        for angle, mirrored in turns
    ]


def known_hands(photo: Photo, boxes: list[list[float]]) -> list[Square]:
    """Squares around the hands that the set itself says are there."""
    if photo.photo_set.filled:
        height, width = photo.image.shape[:2]
        return [Square((width - 1) / 2, (height - 1) / 2, 1.15 * max(width, height))]
    return [_around(box) for box in boxes]


def _around(box: list[float]) -> Square:
    """The square around the box of a whole hand, as wide as the landmark network likes it."""
    x0, y0, x1, y1 = box
    return Square((x0 + x1) / 2, (y0 + y1) / 2, 1.6 * max(x1 - x0, y1 - y0))


def _tile_centres(length: float, side: float) -> np.ndarray:
    """Middles of tiles along one edge, overlapping by about a half."""
    if length <= side:
        return np.array([length / 2])
    count = int(np.ceil(2 * (length - side) / side)) + 1
    return np.linspace(side / 2, length - side / 2, count)


def looks_at(square: Square, plan: Pass) -> list[Square]:
    """The squares around one hand in which the landmark network is asked."""
    return [
        replace(
            square,
            angle_deg=square.angle_deg + angle,
            side=square.side * scale,
            mirrored=mirrored,
        )
        for angle in plan.look_angles_deg
        for scale in plan.look_scales
        for mirrored in (False, True)
    ]


# --------------------------------------------------------------------------------------------
# The teacher
# --------------------------------------------------------------------------------------------
@dataclass
class Stray:
    """A place where the palm detector fired and the landmark network saw no hand."""

    box: np.ndarray  # (4,)
    score: float
    seen: int = 1

    def is_worth_a_doubt(self) -> bool:
        """Whether more than one weak impression speaks for a hand."""
        return self.seen >= 2 or self.score >= 0.5


@dataclass
class Candidate:
    """A place where palms were seen, and the joints a first look gave there."""

    joints_px: np.ndarray  # (21, 2)
    seen: int = 1

    def is_near(self, joints_px: np.ndarray) -> bool:
        """Whether these (21, 2) joints are those of this hand."""
        size = max(longer_side(self.joints_px), longer_side(joints_px), 1e-9)
        apart = np.linalg.norm(self.joints_px - joints_px, axis=1).mean()
        return bool(apart < 0.3 * size)

    def explains(self, palm: Square) -> bool:
        """Whether a palm's square is, within the detector's precision, that of this hand."""
        own = square_of_hand(self.joints_px)
        shift = np.hypot(own.x - palm.x, own.y - palm.y)
        return bool(shift < 0.2 * own.side and 0.67 < palm.side / own.side < 1.5)


@dataclass(frozen=True)
class Label:
    """The agreed answer for one hand."""

    joints_px: np.ndarray  # (21, 2)
    spread_px: np.ndarray  # (21,)
    world_mm: np.ndarray  # (21, 3)
    side: str
    side_share: float
    hits: int
    asked: int
    seen: int

    @property
    def spread(self) -> float:
        """Mean spread of the joints in longer sides of the hand's box."""
        return float(self.spread_px.mean() / max(longer_side(self.joints_px), 1e-9))

    def is_kept(self) -> bool:
        """Whether the answers agree well enough to teach with."""
        return (
            self.hits >= 0.7 * self.asked
            and self.side_share >= 0.8
            and self.spread <= 0.04
            and self.seen >= 2
            and longer_side(self.joints_px) >= SMALLEST_PX
        )


def score_of(label: Label) -> float:
    """0..1: the share of looks that saw the hand, times their agreement on its joints."""
    return float(label.hits / label.asked * np.exp(-label.spread / 0.04) * label.side_share)


class Teacher:
    """Finds the hands of a photograph and labels those on which its answers agree."""

    def __init__(self) -> None:
        self._palms = PalmNetwork()
        self._landmarks = LandmarkNetwork()
        self._faces = FaceNetwork()

    def label(
        self, photo: np.ndarray, views: list[Square], known: list[Square], plan: Pass
    ) -> dict[str, Any]:
        """Hands, doubts and faces of one (H, W, 3) RGB photograph.

        Args:
            photo: the photograph.
            views: where the palm detector looks.
            known: squares around hands that the set's own annotation says are there.
            plan: how much the landmark network is asked.
        """
        faces = self._faces(photo)
        candidates, strays = self._find(photo, views, known)
        labels = [self._poll(photo, candidate, plan) for candidate in candidates]
        agreed = [label for label in labels if label is not None]
        kept = _without_doubles([label for label in agreed if label.is_kept()])
        doubts = [box_of(label.joints_px) for label in agreed if not label.is_kept()]
        doubts += [
            box_of(candidate.joints_px)
            for candidate, label in zip(candidates, labels, strict=True)
            if label is None and candidate.seen >= 2
        ]
        doubts += [s.box for s in strays if s.is_worth_a_doubt() and not _is_face(s.box, faces)]
        missed = [square for square in known if not _is_labelled(square, kept)]
        doubts += [_box_of_square(square) for square in missed]
        return {
            "hands": [_hand_record(label) for label in kept],
            "uncertain": _boxes_beside(doubts, kept),
            "faces": [_rounded(face) for face in faces],
            "complete": not missed,
            "empty": not kept and not doubts,
        }

    def _find(
        self, photo: np.ndarray, views: list[Square], known: list[Square]
    ) -> tuple[list[Candidate], list[Stray]]:
        """Hands to ask about, and palms in which the landmark network saw no hand."""
        candidates: list[Candidate] = []
        strays: list[Stray] = []
        guesses = [
            Palm(replace(square, angle_deg=angle), 1.0)
            for square in known
            for angle in (-30.0, 0.0, 30.0)
        ]
        for palm in guesses:
            joints = self._settle(photo, palm.square)
            if joints is not None:
                _count(candidates, joints)
        for view in views:
            for palm in self._palms(photo, view):
                already = next((c for c in candidates if c.explains(palm.square)), None)
                if already is not None:
                    already.seen += 1
                elif (joints := self._settle(photo, palm.square)) is not None:
                    _count(candidates, joints)
                else:
                    _count_stray(strays, palm)
        return candidates, strays

    def _settle(self, photo: np.ndarray, square: Square) -> np.ndarray | None:
        """Joints after a second look from where the first look saw the hand."""
        first = self._landmarks(photo, square)
        if first is None:
            return None
        second = self._landmarks(photo, square_of_hand(first.joints_px))
        return first.joints_px if second is None else second.joints_px

    def _poll(self, photo: np.ndarray, candidate: Candidate, plan: Pass) -> Label | None:
        """Ask in every look, once around the first guess and once around the agreed answer."""
        joints = candidate.joints_px
        first_plan = replace(plan, look_scales=plan.look_scales[:1])
        for round_plan in (first_plan, plan):
            looks = looks_at(square_of_hand(joints), round_plan)
            answers = [a for a in (self._landmarks(photo, look) for look in looks) if a]
            if len(answers) < 0.25 * len(looks):
                return None
            joints = np.median([a.joints_px for a in answers], axis=0)
        return _agree(answers, len(looks), candidate.seen)


def _count(candidates: list[Candidate], joints_px: np.ndarray) -> None:
    near = next((c for c in candidates if c.is_near(joints_px)), None)
    if near is None:
        candidates.append(Candidate(joints_px))
    else:
        near.seen += 1


def _count_stray(strays: list[Stray], palm: Palm) -> None:
    box = _box_of_square(palm.square)
    near = next((s for s in strays if overlap(s.box, box) > 0.3), None)
    if near is None:
        strays.append(Stray(box, palm.score))
    else:
        near.seen += 1
        near.score = max(near.score, palm.score)


def _is_face(box: np.ndarray, faces: list[np.ndarray]) -> bool:
    middle = (box[:2] + box[2:]) / 2
    return any((face[:2] < middle).all() and (middle < face[2:]).all() for face in faces)


def _is_labelled(square: Square, kept: list[Label]) -> bool:
    """Whether a labelled hand lies in the middle of this square."""
    middle = np.array([square.x, square.y])
    return any(abs(k.joints_px.mean(axis=0) - middle).max() < 0.25 * square.side for k in kept)


def _agree(answers: list[Answer], asked: int, seen: int) -> Label:
    sides = [a.side for a in answers]
    side = max(sorted(OTHER_SIDE), key=sides.count)
    points = np.stack([a.joints_px for a in answers])  # (answer, 21, 2)
    joints = np.median(points, axis=0)
    return Label(
        joints_px=joints,
        spread_px=np.median(np.linalg.norm(points - joints, axis=-1), axis=0),
        world_mm=np.median([a.world_mm for a in answers], axis=0),
        side=side,
        side_share=sides.count(side) / len(sides),
        hits=len(answers),
        asked=asked,
        seen=seen,
    )


def _without_doubles(labels: list[Label]) -> list[Label]:
    """The labels, best first, without a second one on the same hand."""
    kept: list[Label] = []
    for label in sorted(labels, key=score_of, reverse=True):
        candidate = Candidate(label.joints_px)
        box = box_of(label.joints_px)
        if not any(
            candidate.is_near(k.joints_px) or overlap(box, box_of(k.joints_px)) > 0.6 for k in kept
        ):
            kept.append(label)
    return kept


def _boxes_beside(boxes: list[np.ndarray], kept: list[Label]) -> list[list[float]]:
    """Doubtful boxes, each place once, without those that lie on a labelled hand."""
    beside: list[np.ndarray] = []
    taken = [box_of(label.joints_px) for label in kept]
    for box in boxes:
        if (box[2:] - box[:2]).max() >= SMALLEST_PX and all(
            overlap(box, other) < 0.3 for other in taken
        ):
            beside.append(box)
            taken.append(box)
    return [_rounded(box) for box in beside]


def _rounded(box: np.ndarray) -> list[float]:
    return [round(float(v), 1) for v in box]


def _box_of_square(square: Square) -> np.ndarray:
    half = square.side / 2 * 0.6  # the square has a wide margin around the hand
    return np.array([square.x - half, square.y - half, square.x + half, square.y + half])


def _hand_record(label: Label) -> dict[str, Any]:
    return {
        "side": label.side,
        "joints_px": np.round(label.joints_px, 2).tolist(),
        "spread_px": np.round(label.spread_px, 2).tolist(),
        "world_mm": np.round(label.world_mm, 1).tolist(),
        "hits": label.hits,
        "asked": label.asked,
        "seen": label.seen,
        "side_share": round(label.side_share, 3),
        "score": round(score_of(label), 3),
    }


# --------------------------------------------------------------------------------------------
# Photographs in, labels out
# --------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Photo:
    """One RGB photograph, or one frame of a video, with the name it is recorded under."""

    photo_set: PhotoSet
    file: str
    frame: int | None
    image: np.ndarray

    @property
    def key(self) -> tuple[str, str, int | None]:
        """What tells this picture from every other."""
        return (self.photo_set.folder, self.file, self.frame)


def photographs(root: Path, photo_set: PhotoSet, done: set) -> Iterator[Photo]:
    """The photographs of one set that are not done yet, in an order without runs of one scene."""
    folder = root / photo_set.folder
    others = [root / each.folder for each in PHOTO_SETS if folder in (root / each.folder).parents]
    files = [
        path
        for path in sorted(folder.glob(photo_set.pattern))
        if not any(path.is_relative_to(other) for other in others)
    ]
    order = np.random.default_rng(0).permutation(len(files))
    for path in (files[i] for i in order):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".mp4":
            yield from _frames(path, photo_set, done)
        elif (photo_set.folder, name, None) not in done:
            image = cv2.imread(str(path))
            if image is None:
                raise ValueError(f"{path} is not an image OpenCV can read; remove it or repair it")
            yield Photo(photo_set, name, None, cv2.cvtColor(image, cv2.COLOR_BGR2RGB))


def _frames(path: Path, photo_set: PhotoSet, done: set) -> Iterator[Photo]:
    video = cv2.VideoCapture(str(path))
    index = 0
    while True:
        more, image = video.read()
        if not more:
            return
        if index % photo_set.every == 0 and (photo_set.folder, path.name, index) not in done:
            yield Photo(photo_set, path.name, index, cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
        index += 1


class LabelFile:
    """The labels on disk: read at the start, rewritten whole, never left half written."""

    def __init__(self, path: Path, seconds_between_saves: float = 20.0) -> None:
        self._path = path
        self._between = seconds_between_saves
        self._saved_at = time.monotonic()
        records = json.loads(path.read_text())["records"] if path.exists() else []
        self._records = {(r["dataset"], r["file"], r["frame"]): r for r in records}

    def done(self, pass_name: str) -> set:
        """Keys of the photographs this pass, or a more thorough one, has labelled."""
        order = list(PASSES)
        enough = set(order[order.index(pass_name) :])
        return {key for key, record in self._records.items() if record["pass"] in enough}

    def add(self, photo: Photo, record: dict[str, Any]) -> None:
        """Record one photograph; save if the last save is some time ago."""
        self._records[photo.key] = record
        if time.monotonic() - self._saved_at > self._between:
            self.save()

    def save(self) -> None:
        """Write beside the file, then swap, so that a reader never sees half of it."""
        partial = self._path.with_suffix(".partial")
        content = {"teacher": "mediapipe 0.10.21", "records": list(self._records.values())}
        partial.write_text(json.dumps(content))
        os.replace(partial, self._path)
        self._saved_at = time.monotonic()


def boxes_by_file(folder: Path) -> dict[str, list[list[float]]]:
    """Boxes that came with a set: places to zoom into, file -> [[x0, y0, x1, y1]]."""
    path = folder / "boxes.json"
    if not path.exists():
        return {}
    return {f: [b["box_xyxy"] for b in boxes] for f, boxes in json.loads(path.read_text()).items()}


def label_all(root: Path, output: Path, plan: Pass, only: list[str]) -> None:
    """Label every photograph under ``root`` that this pass has not labelled yet."""
    teacher = Teacher()
    labels = LabelFile(output)
    for photo_set in PHOTO_SETS:
        if only and photo_set.folder not in only:
            continue
        boxes = boxes_by_file(root / photo_set.folder)
        started = time.monotonic()
        undone = photographs(root, photo_set, labels.done(plan.name))
        for count, photo in enumerate(undone, start=1):
            known = known_hands(photo, boxes.get(photo.file, []))
            views = views_of(photo.image, photo_set, known, plan)
            labels.add(photo, _photo_record(photo, plan, views, known, teacher))
            if count % 100 == 0:
                each = (time.monotonic() - started) / count
                print(f"{photo_set.folder}: {count} labelled, {each:.2f} s each", flush=True)
        labels.save()


def _photo_record(
    photo: Photo, plan: Pass, views: list[Square], known: list[Square], teacher: Teacher
) -> dict[str, Any]:
    height, width = photo.image.shape[:2]
    return {
        "dataset": photo.photo_set.folder,
        "file": photo.file,
        "frame": photo.frame,
        "width": width,
        "height": height,
        "pass": plan.name,
        "views": len(views),
        **teacher.label(photo.image, views, known, plan),
    }


def main() -> None:
    """Command line: root of the photographs, label file, pass."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path, help="folder that holds the photographs' folders")
    parser.add_argument("output", type=Path, help="the JSON file of labels, made or continued")
    parser.add_argument("--pass", dest="plan", choices=PASSES, default="full")
    parser.add_argument("--only", nargs="*", default=[], help="folders to label; all by default")
    options = parser.parse_args()
    label_all(options.root, options.output, PASSES[options.plan], options.only)


if __name__ == "__main__":
    main()
