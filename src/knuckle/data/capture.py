"""A synthetic capture in InterHand2.6M's format: ``knuckle data synth``.

Writes what release v1.0 has, to the conventions of its JSON files, so that whatever reads
InterHand2.6M reads it: ``images/<split>/Capture<K>/<sequence>/cam<camera>/image<frame>.jpg`` and
``annotations/<split>/InterHand2.6M_<split>_{data,camera,joint_3d}.json``. Beside it stands what the
real one lacks, in ``extras/`` (see ``interhand_extras``). ``docs/capture.md`` shows it.

Every time step is rendered by one process and noted in ``.unfinished/`` when all its pictures are
written; the annotations are put together from those notes at the end. So a run that was stopped
goes on, and ends with the same files.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from knuckle.data.capture_motion import Moment, Motion, sample_sequence
from knuckle.data.capture_plan import CaptureSettings, Sequence, generator, make_plan
from knuckle.data.capture_rig import StudioCamera, draw_room, sample_lamps, sample_rig
from knuckle.data.interhand26m import JOINTS_OF, SKELETON_TEXT
from knuckle.data.interhand_extras import DEPTH_UNIT_MM, SIDE_VALUES, Extras
from knuckle.data.interhand_index import N_BOTH
from knuckle.data.rendered import in_processes
from knuckle.render.scene import Rendering, World, render_stage, sample_lights
from knuckle.render.stage import Lights

#: InterHand2.6M's boxes are those of the joints, grown by this about their middle.
_BOX_GROWTH = 1.2
#: InterHand2.6M's rule for ``hand_type_valid``: two hands count if more joints than this are seen.
_ENOUGH_OF_TWO_HANDS = 30
_JPEG_QUALITY = 92
#: Time steps that one process renders in one go.
_BLOCK = 8
_NOTES = ".unfinished"

#: Called with (pictures done, of).
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class _Block:
    """Some time steps of one sequence, as the work of one process."""

    sequence: Sequence
    steps: tuple[int, ...]


def write_capture(
    out: Path,
    settings: CaptureSettings,
    *,
    workers: int = 1,
    on_progress: OnProgress = lambda done, of: None,
) -> Path:
    """Render a capture, or what is missing of it.

    Args:
        out: folder; made if it is not there. One that holds a part of the same capture is
            completed.
        settings: what to record.
        workers: processes that render.
        on_progress: see ``OnProgress``.

    Raises:
        ValueError: ``out`` holds another capture.
    """
    if workers < 1:
        raise ValueError(f"expected at least 1 worker, got {workers}")
    finished = _claim(out, settings)
    plan = make_plan(settings)
    total = settings.frames
    if finished:
        on_progress(total, total)
        return out
    blocks = _missing_blocks(out, plan)
    done = total - sum(sum(b.sequence.views[i] for i in b.steps) for b in blocks)
    on_progress(done, total)
    render = partial(_render_block, out, settings, World.of())
    for written in in_processes(workers, render, blocks):
        done += written
        on_progress(done, total)
    _write_annotations(out, settings, plan)
    shutil.rmtree(out / _NOTES)
    return out


def _claim(out: Path, settings: CaptureSettings) -> bool:
    """Note whose folder this is; returns whether its capture is complete."""
    # The rate stands in the name, where the reader of InterHand2.6M looks for it.
    path = out / f"capture_{settings.fps}fps.json"
    wanted = {"format": "knuckle-capture", "version": 1, **asdict(settings)}
    others = [other for other in out.glob("capture_*fps.json") if other != path]
    found = json.loads(path.read_text()) if path.exists() else None
    if others or (found is not None and found != wanted):
        raise ValueError(
            f"{out} holds a capture with other settings ({(others or [path])[0].name}); give "
            "another folder, or the same settings to go on with it"
        )
    if found is not None:
        return not (out / _NOTES).exists()
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"{out} is not empty and holds no capture; give a folder of its own")
    (out / _NOTES).mkdir(parents=True)
    path.write_text(json.dumps(wanted, indent=2) + "\n")
    return False


def _missing_blocks(out: Path, plan: list[Sequence]) -> list[_Block]:
    """The time steps that have no note yet."""
    blocks = []
    for sequence in plan:
        missing = [
            step
            for step in range(len(sequence.frames))
            if not _note_path(out, sequence, step).exists()
        ]
        for start in range(0, len(missing), _BLOCK):
            blocks.append(_Block(sequence, tuple(missing[start : start + _BLOCK])))
    return blocks


def _note_path(out: Path, sequence: Sequence, step: int) -> Path:
    return out / _NOTES / f"{sequence.number:05d}_{step:04d}.npz"


# --------------------------------------------------------------------------------------------
# Rendering
# --------------------------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class _Studio:
    """What stays the same through a session: cameras, light, and what each camera sees behind."""

    rig: list[StudioCamera]
    lights: Lights
    rooms: list[np.ndarray]


@lru_cache(maxsize=2)
def _studio(settings: CaptureSettings, subject: int) -> _Studio:
    """The studio as it stands for one subject's session."""
    rig = sample_rig(generator(settings, "rig", subject), settings.cameras)
    lights, lamps_mm = sample_lamps(generator(settings, "lamps", subject))
    return _Studio(rig, lights, [draw_room(view, lamps_mm) for view in rig])


@lru_cache(maxsize=2)
def _motion(settings: CaptureSettings, sequence: Sequence) -> Motion:
    """Blocks of one sequence follow each other: its motion is made once per process."""
    return sample_sequence(settings, sequence)


