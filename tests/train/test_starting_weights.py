"""A run starts from the weights that its recipe names, or says why it cannot."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from knuckle.models.lifter import LifterSettings
from knuckle.train.kind import module_of
from knuckle.train.kinds.lifter import LifterRecipe
from knuckle.train.recipe import OptimiserSettings
from knuckle.train.run import train
from knuckle.train.weights import what_fits

pytestmark = pytest.mark.usefixtures("few_poses")

RECIPE = LifterRecipe(
    name="grown",
    workers=0,
    threads=1,
    lifter=LifterSettings(feature_size=8, width=16, whole_width=64, graph_blocks=2),
    # No step moves the weights: what is saved is what was started from.
    optimiser=OptimiserSettings(minutes=0.005, rate=0.0, batch=8),
    start_lifter="before.pt",
)


@pytest.fixture
def before(tmp_path, monkeypatch):
    """The weights of the same lifter with one graph block less, none of them as drawn."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(7)
    smaller = replace(RECIPE, lifter=replace(RECIPE.lifter, graph_blocks=1))
    state = module_of(smaller).state_dict()
    state = {
        name: value + 1 if value.is_floating_point() else value for name, value in state.items()
    }
    torch.save(state, "before.pt")
    return state


def test_a_grown_network_takes_over_what_it_still_has(before):
    weights = torch.load(
        Path(train(replace(RECIPE, start_partly=True))).with_name("last.ckpt"), weights_only=False
    )["state_dict"]
    grown = [name for name in weights if name not in before]
    assert grown
    for name, value in before.items():
        torch.testing.assert_close(weights[name], value)


def test_another_network_is_refused_unless_told(before):
    with pytest.raises(ValueError, match=r"graph.*start_partly = true"):
        train(RECIPE)


def test_weights_of_another_shape_are_left_out():
    network = {"kept": torch.zeros(2), "other": torch.zeros(3), "new": torch.zeros(1)}
    drawn = copy.deepcopy(network)
    found = what_fits({"kept": torch.ones(2), "other": torch.ones(4), "gone": torch.ones(1)}, drawn)
    assert found.keys() == network.keys()
    assert found["kept"].sum() == 2
    assert found["other"].sum() == 0


def test_nothing_that_fits_is_an_error():
    with pytest.raises(ValueError, match="another kind"):
        what_fits({"a": torch.ones(2)}, {"b": torch.zeros(2)})
