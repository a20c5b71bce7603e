"""``hands.coco.json``: keypoints as COCO has them, for annotation tools and pose libraries."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from knuckle.hand import BONES, JOINT_NAMES, N_JOINTS, SIDES
from knuckle.output.records import Recording
from knuckle.output.staged import ExportSink
from knuckle.results import Frame, HandPose

#: COCO's pixels begin at their corner, ours have their centre at a whole number.
_CORNER_PX = 0.5
_HIDDEN, _VISIBLE = 1, 2


class CocoSink(ExportSink):
    """One image for each frame, one annotation for each hand, a category for each side.

    An image has the name and the size of the file that the frame is, if it is one. A hand that is
    behind the camera, as others of a rig may see it, is in no picture.
    """

    filename = "hands.coco.json"

    def _open(self) -> None:
        super()._open()
        #: Frame -> what holds for its file alone.
        self._files: dict[int, dict[str, Any]] = {}

    def _write(self, frame: Frame, hands: Sequence[HandPose]) -> None:
        if frame.name:
            height, width = frame.image.shape[:2]
            file = {"file_name": frame.name, "width": width, "height": height}
            self._files[frame.index] = file
        super()._write(frame, hands)

    def _export(self, recording: Recording, whole: Path) -> None:
        with whole.open("w", encoding="utf-8") as file:
            head = {"info": json.loads(self.info.to_json()), "categories": list(_categories())}
            file.write(json.dumps(head)[:-1])
            for name, entries in (
                ("images", self._images(recording)),
                ("annotations", _annotations(recording)),
            ):
                file.write(f', "{name}": [')
                for number, entry in enumerate(entries):
                    file.write(",\n" * bool(number) + json.dumps(entry))
                file.write("]")
            file.write("}\n")

    def _images(self, recording: Recording) -> Iterator[dict[str, Any]]:
        width, height = recording.info.size
        for frame in recording.frames:
            number = int(frame["frame"])
            numbered = {"file_name": f"{number:06d}.jpg", "width": width, "height": height}
            file = self._files.get(number, numbered)
            yield {"id": number, **file, "time_s": round(float(frame["time_s"]), 6)}


def _categories() -> Iterator[dict[str, Any]]:
    for number, side in enumerate(SIDES, start=1):
        yield {
            "id": number,
            "name": f"{side}_hand",
            "supercategory": "hand",
            "keypoints": list(JOINT_NAMES),
            "skeleton": (BONES + 1).tolist(),
        }


def _annotations(recording: Recording) -> Iterator[dict[str, Any]]:
    in_picture = (hand for hand in recording.hands if np.isfinite(hand["joints_px"]).all())
    for number, hand in enumerate(in_picture, start=1):
        seen = np.where(hand["visible"], _VISIBLE, _HIDDEN)
        points = np.column_stack([hand["joints_px"] + _CORNER_PX, seen])
        x0, y0, x1, y1 = (float(value) for value in hand["box_xyxy"] + _CORNER_PX)
        yield {
            "id": number,
            "image_id": int(hand["frame"]),
            "category_id": 1 + SIDES.index(str(hand["side"])),
            "track_id": int(hand["track_id"]),
            "keypoints": [round(float(value), 2) for value in points.ravel()],
            "num_keypoints": N_JOINTS,
            "bbox": [round(value, 2) for value in (x0, y0, x1 - x0, y1 - y0)],
            "area": round((x1 - x0) * (y1 - y0), 2),
            "iscrowd": 0,
            "score": round(float(hand["score"]), 4),
        }
