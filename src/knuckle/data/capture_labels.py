"""The label files of a synthetic capture, to the conventions of InterHand2.6M's release v1.0.

Every time step is noted when all its pictures are written; the JSON files are put together from
the notes when there are no more to come. Types, nesting, order of keys, numbers of single precision
and the rules for boxes and validity are those of the real files.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from knuckle.data.capture_motion import Moment
from knuckle.data.capture_plan import CaptureSettings, Sequence, generator
from knuckle.data.capture_rig import StudioCamera, sample_rig
from knuckle.data.interhand26m import JOINTS_OF, SKELETON_TEXT
from knuckle.data.interhand_extras import Extras
from knuckle.data.interhand_files import N_BOTH
from knuckle.hand import in_picture
from knuckle.sample import HandLabel

#: InterHand2.6M's boxes are those of the joints, grown by this about their middle.
_BOX_GROWTH = 1.2
#: InterHand2.6M's rule for ``hand_type_valid``: two hands count if more joints than this are seen.
_ENOUGH_OF_TWO_HANDS = 30
#: Folder of the notes; it is gone when the capture is complete.
NOTES = ".unfinished"


def file_name(sequence: Sequence, step: int, camera: StudioCamera) -> str:
    """Of a picture, as the labels give it."""
    folder = f"Capture{sequence.subject}/{sequence.name}/cam{camera.name}"
    return f"{folder}/image{sequence.frames[step]}.jpg"


def note_path(out: Path, sequence: Sequence, step: int) -> Path:
    """Where a time step is noted."""
    return out / NOTES / f"{sequence.number:05d}_{step:04d}.npz"


@dataclass(frozen=True, eq=False)
class ViewLabels:
    """What the annotation of one picture needs: (42,) each in InterHand2.6M's order, and a box."""

    inside: np.ndarray
    visible: np.ndarray
    bbox: np.ndarray


def label_view(camera: StudioCamera, hands: tuple[HandLabel, ...]) -> ViewLabels:
    """Which joints are in the picture, which are seen, and the box around the former."""
    inside, visible = np.zeros(N_BOTH, bool), np.zeros(N_BOTH, bool)
    points = []
    for hand in hands:
        xy = hand.joints_px
        within = in_picture(xy, camera.size)
        inside[JOINTS_OF[hand.side]] = within
        visible[JOINTS_OF[hand.side]] = hand.visible
        points.append(xy[within])
    return ViewLabels(inside, visible, _box(np.concatenate(points)))


def _box(points_px: np.ndarray) -> np.ndarray:
    """(4,) float32 x, y, width, height; zeros where no point is."""
    if not len(points_px):
        return np.zeros(4, np.float32)
    low, high = points_px.min(axis=0), points_px.max(axis=0)
    size = (high - low) * _BOX_GROWTH
    return np.concatenate([(low + high - size) / 2, size]).astype(np.float32)


def write_note(path: Path, moment: Moment, labels: list[ViewLabels]) -> None:
    """Keep a time step's labels until the annotations are written. A note that exists is whole."""
    world = np.ones((N_BOTH, 3), np.float32)  # how InterHand2.6M holds the place of no label
    valid = np.zeros(N_BOTH, bool)
    for hand in moment.hands:
        world[JOINTS_OF[hand.side]] = hand.joints_mm
        valid[JOINTS_OF[hand.side]] = True
    partial_path = path.with_suffix(".partial")
    with partial_path.open("wb") as file:
        np.savez(
            file, world=world, valid=valid,
            inside=np.array([label.inside for label in labels]),
            visible=np.array([label.visible for label in labels]),
            bbox=np.array([label.bbox for label in labels]),
        )  # fmt: skip
    os.replace(partial_path, path)


