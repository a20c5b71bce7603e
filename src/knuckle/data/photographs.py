"""Real photographs with a teacher's labels, packed small enough to be sent to a training machine.

``tools/teacher.py`` labels the photographs; this file cuts and shrinks them into three stores, one
file each, that are read at once and decoded picture by picture:

- ``crops.npz``: every labelled hand with a wide margin, for the keypoint network;
- ``frames.npz``: whole pictures with all their hands, for the detector;
- ``handless.npz``: faces and pieces of background, to teach what is no hand.

    knuckle data pack-photographs recipes/labels.json.xz ../shared/data DIR

The labels are a network's answers, not the truth: ``sigma_px`` says how far they disagree among
themselves, ``ignore_xyxy`` where the teacher saw something that it would not name.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from knuckle.crop import Crop
from knuckle.data.convention import TEACHERS_OWN, own_bone_depth, own_joints
from knuckle.errors import InputError
from knuckle.hand import KNUCKLES, N_JOINTS, SIDES, Joint
from knuckle.limits import open_npz
from knuckle.sample import HandLabel, Sample

Part = Literal["train", "validation"]

#: Groups of pictures without a hand are named after their folders, and these folders are held back.
HAND_FREE = "no_hands/"
HAND_FREE_HELD_BACK = ("iot", "mslearn", "os_soc", "robotlab")

#: Neighbours in a burst are nearly the same picture: this many stay on one side of the split.
BURST = 20


@dataclass(frozen=True)
class Packing:
    """How large the packed pictures are.

    Attributes:
        crop_margin: side of a crop over the longer side of the box around the hand's joints.
        crop_px: side of a crop at most; small hands are not enlarged.
        crop_quality: JPEG quality of the crops.
        handless_px: side of a crop without a hand at most.
        frame_px: longer side of a whole picture.
        frame_quality: JPEG quality of the whole pictures.
        frame_sets: folders whose pictures are packed whole.
        frames_of_video: of a video, each how-manieth labelled frame is packed whole.
    """

    crop_margin: float = 2.2
    crop_px: int = 224
    crop_quality: int = 75
    handless_px: int = 128
    frame_px: int = 320
    frame_quality: int = 72
    frame_sets: tuple[str, ...] = (
        "photos_finger_count", "photos_gesture_room", "photos_more", "photos_more/emrecan_hand",
        "stereo_video",
    )  # fmt: skip
    frames_of_video: int = 2


@dataclass(frozen=True, eq=False)
class PhotographStore:
    """Labelled pictures in memory, still as JPEG.

    Hands and ignored boxes of all pictures stand one after the other: those of picture ``i`` are
    ``hand_offsets[i]`` to ``hand_offsets[i + 1]``, and likewise for the boxes and the bytes.

    Attributes:
        jpeg: (B,) uint8, every picture's file, one after the other.
        jpeg_offsets: (N + 1,) int64.
        keys: (N,) str, unique names.
        datasets: (N,) str, the folder each came from.
        groups: (N,) str, what must not be split (see ``Sample.group``).
        complete: (N,) bool (see ``Sample.complete``).
        hand_offsets: (N + 1,) int64. In a store of crops the first hand is the one cut out.
        is_left: (K,) bool.
        joints_px: (K, 21, 2) float32, pixels of the packed picture, where the teacher puts them;
            ``decode`` moves them to where Knuckle does (``data/convention.py``).
        sigma_px: (K, 21) float32, spread of the teacher's answers.
        second_px: (K, 21, 2) float32, where a finished network of ours sees the joints, in our
            convention (``tools/second_opinion.py``); NaN where none was asked.
        world_mm: (K, 21, 3) float32, hand-centred, x right, y down, z forward: weak depth.
        score: (K,) float32, 0..1, the teacher's agreement with itself.
        ignore_offsets: (N + 1,) int64.
        ignore_xyxy: (M, 4) float32.
        decoy_offsets: (N + 1,) int64.
        decoys_xyxy: (L, 4) float32, see ``Sample.decoys_xyxy``.
    """

    jpeg: np.ndarray
    jpeg_offsets: np.ndarray
    keys: np.ndarray
    datasets: np.ndarray
    groups: np.ndarray
    complete: np.ndarray
    hand_offsets: np.ndarray
    is_left: np.ndarray
    joints_px: np.ndarray
    sigma_px: np.ndarray
    second_px: np.ndarray
    world_mm: np.ndarray
    score: np.ndarray
    ignore_offsets: np.ndarray
    ignore_xyxy: np.ndarray
    decoy_offsets: np.ndarray
    decoys_xyxy: np.ndarray

    def __post_init__(self) -> None:
        n = len(self.keys)
        for name in ("jpeg_offsets", "hand_offsets", "ignore_offsets", "decoy_offsets"):
            if len(getattr(self, name)) != n + 1:
                raise InputError(
                    f"{name} must have one entry more than there are pictures ({n + 1}), got "
                    f"{len(getattr(self, name))}"
                )

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.keys)

    def hands_of(self, i: int) -> slice:
        """Where the hands of picture ``i`` stand in ``joints_px``, ``world_mm`` and the rest."""
        return slice(int(self.hand_offsets[i]), int(self.hand_offsets[i + 1]))

    def decode(self, i: int) -> Sample:
        """Picture ``i`` with its labels."""
        data = self.jpeg[self.jpeg_offsets[i] : self.jpeg_offsets[i + 1]]
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR)
        if bgr is None:
            raise InputError(f"picture {self.keys[i]} cannot be decoded; pack the store again")
        hands = self.hands_of(i)
        return Sample(
            image=cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB),
            hands=tuple(self._hand(k) for k in range(hands.start, hands.stop)),
            ignore_xyxy=self.ignore_xyxy[self.ignore_offsets[i] : self.ignore_offsets[i + 1]],
            decoys_xyxy=self.decoys_xyxy[self.decoy_offsets[i] : self.decoy_offsets[i + 1]],
            complete=bool(self.complete[i]),
            key=str(self.keys[i]),
            group=str(self.groups[i]),
        )

    def part(self, name: Part, datasets: Sequence[str] = ()) -> np.ndarray:
        """Indices of the pictures of one part, whole groups, the same on every machine.

        Args:
            name: of the part.
            datasets: only of these data sets; empty: of all.

        Raises:
            ValueError: a data set is not in the store.
        """
        if unknown := set(datasets) - set(self.datasets.tolist()):
            there_are = ", ".join(sorted(set(self.datasets.tolist())))
            raise InputError(f"no pictures of {sorted(unknown)}; there are {there_are}")
        held_back = np.array([is_validation(str(group)) for group in self.groups], dtype=bool)
        wanted = np.isin(self.datasets, datasets) if datasets else np.ones(len(self), bool)
        return np.flatnonzero(wanted & (held_back if name == "validation" else ~held_back))

    def with_decoys(self, decoys: Sequence[np.ndarray]) -> PhotographStore:
        """The same pictures, (K, 4) px of each that look like hands and are none."""
        return replace(
            self,
            decoy_offsets=_offsets(len(boxes) for boxes in decoys),
            decoys_xyxy=_stack(decoys, (4,)),
        )

    def save(self, path: str | Path) -> None:
        """Write the store as one npz file; whoever reads it meanwhile sees the old one whole."""
        path = Path(path)
        partial = path.with_name(f"partial-{path.name}")
        np.savez(partial, **{f.name: getattr(self, f.name) for f in fields(self)})
        partial.replace(path)

    @classmethod
    def load(cls, path: str | Path) -> PhotographStore:
        """Read a store that ``save`` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is not a store of photographs.
        """
        with open_npz(Path(path), "a store of photographs", "pack it again") as arrays:
            missing = {f.name for f in fields(cls)} - set(arrays.files)
            if missing:
                raise InputError(
                    f"{path} is not a store of photographs: it has no {sorted(missing)}; pack it "
                    f"again with python -m knuckle.data.photographs"
                )
            return cls(**{f.name: arrays[f.name] for f in fields(cls)})

    @property
    def own_px(self) -> np.ndarray:
        """(K, 21, 2) the teacher's joints where our convention puts them."""
        return own_joints(self.joints_px)

    def _hand(self, k: int) -> HandLabel:
        joints_px, sigma_px = _agreed(
            own_joints(self.joints_px[k]), self.sigma_px[k], self.second_px[k]
        )
        return HandLabel(
            side=SIDES[0] if self.is_left[k] else SIDES[1],
            joints_px=joints_px,
            sigma_px=sigma_px,
            bone_depth=own_bone_depth(self.world_mm[k]),
        )


