"""How long the renderer takes, stage by stage, on one core.

python benchmarks/render_speed.py [--crops 512] [--backgrounds FOLDER ...]

Times are CPU times of this thread. Other work on the machine slows a core down without showing in
CPU time, so the table gives the mean, the median and the fastest of many chunks. Poses are drawn
for all crops at once, in the first chunk: the mean includes them, the median does not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from knuckle.render.backgrounds import Backgrounds
from knuckle.render.camera_faults import CameraFaults
from knuckle.render.hand_model import HandModel, HandParameters, sample_shapes
from knuckle.render.looks import place
from knuckle.render.poses import sample_poses
from knuckle.render.raster import GBuffer, project_vertices
from knuckle.render.scene import CROPS, World, render_crops, render_frames

CHUNK = 16
BUDGET_MS = 6.0


@dataclass(frozen=True)
class Settings:
    """What to measure.

    Attributes:
        crops: number of crops; frames are a quarter of it.
        backgrounds: folders of photographs, beside those that ship.
    """

    crops: int = 512
    backgrounds: tuple[Path, ...] = ()


def timed(work: Callable[[], object], count: int, repeats: int) -> np.ndarray:
    """Milliseconds of CPU per item, one value per repeat, after one warm-up."""
    work()
    times = []
    for _ in range(repeats):
        start = time.thread_time()
        work()
        times.append((time.thread_time() - start) * 1e3 / count)
    return np.array(times)


def per_item(items: object, count: int) -> np.ndarray:
    """Milliseconds of CPU per item of an iterator, in chunks."""
    iterator, times = iter(items), []  # type: ignore[call-overload]
    for _ in range(count // CHUNK):
        start = time.thread_time()
        for _ in range(CHUNK):
            next(iterator)
        times.append((time.thread_time() - start) * 1e3 / CHUNK)
    return np.array(times)


def main(settings: Settings) -> None:
    world = World.of(Backgrounds.load(*settings.backgrounds))
    model, rng = HandModel.load(), np.random.default_rng(0)
    list(render_crops(rng, 8, world))  # compile and fill caches

    poses = sample_poses(rng, 64)
    params = HandParameters(
        pose_deg=poses,
        shape=sample_shapes(rng, 64, model.n_shape),
        R_camera_from_hand=np.tile(np.diag([1.0, -1.0, -1.0]), (64, 1, 1)),
        root_mm=np.tile([0.0, 80.0, 450.0], (64, 1)),
    )
    hand = place(model, params)[0]
    sample = next(render_crops(rng, 1, world))
    assert sample.camera is not None
    camera = replace(sample.camera, fx=300.0, fy=300.0, cx=79.5, cy=79.5).resized(2, 2)

    def rasterise() -> None:
        buffer = GBuffer.empty(320, 320)
        buffer.draw(project_vertices(hand.vertices_mm, camera), model.faces, cull=True)

    faults = CameraFaults()
    plain = replace(CROPS, contact=0.0, second_hand=0.0, occluder=0.0, distractor=0.0, body=0.0)
    plain = replace(plain, fisheye=0.0, faults=CameraFaults(0.0))
    small = replace(CROPS, size_px=128, crop_px=(91.0, 102.0))
    n = settings.crops
    rows = {
        "a pose (of 1,024)": timed(lambda: sample_poses(rng, 1024), 1024, 3),
        "skinning a hand (of 64)": timed(lambda: place(model, params), 64, 20),
        "z-buffer of one hand, 320 x 320": timed(rasterise, 1, 50),
        "a background": timed(lambda: world.backgrounds.sample(rng, 160, 160), 1, 100),
        "camera faults": timed(lambda: faults(sample.image, rng), 1, 200),
        "a crop, one hand, nothing else": per_item(render_crops(rng, n, world, plain), n),
        "a crop, everything": per_item(render_crops(rng, n, world), n),
        "a crop, everything, 128 x 128": per_item(render_crops(rng, n, world, small), n),
        "a frame, 320 x 240": per_item(render_frames(rng, n // 4, world), n // 4),
    }
    table = Table("stage", "mean ms", "median ms", "fastest ms", title="Rendering on one core")
    for name, times in rows.items():
        table.add_row(name, f"{times.mean():.2f}", f"{np.median(times):.2f}", f"{times.min():.2f}")
    Console().print(table)
    Console().print(f"budget: {BUDGET_MS} ms for a crop with everything")


if __name__ == "__main__":
    main(tyro.cli(Settings))
