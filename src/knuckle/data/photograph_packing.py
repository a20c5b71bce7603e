"""Labelled photographs cut, shrunk and packed into the stores of ``photographs``.

    knuckle data pack-photographs recipes/labels.json.xz ../shared/data DIR

They become small enough to be sent to a machine that trains.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from knuckle.camera import Camera
from knuckle.crop import Crop
from knuckle.data.photograph_labels import LabelledPhoto, labelled_photos
from knuckle.data.photographs import PhotographStore, offsets_of, stacked
from knuckle.hand import KNUCKLES, N_JOINTS, Joint


@dataclass(frozen=True)
class Packing:
    """How large the packed pictures are.

    Attributes:
        frame_sets: folders whose pictures are packed whole.
    """

    #: Side of a crop over the longer side of the box around the hand's joints.
    crop_margin: float = 2.2
    crop_px: int = 352  # side of a crop at most; small hands are not enlarged
    crop_quality: int = 92  # JPEG quality of the crops
    handless_px: int = 192  # side of a crop without a hand at most
    frame_px: int = 320  # longer side of a whole picture
    frame_quality: int = 72  # JPEG quality of the whole pictures
    frame_sets: tuple[str, ...] = (
        "photos_finger_count", "photos_gesture_room", "photos_more", "photos_more/emrecan_hand",
        "stereo_video",
    )  # fmt: skip
    frames_of_video: int = 2  # of a video, every how many labelled frames one is packed whole


@dataclass(frozen=True, eq=False)
class PackedPicture:
    """One picture before it is put into a store; arrays as in ``PhotographStore``."""

    jpeg: np.ndarray
    key: str
    photo: LabelledPhoto  # the photograph that it is cut from
    hands: list[dict[str, Any]]  # the teacher's records of its K hands
    joints_px: np.ndarray
    scale: float  # its pixels over those of the photograph
    corner_px: tuple[float, float]  # of the photograph, what its pixel (0, 0) shows the middle of
    ignore_xyxy: np.ndarray

    @property
    def camera(self) -> tuple[float, float, float]:
        """Focal length and principal point, px, of the camera assumed for the whole photograph."""
        height, width = self.photo.image.shape[:2]
        assumed, (x, y) = Camera.assume(width, height), self.corner_px
        return (
            assumed.fx * self.scale,
            (assumed.cx - x) * self.scale,
            (assumed.cy - y) * self.scale,
        )

    @property
    def sigma_px(self) -> np.ndarray:
        """(K, 21) spread of the teacher's answers."""
        spread = np.array([hand["spread_px"] for hand in self.hands])
        return spread.reshape(-1, N_JOINTS) * self.scale


def pack(labels: Path, root: Path, out: Path, packing: Packing | None = None) -> None:
    """Write the three stores for the photographs that the teacher labelled.

    Args:
        labels: what ``tools/teacher.py`` wrote, see ``read_labels``.
        root: the folder that holds the photographs' folders.
        out: folder to write to.
        packing: sizes and qualities.
    """
    packing = packing or Packing()
    crops, frames, handless = (list[PackedPicture]() for _ in range(3))
    for photo in labelled_photos(labels, root):
        crops += [_cut_hand(photo, k, packing) for k in range(len(photo.hands))]
        if _belongs_to_frames(photo.record, packing):
            frames.append(shrink(photo, packing))
        handless += _cut_handless(photo, packing)
    out.mkdir(parents=True, exist_ok=True)
    for name, pictures in (("crops", crops), ("frames", frames), ("handless", handless)):
        store_of(pictures).save(out / f"{name}.npz")


def _belongs_to_frames(record: dict[str, Any], packing: Packing) -> bool:
    if record["dataset"] not in packing.frame_sets:
        return False
    # The teacher labels each third frame of a video.
    return record["frame"] is None or record["frame"] // 3 % packing.frames_of_video == 0


