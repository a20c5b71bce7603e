"""``knuckle quantise``: networks that compute in integers where that changes little.

Processors and browsers multiply more small integers than floating-point numbers at a time, and read
a fourth of the bytes. Which products can be of integers, ``rounding`` knows; here those are chosen
that change little for what they save.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from knuckle.errors import InputError
from knuckle.pipeline import HandEstimator
from knuckle.rounding import Extent, Extents, Rounding, ends_of, plain, stored_in
from knuckle.stages.network import overheard

#: Levels of modules in a name such as /network/backbone/blocks.3/expand/Conv that make a part.
_LEVELS = 3
#: Standard deviation of outputs that never change.
_LEAST_SPREAD = 1e-8
#: Weights of a dense layer from which on it costs time to read them all for a single hand.
_LARGE = 2**18

#: A batch that a network is asked, by the names of its inputs.
Inputs = dict[str, np.ndarray]


@dataclass(frozen=True)
class QuantiseSettings:
    """What may be rounded.

    Attributes:
        most_change: of any output, root mean square over its standard deviation. Those parts of a
            network are rounded first that change least for the products they make, as long as all
            together keep to this.
        least_share: of all products. Parts that make fewer are left: they would gain no time.
    """

    most_change: float = 0.03
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
    """Write the networks of a folder that have convolutions or large dense layers, quantised.

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
    fewest = min(len(asked.get(kind, [])) for kind in ("detector", "keypoints", "lifter"))
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
        tried = Rounding(graph, extents).of(chosen)
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


def change(exact: Sequence[list[np.ndarray]], rounded: Sequence[list[np.ndarray]]) -> float:
    """Of the outputs of a network, the largest change: root mean square over standard deviation."""
    worst = 0.0
    for one, other in zip(zip(*exact, strict=True), zip(*rounded, strict=True), strict=True):
        before = np.concatenate([values.ravel() for values in one])
        after = np.concatenate([values.ravel() for values in other])
        spread = max(float(before.std()), _LEAST_SPREAD)
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
    """Names of the nodes that can be rounded, by the module they are in."""
    stored, said = stored_in(graph), {item.name for item in graph.graph.output}
    parts: dict[str, list[str]] = defaultdict(list)
    for node in graph.graph.node:
        if _multiplies(node, stored) and node.output[0] not in said:
            modules = node.name.split("/")[1:-1]
            parts["/".join(modules[:_LEVELS])].append(node.name)
    return dict(parts)


def _multiplies(node: onnx.NodeProto, stored: dict[str, np.ndarray]) -> bool:
    """Whether a node is a convolution, or a dense layer large enough."""
    if node.op_type == "Gemm":
        turned = any(item.name == "transB" and item.i for item in node.attribute)
        return turned and node.input[1] in stored and stored[node.input[1]].size >= _LARGE
    return node.op_type == "Conv" and node.input[1] in stored


def _extents(
    graph: onnx.ModelProto, parts: dict[str, list[str]], batches: Sequence[Inputs]
) -> Extents:
    """Of what the nodes of parts read and end in."""
    every = {name for names in parts.values() for name in names}
    read = {node.input[0] for node in graph.graph.node if node.name in every}
    tensors = sorted(read | set(ends_of(graph, every).values()))
    wide = onnx.ModelProto()
    wide.CopyFrom(graph)
    del wide.graph.output[:]
    wide.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in tensors
    )
    said = _answers(wide, batches)
    return {
        name: Extent.of(values)
        for name, values in zip(tensors, zip(*said, strict=True), strict=True)
    }


def _products(
    graph: onnx.ModelProto, parts: dict[str, list[str]], extents: Extents
) -> dict[str, float]:
    """How many products of numbers each part makes for one picture."""
    stored, ends = stored_in(graph), ends_of(graph, chain(*parts.values()))
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
