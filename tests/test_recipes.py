"""The recipes, and the one command that runs them all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from knuckle.train.recipe import Recipe

ROOT = Path(__file__).resolve().parent.parent
RECIPES = sorted((ROOT / "recipes").glob("*.toml"))
ALL = (ROOT / "recipes/all.sh").read_text()


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_says_why_and_is_named_after_its_file(path: Path) -> None:
    assert path.read_text().startswith("# ")
    assert Recipe.load(path).name == path.stem


def test_all_recipes_of_the_one_command_are_there_and_run_before_what_follows_them() -> None:
    trained: list[str] = []
    for verb, name in re.findall(r"knuckle (train|export) (?:recipes|runs/second|runs)/(\w+)", ALL):
        if verb == "export":
            assert name in trained
            continue
        recipe = Recipe.load(ROOT / f"recipes/{name}.toml")
        for start in recipe.starts.values():
            if start.startswith("runs/") and not start.endswith(".tflite"):
                assert start.split("/")[1] in trained
        trained.append(name)
    assert {"detector", "lifter", "keypoints", "pair"} <= set(trained)


def test_all_data_of_these_recipes_is_made_before() -> None:
    made: set[str] = set()
    for line in ALL.splitlines():
        train = re.search(r"knuckle train recipes/(\w+)\.toml", line)
        if not train:
            if "pack-photographs" in line:
                made |= {"crops.npz", "frames.npz", "handless.npz"}
            made |= set(re.findall(r"data/(\w+\.npz)\"", line))
            made |= {each.split()[0] for each in re.findall(r"\"(\w+ \d+ \d+)\"", line)}
            continue
        recipe = Recipe.load(ROOT / f"recipes/{train[1]}.toml")
        needed = [
            getattr(recipe, "shown", ""),
            *(p for s in recipe.sources for p in (s.shards, s.photographs)),
        ]
        needed += [source.mattes for source in recipe.sources]
        assert {Path(name).name for name in needed if name} <= made