def _cut_hand(photo: LabelledPhoto, index: int, packing: Packing) -> PackedPicture:
    """One hand with its margin; others of which a joint is in the crop stay labelled, after it.

    What is not labelled in a complete picture would be taught to be no hand.
    """
    joints = photo.joints_px
    low, high = joints[index].min(axis=0), joints[index].max(axis=0)
    size = float((high - low).max()) * packing.crop_margin
    x, y = (low + high) / 2
    crop = Crop((x, y), size, out_size=min(packing.crop_px, int(np.ceil(size))))
    inside = [
        k
        for k in range(len(joints))
        if k != index and (abs(joints[k] - (x, y)) < size / 2).all(axis=-1).any()
    ]
    order = [index, *inside]
    ignore = crop.to_crop(photo.boxes("uncertain").reshape(-1, 2)).reshape(-1, 4)
    return PackedPicture(
        jpeg=_jpeg(crop.cut(photo.image), packing.crop_quality),
        key=f"{photo.key}-{index}",
        photo=photo,
        hands=[photo.hands[k] for k in order],
        joints_px=crop.to_crop(joints[order]),
        scale=crop.out_size / size,
        corner_px=_corner(crop),
        ignore_xyxy=_those_inside(ignore, crop.out_size, crop.out_size),
    )


def shrink(photo: LabelledPhoto, packing: Packing) -> PackedPicture:
    """The whole picture with all its hands."""
    height, width = photo.image.shape[:2]
    scale = min(packing.frame_px / max(height, width), 1.0)
    size = (round(width * scale), round(height * scale))
    small = cv2.resize(photo.image, size, interpolation=cv2.INTER_AREA)

    def resized(points: np.ndarray) -> np.ndarray:  # pixel centres at whole numbers
        return (points + 0.5) * (size[0] / width, size[1] / height) - 0.5

    ignore = resized(photo.boxes("uncertain").reshape(-1, 2)).reshape(-1, 4)
    return PackedPicture(
        jpeg=_jpeg(small, packing.frame_quality),
        key=photo.key,
        photo=photo,
        hands=photo.hands,
        joints_px=resized(photo.joints_px),
        scale=scale,
        corner_px=(0.5 / scale - 0.5, 0.5 / scale - 0.5),
        ignore_xyxy=_those_inside(ignore, *size),
    )


def _cut_handless(photo: LabelledPhoto, packing: Packing) -> list[PackedPicture]:
    """Crops that show no hand: faces, forearms, and one square anywhere."""
    taken = np.concatenate([_hand_boxes(photo.joints_px), photo.boxes("uncertain")])
    height, width = photo.image.shape[:2]
    rng = np.random.default_rng(int(hashlib.sha1(photo.key.encode()).hexdigest()[:8], 16))
    size = rng.uniform(0.15, 0.7) * min(height, width)
    squares = [((box[:2] + box[2:]) / 2, 1.3 * (box[2] - box[0])) for box in photo.boxes("faces")]
    squares += [_forearm(joints_px) for joints_px in photo.joints_px]
    squares.append((rng.uniform(size / 2, (width - size / 2, height - size / 2)), size))
    return [
        _cut_square(photo, f"{photo.key}-none{k}", centre, side, packing)
        for k, (centre, side) in enumerate(squares)
        if not _touches(centre, side, taken) and _is_inside(centre, side, width, height)
    ]


def _cut_square(
    photo: LabelledPhoto, key: str, centre: np.ndarray, size: float, packing: Packing
) -> PackedPicture:
    x, y = (float(v) for v in centre)
    crop = Crop((x, y), float(size), out_size=min(packing.handless_px, int(np.ceil(size))))
    return PackedPicture(
        jpeg=_jpeg(crop.cut(photo.image), packing.crop_quality),
        key=key,
        photo=photo,
        hands=[],
        joints_px=np.zeros((0, N_JOINTS, 2)),
        scale=crop.out_size / size,
        corner_px=_corner(crop),
        ignore_xyxy=np.zeros((0, 4)),
    )


