"""What holds for every network: its stage says its tensors, and files, export and tests obey it."""

from __future__ import annotations

import importlib
import sys
import textwrap
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import knuckle.stages
import knuckle.train.kinds
from knuckle.modelcard import ModelCard
from knuckle.stages import STAGES, Network, needed, weights_folder
from knuckle.stages.contract import ANY, Stage, TensorSpec, numbers, tensors

CARD = ModelCard("", "test", input_size=32, feature_size=4)
_TYPE = {
    "uint8": TensorProto.UINT8,
    "float32": TensorProto.FLOAT,
    "int64": TensorProto.INT64,
}
#: Length of what may have any.
_SOME = 6


def imitation(stage: type[Stage], kind: str, without: tuple[str, ...] = ()) -> bytes:
    """A network that takes and gives what a stage says: noise for each of the batch."""
    rng = np.random.default_rng(0)
    nodes, constants, inputs, outputs = [], [], [], []
    for name, spec in stage.INPUTS.items():
        inputs.append(helper.make_tensor_value_info(name, _TYPE[spec.dtype], shape_of(spec)))
    first, spec = next(iter(stage.INPUTS.items()))
    nodes.append(helper.make_node("Shape", [first], ["batch"], start=0, end=1))
    for name, spec in stage.OUTPUTS.items():
        if name in without:
            continue
        shape = [n if isinstance(n, int) else _SOME for n in shape_of(spec)[1:]]
        noise = rng.normal(size=[1, *shape]).astype(spec.dtype)
        rest = np.array(shape, np.int64)
        constants.append(numpy_helper.from_array(noise, f"{name}_noise"))
        constants.append(numpy_helper.from_array(rest, f"{name}_rest"))
        nodes.append(helper.make_node("Concat", ["batch", f"{name}_rest"], [f"{name}_all"], axis=0))
        nodes.append(helper.make_node("Expand", [f"{name}_noise", f"{name}_all"], [name]))
        outputs.append(helper.make_tensor_value_info(name, _TYPE[spec.dtype], shape_of(spec)))
    graph = helper.make_graph(nodes, kind, inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, replace(CARD, kind=kind).to_metadata())
    onnx.checker.check_model(model)
    return model.SerializeToString()


def shape_of(spec: TensorSpec) -> list[int | str]:
    """The shape of a tensor as a file has it: free axes have names."""
    lengths = spec.of(CARD).shape
    names = spec.axes
    return [
        names.get(axis, f"free{axis}") if length is ANY or axis in names else length
        for axis, length in enumerate(lengths)
    ]


def batch_of(stage: type[Stage], count: int) -> dict[str, np.ndarray]:
    return {
        name: np.zeros([count, *spec.of(CARD).shape[1:]], spec.dtype)
        for name, spec in stage.INPUTS.items()
    }


@pytest.fixture(params=STAGES)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("count", [1, 3])
def test_a_file_that_keeps_to_it_is_run(kind: str, count: int, tmp_path: Path) -> None:
    path = tmp_path / f"{kind}.onnx"
    path.write_bytes(imitation(STAGES[kind], kind))
    said = Network(path, kind)(**batch_of(STAGES[kind], count))
    assert list(said) == list(STAGES[kind].OUTPUTS)
    for name, spec in STAGES[kind].OUTPUTS.items():
        assert spec.of(CARD).takes(said[name]), name
        assert len(said[name]) == count


