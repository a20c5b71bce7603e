"""``knuckle export CHECKPOINT``: trained weights become the ONNX files that the runtime reads.

An export ends in a comparison: the file, run by ONNX Runtime, must give the numbers that torch
gives, or there is no file.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from knuckle.crop import MARGIN
from knuckle.errors import InputError
from knuckle.hand import N_JOINTS
from knuckle.modelcard import ModelCard
from knuckle.models import efficientnet_lite as lite
from knuckle.models.both import BothHands
from knuckle.models.detector import Detector
from knuckle.models.internet import InterNet, decoded, depth_of, joints_of
from knuckle.models.keypoints import KeypointNetwork, KeypointSettings
from knuckle.models.lifter import Lifter
from knuckle.models.pair import Pair
from knuckle.models.several_views import Lines, SeveralViews
from knuckle.models.temporal import Temporal, TemporalState
from knuckle.train.recipe import Recipe
from knuckle.train.weights import HALF_SUFFIX, averaged, load_weights, part_of

OPSET = 17
#: Largest difference between ONNX Runtime and torch, relative to the output's own scale.
TOLERANCE = 2e-3
#: The scale of an output is at least this: noise shows no hand, and a presence of 1e-5 is no scale.
_LEAST_SCALE = 1e-2


@dataclass(frozen=True)
class Exportable:
    """A network as the runtime calls it.

    Attributes:
        module: takes the inputs in order, gives the outputs in order.
        card: its metadata.
        inputs: names and one random example each, batch first.
        outputs: names.
        free: axes besides the batch that may have any length, by input or output.
    """

    module: nn.Module
    card: ModelCard
    inputs: dict[str, Tensor]
    outputs: Sequence[str]
    free: dict[str, dict[int, str]] = field(default_factory=dict)


class _DetectorGraph(nn.Module):
    def __init__(self, network: Detector) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        out = self.network(image)
        return torch.cat([out.peak_logit.sigmoid(), out.geometry], dim=1), out.mask_logit.sigmoid()


class _KeypointGraph(nn.Module):
    def __init__(self, network: KeypointNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, crop: Tensor) -> tuple[Tensor, ...]:
        out = self.network(crop)
        return (
            out.keypoints_px,
            out.log_sigma_px.exp(),
            out.visible_logit.sigmoid(),
            out.presence_logit.sigmoid(),
            out.right_logit.sigmoid(),
            out.mask_logit.sigmoid(),
            out.features,
            torch.cat([out.neighbour_logit.sigmoid()[:, None], out.neighbour], dim=1),
        )


class _LifterGraph(nn.Module):
    def __init__(self, network: Lifter) -> None:
        super().__init__()
        self.network = network

    def forward(self, rays: Tensor, sigma: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        out = self.network(rays, sigma, features)
        return out.joints_mm, out.log_sigma_mm.exp()


class _TemporalGraph(nn.Module):
    def __init__(self, network: Temporal) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        joints_mm: Tensor,
        sigma_mm: Tensor,
        rays: Tensor,
        sigma: Tensor,
        dt_s: Tensor,
        last_mm: Tensor,
        velocity_mm_s: Tensor,
        memory: Tensor,
    ) -> tuple[Tensor, ...]:
        state = TemporalState(last_mm, velocity_mm_s, memory)
        out = self.network(joints_mm, sigma_mm, rays, sigma, dt_s, state)
        return out.state.joints_mm, out.log_sigma_mm.exp(), *out.state[1:]


class _PairGraph(nn.Module):
    def __init__(self, network: Pair) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, joints_mm: Tensor, sigma_mm: Tensor, rays: Tensor, sigma: Tensor
    ) -> tuple[Tensor, ...]:
        out = self.network(joints_mm, sigma_mm, rays, sigma)
        return out.apart_mm, out.log_sigma_mm.exp()


class _InterNetGraph(nn.Module):
    def __init__(self, network: InterNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, crop: Tensor) -> tuple[Tensor, ...]:
        settings = self.network.settings
        out = self.network(crop)
        points, depth = joints_of(decoded(out.volumes, settings, "soft"), settings)
        there = out.there_logit.sigmoid()
        return points, depth - depth[..., :1], depth_of(out.root_cells, settings), there


class _BothGraph(nn.Module):
    def __init__(self, network: BothHands) -> None:
        super().__init__()
        self.network = network

    def forward(self, crop: Tensor, view_from_crop: Tensor) -> tuple[Tensor, ...]:
        out = self.network(crop, view_from_crop)
        sigma = out.log_sigma_px.exp(), out.log_sigma_mm.exp()
        there = out.there_logit.sigmoid()
        return out.keypoints_px, sigma[0], out.joints_mm, sigma[1], out.root_mm, there


class _EpipolarGraph(nn.Module):
    def __init__(self, network: SeveralViews) -> None:
        super().__init__()
        self.network = network

    def forward(self, crop: Tensor, *lines: Tensor) -> tuple[Tensor, ...]:
        out = self.network(crop, Lines(*lines))
        return out.keypoints_px, out.log_sigma_px.exp()


def export(
    run: Path, out: Path, *, half: bool = True, earlier: Path | None = None, share: float = 0.3
) -> list[Path]:
    """Write the ONNX files of a finished run.

    Args:
        run: folder of the run (``runs/<name>``).
        out: folder for ``detector.onnx``, or ``keypoints.onnx`` and ``lifter.onnx``, or
            ``lifter.onnx``.
        half: store weights in half precision. Computation stays in single precision: the file
            is half the size and nothing is slower.
        earlier: folder of ONNX files that the run started from, to average its weights with.
        share: of the earlier weights in the mean.

    Returns:
        The files written.

    Raises:
        FileNotFoundError: the run has no weights, or the folder not those of its networks.
        ValueError: ONNX Runtime and torch disagree, or the earlier weights are of other networks.
    """
    recipe = Recipe.load_json(run / "recipe.json")
    state = load_weights(run / "weights.pt")
    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for kind, build in _BUILDERS.items():
        own = part_of(state, kind)
        if own and earlier is not None:
            own = averaged(own, part_of(load_weights(earlier / f"{kind}.onnx"), kind), share)
        if own:
            path = out / f"{kind}.onnx"
            model = build(recipe, own)
            if recipe.license:
                card = dataclasses.replace(model.card, license=recipe.license)
                model = dataclasses.replace(model, card=card)
            write(model, path, half=half)
            paths.append(path)
    return paths


def write(model: Exportable, path: Path, *, half: bool = True) -> None:
    """Write one network and compare it with torch."""
    model.module.eval()
    if half:
        _round_to_half(model.module)
    partial = path.with_suffix(".partial")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer warns about every constant shape
        torch.onnx.export(
            model.module,
            tuple(model.inputs.values()),
            str(partial),
            input_names=list(model.inputs),
            output_names=list(model.outputs),
            dynamic_axes={
                name: {0: "n"} | model.free.get(name, {})
                for name in (*model.inputs, *model.outputs)
            },
            opset_version=OPSET,
            # Every parameter keeps its name and shape: the file can be trained further
            # (``train.weights.load_weights``), and ONNX Runtime folds constants when it loads.
            do_constant_folding=False,
            dynamo=False,
        )
    graph = onnx.load(str(partial))
    _fold_padding(graph)
    if half:
        _store_in_half(graph)
    onnx.helper.set_model_props(graph, model.card.to_metadata())
    onnx.checker.check_model(graph)
    onnx.save(graph, str(partial))
    worst = compare(model, partial)
    if worst > TOLERANCE:
        partial.unlink()
        raise InputError(
            f"{path.name}: ONNX Runtime differs from torch by {worst:.2g} of the output's scale, "
            f"more than {TOLERANCE:g}; nothing was written"
        )
    partial.rename(path)


def compare(model: Exportable, path: Path) -> float:
    """Largest difference between ONNX Runtime and torch, relative to each output's scale.

    Runs one sample and three at once, so that a batch axis frozen by tracing shows.
    """
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    worst = 0.0
    for count in (1, 3):
        inputs = {name: _batch_of(value, count) for name, value in model.inputs.items()}
        with torch.no_grad():
            expected = model.module(*inputs.values())
        got = session.run(list(model.outputs), {k: v.numpy() for k, v in inputs.items()})
        for theirs, ours in zip(got, expected, strict=True):
            if theirs.shape != tuple(ours.shape):
                raise InputError(f"{path.name}: shape {theirs.shape}, expected {ours.shape}")
            scale = max(float(ours.abs().max()), _LEAST_SCALE)
            worst = max(worst, float(np.abs(theirs - ours.numpy()).max()) / scale)
    return worst


def _detector(recipe: Recipe, state: dict[str, Tensor]) -> Exportable:
    network = Detector(recipe.detector)
    network.load_state_dict(state)
    size = recipe.detector.input_size
    shape = lite.ARCHITECTURES[recipe.detector.backbone]
    card = ModelCard(
        "detector", recipe.version, size, shape.mean, shape.std, units="px", recipe=recipe.name
    )
    image = torch.randint(0, 256, (1, size, size, 3), dtype=torch.uint8)
    # Frames are not square: the runtime leaves out most of the bars beside them.
    free = {
        "image": {1: "height", 2: "width"},
        "maps": {2: "map_height", 3: "map_width"},
        "mask": {2: "mask_height", 3: "mask_width"},
    }
    return Exportable(_DetectorGraph(network), card, {"image": image}, ("maps", "mask"), free)


def _keypoints(recipe: Recipe, state: dict[str, Tensor]) -> Exportable:
    network = KeypointNetwork(recipe.keypoints)
    network.load_state_dict(state)
    size, features = recipe.keypoints.input_size, recipe.keypoints.feature_size
    shape = lite.ARCHITECTURES[recipe.keypoints.backbone]
    card = ModelCard(
        "keypoints",
        recipe.version,
        size,
        shape.mean,
        shape.std,
        units="px",
        feature_size=features,
        recipe=recipe.name,
        extra={"margin": MARGIN},
    )
    crop = torch.randint(0, 256, (1, size, size, 3), dtype=torch.uint8)
    outputs = (
        "keypoints_px", "sigma_px", "visible", "presence", "right", "mask", "features", "neighbour",
    )  # fmt: skip
    return Exportable(_KeypointGraph(network), card, {"crop": crop}, outputs)


def _lifter(recipe: Recipe, state: dict[str, Tensor]) -> Exportable:
    network = Lifter(recipe.lifter)
    network.load_state_dict(state)
    features = recipe.lifter.feature_size
    card = ModelCard("lifter", recipe.version, feature_size=features, recipe=recipe.name)
    inputs = {
        "rays": torch.randn(1, N_JOINTS, 2) * 0.1,
        "sigma": torch.rand(1, N_JOINTS) * 0.01 + 0.001,
        "features": torch.randn(1, N_JOINTS, features),
    }
    return Exportable(_LifterGraph(network), card, inputs, ("joints_mm", "sigma_mm"))


def _temporal(recipe: Recipe, state: dict[str, Tensor]) -> Exportable:
    network = Temporal(recipe.temporal)
    network.load_state_dict(state)
    width = recipe.temporal.width
    card = ModelCard("temporal", recipe.version, recipe=recipe.name, extra={"memory": width})
    inputs = {
        "joints_mm": torch.randn(1, N_JOINTS, 3) * 50,
        "sigma_mm": torch.rand(1, N_JOINTS) * 10 + 1,
        "rays": torch.randn(1, N_JOINTS, 2) * 0.1,
        "sigma": torch.rand(1, N_JOINTS) * 0.01 + 0.001,
        "dt_s": torch.full((1, 1), 1 / 30),
        "last_mm": torch.randn(1, N_JOINTS, 3) * 50,
        "velocity_mm_s": torch.randn(1, N_JOINTS, 3) * 100,
        "memory": torch.tanh(torch.randn(1, width)),
    }
    outputs = ("refined_mm", "refined_sigma_mm", "next_velocity_mm_s", "next_memory")
    return Exportable(_TemporalGraph(network), card, inputs, outputs)


def _pair(recipe: Recipe, state: dict[str, Tensor]) -> Exportable:
    network = Pair(recipe.pair)
    network.load_state_dict(state)
    card = ModelCard("pair", recipe.version, recipe=recipe.name)
    joints = torch.randn(1, 2, N_JOINTS, 3) * 50
    ahead = joints + torch.tensor([[[0.0, 0.0, 600.0]], [[80.0, 0.0, 640.0]]])
    inputs = {
        "joints_mm": joints,
        "sigma_mm": torch.rand(1, 2, N_JOINTS) * 10 + 1,
        "rays": ahead[..., :2] / ahead[..., 2:],
        "sigma": torch.rand(1, 2, N_JOINTS) * 0.01 + 0.001,
    }
    outputs = ("apart_mm", "apart_sigma_mm")
    return Exportable(_PairGraph(network), card, inputs, outputs)


def _internet(recipe: Recipe, state: dict[str, Tensor]) -> Exportable:
    network = InterNet(recipe.internet)
    network.load_state_dict(state)
    size = recipe.internet.input_size
    card = ModelCard("internet", recipe.version, size, recipe=recipe.name)
    crop = torch.randint(0, 256, (1, size, size, 3), dtype=torch.uint8)
    outputs = ("keypoints_px", "depth_mm", "root_mm", "there")
    return Exportable(_InterNetGraph(network), card, {"crop": crop}, outputs)


def _both(recipe: Recipe, state: dict[str, Tensor]) -> Exportable:
    network = BothHands(recipe.both)
    network.load_state_dict(state)
    size = recipe.both.input_size
    shape = lite.ARCHITECTURES[recipe.both.backbone]
    card = ModelCard("both", recipe.version, size, shape.mean, shape.std, recipe=recipe.name)
    # The comparison rolls the rows of examples: whichever is last must not divide by nothing.
    view = torch.tensor([[1e-4, 0.0, 1.0], [0.0, 1e-4, 1.0], [5e-5, 5e-5, 1.0]])
    inputs = {
        "crop": torch.randint(0, 256, (1, size, size, 3), dtype=torch.uint8),
        "view_from_crop": view[None],
    }
    outputs = ("keypoints_px", "sigma_px", "joints_mm", "sigma_mm", "root_mm", "there")
    return Exportable(_BothGraph(network), card, inputs, outputs)


def _epipolar(recipe: Recipe, state: dict[str, Tensor]) -> Exportable:
    keypoints = KeypointSettings.of_weights(
        part_of(state, "keypoints"), recipe.keypoints.input_size
    )
    network = SeveralViews(recipe.epipolar, keypoints)
    network.load_state_dict(state)
    size = keypoints.input_size
    shape = lite.ARCHITECTURES[keypoints.backbone]
    card = ModelCard(
        "epipolar",
        recipe.version,
        size,
        shape.mean,
        shape.std,
        units="px",
        recipe=recipe.name,
        extra={"margin": MARGIN, "stride": keypoints.codec.stride},
    )
    # Three views about a hand, each of which looks at the two others.
    around = torch.eye(3) + 0.02 * torch.randn(1, 3, 2, 3, 3)
    inputs = {
        "crop": torch.randint(0, 256, (1, 3, size, size, 3), dtype=torch.uint8),
        "source": torch.tensor([[[1, 2], [0, 2], [0, 1]]]),
        "turn": around,
        "shift": 10 * torch.randn(1, 3, 2, 3),
        "depth": torch.full((1, 3), 600.0),
        "there": torch.ones(1, 3, 2),
    }
    free = {
        **{name: {1: "views"} for name in ("crop", "depth")},
        **{name: {1: "views", 2: "sources"} for name in ("source", "turn", "shift", "there")},
        **{name: {1: "views"} for name in ("keypoints_px", "sigma_px")},
    }
    return Exportable(_EpipolarGraph(network), card, inputs, ("keypoints_px", "sigma_px"), free)


_BUILDERS: dict[str, Callable[[Recipe, dict[str, Tensor]], Exportable]] = {
    "detector": _detector,
    "keypoints": _keypoints,
    "lifter": _lifter,
    "temporal": _temporal,
    "pair": _pair,
    "internet": _internet,
    "both": _both,
    "epipolar": _epipolar,
}


def _batch_of(value: Tensor, count: int) -> Tensor:
    """``count`` different samples like the example."""
    return torch.cat([value.roll(shift, dims=1) for shift in range(count)])


@torch.no_grad()
def _round_to_half(module: nn.Module) -> None:
    """Give torch the very weights that the file will hold."""
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point() and tensor.numel() > 64:
            tensor.copy_(tensor.half().float())


def _fold_padding(graph: onnx.ModelProto) -> None:
    """Let each convolution that follows a padding with zeros pad by itself: one node, one pass.

    The tracer writes the widths of a padding as a chain of nodes around constants; they are what
    ONNX Runtime would compute when it loads the file.
    """
    nodes = graph.graph.node
    padding = {node.output[0]: node for node in nodes if node.op_type == "Pad"}
    convolutions = [node for node in nodes if node.op_type == "Conv" and node.input[0] in padding]
    if not convolutions:
        return
    widths = _constants(graph, [padding[node.input[0]].input[1] for node in convolutions])
    for convolution in convolutions:
        pad = padding[convolution.input[0]]
        before_after = widths[pad.input[1]]  # (8,): N, C, H, W before, then after
        own = next(item for item in convolution.attribute if item.name == "pads")
        added = [*before_after[2:4], *before_after[6:8]]
        own.ints[:] = [int(a + b) for a, b in zip(own.ints, added, strict=True)]
        convolution.input[0] = pad.input[0]
    _drop_unread(graph)


def _constants(graph: onnx.ModelProto, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Values that depend on no input, by name."""
    outputs = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.INT64, None)
        for name in dict.fromkeys(names)
    ]
    needed = onnx.ModelProto()
    needed.CopyFrom(graph)
    del needed.graph.input[:], needed.graph.output[:], needed.graph.initializer[:]
    needed.graph.output.extend(outputs)
    _drop_unread(needed)
    session = onnxruntime.InferenceSession(
        needed.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return {item.name: value for item, value in zip(outputs, session.run(None, {}), strict=True)}


def _drop_unread(graph: onnx.ModelProto) -> None:
    """Take out nodes whose outputs nobody reads, last first."""
    read = {item.name for item in graph.graph.output}
    kept = []
    for node in reversed(graph.graph.node):
        if any(name in read for name in node.output):
            kept.append(node)
            read.update(node.input)
    del graph.graph.node[:]
    graph.graph.node.extend(reversed(kept))


def _store_in_half(graph: onnx.ModelProto) -> None:
    """Store large weights in half precision, each behind a Cast that ONNX Runtime folds away."""
    casts = []
    for tensor in list(graph.graph.initializer):
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size <= 64:
            continue
        stored = onnx.numpy_helper.from_array(values.astype(np.float16), tensor.name + HALF_SUFFIX)
        casts.append(
            onnx.helper.make_node("Cast", [stored.name], [tensor.name], to=onnx.TensorProto.FLOAT)
        )
        graph.graph.initializer.remove(tensor)
        graph.graph.initializer.append(stored)
    nodes = [*casts, *graph.graph.node]
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
