"""Under which licence weights stand: that of what they learn from and of what they start from."""

from __future__ import annotations

import json
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import onnx

from knuckle.data.datasets import DATASETS, recognise
from knuckle.errors import reading
from knuckle.modelcard import OWN_LICENSE, ModelCard
from knuckle.train.recipe import Recipe, SourceSettings, joined_licences
from knuckle.train.weights import SHIPPED

AnyRecipe = TypeVar("AnyRecipe", bound=Recipe)


def marked(recipe: AnyRecipe, resumed: Path | None = None) -> AnyRecipe:
    """The recipe with the licences written down of its data and of the weights it goes on from.

    ``resumed`` is a checkpoint that a run goes on from, whatever it has learnt from so far.

    Raises:
        ValueError: a capture is no folder of a data set.
    """
    sources = tuple(
        replace(source, license=source.license or _licence_of_source(source))
        for source in recipe.sources
    )
    starts = [Path(start) for start in recipe.starts.values() if start not in ("", SHIPPED)]
    started = [licence_of_weights(path) for path in (*starts, *([resumed] if resumed else ()))]
    inherited = joined_licences(recipe.inherited_license, *started)
    return replace(recipe, sources=sources, inherited_license=inherited)


def licence_of(folder: Path) -> str:
    """The licence of weights that learn from a data set, as far as Knuckle knows; else empty."""
    return DATASETS[recognise(folder)].license_at(folder)


def licence_of_weights(path: Path) -> str:
    """The licence of a run's weights or of an exported network, if not Knuckle's own."""
    run = path.parent / "recipe.json"
    if path.suffix == ".onnx" and path.is_file():
        with reading(path, "an exported network", "export it again"):
            properties = onnx.load(str(path), load_external_data=False).metadata_props
        card = ModelCard.from_metadata({each.key: each.value for each in properties}, str(path))
        return "" if card.license == OWN_LICENSE else card.license
    return Recipe.load_json(run).license if path.suffix != ".onnx" and run.is_file() else ""


def _licence_of_source(source: SourceSettings) -> str:
    if source.capture:
        return licence_of(Path(source.capture))
    shards = sorted(Path(source.shards).glob("*.tar")) if source.shards else []
    return joined_licences(*map(_licence_of_shard, shards))


def _licence_of_shard(path: Path) -> str:
    """That of its first sample: a shard holds samples of one data set."""
    advice = "pack it again"
    with (
        reading(path, "a whole shard", advice, also=(tarfile.TarError,)),
        tarfile.open(path) as tar,
    ):
        for info in tar:
            stream = tar.extractfile(info) if info.name.endswith(".json") else None
            if stream is not None:
                return str(json.load(stream).get("license", ""))
    return ""
