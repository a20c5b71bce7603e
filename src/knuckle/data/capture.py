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
import shutil
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path

import cv2
import numpy as np

from knuckle.data.capture_labels import (
    NOTES,
    file_name,
    label_view,
    note_path,
    write_annotations,
    write_note,
)
from knuckle.data.capture_motion import Moment, Motion, sample_sequence
from knuckle.data.capture_plan import CaptureSettings, Sequence, generator, make_plan
from knuckle.data.capture_rig import StudioCamera, draw_room, sample_lamps, sample_rig
from knuckle.data.interhand_extras import DEPTH_UNIT_MM, SIDE_VALUES, Extras
from knuckle.data.labelled import OnProgress
from knuckle.data.processes import in_processes
from knuckle.errors import InputError, reading
from knuckle.render.scene import Sight, World, sample_lights
from knuckle.render.stage import Lights

_JPEG_QUALITY = 92
#: Time steps that one process renders in one go.
_BLOCK = 8


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
        on_progress: called with (done, of).

    Raises:
        ValueError: ``out`` holds another capture.
    """
    if workers < 1:
        raise InputError(f"expected at least 1 worker, got {workers}")
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
    write_annotations(out, settings, plan)
    shutil.rmtree(out / NOTES)
    return out


def _claim(out: Path, settings: CaptureSettings) -> bool:
    """Note whose folder this is; returns whether its capture is complete."""
    # The rate stands in the name, where the reader of InterHand2.6M looks for it.
    path = out / f"capture_{settings.fps}fps.json"
    wanted = {"format": "knuckle-capture", "version": 1, **asdict(settings)}
    others = [other for other in out.glob("capture_*fps.json") if other != path]
    found = None
    if path.exists():
        with reading(path, "the settings of a capture", "give another folder, or delete this one"):
            found = json.loads(path.read_text())
    if others or (found is not None and found != wanted):
        raise InputError(
            f"{out} holds a capture with other settings ({(others or [path])[0].name}); give "
            "another folder, or the same settings to go on with it"
        )
    if found is not None:
        return not (out / NOTES).exists()
    if out.exists() and any(path.name != NOTES for path in out.iterdir()):
        raise InputError(f"{out} is not empty and holds no capture; give a folder of its own")
    (out / NOTES).mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(wanted, indent=2) + "\n")
    return False


def _missing_blocks(out: Path, plan: list[Sequence]) -> list[_Block]:
    """The time steps that have no note yet."""
    blocks = []
    for sequence in plan:
        missing = [
            step
            for step in range(len(sequence.frames))
            if not note_path(out, sequence, step).exists()
        ]
        for start in range(0, len(missing), _BLOCK):
            blocks.append(_Block(sequence, tuple(missing[start : start + _BLOCK])))
    return blocks


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
    sequence = block.sequence
    moments = _motion(settings, sequence).moments(np.array(block.steps))
    written = 0
    for step, moment in zip(block.steps, moments, strict=True):
        labels = []
        for number in range(sequence.views[step]):
            view = render_view(settings, world, sequence, step, moment, number)
            _write_view(out, settings, sequence, step, view)
            labels.append(label_view(view.by, view.sight.hands))
        write_note(note_path(out, sequence, step), moment, labels)
        written += len(labels)
    return written


@dataclass(frozen=True, eq=False)
class View:
    """What one camera sees of a moment."""

    by: StudioCamera  # the camera
    image: np.ndarray  # (H, W, 3) uint8 RGB, as its sensor gives it
    sight: Sight  # labels, masks and surfaces


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
    sight = Sight.of(
        moment.stage.seen_from(T_camera_from_studio),
        [(hand.side, T_camera_from_studio(hand.joints_mm)) for hand in moment.hands],
        camera.camera,
        background.shape[:2],
    )
    image = sight.lit(background, lights.seen_from(T_camera_from_studio.rotation), world)
    rng = generator(settings, "picture", sequence.number, step, number)
    return View(camera, camera.develop(image, rng), sight)


def _write_view(
    out: Path, settings: CaptureSettings, sequence: Sequence, step: int, view: View
) -> None:
    """The picture, its masks and its depth."""
    name = file_name(sequence, step, view.by)
    extras = Extras(out, sequence.split)
    bgr = cv2.cvtColor(view.image, cv2.COLOR_RGB2BGR)
    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    _write(out / "images" / sequence.split / name, bgr, quality)
    _write(extras.hand_map_path(name), _by_side(view.sight), _FAST_PNG)
    if settings.depth:
        depth = np.minimum(np.round(view.sight.depth_mm() / DEPTH_UNIT_MM), 65535)
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


def _by_side(sight: Sight) -> np.ndarray:
    """(H, W) uint8: ``SIDE_VALUES`` where a hand is seen."""
    values = [0, *(SIDE_VALUES[hand.side] for hand in sight.hands)]
    return np.array(values, np.uint8)[sight.hand_map]


def _write(path: Path, image: np.ndarray, options: list[int]) -> None:
    coded, content = cv2.imencode(path.suffix, image, options)
    if not coded:
        raise InputError(f"{path} cannot be encoded")
    try:
        path.write_bytes(content.tobytes())
    except FileNotFoundError:  # the first of its folder
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.tobytes())
