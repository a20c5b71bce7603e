"""``knuckle export CHECKPOINT``: trained weights become the ONNX files that the runtime reads.

An export ends in a comparison: the file, run by ONNX Runtime, must give the numbers that torch
gives, or there is no file.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from knuckle.errors import InputError
from knuckle.stages import STAGES
from knuckle.train.kind import Exportable, kind_named
from knuckle.train.licences import licence_of_weights
from knuckle.train.recipe import Recipe, joined_licences
from knuckle.train.weights import HALF_SUFFIX, averaged, load_weights, part_of

OPSET = 17
#: Largest difference between ONNX Runtime and torch, relative to the output's own scale.
TOLERANCE = 2e-3
#: The scale of an output is at least this: noise shows no hand, and a presence of 1e-5 is no scale.
_LEAST_SCALE = 1e-2


class _Graph(nn.Module):
    """A network as its stage asks it: the inputs in order, the outputs in order."""

    def __init__(self, model: Exportable) -> None:
        super().__init__()
        self.network = model.network
        self.answer, self.inputs = model.answer, tuple(model.inputs)
        self.outputs = outputs_of(model)

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        """What the network answers."""
        asked = dict(zip(self.inputs, values, strict=True))
        said = self.answer(self.network, **asked)
        return tuple(said[name] for name in self.outputs)


def export(
    run: Path,
    out: Path,
    *,
    half: bool = True,
    earlier: Path | None = None,
    share: float = 0.3,
    only: Sequence[str] = (),
) -> list[Path]:
    """Write the ONNX files of a finished run, and say which.

    Weights are stored in half precision unless ``half`` is False: the file is half the size, and as
    computation stays in single precision nothing is slower. ``earlier`` is the folder of ONNX
    files, or the run, that the run started from, to average its weights with; these have so much
    of a ``share``, and all of parts that ``only`` does not name, as in ``keypoints.merge8``.

    Raises:
        FileNotFoundError: the run has no weights, or the folder not those of its networks.
        ValueError: ONNX Runtime and torch disagree, or the earlier weights are of other networks.
    """
    recipe = Recipe.load_json(run / "recipe.json")
    licence = recipe.license
    state = load_weights(run / "weights.pt")
    out.mkdir(parents=True, exist_ok=True)
    if unknown := [part for part in only if not any(name.startswith(part) for name in state)]:
        there_are = ", ".join(sorted({".".join(name.split(".")[:2]) for name in state}))
        raise InputError(f"no weights are called {', '.join(unknown)}: there are {there_are}")
    paths = []
    for kind, exported in kind_named(recipe.kind).networks.items():
        weights = part_of(state, kind)
        if earlier is not None:
            file = _file_of(earlier, kind)
            before = part_of(load_weights(file), kind)
            licence = joined_licences(licence, licence_of_weights(file))
            parts = [part.removeprefix(f"{kind}.") for part in only if part.startswith(f"{kind}.")]
            weights = averaged(weights, before, share, parts if only else None)
        model = exported(recipe)
        model.network.load_state_dict(weights)
        if licence:
            card = dataclasses.replace(model.card, license=licence)
            model = dataclasses.replace(model, card=card)
        write(model, out / f"{kind}.onnx", half=half)
        paths.append(out / f"{kind}.onnx")
    return paths


def _file_of(folder: Path, kind: str) -> Path:
    """The file that holds the weights of a network, in a folder of networks or of a run."""
    of_run = folder / "weights.pt"
    return of_run if of_run.exists() else folder / f"{kind}.onnx"


def write(model: Exportable, path: Path, *, half: bool = True) -> None:
    """Write one network and compare it with torch.

    Raises:
        ValueError: it does not keep to what its stage says, or the file differs from torch.
    """
    model.network.eval()
    if half:
        _round_to_half(model.network)
    graph, stage = _Graph(model).eval(), STAGES[model.card.kind]
    specs = {**stage.INPUTS, **stage.OUTPUTS}
    partial = path.with_suffix(".partial")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer warns about every constant shape
        torch.onnx.export(
            graph,
            tuple(model.inputs.values()),
            str(partial),
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_axes={name: specs[name].axes for name in (*graph.inputs, *graph.outputs)},
            opset_version=OPSET,
            # Every parameter keeps its name and shape: the file can be trained further
            # (``train.weights.load_weights``), and ONNX Runtime folds constants when it loads.
            do_constant_folding=False,
            dynamo=False,
        )
    file = onnx.load(str(partial))
    _fold_padding(file)
    if half:
        _store_in_half(file)
    onnx.helper.set_model_props(file, model.card.to_metadata())
    onnx.checker.check_model(file)
    onnx.save(file, str(partial))
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
    graph, worst = _Graph(model).eval(), 0.0
    for count in (1, 3):
        inputs = {name: _batch_of(value, count) for name, value in model.inputs.items()}
        with torch.no_grad():
            expected = graph(*inputs.values())
        got = session.run(list(graph.outputs), {k: v.numpy() for k, v in inputs.items()})
        for theirs, ours in zip(got, expected, strict=True):
            if theirs.shape != tuple(ours.shape):
                raise InputError(f"{path.name}: shape {theirs.shape}, expected {ours.shape}")
            scale = max(float(ours.abs().max()), _LEAST_SCALE)
            worst = max(worst, float(np.abs(theirs - ours.numpy()).max()) / scale)
    return worst


def outputs_of(model: Exportable) -> tuple[str, ...]:
    """What a network says, in the order of its stage.

    Raises:
        ValueError: inputs or outputs are not those that the stage says.
    """
    stage = STAGES[model.card.kind]
    with torch.no_grad():
        said = model.answer(model.network, **model.inputs)
    for role, specs, values, optional in (
        ("input", stage.INPUTS, model.inputs, frozenset[str]()),
        ("output", stage.OUTPUTS, said, stage.OPTIONAL),
    ):
        differ = sorted((set(values) ^ set(specs)) - optional)
        if differ:
            raise InputError(
                f"{model.card.kind}: its stage and its network disagree about the {role}s "
                f"{', '.join(differ)}; the stage says {', '.join(specs)}"
            )
        for name, value in values.items():
            wanted, found = specs[name].of(model.card), value.numpy()
            if not wanted.takes(found):
                raise InputError(
                    f"{model.card.kind}: {role} {name} must be {wanted}, found {found.dtype} "
                    f"{found.shape}"
                )
    return tuple(name for name in stage.OUTPUTS if name in said)


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
    """Take out nodes whose outputs are not used, last first."""
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
