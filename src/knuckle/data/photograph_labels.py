"""The teacher's labels of photographs, each with its picture and with what it must stay with.

``tools/teacher.py`` writes the labels. Pictures of one person, of one burst or of one stretch of a
video are a group: a split must not divide it.
"""

from __future__ import annotations

import json
import lzma
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from knuckle.errors import InputError
from knuckle.hand import N_JOINTS

#: Neighbours in a burst are nearly the same picture: this many stay on one side of the split.
BURST = 20


@dataclass(frozen=True, eq=False)
class LabelledPhoto:
    """A photograph at its own size, with the teacher's record of it."""

    image: np.ndarray  # (H, W, 3) uint8 RGB
    record: dict[str, Any]
    key: str
    group: str

    @property
    def hands(self) -> list[dict[str, Any]]:
        """The records of its K labelled hands."""
        return self.record["hands"]

    @property
    def joints_px(self) -> np.ndarray:
        """(K, 21, 2) where the teacher puts the joints."""
        return np.array([hand["joints_px"] for hand in self.hands]).reshape(-1, N_JOINTS, 2)

    def boxes(self, of: Literal["faces", "uncertain"]) -> np.ndarray:
        """(M, 4) px of the faces, or of what the teacher would not name."""
        return np.array(self.record[of], dtype=np.float64).reshape(-1, 4)


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
    """The person in each picture of ``photos_sign_digits``: each signed 0 to 9 in a row.

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
