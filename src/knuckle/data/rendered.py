"""Rendered data sets, written as shards by several processes.

    knuckle data render crops OUT --count 60000 --workers 2

Every shard has its own seed, so that the same command gives the same samples however many workers
there are, and a run that was stopped goes on with the shards that are missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from zlib import crc32

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from knuckle.data.processes import in_processes
from knuckle.data.shards import count_samples, write_shard
from knuckle.errors import InputError
from knuckle.render.backgrounds import Backgrounds
from knuckle.render.scene import (
    CROPS,
    FRAMES,
    PLAIN,
    TOUCHING,
    CropSettings,
    FrameSettings,
    World,
    render_crops,
    render_frames,
)
from knuckle.sample import Sample

SHARD_SIZE = 1000
#: Renders the samples of one shard, given its generator, its number of samples and their prefix.
Renderer = Callable[[np.random.Generator, int, str], Iterator[Sample]]


@dataclass(frozen=True)
class Job:
    """What to write."""

    out: Path  # folder for the shards; made if it is not there
    count: int  # number of samples; whole shards of 1,000 and a rest
    seed: int = 0  # another seed gives other samples
    workers: int = 1  # processes that render
    backgrounds: tuple[Path, ...] = ()  # folders of photographs, beside the few that ship
    first: int = 0  # number of the first sample, to add to a set that exists (a multiple of 1,000)


def write_crops(job: Job, settings: CropSettings = CROPS, kind: str = "crops") -> list[Path]:
    """Write close-ups of one hand (``scene.render_crops``); returns the shards."""
    world = World.of(Backgrounds.load(*job.backgrounds))

    def renderer(rng: np.random.Generator, count: int, prefix: str) -> Iterator[Sample]:
        return render_crops(rng, count, world, settings, prefix=prefix)

    return _write(job, kind, renderer)


def write_frames(
    job: Job, settings: FrameSettings = FRAMES, size: tuple[int, int] = (320, 240)
) -> list[Path]:
    """Write whole frames (``scene.render_frames``) of (width, height); returns the shards."""
    world = World.of(Backgrounds.load(*job.backgrounds))

    def renderer(rng: np.random.Generator, count: int, prefix: str) -> Iterator[Sample]:
        return render_frames(rng, count, world, settings, *size, prefix=prefix)

    return _write(job, "frames", renderer)


#: What can be rendered, by name.
SETS: dict[str, Callable[[Job], list[Path]]] = {
    "crops": write_crops,
    "plain": partial(write_crops, settings=PLAIN, kind="plain"),
    "touching": partial(write_crops, settings=TOUCHING, kind="touching"),
    "frames": write_frames,
}


def _write(job: Job, kind: str, renderer: Renderer) -> list[Path]:
    """Write the shards that are missing, with progress."""
    if job.count < 1 or job.workers < 1 or job.first % SHARD_SIZE:
        raise InputError(
            f"expected count and workers of at least 1 and first a multiple of {SHARD_SIZE}, got "
            f"count={job.count}, workers={job.workers}, first={job.first}"
        )
    if min(job.seed, job.first) < 0:
        raise InputError(f"expected seed and first of 0 or more, got {job.seed} and {job.first}")
    job.out.mkdir(parents=True, exist_ok=True)
    starts = range(job.first, job.first + job.count, SHARD_SIZE)
    paths = [job.out / f"{kind}-{job.seed:03d}-{start // SHARD_SIZE:05d}.tar" for start in starts]
    sizes = [min(SHARD_SIZE, job.first + job.count - start) for start in starts]
    missing = [i for i, path in enumerate(paths) if _is_short(path, sizes[i])]
    columns = (TextColumn(f"{kind}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task(
            kind, total=job.count, completed=job.count - sum(sizes[i] for i in missing)
        )
        shards = [(paths[i], sizes[i], job.seed) for i in missing]
        for written in in_processes(job.workers, partial(_render_shard, renderer, kind), shards):
            progress.advance(task, written)
    return paths


def _is_short(path: Path, size: int) -> bool:
    """Whether a shard lacks samples, as the last one of a smaller count does, or is not there."""
    return not path.exists() or count_samples(path) < size


def _render_shard(renderer: Renderer, kind: str, shard: tuple[Path, int, int]) -> int:
    path, size, seed = shard
    index = int(path.stem.rsplit("-", 1)[1])
    rng = np.random.default_rng([seed, index, crc32(kind.encode())])
    group = f"{kind}-{seed:03d}-{index:05d}"
    samples = (replace(s, group=s.key) for s in renderer(rng, size, f"{group}-"))
    return write_shard(path, samples)