def _corner(crop: Crop) -> tuple[float, float]:
    x, y = crop.to_frame(np.zeros((1, 2)))[0].tolist()
    return x, y


def _forearm(joints_px: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre and side of a square on the forearm: skin is hardest to tell from a hand."""
    wrist, knuckles = joints_px[Joint.WRIST], joints_px[KNUCKLES].mean(axis=0)
    size = float(np.ptp(joints_px, axis=0).max())
    away = (wrist - knuckles) / max(float(np.linalg.norm(wrist - knuckles)), 1e-9)
    return wrist + 0.8 * size * away, 0.6 * size


def _is_inside(centre: np.ndarray, size: float, width: int, height: int) -> bool:
    """Whether a square lies in the picture, by three quarters of its side at least."""
    low, high = np.maximum(centre - size / 2, 0), np.minimum(centre + size / 2, (width, height))
    return bool(((high - low) >= 0.75 * size).all())


def _touches(centre: np.ndarray, size: float, boxes: np.ndarray) -> bool:
    """Whether a square meets any of the boxes."""
    apart = (boxes[:, :2] > centre + size / 2) | (boxes[:, 2:] < centre - size / 2)
    return bool((~apart.any(axis=1)).any())


def _hand_boxes(joints_px: np.ndarray) -> np.ndarray:
    """(K, 4) boxes around hands (K, 21, 2), with the skin beyond the joints."""
    low, high = joints_px.min(axis=1), joints_px.max(axis=1)
    skin = 0.2 * (high - low).max(axis=1, keepdims=True)
    return np.concatenate([low - skin, high + skin], axis=1)


def _those_inside(boxes: np.ndarray, width: int, height: int) -> np.ndarray:
    """The boxes clipped to the picture, without those that lie outside."""
    clipped = np.clip(boxes, 0, (width - 1, height - 1, width - 1, height - 1))
    return clipped[(clipped[:, 2:] - clipped[:, :2]).min(axis=1) > 1]


def _jpeg(rgb: np.ndarray, quality: int) -> np.ndarray:
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].reshape(-1)


def store_of(pictures: Sequence[PackedPicture]) -> PhotographStore:
    """A store of packed pictures."""
    hands = [hand for picture in pictures for hand in picture.hands]
    return PhotographStore(
        jpeg=np.concatenate([np.zeros(0, np.uint8), *(p.jpeg for p in pictures)]),
        jpeg_offsets=offsets_of(len(p.jpeg) for p in pictures),
        keys=np.array([p.key for p in pictures], dtype=str),
        datasets=np.array([p.photo.record["dataset"] for p in pictures], dtype=str),
        groups=np.array([p.photo.group for p in pictures], dtype=str),
        complete=np.array([p.photo.record["complete"] for p in pictures], dtype=bool),
        cameras=stacked([np.array([p.camera]) for p in pictures], (3,)),
        hand_offsets=offsets_of(len(p.hands) for p in pictures),
        is_left=np.array([hand["side"] == "left" for hand in hands], dtype=bool),
        joints_px=stacked([p.joints_px for p in pictures], (N_JOINTS, 2)),
        sigma_px=stacked([p.sigma_px for p in pictures], (N_JOINTS,)),
        second_px=np.full((len(hands), N_JOINTS, 2), np.nan, np.float32),
        second_visible=np.full((len(hands), N_JOINTS), np.nan, np.float32),
        world_mm=stacked([np.array([hand["world_mm"]]) for hand in hands], (N_JOINTS, 3)),
        score=np.array([hand["score"] for hand in hands], dtype=np.float32),
        ignore_offsets=offsets_of(len(p.ignore_xyxy) for p in pictures),
        ignore_xyxy=stacked([p.ignore_xyxy for p in pictures], (4,)),
        decoy_offsets=np.zeros(len(pictures) + 1, np.int64),
        decoys_xyxy=np.zeros((0, 4), np.float32),
    )
