"""An exported file gives torch's numbers, says what it is, and does not exist if it is wrong."""

import json
from dataclasses import asdict, fields, replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from knuckle import export as exporting
from knuckle.export import export
from knuckle.modelcard import ModelCard
from knuckle.models.detector import DetectorSettings
from knuckle.models.keypoints import KeypointSettings
from knuckle.models.lifter import LifterSettings
from knuckle.models.pair import PairSettings
from knuckle.stages import STAGES
from knuckle.stages.contract import Stage, numbers, tensors
from knuckle.train.kind import Exportable, kind_named, module_of
from knuckle.train.recipe import OptimiserSettings
from knuckle.train.weights import averaged, load_weights, part_of

NETWORKS = {
    "keypoints": KeypointSettings("imagenet", 64, (16, 16, 16), feature_size=8),
    "detector": DetectorSettings("imagenet", 96, width=16),
    "lifter": LifterSettings(feature_size=8, width=16, whole_width=64),
    "pair": PairSettings(32),
}


def small(kind, **changes):
    """A recipe of a kind with small networks."""
    recipe = kind_named(kind).recipe
    own = {item.name for item in fields(recipe)}
    sizes = {name: size for name, size in NETWORKS.items() if name in own}
    optimiser = OptimiserSettings(minutes=1.0)
    return recipe(name="small", version="test", optimiser=optimiser, **(sizes | changes))


def save_run(folder, kind):
    torch.manual_seed(1)
    recipe = small(kind)
    folder.mkdir()
    (folder / "recipe.json").write_text(json.dumps(asdict(recipe)))
    state = module_of(recipe).state_dict()
    # As after training: no two parameters are the same.
    trained = {name: value + 0.01 * torch.randn_like(value) for name, value in state.items()}
    torch.save({name: value.half() for name, value in trained.items()}, folder / "weights.pt")
    return folder


@pytest.mark.parametrize(
    ("kind", "files"),
    [
        ("detector", {"detector.onnx"}),
        ("keypoints", {"keypoints.onnx", "lifter.onnx"}),
        ("lifter", {"lifter.onnx"}),
        ("pair", {"pair.onnx"}),
    ],
)
def test_every_kind_exports_and_names_itself(tmp_path, kind, files):
    paths = export(save_run(tmp_path / "run", kind), tmp_path / "out")
    assert {path.name for path in paths} == files == {p.name for p in (tmp_path / "out").iterdir()}
    for path in paths:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        card = ModelCard.from_metadata(session.get_modelmeta().custom_metadata_map)
        assert card.kind == path.stem
        assert card.version == "test"


def exported_of(recipe, network):
    return kind_named(recipe.kind).networks[network](recipe)


def test_padding_is_folded_into_the_convolutions(tmp_path):
    """Where more is padded after than before; ``compare`` holds the numbers."""
    network = replace(NETWORKS["keypoints"], backbone="landmark")
    model = exported_of(small("keypoints", keypoints=network), "keypoints")
    exporting.write(model, tmp_path / "keypoints.onnx")
    nodes = onnx.load(str(tmp_path / "keypoints.onnx")).graph.node
    padded = {node.output[0] for node in nodes if node.op_type == "Pad"}
    assert not [node for node in nodes if node.op_type == "Conv" and node.input[0] in padded]
    pads = [list(a.ints) for n in nodes if n.op_type == "Conv" for a in n.attribute
            if a.name == "pads"]  # fmt: skip
    assert [0, 0, 1, 1] in pads and [1, 1, 2, 2] in pads


def test_batch_gives_what_single_pictures_give(tmp_path):
    (path, _) = export(save_run(tmp_path / "run", "keypoints"), tmp_path / "out")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    crops = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3)).astype(np.uint8)
    known_px = np.random.default_rng(1).uniform(0, 64, (4, 21, 2)).astype(np.float32)
    together = session.run(["keypoints_px"], {"crop": crops, "known_px": known_px})[0]
    alone = [
        session.run(["keypoints_px"], {"crop": crops[[i]], "known_px": known_px[[i]]})[0][0]
        for i in range(4)
    ]
    np.testing.assert_allclose(together, alone, atol=1e-3)


def test_half_precision_halves_the_file_and_keeps_the_answer(tmp_path):
    run = save_run(tmp_path / "run", "lifter")
    (half,) = export(run, tmp_path / "half")
    (full,) = export(run, tmp_path / "full", half=False)
    assert half.stat().st_size < 0.7 * full.stat().st_size


@pytest.mark.parametrize("kind", ["detector", "keypoints", "lifter", "pair"])
def test_an_exported_file_can_be_trained_further(tmp_path, kind):
    run = save_run(tmp_path / "run", kind)
    expected = load_weights(run / "weights.pt")
    found = {}
    for path in export(run, tmp_path / "out"):
        found |= load_weights(path)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=0, rtol=0)


