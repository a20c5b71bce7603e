"""A network some of whose products are of integers: nodes that round, and none of its weights lost.

The scheme is that of Jacob et al., CVPR 2018 (arXiv 1712.05877): activations of 8 bits, with a
scale and a zero for each tensor; weights with a scale for each channel; sums and biases of 32 bits.
Weights have 7 bits: processors without VNNI add two products in 16 bits, which those of 8 bits
overflow; not those of depthwise convolutions, whose products are of 32 bits. What rounding weights
changes in an output on average, its bias takes back (Nagel et al., ICCV 2019, arXiv 1906.04721).

A file keeps its weights as they were. Nodes behind them round them, and ONNX Runtime folds these
when it opens the file, which so can be trained further, averaged, and quantised anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

#: In front of the names of what is added to a graph.
PREFIX = "int8."
_ACTIVATIONS = ("Relu", "Clip")
_ACTIVATION_STEPS, _WEIGHT_STEPS, _DEPTHWISE_STEPS = 255, 63, 127
#: A bias has 32 bits; the sum that it is added to must fit beside it.
_BIAS_STEPS = 2.0**30
_LEAST_SCALE = 1e-8


@dataclass(frozen=True, eq=False)
class Extent:
    """Of a tensor (N, C, ...), over batches: the least and the largest value, and means."""

    low: float
    high: float
    means: np.ndarray  # (C,) of each channel
    cells: int  # that a channel has

    @classmethod
    def of(cls, batches: Sequence[np.ndarray]) -> Extent:
        """Of what a tensor held in some batches."""
        means = [values.mean(axis=(0, *range(2, values.ndim))) for values in batches]
        return cls(
            min(0.0, *(float(values.min()) for values in batches)),
            max(0.0, *(float(values.max()) for values in batches)),
            np.average(means, axis=0, weights=[len(values) for values in batches]),
            int(np.prod(batches[0].shape[2:])),
        )


#: Of tensors, by name.
Extents = dict[str, Extent]


def plain(graph: onnx.ModelProto) -> onnx.ModelProto:
    """A network without the nodes that ``Rounding`` adds: as it was exported."""
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


def stored_in(graph: onnx.ModelProto) -> dict[str, np.ndarray]:
    """The weights, by the names under which nodes read them, in single precision."""
    values = {item.name: numpy_helper.to_array(item) for item in graph.graph.initializer}
    for node in graph.graph.node:
        if node.op_type == "Cast" and node.input[0] in values:
            values[node.output[0]] = values[node.input[0]].astype(np.float32)
    return values


def ends_of(graph: onnx.ModelProto, names: Iterable[str]) -> dict[str, str]:
    """The tensor that each of these nodes ends in: behind its activation, where it has one."""
    readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in graph.graph.node:
        for name in node.input:
            readers[name].append(node)
    ends, wanted = {}, set(names)
    for node in graph.graph.node:
        if node.name in wanted:
            following = readers[node.output[0]]
            has_own = len(following) == 1 and following[0].op_type in _ACTIVATIONS
            ends[node.name] = following[0].output[0] if has_own else node.output[0]
    return ends


@dataclass
class Rounding:
    """Adds nodes that round; ONNX Runtime makes integer convolutions and dense layers of the whole.

    What a convolution says is rounded as well, and read so by all, so that it need not be made
    twice. What a dense layer says is little, and stays exact.

    Attributes:
        graph: the network as it was exported.
        extents: of what the nodes to be rounded read and end in.
    """

    graph: onnx.ModelProto
    extents: Extents
    constants: list[TensorProto] = field(default_factory=list)
    #: Scales of activations that are rounded, and the nodes that do it.
    scales: dict[str, float] = field(default_factory=dict)
    behind: dict[str, list[onnx.NodeProto]] = field(default_factory=dict)

    def of(self, names: set[str]) -> onnx.ModelProto:
        """The network with these convolutions and dense layers in integers."""
        result = onnx.ModelProto()
        result.CopyFrom(self.graph)
        stored, ends = stored_in(result), ends_of(result, names)
        before: dict[str, list[onnx.NodeProto]] = {}
        rounded_by_all = set()
        for node in result.graph.node:
            if node.name in names:
                self._activation(node.input[0])
                before[node.name] = self._weights(node, stored)
                if node.op_type == "Conv":
                    self._activation(ends[node.name])
                    rounded_by_all.add(ends[node.name])
        nodes = [n for item in result.graph.input for n in self.behind.get(item.name, ())]
        for node in result.graph.node:
            for place, name in enumerate(node.input):
                first_of_own = node.name in names and place == 0
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
        """Round weights (O, ...) and biases (O,) of a node; it reads those then."""
        weight, scale_in = stored[node.input[1]], self.scales[node.input[0]]
        depthwise = node.op_type == "Conv" and weight.shape[1] == 1
        steps = _DEPTHWISE_STEPS if depthwise else _WEIGHT_STEPS
        scale = np.abs(weight).reshape(len(weight), -1).max(axis=1) / steps
        if len(node.input) > 2:
            # Of channels without weights the bias alone is left, and needs a scale as well.
            scale = np.maximum(scale, np.abs(stored[node.input[2]]) / (scale_in * _BIAS_STEPS))
        scale = np.maximum(scale, _LEAST_SCALE).astype(np.float32)
        added = self._there_and_back(node.input[1], scale, np.zeros(len(weight), np.int8))
        if len(node.input) > 2:
            shift = _shift(weight, scale, self.extents[node.input[0]].means)
            scale_out = (scale * np.float32(scale_in)).astype(np.float32)
            added += self._bias(node.input[2], scale_out, shift)
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

    def _bias(self, name: str, scale: np.ndarray, shift: np.ndarray) -> list[onnx.NodeProto]:
        """Nodes that take a shift from a bias and round it to 32 bits.

        ``QuantizeLinear`` is not defined for those.
        """
        shifted = self._constant(f"{name}.shift", shift)
        steps = self._constant(f"{name}.scale", scale)
        zero = self._constant(f"{name}.zero", np.zeros(len(scale), np.int32))
        centred, share, whole, integers = (
            f"{PREFIX}{name}.{what}" for what in ("centred", "share", "whole", "integers")
        )
        return [
            helper.make_node("Sub", [name, shifted], [centred]),
            helper.make_node("Div", [centred, steps], [share]),
            helper.make_node("Round", [share], [whole]),
            helper.make_node("Cast", [whole], [integers], to=TensorProto.INT32),
            helper.make_node("DequantizeLinear", [integers, steps, zero], [PREFIX + name], axis=0),
        ]

    def _constant(self, name: str, values: np.ndarray) -> str:
        self.constants.append(numpy_helper.from_array(values, PREFIX + name))
        return PREFIX + name


def _shift(weight: np.ndarray, scale: np.ndarray, means: np.ndarray) -> np.ndarray:
    """(O,) how much more outputs are on average if weights (O, I, ...) are rounded to steps (O,).

    Inputs have these ``means`` (channels,); depthwise weights (O, 1, ...) read their own channel.
    """
    steps = scale.reshape(-1, *[1] * (weight.ndim - 1))
    more = np.rint(weight / steps) * steps - weight
    more = more.reshape(*weight.shape[:2], -1).sum(axis=-1)  # (O, I)
    shift = more[:, 0] * means if weight.shape[1] == 1 else more @ means
    return shift.astype(np.float32)
