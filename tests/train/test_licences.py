"""Weights say what those ask for whose data they learnt from, however it came to them."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from knuckle.data.datasets import DATASETS, open_dataset
from knuckle.data.pack import PackSettings, pack
from knuckle.export import export
from knuckle.modelcard import OWN_LICENSE
from knuckle.models.lifter import LifterSettings
from knuckle.stages import read_card
from knuckle.train.kind import module_of
from knuckle.train.kinds.keypoints import KeypointRecipe
from knuckle.train.kinds.lifter import LifterRecipe
from knuckle.train.licences import licence_of, marked
from knuckle.train.recipe import SourceSettings
from miniatures import MINIATURES

LIFTER = LifterRecipe(name="small", lifter=LifterSettings(8, 16, 32, 1, 16, 1))
OWN = ("folder",)


def write_run(folder: Path, recipe: LifterRecipe) -> Path:
    """A run that has just begun."""
    folder.mkdir()
    (folder / "recipe.json").write_text(json.dumps(asdict(recipe)))
    torch.save(module_of(recipe).state_dict(), folder / "weights.pt")
    return folder


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", sorted(set(DATASETS) & set(MINIATURES)))
def test_what_learns_from_packed_shards_has_the_licence_of_their_data(name: str, tmp_path: Path):
    write, split = MINIATURES[name]
    write(tmp_path / "data")
    pack(open_dataset(tmp_path / "data", split), tmp_path / "shards", PackSettings(size_px=32))
    source = SourceSettings(shards=str(tmp_path / "shards"))
    recipe = marked(KeypointRecipe(name="k", sources=(source,)))
    assert recipe.license == licence_of(tmp_path / "data")
    assert bool(recipe.license) == (name not in OWN)


@pytest.mark.parametrize("start", ["run/weights.pt", "onnx/lifter.onnx"])
def test_what_goes_on_from_weights_inherits_their_licence(start: str, tmp_path: Path):
    run = write_run(tmp_path / "run", replace(LIFTER, inherited_license="CC-BY-NC-4.0"))
    export(run, tmp_path / "onnx")
    recipe = replace(LIFTER, start_lifter=str(tmp_path / start))
    assert marked(recipe).license == "CC-BY-NC-4.0"
    assert marked(LIFTER).license == "" == marked(replace(LIFTER, start_lifter="knuckle")).license
    assert marked(LIFTER, resumed=run / "last.ckpt").license == "CC-BY-NC-4.0"


@pytest.mark.parametrize("earlier", ["run", "onnx"])
def test_what_is_averaged_with_weights_has_their_licence(earlier: str, tmp_path: Path):
    run = write_run(tmp_path / "run", replace(LIFTER, inherited_license="CC-BY-NC-4.0"))
    export(run, tmp_path / "onnx")
    own = write_run(tmp_path / "own", replace(LIFTER, inherited_license="X AND CC-BY-NC-4.0"))
    (path,) = export(own, tmp_path / "mean", earlier=tmp_path / earlier)
    assert read_card(path).license == "CC-BY-NC-4.0 AND X"
    (path,) = export(write_run(tmp_path / "alone", LIFTER), tmp_path / "own_onnx")
    assert read_card(path).license == OWN_LICENSE