def _render_block(out: Path, settings: CaptureSettings, world: World, block: _Block) -> int:
    """Render some time steps; returns the number of pictures."""
    cv2.setNumThreads(1)
    sequence = block.sequence
    moments = _motion(settings, sequence).moments(np.array(block.steps))
    written = 0
    for step, moment in zip(block.steps, moments, strict=True):
        labels = []
        for number in range(sequence.views[step]):
            view = render_view(settings, world, sequence, step, moment, number)
            _write_view(out, settings, sequence, step, view)
            labels.append(_label(view))
        _write_note(_note_path(out, sequence, step), moment, labels)
        written += len(labels)
    return written


@dataclass(frozen=True, eq=False)
class View:
    """What one camera sees of a moment.

    Attributes:
        by: the camera.
        image: (H, W, 3) uint8 RGB, as its sensor gives it.
        rendering: labels, masks and surfaces.
    """

    by: StudioCamera
    image: np.ndarray
    rendering: Rendering


def render_view(
    settings: CaptureSettings, world: World, sequence: Sequence, step: int, moment: Moment,
    number: int,
) -> View:  # fmt: skip
    """Draw what a camera, given by its number, sees of a moment of a sequence."""
    studio = _studio(settings, sequence.subject)
    camera = studio.rig[number]
    T_camera_from_studio = camera.T_camera_from_studio
    background, lights = studio.rooms[number], studio.lights
    if settings.vary:
        background, lights = _any_room(settings, world, sequence, number, background.shape)
    rendering = render_stage(
        moment.stage.seen_from(T_camera_from_studio),
        [(hand.side, T_camera_from_studio(hand.joints_mm)) for hand in moment.hands],
        camera.camera,
        background,
        lights.seen_from(T_camera_from_studio.rotation),
        world,
    )
    rng = generator(settings, "picture", sequence.number, step, number)
    return View(camera, camera.develop(rendering.image, rng), rendering)


def _write_view(
    out: Path, settings: CaptureSettings, sequence: Sequence, step: int, view: View
) -> None:
    """The picture, its masks and its depth."""
    name = _file_name(sequence, step, view.by)
    extras = Extras(out, sequence.split)
    bgr = cv2.cvtColor(view.image, cv2.COLOR_RGB2BGR)
    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    _write(out / "images" / sequence.split / name, bgr, quality)
    _write(extras.hand_map_path(name), _by_side(view.rendering), _FAST_PNG)
    if settings.depth:
        depth = np.minimum(np.round(view.rendering.depth_mm() / DEPTH_UNIT_MM), 65535)
        _write(extras.depth_path(name), depth.astype(np.uint16), _FAST_PNG)


_FAST_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]


def _any_room(
    settings: CaptureSettings, world: World, sequence: Sequence, number: int,
    shape: tuple[int, ...],
) -> tuple[np.ndarray, Lights]:  # fmt: skip
    """Any background, and light that could have lit the first camera's."""
    rng = generator(settings, "room", sequence.number, number)
    background = world.backgrounds.sample(rng, shape[0], shape[1])
    common = generator(settings, "light", sequence.number)
    return background, sample_lights(common, world.backgrounds.sample(common, 64, 64))


def _file_name(sequence: Sequence, step: int, camera: StudioCamera) -> str:
    folder = f"Capture{sequence.subject}/{sequence.name}/cam{camera.name}"
    return f"{folder}/image{sequence.frames[step]}.jpg"


def _by_side(rendering: Rendering) -> np.ndarray:
    """(H, W) uint8: ``SIDE_VALUES`` where a hand is seen."""
    values = [0, *(SIDE_VALUES[hand.side] for hand in rendering.hands)]
    return np.array(values, np.uint8)[rendering.hand_map]


@dataclass(frozen=True, eq=False)
class _ViewLabels:
    """What the annotation of one picture needs: (42,) each in InterHand2.6M's order, and a box."""

    inside: np.ndarray
    visible: np.ndarray
    bbox: np.ndarray


def _label(view: View) -> _ViewLabels:
    """Which joints are in the picture, which are seen, and the box around the former."""
    inside, visible = np.zeros(N_BOTH, bool), np.zeros(N_BOTH, bool)
    width, height = view.by.size
    points = []
    for hand in view.rendering.hands:
        xy = hand.joints_px
        within = (xy > -0.5).all(axis=1) & (xy < (width - 0.5, height - 0.5)).all(axis=1)
        inside[JOINTS_OF[hand.side]] = within
        visible[JOINTS_OF[hand.side]] = hand.visible
        points.append(xy[within])
    return _ViewLabels(inside, visible, _box(np.concatenate(points)))


def _box(points_px: np.ndarray) -> np.ndarray:
    """(4,) float32 x, y, width, height; zeros where no point is."""
    if not len(points_px):
        return np.zeros(4, np.float32)
    low, high = points_px.min(axis=0), points_px.max(axis=0)
    size = (high - low) * _BOX_GROWTH
    return np.concatenate([(low + high - size) / 2, size]).astype(np.float32)


def _write(path: Path, image: np.ndarray, options: list[int]) -> None:
    coded, content = cv2.imencode(path.suffix, image, options)
    if not coded:
        raise ValueError(f"{path} cannot be encoded")
    try:
        path.write_bytes(content)
    except FileNotFoundError:  # the first of its folder
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _write_note(path: Path, moment: Moment, labels: list[_ViewLabels]) -> None:
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


# --------------------------------------------------------------------------------------------
# Annotations
# --------------------------------------------------------------------------------------------
def _write_annotations(out: Path, settings: CaptureSettings, plan: list[Sequence]) -> None:
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
                        "file_name": _file_name(sequence, step, view),
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
            with np.load(_note_path(out, sequence, step)) as note:
                yield sequence, dict(note)