def write_annotations(out: Path, settings: CaptureSettings, plan: list[Sequence]) -> None:
    """All splits' JSON files from the notes, record by record: they may be large."""
    for split in dict.fromkeys(sequence.split for sequence in plan):
        sequences = [sequence for sequence in plan if sequence.split == split]
        folder = out / "annotations" / split
        folder.mkdir(parents=True, exist_ok=True)
        stem = folder / f"InterHand2.6M_{split}"
        with Path(f"{stem}_data.json").open("w") as file:
            file.write('{"images": [')
            file.writelines(_separated(_images(settings, sequences)))
            file.write('], "annotations": [')
            file.writelines(_separated(_annotations(out, sequences)))
            file.write("]}")
        subjects = dict.fromkeys(sequence.subject for sequence in sequences)
        cameras = {str(subject): _calibration(settings, subject) for subject in subjects}
        Path(f"{stem}_camera.json").write_text(json.dumps(cameras))
        with Path(f"{stem}_joint_3d.json").open("w") as file:
            file.write("{")
            for number, subject in enumerate(subjects):
                mine = [sequence for sequence in sequences if sequence.subject == subject]
                file.write(", " * (number > 0) + f'"{subject}": {{')
                file.writelines(_separated(_steps(out, mine)))
                file.write("}")
            file.write("}")
        Extras(out, split).write_visible(*_visibility(out, sequences))
    (out / "annotations" / "skeleton.txt").write_text(SKELETON_TEXT)


def _separated(texts: Iterator[str]) -> Iterator[str]:
    """As ``json.dump`` separates the members of a list."""
    for number, text in enumerate(texts):
        yield ", " * (number > 0) + text


def _images(settings: CaptureSettings, sequences: list[Sequence]) -> Iterator[str]:
    identity = 0
    for sequence in sequences:
        rig = _studio_cameras(settings, sequence.subject)
        for step, frame in enumerate(sequence.frames):
            for view in rig[: sequence.views[step]]:
                yield json.dumps(
                    {
                        "id": identity,
                        "file_name": file_name(sequence, step, view),
                        "width": view.size[0],
                        "height": view.size[1],
                        "capture": sequence.subject,
                        "subject": sequence.subject,
                        "seq_name": sequence.name,
                        "camera": view.name,
                        "frame_idx": frame,
                    }
                )
                identity += 1


def _annotations(out: Path, sequences: list[Sequence]) -> Iterator[str]:
    identity = 0
    for sequence, note in _notes(out, sequences):
        kind = sequence.activity.hand_type
        for inside, bbox in zip(note["inside"], note["bbox"], strict=True):
            known = kind != "interacting" or int(inside.sum()) > _ENOUGH_OF_TWO_HANDS
            yield json.dumps(
                {
                    "id": identity,
                    "image_id": identity,
                    "bbox": bbox.tolist(),
                    "joint_valid": [[int(flag)] for flag in inside],
                    "hand_type": kind,
                    "hand_type_valid": int(known),
                }
            )
            identity += 1


def _steps(out: Path, sequences: list[Sequence]) -> Iterator[str]:
    """``"frame": {…}`` of one capture."""
    frames = (frame for sequence in sequences for frame in sequence.frames)
    for frame, (sequence, note) in zip(frames, _notes(out, sequences), strict=True):
        entry: dict[str, Any] = {
            "world_coord": note["world"].tolist(),
            "joint_valid": [[bool(flag)] for flag in note["valid"]],
            "hand_type": sequence.activity.hand_type,
            "hand_type_valid": True,
        }
        yield f'"{frame}": {json.dumps(entry)}'


def _calibration(settings: CaptureSettings, subject: int) -> dict[str, dict[str, list[Any]]]:
    rig = _studio_cameras(settings, subject)
    return {
        "campos": {view.name: view.centre_mm.tolist() for view in rig},
        "camrot": {view.name: view.R_camera_from_studio.tolist() for view in rig},
        "focal": {view.name: [view.camera.fx, view.camera.fy] for view in rig},
        "princpt": {view.name: [view.camera.cx, view.camera.cy] for view in rig},
    }


@lru_cache(maxsize=1)
def _studio_cameras(settings: CaptureSettings, subject: int) -> list[StudioCamera]:
    return sample_rig(generator(settings, "rig", subject), settings.cameras)


def _visibility(out: Path, sequences: list[Sequence]) -> tuple[np.ndarray, np.ndarray]:
    """Ids (N,) of the annotations and (N, 42) which joints are seen."""
    visible = np.concatenate([note["visible"] for _, note in _notes(out, sequences)])
    return np.arange(len(visible)), visible


def _notes(
    out: Path, sequences: list[Sequence]
) -> Iterator[tuple[Sequence, dict[str, np.ndarray]]]:
    for sequence in sequences:
        for step in range(len(sequence.frames)):
            with np.load(note_path(out, sequence, step)) as note:
                yield sequence, dict(note)