def test_each_output_that_is_not_optional_must_be_there(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"{kind}.onnx"
    for name in STAGES[kind].OUTPUTS:
        path.write_bytes(imitation(STAGES[kind], kind, without=(name,)))
        if name in STAGES[kind].OPTIONAL:
            assert name not in Network(path, kind)(**batch_of(STAGES[kind], 1))
            continue
        with pytest.raises(ValueError, match=f"has no output '{name}'"):
            Network(path, kind)


def test_the_shipped_networks_are_those_that_are_needed() -> None:
    for kind in needed():
        assert Network(weights_folder(None) / f"{kind}.onnx", kind).card.kind == kind


def test_a_stage_says_what_it_is(kind: str) -> None:
    stage = STAGES[kind]
    assert stage.__doc__ and set(stage.OUTPUTS) >= stage.OPTIONAL
    assert not set(stage.INPUTS) & set(stage.OUTPUTS) or kind == "pair" or kind == "lifter"


def test_every_kind_of_training_exports_to_a_stage() -> None:
    from knuckle.train.kind import kind_named, kind_names

    for name in kind_names():
        kind = kind_named(name)
        assert kind.networks and set(kind.networks) <= set(STAGES)
        assert {item.name: item.default for item in fields(kind.recipe)}["kind"] == name
    exported = {network for name in kind_names() for network in kind_named(name).networks}
    assert exported == set(STAGES)


# --------------------------------------------------------------------------------------------
# A kind that does not exist yet: three files and one line
# --------------------------------------------------------------------------------------------
STAGE_FILE = '''
    """Tells how long a palm is."""

    import numpy as np

    from knuckle.hand import N_JOINTS
    from knuckle.stages.contract import Stage, numbers, tensors


    class Palm(Stage):
        """A palm network."""

        INPUTS = tensors(joints_mm=numbers(N_JOINTS, 3))
        OUTPUTS = tensors(length_mm=numbers(), sigma_mm=numbers())
        OPTIONAL = frozenset({"sigma_mm"})

        def __call__(self, joints_mm: np.ndarray) -> np.ndarray:
            """(N, 21, 3) -> (N,) mm."""
            return self._network(joints_mm=joints_mm.astype(np.float32))["length_mm"]
'''
KIND_FILE = '''
    """The palm network, on noise."""

    from dataclasses import dataclass, field

    import torch
    from torch import nn
    from torch.utils.data import DataLoader, IterableDataset

    from knuckle.modelcard import ModelCard
    from knuckle.train.kind import Exportable, Kind
    from knuckle.train.modules import TrainedModule
    from knuckle.train.recipe import Recipe
    from knuckle.train.streams import loader_of


    @dataclass(frozen=True)
    class PalmSettings:
        """Its size."""

        width: int = 8


    @dataclass(frozen=True)
    class PalmLosses:
        """What its terms count."""

        length: float = 1.0


    @dataclass(frozen=True, kw_only=True)
    class PalmRecipe(Recipe):
        """A run that trains it."""

        kind: str = "palm"
        palm: PalmSettings = field(default_factory=PalmSettings)
        losses: PalmLosses = field(default_factory=PalmLosses)
        start_palm: str = ""


    class Palm(nn.Module):
        def __init__(self, settings):
            super().__init__()
            self.out = nn.Sequential(nn.Linear(63, settings.width), nn.Linear(settings.width, 1))

        def forward(self, joints_mm):
            return self.out(joints_mm.flatten(1))[:, 0]


    class PalmModule(TrainedModule):
        def __init__(self, recipe):
            super().__init__(recipe)
            self.palm = Palm(recipe.palm)

        def losses(self, batch):
            error = (self.palm(batch["joints_mm"]) - batch["length_mm"]).abs().mean()
            return {"length": self.recipe.losses.length * error}

        def scores(self, batch):
            return {"mm": (self.palm(batch["joints_mm"]) - batch["length_mm"]).abs().mean()}


    class Hands(IterableDataset):
        def __iter__(self):
            while True:
                joints = torch.randn(4, 21, 3)
                yield {"joints_mm": joints, "length_mm": joints[:, 9].norm(dim=-1)}


    def exported(recipe):
        return Exportable(
            ModelCard("palm", recipe.version, recipe=recipe.name),
            Palm(recipe.palm),
            lambda network, joints_mm: {"length_mm": network(joints_mm)},
            {"joints_mm": torch.randn(1, 21, 3)},
        )


    KIND = Kind(
        recipe=PalmRecipe,
        module=PalmModule,
        training=lambda recipe: loader_of(Hands(), recipe),
        validation=lambda recipe: {"noise": DataLoader([next(iter(Hands()))], batch_size=None)},
        networks={"palm": exported},
    )
'''
RECIPE_FILE = """
    # The palm network, for a moment.
    kind = "palm"
    name = "palm"
    version = "made-up"
    workers = 0
    threads = 1

    [palm]
    width = 4

    [losses]
    length = 0.5

    [optimiser]
    minutes = 0.002
"""


@pytest.fixture
def palm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The three files, and the line; gives the recipe."""
    for package, content in ((knuckle.stages, STAGE_FILE), (knuckle.train.kinds, KIND_FILE)):
        folder = tmp_path / package.__name__
        folder.mkdir()
        (folder / "palm.py").write_text(textwrap.dedent(content))
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
        monkeypatch.delitem(sys.modules, f"{package.__name__}.palm", raising=False)
    stage = importlib.import_module("knuckle.stages.palm").Palm
    monkeypatch.setitem(STAGES, "palm", stage)
    recipe = tmp_path / "palm.toml"
    recipe.write_text(textwrap.dedent(RECIPE_FILE))
    return recipe


def test_a_new_kind_is_three_files_and_one_line(palm: Path, tmp_path: Path) -> None:
    from knuckle.export import export
    from knuckle.train.recipe import Recipe
    from knuckle.train.run import train
    from knuckle.train.weights import load_weights

    recipe = Recipe.load(palm)
    assert recipe.palm.width == 4 and recipe.losses.length == 0.5
    run = train(recipe, tmp_path / "runs").parent
    (path,) = export(run, tmp_path / "weights")
    assert path.name == "palm.onnx" and Network(path, "palm").card.version == "made-up"
    lengths = STAGES["palm"](Network(path, "palm"))(np.zeros((3, 21, 3)))
    assert lengths.shape == (3,)
    again = load_weights(path)  # trained further from what was exported
    assert set(again) == set(load_weights(run / "weights.pt"))
    train(replace(recipe, name="again", start_palm=str(path)), tmp_path / "runs")


OWN_LIFTER = '''
    """A lifter of one's own, for the stage that there is."""

    from dataclasses import dataclass, field

    import torch
    from torch import nn

    from knuckle.modelcard import ModelCard
    from knuckle.models.lifter import LifterOutput
    from knuckle.train.kind import Exportable, Kind
    from knuckle.train.kinds import lifter
    from knuckle.train.modules import TrainedModule


    @dataclass(frozen=True)
    class OwnSettings:
        """Its size."""

        width: int = 8
        feature_size: int = 4


    class OwnLifter(nn.Module):
        def __init__(self, settings):
            super().__init__()
            size = 3 + settings.feature_size
            width = settings.width
            self.layers = nn.Sequential(nn.Linear(size, width), nn.Linear(width, 4))

        def forward(self, rays, sigma, features):
            out = self.layers(torch.cat([rays, sigma[..., None], features], dim=-1))
            return LifterOutput(out[..., :3] - out[:, :1, :3], out[..., 3])


    @dataclass(frozen=True, kw_only=True)
    class OwnRecipe(lifter.LifterRecipe):
        """A run that trains it."""

        kind: str = "own_lifter"
        lifter: OwnSettings = field(default_factory=OwnSettings)


    class OwnModule(lifter.LifterModule):
        def __init__(self, recipe):
            TrainedModule.__init__(self, recipe)
            self.lifter = OwnLifter(recipe.lifter)


    def exported(recipe):
        size = recipe.lifter.feature_size
        card = ModelCard("lifter", recipe.version, feature_size=size, recipe=recipe.name)
        rays, sigma = torch.randn(1, 21, 2), torch.rand(1, 21)
        inputs = {"rays": rays, "sigma": sigma, "features": torch.randn(1, 21, size)}
        return Exportable(card, OwnLifter(recipe.lifter), lifter.answer, inputs)


    KIND = Kind(
        recipe=OwnRecipe,
        module=OwnModule,
        training=lifter.KIND.training,
        validation=lifter.KIND.validation,
        networks={"lifter": exported},
    )
'''


@pytest.mark.usefixtures("few_poses")
def test_another_network_for_a_stage_is_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from knuckle.export import export
    from knuckle.train.recipe import Recipe
    from knuckle.train.run import train

    package = knuckle.train.kinds
    (tmp_path / "own_lifter.py").write_text(textwrap.dedent(OWN_LIFTER))
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, f"{package.__name__}.own_lifter", raising=False)
    recipe = tmp_path / "own.toml"
    recipe.write_text(
        'kind = "own_lifter"\nname = "own"\nversion = "mine"\nworkers = 0\nthreads = 1\n'
        "[lifter]\nwidth = 6\n[optimiser]\nminutes = 0.002\nbatch = 4\n"
    )
    run = train(Recipe.load(recipe), tmp_path / "runs").parent
    (path,) = export(run, tmp_path / "weights")
    assert path.name == "lifter.onnx" and Network(path, "lifter").card.version == "mine"


def test_a_kind_without_a_file_is_named() -> None:
    from knuckle.train.kind import kind_named

    with pytest.raises(ValueError, match=r"kind must be one of detector, .*, got 'painter'"):
        kind_named("painter")


def test_specs_print_as_errors_show_them() -> None:
    assert str(numbers(21, "feature_size").of(CARD)) == "float32 (*, 21, 4)"
    assert list(tensors(a=numbers(), b=numbers())) == ["a", "b"]
