r"""Trains on a machine available for minutes at a time and reachable only by small files.

Where the data is, once; the parts are small, and each is needed only once::

    python tools/pieces.py pack runs/data runs/pieces

On the lent machine, repeatedly, with whichever parts have arrived, until everything is done::

    python tools/pieces.py go --parts parts --work /scratch/knuckle --out out --minutes 9

Each run assembles the files that are complete by now, renders while there are fewer pictures than
wanted, trains the recipes one after the other, and leaves the networks so far in ``out``, small
enough to be fetched. It continues whatever it has begun: from ``work`` if that still exists, else
from the networks of the package.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from knuckle.data import rendered
from knuckle.data.rendered import Job
from knuckle.export import export
from knuckle.train.recipe import Recipe
from knuckle.train.run import train

ROOT = Path(__file__).resolve().parents[1]
#: What the recipes below read; what a recipe can do without comes last.
FILES = (
    "crops.npz", "hand_free.npz", "shown.npz", "handless.npz", "backgrounds.tar", "mattes.npz",
    "frames.npz",
)  # fmt: skip
BACKGROUNDS = Path("runs/backgrounds")
#: Rendered sets by name, with a seed that no other set has, and shards wanted for each process.
RENDERED = {"crops": (1007, 12), "plain": (1051, 8), "touching": (1061, 5), "frames": (1005, 2)}
#: Recipes in order, each with its share of the time and the batch that fills a large machine.
RECIPES = {"continue": (0.7, 256), "continue_detector": (0.2, 128), "pair": (0.1, 1024)}
#: Rendering may take this share of a sitting.
_RENDER = 0.4
_LIST = "parts.json"


@dataclass(frozen=True)
class Pack:
    """Cut the training data into parts."""

    data: tyro.conf.Positional[Path]
    """Folder of the packed photographs; that of the backgrounds lies beside it."""
    out: tyro.conf.Positional[Path]
    most_mb: float = 28.0
    """A part is no larger."""

    def run(self) -> None:
        """Write the parts, and the list that says what they make."""
        self.out.mkdir(parents=True, exist_ok=True)
        most, listed = int(self.most_mb * 1e6), {}
        for name in FILES:
            content = self._read(name)
            pieces = [content[at : at + most] for at in range(0, len(content), most)]
            for k, piece in enumerate(pieces):
                (self.out / f"{name}.{k:03d}").write_bytes(piece)
            digest = hashlib.sha256(content).hexdigest()
            listed[name] = {"parts": len(pieces), "sha256": digest}
            print(f"{name}: {len(pieces)} parts of at most {self.most_mb:g} MB")
        (self.out / _LIST).write_text(json.dumps(listed, indent=1))

    def _read(self, name: str) -> bytes:
        if not name.endswith(".tar"):
            return (self.data / name).read_bytes()
        written = io.BytesIO()
        folder = self.data.parent / name.removesuffix(".tar")
        with tarfile.open(fileobj=written, mode="w") as tar:
            tar.add(folder, arcname=folder.name)
        return written.getvalue()


@dataclass(frozen=True)
class Go:
    """Go on with everything that can be done, for so many minutes."""

    parts: Path
    """Folder with the list of the parts and those that came along this time."""
    work: Path
    """Folder that is kept from one time to the next, if any is."""
    out: Path
    """Folder for the networks so far and their scores."""
    minutes: float = 9.0
    """Of this sitting."""
    hours: float = 0.4
    """Of all sittings together, for the decay of the learning rate."""
    workers: Annotated[int | None, tyro.conf.arg(help_behavior_hint="all cores")] = None
    """Processes that render, and that make examples."""

    def run(self) -> None:
        """Take what came, render, train, export."""
        begun = time.monotonic()

        def left() -> float:
            return self.minutes - (time.monotonic() - begun) / 60

        for folder in ("parts", "runs/data", "runs/runs"):
            (self.work / folder).mkdir(parents=True, exist_ok=True)
        for part in self.parts.iterdir():
            shutil.copy(part, self.work / "parts" / part.name)
        out = self.out.resolve()
        os.chdir(self.work)  # recipes name runs/data
        missing = join(Path("parts"), Path("runs/data"))
        print(f"{left():.1f} minutes left; missing: {', '.join(missing) or 'nothing'}", flush=True)
        workers = self.workers or max(len(os.sched_getaffinity(0)) - 1, 1)
        render(workers, lambda: left() < (1 - _RENDER) * self.minutes)
        for name, (share, batch) in RECIPES.items():
            recipe = self._at_hand(name, share, batch, workers)
            if recipe is None or left() < 0.05 * self.minutes:
                continue
            weights = train(recipe, Path("runs/runs"), pause_minutes=0.9 * left() * share)
            export(weights.parent, out)
            scores = weights.with_name("scores.jsonl").read_text().splitlines()
            (out / f"{name}.json").write_text(scores[-1])
            print(f"{name}: {left():.1f} minutes left; {scores[-1]}", flush=True)

    def _at_hand(self, name: str, share: float, batch: int, workers: int) -> Recipe | None:
        """The recipe for this machine, from those of its sources that are there; None if none."""
        recipe = Recipe.load(ROOT / f"recipes/{name}.toml")
        sources = tuple(s for s in recipe.sources if _is_there(s.photographs, s.shards))
        if recipe.sources and not sources:
            return None
        kept = [s if _is_there(s.mattes) else replace(s, mattes="") for s in sources]
        return replace(
            recipe,
            sources=tuple(kept),
            shown=recipe.shown if _is_there(recipe.shown) else "",
            workers=workers,
            augment=recipe.augment
            if BACKGROUNDS.is_dir()
            else replace(recipe.augment, backgrounds=""),
            validate_minutes=1e6,  # once, at the end of each sitting
            optimiser=replace(
                recipe.optimiser,
                minutes=60 * self.hours * share,
                batch=batch,
                half=False,  # Lightning chooses the precision of a GPU
            ),
        )


def _is_there(*names: str) -> bool:
    """Whether all files are there, and folders with something in them; no name is no file."""
    paths = [Path(name) for name in names if name]
    return all(path.is_file() or (path.is_dir() and any(path.iterdir())) for path in paths)


def join(parts: Path, data: Path) -> list[str]:
    """Put the files together whose parts are all there.

    Returns:
        Those of which parts are missing.

    Raises:
        ValueError: what was put together is not what was cut.
    """
    listed = json.loads((parts / _LIST).read_text())
    missing = []
    for name, said in listed.items():
        pieces = [parts / f"{name}.{k:03d}" for k in range(said["parts"])]
        if (data / name).exists():
            continue
        if not all(piece.exists() for piece in pieces):
            missing.append(name)
            continue
        content = b"".join(piece.read_bytes() for piece in pieces)
        if hashlib.sha256(content).hexdigest() != said["sha256"]:
            raise ValueError(f"the parts of {name} do not make it: send them again")
        (data / name).write_bytes(content)
        if name.endswith(".tar"):
            with tarfile.open(data / name) as tar:
                tar.extractall(data.parent, filter="data")
        for piece in pieces:
            piece.unlink()
    return missing


def render(workers: int, is_over: Callable[[], bool]) -> None:
    """Render what is missing of each set, a shard for every process at a time, until it is over."""
    places = (BACKGROUNDS,) if BACKGROUNDS.is_dir() else ()
    for kind, (seed, rounds) in RENDERED.items():
        folder = Path("runs/data") / kind
        folder.mkdir(exist_ok=True)
        for k in range(rounds):
            if is_over():
                return
            count = workers * rendered.SHARD_SIZE
            rendered.SETS[kind](Job(folder, count, seed, workers, places, k * count))


if __name__ == "__main__":
    tyro.cli(Pack | Go).run()
