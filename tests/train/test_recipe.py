"""Recipes: what they may hold, and that the shipped ones can be read."""

from pathlib import Path

import pytest

from knuckle.train.modules import rate_at
from knuckle.train.recipe import OptimiserSettings, Recipe, SourceSettings

RECIPES = sorted((Path(__file__).resolve().parents[2] / "recipes").glob("*.toml"))


def _write(tmp_path, text):
    path = tmp_path / "r.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipes_load_and_survive_a_run_folder(path, tmp_path):
    import json
    from dataclasses import asdict

    recipe = Recipe.load(path)
    assert recipe.name == path.stem
    copy = tmp_path / "recipe.json"
    copy.write_text(json.dumps(asdict(recipe)))
    assert Recipe.load_json(copy) == recipe


def test_there_are_recipes():
    assert {path.stem for path in RECIPES} >= {"detector", "keypoints", "lifter"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind = 'lifter'\nname = 'x'\nspeed = 3", "unknown option 'speed'"),
        ("kind = 'lifter'\nname = 'x'\n[optimiser]\nrates = 1", "unknown option 'rates'"),
        ("kind = 'painter'\nname = 'x'", "kind must be one of"),
        ("kind = 'lifter'\nname = 3", "name must be str"),
        ("kind = 'lifter'\nname = 'x'\nseed = 'a'", "seed must be int"),
        ("kind = 'lifter'", "name"),
        ("name = 'x'", "kind must be one of"),
        ("kind = 'lifter'\nname = 'x'\n[losses]\nmask = 1.0", "unknown option 'mask'"),
        ("kind = ", "not TOML"),
        (
            "kind = 'keypoints'\nname = 'x'\n[augment]\nrecomposed = 0.5",
            "needs a source with mattes",
        ),
        ("kind = 'lifter'\nname = 'x'\nposed = 4", "unknown option 'posed'"),
        ("kind = 'keypoints'\nname = 'x'\nshown = 'a.npz'", "shown = needs posed hands"),
        ("kind = 'keypoints'\nname = 'x'\n[augment]\nwindow = 128", "window = is for the detector"),
        (
            "kind = 'keypoints'\nname = 'x'\n[[sources]]\nshards = 'a'\nmattes = 'b'",
            "mattes = belong",
        ),
    ],
)
def test_what_nobody_would_read_is_refused(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        Recipe.load(_write(tmp_path, text))


def test_missing_recipe_says_where_to_look(tmp_path):
    with pytest.raises(FileNotFoundError, match="recipes/"):
        Recipe.load(tmp_path / "none.toml")


def test_a_source_is_either_shards_or_photographs():
    with pytest.raises(ValueError, match="exactly one"):
        SourceSettings()
    with pytest.raises(ValueError, match="exactly one"):
        SourceSettings(shards="a", photographs="b")


def test_rate_warms_up_holds_and_decays():
    settings = OptimiserSettings(rate=1.0, warmup=0.1, decay=0.5)
    assert rate_at(0.05, settings) == pytest.approx(0.5)
    assert rate_at(0.3, settings) == rate_at(0.5, settings) == 1.0
    assert rate_at(0.75, settings) == pytest.approx(0.5)
    assert rate_at(1.0, settings) == pytest.approx(0.01)