def _agreed(
    joints_px: np.ndarray, sigma_px: np.ndarray, second_px: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The mean of two opinions, which may be off by half of what they are apart; one if one.

    Where only the teacher is heard, it is as if the second one agreed.
    """
    if np.isnan(second_px).any():
        return joints_px, sigma_px
    second_px = second_px.copy()
    second_px[TEACHERS_OWN] = joints_px[TEACHERS_OWN]
    apart = np.linalg.norm(second_px - joints_px, axis=-1)
    return (joints_px + second_px) / 2, np.maximum(sigma_px, apart / 2)


def is_validation(group: str, share: float = 0.05) -> bool:
    """Whether a group is held back: decided by its name alone."""
    if group.startswith(HAND_FREE):
        return group.removeprefix(HAND_FREE) in HAND_FREE_HELD_BACK
    digest = hashlib.sha1(group.encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


# --------------------------------------------------------------------------------------------
# Packing
# --------------------------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class LabelledPhoto:
    """A photograph at its own size, with the teacher's record of it."""

    image: np.ndarray  # (H, W, 3) uint8 RGB
    record: dict[str, Any]
    key: str
    group: str

    @property
    def hands(self) -> list[dict[str, Any]]:
        """The records of its labelled hands."""
        return self.record["hands"]


@dataclass(frozen=True, eq=False)
class PackedPicture:
    """One picture of a store on its way into it; arrays as in ``PhotographStore``."""

    jpeg: np.ndarray
    key: str
    photo: LabelledPhoto
    hands: list[dict[str, Any]]
    joints_px: np.ndarray  # (K, 21, 2)
    scale: float
    ignore_xyxy: np.ndarray  # (M, 4)


def pack(labels: Path, root: Path, out: Path, packing: Packing | None = None) -> None:
    """Write the three stores for the photographs that the teacher labelled.

    Args:
        labels: what ``tools/teacher.py`` wrote, see ``read_labels``.
        root: the folder that holds the photographs' folders.
        out: folder to write to.
        packing: sizes and qualities.
    """
    packing = packing or Packing()
    crops: list[PackedPicture] = []
    frames: list[PackedPicture] = []
    handless: list[PackedPicture] = []
    for photo in labelled_photos(labels, root):
        crops += [_cut_hand(photo, k, packing) for k in range(len(photo.hands))]
        if _belongs_to_frames(photo.record, packing):
            frames.append(shrink(photo, packing))
        handless += _cut_handless(photo, packing)
    out.mkdir(parents=True, exist_ok=True)
    for name, pictures in (("crops", crops), ("frames", frames), ("handless", handless)):
        store_of(pictures).save(out / f"{name}.npz")


def read_labels(path: Path) -> dict[str, Any]:
    """A file of labels as ``tools/teacher.py`` describes it, plain JSON or packed with xz."""
    packed = path.read_bytes()
    return json.loads(lzma.decompress(packed) if path.suffix == ".xz" else packed)


def labelled_photos(labels: Path, root: Path) -> Iterator[LabelledPhoto]:
    """The photographs of a label file with their records, videos decoded once."""
    records: list[dict[str, Any]] = read_labels(labels)["records"]
    person_of = _people_of_sign_digits(records)
    by_file: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for record in sorted(records, key=lambda r: (r["dataset"], r["file"], r["frame"] or 0)):
        by_file.setdefault((record["dataset"], record["file"]), []).append(record)
    for (dataset, file), of_file in by_file.items():
        for record, image in _images(root / dataset / file, of_file):
            stem = re.sub("[./]", "_", f"{dataset}-{Path(file).with_suffix('')}")
            key = stem if record["frame"] is None else f"{stem}-{record['frame']:06d}"
            yield LabelledPhoto(image, record, key, _group(record, person_of))


def _images(
    path: Path, records: list[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    if records[0]["frame"] is None:
        yield records[0], _rgb(cv2.imread(str(path)), path)
        return
    video = cv2.VideoCapture(str(path))
    wanted = {record["frame"]: record for record in records}
    for index in range(max(wanted) + 1):
        image = video.read()[1]
        if index in wanted:
            yield wanted[index], _rgb(image, path)


def _rgb(bgr: np.ndarray | None, path: Path) -> np.ndarray:
    if bgr is None:
        raise InputError(f"{path} is labelled but cannot be read; label again or restore the file")
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def _belongs_to_frames(record: dict[str, Any], packing: Packing) -> bool:
    if record["dataset"] not in packing.frame_sets:
        return False
    # The teacher labels each third frame of a video.
    return record["frame"] is None or record["frame"] // 3 % packing.frames_of_video == 0


def _cut_hand(photo: LabelledPhoto, index: int, packing: Packing) -> PackedPicture:
    """One hand with its margin; other hands in the crop stay labelled, after it."""
    joints = np.array([hand["joints_px"] for hand in photo.hands])  # (K, 21, 2)
    low, high = joints[index].min(axis=0), joints[index].max(axis=0)
    size = float((high - low).max()) * packing.crop_margin
    x, y = (low + high) / 2
    crop = Crop((x, y), size, out_size=min(packing.crop_px, int(np.ceil(size))))
    inside = [
        k
        for k in range(len(joints))
        if k != index and (abs(joints[k].mean(axis=0) - (x, y)) < size / 2).all()
    ]
    order = [index, *inside]
    ignore = crop.to_crop(_boxes(photo.record["uncertain"]).reshape(-1, 2)).reshape(-1, 4)
    return PackedPicture(
        jpeg=_jpeg(crop.cut(photo.image), packing.crop_quality),
        key=f"{photo.key}-{index}",
        photo=photo,
        hands=[photo.hands[k] for k in order],
        joints_px=crop.to_crop(joints[order]),
        scale=crop.out_size / size,
        ignore_xyxy=_those_inside(ignore, crop.out_size, crop.out_size),
    )


def shrink(photo: LabelledPhoto, packing: Packing) -> PackedPicture:
    """The whole picture with all its hands."""
    height, width = photo.image.shape[:2]
    scale = min(packing.frame_px / max(height, width), 1.0)
    size = (round(width * scale), round(height * scale))
    small = cv2.resize(photo.image, size, interpolation=cv2.INTER_AREA)
    joints = np.array([hand["joints_px"] for hand in photo.hands]).reshape(-1, N_JOINTS, 2)

    def resized(points: np.ndarray) -> np.ndarray:  # pixel centres at whole numbers
        return (points + 0.5) * (size[0] / width, size[1] / height) - 0.5

    ignore = resized(_boxes(photo.record["uncertain"]).reshape(-1, 2)).reshape(-1, 4)
    return PackedPicture(
        jpeg=_jpeg(small, packing.frame_quality),
        key=photo.key,
        photo=photo,
        hands=photo.hands,
        joints_px=resized(joints),
        scale=scale,
        ignore_xyxy=_those_inside(ignore, *size),
    )


def _cut_handless(photo: LabelledPhoto, packing: Packing) -> list[PackedPicture]:
    """Crops that show no hand: faces, forearms, and one square anywhere."""
    taken = np.concatenate([_hand_boxes(photo), _boxes(photo.record["uncertain"])])
    height, width = photo.image.shape[:2]
    rng = np.random.default_rng(int(hashlib.sha1(photo.key.encode()).hexdigest()[:8], 16))
    size = rng.uniform(0.15, 0.7) * min(height, width)
    squares = [((box[:2] + box[2:]) / 2, 1.3 * (box[2] - box[0])) for box in _faces(photo)]
    squares += [_forearm(np.array(hand["joints_px"])) for hand in photo.hands]
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
        ignore_xyxy=np.zeros((0, 4)),
    )


def _forearm(joints_px: np.ndarray) -> tuple[np.ndarray, float]:
    """Middle and side of a square on the arm behind the wrist: skin that is hardest to tell."""
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


def _hand_boxes(photo: LabelledPhoto) -> np.ndarray:
    """Boxes around the hands, with the skin beyond the joints."""
    joints = np.array([hand["joints_px"] for hand in photo.hands]).reshape(-1, N_JOINTS, 2)
    low, high = joints.min(axis=1), joints.max(axis=1)
    skin = 0.2 * (high - low).max(axis=1, keepdims=True)
    return np.concatenate([low - skin, high + skin], axis=1)


def _faces(photo: LabelledPhoto) -> np.ndarray:
    return _boxes(photo.record["faces"])


def _boxes(boxes: Sequence[Sequence[float]]) -> np.ndarray:
    return np.array(boxes, dtype=np.float64).reshape(-1, 4)


def _those_inside(boxes: np.ndarray, width: int, height: int) -> np.ndarray:
    """The boxes clipped to the picture, without those that lie outside."""
    clipped = np.clip(boxes, 0, (width - 1, height - 1, width - 1, height - 1))
    return clipped[(clipped[:, 2:] - clipped[:, :2]).min(axis=1) > 1]


def _jpeg(rgb: np.ndarray, quality: int) -> np.ndarray:
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].reshape(-1)


def store_of(pictures: Sequence[PackedPicture]) -> PhotographStore:
    """Put packed pictures together."""
    hands = [hand for picture in pictures for hand in picture.hands]
    sigma = [
        np.array(hand["spread_px"]) * picture.scale
        for picture in pictures
        for hand in picture.hands
    ]
    return PhotographStore(
        jpeg=np.concatenate([np.zeros(0, np.uint8), *(p.jpeg for p in pictures)]),
        jpeg_offsets=_offsets(len(p.jpeg) for p in pictures),
        keys=np.array([p.key for p in pictures], dtype=str),
        datasets=np.array([p.photo.record["dataset"] for p in pictures], dtype=str),
        groups=np.array([p.photo.group for p in pictures], dtype=str),
        complete=np.array([p.photo.record["complete"] for p in pictures], dtype=bool),
        hand_offsets=_offsets(len(p.hands) for p in pictures),
        is_left=np.array([hand["side"] == "left" for hand in hands], dtype=bool),
        joints_px=_stack([p.joints_px for p in pictures], (N_JOINTS, 2)),
        sigma_px=np.array(sigma, dtype=np.float32).reshape(-1, N_JOINTS),
        second_px=np.full((len(hands), N_JOINTS, 2), np.nan, np.float32),
        world_mm=np.array([h["world_mm"] for h in hands], dtype=np.float32).reshape(
            -1, N_JOINTS, 3
        ),
        score=np.array([hand["score"] for hand in hands], dtype=np.float32),
        ignore_offsets=_offsets(len(p.ignore_xyxy) for p in pictures),
        ignore_xyxy=_stack([p.ignore_xyxy for p in pictures], (4,)),
        decoy_offsets=np.zeros(len(pictures) + 1, np.int64),
        decoys_xyxy=np.zeros((0, 4), np.float32),
    )


def _offsets(lengths: Iterable[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(list(lengths))]).astype(np.int64)


def _stack(arrays: Sequence[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    return np.concatenate([np.zeros((0, *shape)), *arrays]).astype(np.float32)


# --------------------------------------------------------------------------------------------
# What must stay together
# --------------------------------------------------------------------------------------------
def _group(record: dict[str, Any], person_of: dict[str, int]) -> str:
    """Pictures of one person, or neighbours in a burst or a video, share a group."""
    dataset, file = record["dataset"], record["file"]
    if file in person_of:
        return f"{dataset}/person-{person_of[file]:03d}"
    if record["frame"] is not None:  # both cameras of a moment together
        return f"{dataset}/{record['frame'] // (3 * BURST)}"
    crop_of = re.fullmatch(r"(.*)_c\d+\.jpg", file)
    if crop_of:  # a part of another picture, cut out
        return f"{dataset}/{crop_of[1]}.jpg"
    burst = re.fullmatch(r"(.*)pic(\d+)\.jpg", file)
    if burst:
        return f"{dataset}/{burst[1]}{int(burst[2]) // BURST}"
    return f"{dataset}/{file}"


def _people_of_sign_digits(records: Iterable[dict[str, Any]]) -> dict[str, int]:
    """Who is who in ``photos_sign_digits``: each person signed 0 to 9 in a row.

    File names are ``DIGIT__IMG_NUMBER.jpg``; in order of NUMBER, a new person begins where the
    digit does not rise.
    """
    shots = []
    for record in records:
        name = re.fullmatch(r"(\d)__IMG_(\d+)\.jpg", record["file"])
        if record["dataset"] == "photos_sign_digits" and name:
            shots.append((int(name[2]), int(name[1]), record["file"]))
    person_of: dict[str, int] = {}
    person, last_digit = 0, -1
    for _, digit, file in sorted(shots):
        person += digit <= last_digit
        person_of[file], last_digit = person, digit
    return person_of
