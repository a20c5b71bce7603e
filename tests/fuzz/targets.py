"""What ``make fuzz`` damages: for every kind of file, how to make a small one and who reads it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clips import picture, write_video
from fakes import CAMERA, INFO, scene
from heic_files import heic
from knuckle.camera import Camera
from knuckle.data.datasets import DATASETS
from knuckle.data.shards import read_shard, write_shard
from knuckle.output import SINKS, open_recording
from knuckle.sample import HandLabel, Sample
from knuckle.stages import Network, weights_folder
from knuckle.train.recipe import Recipe
from knuckle.video import open_source
from miniatures import MINIATURES

RECIPES = Path(__file__).resolve().parents[2] / "recipes"


@dataclass(frozen=True)
class Target:
    """A kind of file.

    Attributes:
        make: writes valid files into a folder that is not there; returns those to damage.
        read: reads one of them (or the folder that it is in) to the end; the first argument is the
            folder of all targets.
    """

    make: Callable[[Path], list[Path]]
    read: Callable[[Path, Path], object]


def _result(format: str) -> Target:
    def make(folder: Path) -> list[Path]:
        folder.mkdir()
        with SINKS[format](folder, INFO) as sink:
            for frame, hands in scene(4):
                sink.write(frame, hands)
        return [sink.path]

    return Target(make, lambda _, path: open_recording(path))


def _dataset(name: str) -> Target:
    write, split = MINIATURES[name]

    def make(folder: Path) -> list[Path]:
        folder.mkdir()
        write(folder)
        labels = (".json", ".jsonl", ".pickle", ".npz", ".csv")
        return sorted(p for p in folder.rglob("*") if p.suffix in labels and p.stat().st_size)

    def read(folder: Path, path: Path) -> object:
        dataset = DATASETS[name](folder / name, split)
        return [dataset[index] for index in range(len(dataset))]

    return Target(make, read)


def _video(folder: Path) -> list[Path]:
    folder.mkdir()
    return [write_video(folder / "clip.mp4", 6)]


def _pictures(folder: Path) -> list[Path]:
    import cv2

    folder.mkdir()
    paths = [folder / f"picture.{kind}" for kind in ("jpg", "png", "webp", "bmp", "tiff", "ppm")]
    for path in paths:
        cv2.imwrite(str(path), picture(0))
    (folder / "picture.heic").write_bytes(heic())
    return [*paths, folder / "picture.heic"]


def _camera(folder: Path) -> list[Path]:
    folder.mkdir()
    CAMERA.save(folder / "camera.json")
    return [folder / "camera.json"]


def _recipes(folder: Path) -> list[Path]:
    shutil.copytree(RECIPES, folder)
    return sorted(folder.glob("*.toml"))


def _shard(folder: Path) -> list[Path]:
    joints = np.arange(42.0).reshape(21, 2)
    label = HandLabel(side="left", joints_px=joints, valid=np.ones(21, bool))
    samples = [Sample(image=picture(n), hands=(label,), key=f"s{n}") for n in range(3)]
    write_shard(folder / "few.tar", samples)
    return [folder / "few.tar"]


def _network(folder: Path) -> list[Path]:
    folder.mkdir()
    shutil.copyfile(weights_folder(None) / "pair.onnx", folder / "pair.onnx")
    return [folder / "pair.onnx"]


def _weights(folder: Path) -> list[Path]:
    import torch

    folder.mkdir()
    torch.save({"lifter.a": torch.zeros(3, 4)}, folder / "weights.pt")
    return [folder / "weights.pt"]


def _read_weights(_: Path, path: Path) -> object:
    from knuckle.train.weights import load_weights

    return load_weights(path)


TARGETS: dict[str, Target] = {
    **{f"result-{name}": _result(name) for name in ("npz", "json", "csv", "parquet")},
    **{name: _dataset(name) for name in MINIATURES if name in DATASETS},
    "video": Target(_video, lambda _, path: list(open_source(path))),
    "picture": Target(_pictures, lambda _, path: list(open_source(path))),
    "camera": Target(_camera, lambda _, path: Camera.load(path)),
    "recipe": Target(_recipes, lambda _, path: Recipe.load(path)),
    "shard": Target(_shard, lambda _, path: list(read_shard(path))),
    "network": Target(_network, lambda _, path: Network(path, "pair", threads=1)),
    "weights": Target(_weights, _read_weights),
}
