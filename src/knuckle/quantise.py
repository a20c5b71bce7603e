"""``knuckle quantise``: networks whose convolutions compute in integers, where that changes little.

Processors and browsers multiply more small integers than floating-point numbers at a time. The
scheme is that of Jacob et al., CVPR 2018 (arXiv 1712.05877): activations of 8 bits, with a scale
and a zero for each tensor; weights with a scale for each channel; sums and biases of 32 bits.
Weights have 7 bits: processors without VNNI add two products in 16 bits, which those of 8 bits
overflow.

A file keeps its weights as they were. Nodes behind them round them, and ONNX Runtime folds these
when it opens the file, which so can be trained further, averaged, and quantised anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from knuckle.errors import InputError
from knuckle.pipeline import HandEstimator
from knuckle.stages.network import overheard

#: In front of the names of what is added to a graph.
PREFIX = "int8."
_ACTIVATIONS = ("Relu", "Clip")
_ACTIVATION_STEPS, _WEIGHT_STEPS = 255, 63
#: A bias has 32 bits; the sum that it is added to must fit beside it.
_BIAS_STEPS = 2.0**30
#: Levels of modules in a name such as /network/backbone/blocks.3/expand/Conv that make a part.
_LEVELS = 3
_LEAST_SCALE = 1e-8

#: A batch that a network is asked, by the names of its inputs.
Inputs = dict[str, np.ndarray]


@dataclass(frozen=True)
class Extent:
    """Least and largest value of a tensor, and how many cells each of its channels has."""

    low: float = 0.0
    high: float = 0.0
    cells: int = 0


#: Of tensors, by name.
Extents = dict[str, Extent]


@dataclass(frozen=True)
class QuantiseSettings:
    """What may be rounded.

    Attributes:
        most_change: of any output, root mean square over its standard deviation. Those parts of a
            network are rounded first that change least for the products they make, as long as all
            together keep to this.
        least_share: of all products. Parts that make fewer are left: they would gain no time.
    """

    most_change: float = 0.02
    least_share: float = 0.01

    def __post_init__(self) -> None:
        for name in ("most_change", "least_share"):
            if not 0 < (share := getattr(self, name)) < 1:
                raise InputError(f"{name} is a share, between 0 and 1; got {share:g}")


@dataclass(frozen=True)
class Quantised:
    """A network with integers in it.

    Attributes:
        graph: the network.
        parts: modules that compute in integers, those first that are most worth it.
        n_parts: of so many.
        change: what that changes, as ``QuantiseSettings.most_change`` counts.
    """

    graph: onnx.ModelProto
    parts: tuple[str, ...]
    n_parts: int
    change: float


def quantise(
    networks: Path, pictures: Iterable[np.ndarray], out: Path, settings: QuantiseSettings
) -> dict[Path, Quantised]:
    """Write the networks of a folder that have convolutions, quantised.

    Args:
        networks: folder of ``detector.onnx``, ``keypoints.onnx`` and so on.
        pictures: (H, W, 3) uint8 RGB, of hands and of what surrounds them. What the networks are
            asked about the first half says how large values get, the second what rounding changes.
        out: folder to write to; may be the same.
        settings: see there.

    Returns:
        What was written, by file.

    Raises:
        ValueError: there are too few pictures, or no hands in them.
    """
    asked = _asked_about(pictures, networks)
    out.mkdir(parents=True, exist_ok=True)
    written = {}
    for kind, batches in asked.items():
        graph = plain(onnx.load(str(networks / f"{kind}.onnx")))
        if not _parts(graph):
            continue
        half = len(batches) // 2
        result = quantised(graph, batches[:half], batches[half:], settings)
        path = out / f"{kind}.onnx"
        onnx.checker.check_model(result.graph)
        onnx.save(result.graph, str(path.with_suffix(".partial")))
        path.with_suffix(".partial").rename(path)
        written[path] = result
    return written


def _asked_about(pictures: Iterable[np.ndarray], networks: Path) -> dict[str, list[Inputs]]:
    """What each network is asked about pictures, in their order."""
    estimator = HandEstimator(weights_dir=networks)
    with overheard() as asked:
        for picture in pictures:
            estimator(picture)
    fewest = min(len(asked.get(kind, [])) for kind in ("detector", "keypoints"))
    if fewest < 2:
        raise InputError(
            "expected pictures of hands, some dozens: their values say how to round; found "
            f"{fewest} that a network was asked about"
        )
    return asked


def quantised(
    graph: onnx.ModelProto,
    to_range: Sequence[Inputs],
    to_compare: Sequence[Inputs],
    settings: QuantiseSettings,
) -> Quantised:
    """Round as many parts of a network as the settings allow.

    Args:
        graph: a network without integers, see ``plain``.
        to_range: batches that say how large values get.
        to_compare: batches that say what rounding changes.
        settings: see there.
    """
    parts = _parts(graph)
    extents = _extents(graph, parts, to_range)
    exact = _answers(graph, to_compare)

    def with_parts(names: Sequence[str]) -> tuple[onnx.ModelProto, float]:
        chosen = {node for name in names for node in parts[name]}
        tried = _Rounding(graph, extents).of(chosen)
        return tried, change(exact, _answers(tried, to_compare))

    products = _products(graph, parts, extents)
    # What parts change adds up in squares, what they make in sums.
    least = settings.least_share * sum(products.values())
    price = {
        name: with_parts([name])[1] ** 2 / products[name]
        for name in parts
        if products[name] >= least
    }
    order = sorted(price, key=lambda name: price[name])
    count = _most(len(order), lambda n: with_parts(order[:n])[1] <= settings.most_change)
    result, changed = with_parts(order[:count])
    return Quantised(result, tuple(order[:count]), len(parts), changed)


def plain(graph: onnx.ModelProto) -> onnx.ModelProto:
    """A network without the nodes that ``quantised`` adds: as it was exported."""
    result = onnx.ModelProto()
    result.CopyFrom(graph)
    own = [node for node in result.graph.node if not node.output[0].startswith(PREFIX)]
    for node in own:
        node.input[:] = [name.removeprefix(PREFIX) for name in node.input]
    stored = [t for t in result.graph.initializer if not t.name.startswith(PREFIX)]
    del result.graph.node[:], result.graph.initializer[:]
    result.graph.node.extend(own)
    result.graph.initializer.extend(stored)
    return result


def change(exact: Sequence[list[np.ndarray]], rounded: Sequence[list[np.ndarray]]) -> float:
    """Of the outputs of a network, the largest change: root mean square over standard deviation."""
    worst = 0.0
    for one, other in zip(zip(*exact, strict=True), zip(*rounded, strict=True), strict=True):
        before = np.concatenate([values.ravel() for values in one])
        after = np.concatenate([values.ravel() for values in other])
        spread = max(float(before.std()), _LEAST_SCALE)
        worst = max(worst, float(np.sqrt(np.mean((after - before) ** 2))) / spread)
    return worst


def _most(largest: int, fits: Callable[[int], bool]) -> int:
    """The largest count that fits, where more never fits better."""
    low, high = 0, largest
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


# --- what a graph says of itself -----------------------------------------------------------------


def _parts(graph: onnx.ModelProto) -> dict[str, list[str]]:
    """Names of the convolutions that can be rounded, by the module they are in."""
    stored, said = _stored(graph), {item.name for item in graph.graph.output}
    parts: dict[str, list[str]] = defaultdict(list)
    for node in graph.graph.node:
        if node.op_type == "Conv" and node.input[1] in stored and node.output[0] not in said:
            modules = node.name.split("/")[1:-1]
            parts["/".join(modules[:_LEVELS])].append(node.name)
    return dict(parts)


def _stored(graph: onnx.ModelProto) -> dict[str, np.ndarray]:
    """The weights, by the names under which nodes read them, in single precision."""
    values = {item.name: numpy_helper.to_array(item) for item in graph.graph.initializer}
    for node in graph.graph.node:
        if node.op_type == "Cast" and node.input[0] in values:
            values[node.output[0]] = values[node.input[0]].astype(np.float32)
    return values


def _ends(graph: onnx.ModelProto, convolutions: Iterable[str]) -> dict[str, str]:
    """The tensor that each convolution ends in: behind its activation, where it has one."""
    readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in graph.graph.node:
        for name in node.input:
            readers[name].append(node)
    ends, wanted = {}, set(convolutions)
    for node in graph.graph.node:
        if node.name in wanted:
            following = readers[node.output[0]]
            has_own = len(following) == 1 and following[0].op_type in _ACTIVATIONS
            ends[node.name] = following[0].output[0] if has_own else node.output[0]
    return ends


def _extents(
    graph: onnx.ModelProto, parts: dict[str, list[str]], batches: Sequence[Inputs]
) -> Extents:
    """Of what convolutions read and end in."""
    every = {name for names in parts.values() for name in names}
    read = {node.input[0] for node in graph.graph.node if node.name in every}
    tensors = sorted(read | set(_ends(graph, every).values()))
    wide = onnx.ModelProto()
    wide.CopyFrom(graph)
    del wide.graph.output[:]
    wide.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in tensors
    )
    extents = dict.fromkeys(tensors, Extent())
    for said in _answers(wide, batches):
        for name, values in zip(tensors, said, strict=True):
            before = extents[name]
            extents[name] = Extent(
                min(before.low, float(values.min())),
                max(before.high, float(values.max())),
                int(np.prod(values.shape[2:])),
            )
    return extents


def _products(
    graph: onnx.ModelProto, parts: dict[str, list[str]], extents: Extents
) -> dict[str, float]:
    """How many products of numbers the convolutions of each part make for one picture."""
    stored, ends = _stored(graph), _ends(graph, chain(*parts.values()))
    weights = {
        node.name: stored[node.input[1]].size for node in graph.graph.node if node.name in ends
    }
    return {
        part: float(sum(weights[name] * extents[ends[name]].cells for name in names))
        for part, names in parts.items()
    }


def _answers(graph: onnx.ModelProto, batches: Sequence[Inputs]) -> list[list[np.ndarray]]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # not every unused constant
    options.intra_op_num_threads = 1  # small batches, and many sessions
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return [session.run(None, batch) for batch in batches]


# --- rounding ------------------------------------------------------------------------------------


@dataclass
class _Rounding:
    """Adds nodes that round; ONNX Runtime makes integer convolutions of the whole.

    A tensor that is rounded is read rounded by all, so that it need not be made twice.
    """

    graph: onnx.ModelProto
    extents: Extents
    constants: list[TensorProto] = field(default_factory=list)
    #: Scales of activations that are rounded, and the nodes that do it.
    scales: dict[str, float] = field(default_factory=dict)
    behind: dict[str, list[onnx.NodeProto]] = field(default_factory=dict)

    def of(self, convolutions: set[str]) -> onnx.ModelProto:
        """The network with these convolutions in integers."""
        result = onnx.ModelProto()
        result.CopyFrom(self.graph)
        stored, ends = _stored(result), _ends(result, convolutions)
        before: dict[str, list[onnx.NodeProto]] = {}
        for node in result.graph.node:
            if node.name in convolutions:
                self._activation(node.input[0])
                self._activation(ends[node.name])
                before[node.name] = self._weights(node, stored)
        rounded_by_all = set(ends.values())
        nodes = [n for item in result.graph.input for n in self.behind.get(item.name, ())]
        for node in result.graph.node:
            for place, name in enumerate(node.input):
                first_of_own = node.name in convolutions and place == 0
                if name in rounded_by_all or first_of_own:
                    node.input[place] = PREFIX + name
            nodes += [*before.get(node.name, ()), node]
            nodes += [n for name in node.output for n in self.behind.get(name, ())]
        del result.graph.node[:]
        result.graph.node.extend(nodes)
        result.graph.initializer.extend(self.constants)
        return result

    def _activation(self, name: str) -> None:
        """Round a tensor: 8 bits, one scale and one zero."""
        if name in self.behind:
            return
        extent = self.extents[name]
        scale = np.float32(max(extent.high - extent.low, _LEAST_SCALE) / _ACTIVATION_STEPS)
        zero = np.uint8(np.clip(np.rint(-extent.low / scale), 0, _ACTIVATION_STEPS))
        self.scales[name] = float(scale)
        self.behind[name] = self._there_and_back(name, np.array(scale), np.array(zero))

    def _weights(self, node: onnx.NodeProto, stored: dict[str, np.ndarray]) -> list[onnx.NodeProto]:
        """Round weights (O, I, h, w) and biases (O,) of a convolution; it reads those then."""
        weight, scale_in = stored[node.input[1]], self.scales[node.input[0]]
        scale = np.abs(weight).reshape(len(weight), -1).max(axis=1) / _WEIGHT_STEPS
        if len(node.input) > 2:
            # Of channels without weights the bias alone is left, and needs a scale as well.
            scale = np.maximum(scale, np.abs(stored[node.input[2]]) / (scale_in * _BIAS_STEPS))
        scale = np.maximum(scale, _LEAST_SCALE).astype(np.float32)
        added = self._there_and_back(node.input[1], scale, np.zeros(len(weight), np.int8))
        if len(node.input) > 2:
            added += self._bias(node.input[2], (scale * np.float32(scale_in)).astype(np.float32))
        node.input[1:] = [PREFIX + name for name in node.input[1:]]
        return added

    def _there_and_back(
        self, name: str, scale: np.ndarray, zero: np.ndarray
    ) -> list[onnx.NodeProto]:
        """Nodes that make integers of a tensor and numbers of them; channels are the axis 0."""
        constants = [
            self._constant(f"{name}.scale", scale),
            self._constant(f"{name}.zero", zero),
        ]
        integers = f"{PREFIX}{name}.integers"
        return [
            helper.make_node("QuantizeLinear", [name, *constants], [integers], axis=0),
            helper.make_node("DequantizeLinear", [integers, *constants], [PREFIX + name], axis=0),
        ]

    def _bias(self, name: str, scale: np.ndarray) -> list[onnx.NodeProto]:
        """Nodes that round a bias to 32 bits, for which ``QuantizeLinear`` is not defined."""
        steps = self._constant(f"{name}.scale", scale)
        zero = self._constant(f"{name}.zero", np.zeros(len(scale), np.int32))
        share, whole, integers = (
            f"{PREFIX}{name}.{what}" for what in ("share", "whole", "integers")
        )
        return [
            helper.make_node("Div", [name, steps], [share]),
            helper.make_node("Round", [share], [whole]),
            helper.make_node("Cast", [whole], [integers], to=TensorProto.INT32),
            helper.make_node("DequantizeLinear", [integers, steps, zero], [PREFIX + name], axis=0),
        ]

    def _constant(self, name: str, values: np.ndarray) -> str:
        self.constants.append(numpy_helper.from_array(values, PREFIX + name))
        return PREFIX + name