def test_weights_are_averaged_with_those_that_the_run_started_from(tmp_path):
    first = save_run(tmp_path / "first", "lifter")
    then = save_run(tmp_path / "then", "lifter")
    weights = load_weights(first / "weights.pt")
    later = {name: (value + 0.01).half() for name, value in weights.items()}
    torch.save(later, then / "weights.pt")
    export(first, tmp_path / "earlier")
    for earlier in (tmp_path / "earlier", first):  # as networks, and as the run that they are of
        (path,) = export(then, tmp_path / "out", earlier=earlier, share=0.25)
        for name, value in load_weights(path).items():
            torch.testing.assert_close(value, weights[name] + 0.0075, atol=1e-3, rtol=0)


def test_the_mean_may_be_of_some_parts_only(tmp_path):
    first, then = (save_run(tmp_path / name, "lifter") for name in ("first", "then"))
    weights = load_weights(first / "weights.pt")
    later = {name: (value + 0.01).half() for name, value in weights.items()}
    torch.save(later, then / "weights.pt")
    export(first, tmp_path / "earlier")
    options = {"earlier": tmp_path / "earlier", "share": 0.25}
    (path,) = export(then, tmp_path / "out", **options, only=["lifter.whole."])
    for name, value in load_weights(path).items():
        moved = 0.0075 if name.startswith("lifter.whole.") else 0.0
        torch.testing.assert_close(value, weights[name] + moved, atol=1e-3, rtol=0)
    with pytest.raises(ValueError, match=r"no weights are called lifter.hole: there are lifter"):
        export(then, tmp_path / "out", **options, only=["lifter.hole"])


@pytest.mark.parametrize(
    ("share", "width", "says"), [(1.5, 16, "must lie in 0..1"), (0.5, 24, "the same network")]
)
def test_weights_that_cannot_be_averaged_are_refused(tmp_path, share, width, says):
    run = save_run(tmp_path / "run", "lifter")
    other = small("lifter", lifter=replace(NETWORKS["lifter"], width=width))
    state = {name: v.float() for name, v in module_of(other).state_dict().items()}
    with pytest.raises(ValueError, match=says):
        averaged(part_of(load_weights(run / "weights.pt"), "lifter"),
                 part_of(state, "lifter"), share)  # fmt: skip


def test_a_file_that_disagrees_with_torch_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "compare", lambda *_: 0.5)
    with pytest.raises(ValueError, match="differs from torch"):
        export(save_run(tmp_path / "run", "lifter"), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_comparison_notices_other_weights(tmp_path):
    (path,) = export(save_run(tmp_path / "run", "lifter"), tmp_path / "out")
    torch.manual_seed(2)
    assert exporting.compare(exported_of(small("lifter"), "lifter"), path) > exporting.TOLERANCE


@pytest.mark.parametrize(("said", "in_file", "agree"), [(1e-5, 1.1e-5, True), (0.5, 0.51, False)])
def test_a_presence_of_nearly_nothing_is_no_scale(tmp_path, monkeypatch, said, in_file, agree):
    """Sure that noise is no hand, a network differs from itself in the last digits of almost 0."""

    class Presence(Stage):
        INPUTS = tensors(x=numbers(1))
        OUTPUTS = tensors(presence=numbers(1))

    class Sure(torch.nn.Module):
        def __init__(self, value):
            super().__init__()
            self.value = torch.nn.Parameter(torch.tensor([value]))

    def exportable(value):
        card = ModelCard("presence", "test")
        answer = lambda network, x: {"presence": x * 0 + network.value}  # noqa: E731
        return Exportable(card, Sure(value), answer, {"x": torch.zeros(1, 1)})

    monkeypatch.setitem(STAGES, "presence", Presence)
    exporting.write(exportable(in_file), path := tmp_path / "presence.onnx")
    worst = exporting.compare(exportable(said), path)
    assert (worst < exporting.TOLERANCE) == agree


def test_what_a_stage_does_not_say_is_not_exported(tmp_path):
    model = exported_of(small("lifter"), "lifter")
    more = replace(model, answer=lambda *_, **asked: model.answer(*_, **asked) | {"mood": 1})
    with pytest.raises(ValueError, match=r"disagree about the outputs mood; the stage says joints"):
        exporting.write(more, tmp_path / "lifter.onnx")
    other = replace(model, card=replace(model.card, feature_size=9))
    with pytest.raises(ValueError, match=r"input features must be float32 \(\*, 21, 9\), found"):
        exporting.write(other, tmp_path / "lifter.onnx")
    assert not list(tmp_path.iterdir())


def test_runs_of_earlier_versions_are_exported(tmp_path):
    """They kept the settings of a kind of network that is no more."""
    run = save_run(tmp_path / "run", "lifter")
    values = json.loads((run / "recipe.json").read_text()) | {"temporal": {"width": 128}}
    (run / "recipe.json").write_text(json.dumps(values))
    assert [path.name for path in export(run, tmp_path / "out")] == ["lifter.onnx"]


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no training run"):
        export(tmp_path, tmp_path / "out")
