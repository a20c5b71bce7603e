"""Recipes: what they may hold, and that the shipped ones can be read."""

from pathlib import Path

import pytest

from knuckle.cli import main
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
        (
            "kind = 'internet'\nname = 'x'\n[optimiser]\nfrozen_blocks = 3",
            "frozen_blocks = is for keypoints",
        ),
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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[optimiser]\nminutes = -1", "minutes must be more than 0, got -1"),
        ("[optimiser]\nminutes = nan", "minutes must be more than 0, got nan"),
        ("[optimiser]\nbatch = 0", "batch must be 1 or more"),
        ("[optimiser]\nrate = -1e-3", "rate must be 0 or more"),
        ("[optimiser]\ndecay = 3.0", r"decay must be in 0\.\.1, got 3"),
        ("[optimiser]\nclip = inf", "clip must be 0 or more, got inf"),
        ("workers = -2", "workers must be 0 or more"),
        ("validate_minutes = 0", "validate_minutes must be more than 0"),
        ("[augment]\ncutout = 1.5", r"cutout must be in 0\.\.1, got 1\.5"),
        ("[[sources]]\nshards = 'a'\nshare = -0.5", "share must be more than 0"),
        ("[[sources]]\nshards = 'a'\nwrist = -0.5", "wrist must be 0 or more"),
        ("[sources]\nshards = 'a'", r"sources must be a list, of tables \[\[\.\.\.\]\]"),
        ("[[sources]]\nphotographs = 'a'\ndatasets = 'abc'", "datasets must be a list, got 'abc'"),
        ("workers = 1\n[optimiser]\nminutes = 0", "minutes must be more than 0"),
        ("optimiser = 3", "optimiser must be a table of options, got 3"),
    ],
)
def test_numbers_and_forms_that_cannot_be_are_refused(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        Recipe.load(_write(tmp_path, f"kind = 'keypoints'\nname = 'x'\n{text}"))


def test_a_sitting_of_no_time_is_refused(capsys):
    assert main(["train", "x.toml", "--pause-after", "-1"]) == 2
    assert "--pause-after must be more than 0 minutes, got -1" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", "../up", "/up", "."])
def test_a_run_stays_in_the_folder_of_runs(tmp_path, name):
    with pytest.raises(ValueError, match="a folder in runs/"):
        Recipe.load(_write(tmp_path, f"kind = 'lifter'\nname = '{name}'"))


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
