"""The weights of networks: of finished runs, and of the files that ``export`` wrote."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from torch import Tensor, nn

from knuckle.errors import InputError, NotFoundError, reading
from knuckle.modelcard import ModelCard
from knuckle.models.detector import Detector, DetectorSettings
from knuckle.models.keypoints import KeypointNetwork, KeypointSettings
from knuckle.train.recipe import Recipe

#: Stands in recipes for the networks in the package.
SHIPPED = "knuckle"
#: What ``export`` adds to the name of a weight that it stores in half precision.
HALF_SUFFIX = "_half"
_GRAPH_PREFIX = "network."


def load_weights(path: Path) -> dict[str, Tensor]:
    """The weights of a run or of an exported network, in single precision.

    From ``weights.pt`` of a run or what ``export`` wrote: the shipped networks can be trained
    further.

    Returns:
        Parameters by name, the name of the network in front: ``keypoints.maps.weight``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds none, or some that are no numbers.
    """
    if not path.exists():
        raise NotFoundError(f"no weights at {path}; train that recipe first")
    broken = (pickle.UnpicklingError, RuntimeError, DecodeError)
    with reading(path, "the weights of a run", "train or export them again", also=broken):
        if path.suffix == ".onnx":
            return _weights_in_graph(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
        weights = {name: value.float() for name, value in state.items()}
        check_finite(weights)
        return weights


def check_finite(weights: dict[str, Tensor]) -> None:
    """Refuse weights of a run whose loss has grown beyond all numbers.

    Raises:
        ValueError: some are infinite or NaN.
    """
    lost = [name for name, value in weights.items() if not value.isfinite().all()]
    if lost:
        raise InputError(
            f"{len(lost)} of {len(weights)} weights are no finite numbers, {lost[0]} for example: "
            "the training has diverged; lower rate = of its recipe and begin anew with --fresh"
        )


def weights_named(name: str, kind: str) -> dict[str, Tensor]:
    """The weights that a recipe starts from: a file, or ``knuckle`` for the package's network."""
    if name != SHIPPED:
        return load_weights(Path(name))
    with resources.as_file(resources.files("knuckle") / "weights" / f"{kind}.onnx") as path:
        return load_weights(path)


def finished_keypoints(path: Path) -> KeypointNetwork:
    """A trained keypoint network, to ask: of a run's ``weights.pt`` or of an exported file.

    Raises:
        FileNotFoundError: there is no such file.
    """
    return _finished(path, "keypoints", KeypointNetwork, KeypointSettings)


def finished_detector(path: Path) -> Detector:
    """A trained detector, to ask; as ``finished_keypoints``."""
    return _finished(path, "detector", Detector, DetectorSettings)


_Network = TypeVar("_Network", bound=nn.Module)
_Settings = TypeVar("_Settings", KeypointSettings, DetectorSettings)


def _finished(
    path: Path, name: str, kind: Callable[[_Settings], _Network], size: type[_Settings]
) -> _Network:
    weights = part_of(load_weights(path), name)
    settings = (
        size.of_weights(weights, _card(onnx.load(str(path)), path).input_size)
        if path.suffix == ".onnx"
        else _settings_of(path, size, name)
    )
    network = kind(settings)
    network.load_state_dict(weights)
    return network.eval()


def _settings_of(weights: Path, kind: type[_Settings], name: str) -> _Settings:
    """The size of a network that a run has trained."""
    recipe = Recipe.load_json(weights.with_name("recipe.json"))
    settings = getattr(recipe, name, None)
    if not isinstance(settings, kind):
        raise InputError(f"{weights} are those of a run that trains {recipe.kind}, not {name}")
    return settings


def _card(graph: onnx.ModelProto, path: Path) -> ModelCard:
    return ModelCard.from_metadata({p.key: p.value for p in graph.metadata_props}, str(path))


def _weights_in_graph(path: Path) -> dict[str, Tensor]:
    """The parameters that an exported file holds under their own names."""
    graph = onnx.load(str(path))
    kind = _card(graph, path).kind
    weights = {}
    for tensor in graph.graph.initializer:
        name = tensor.name.removesuffix(HALF_SUFFIX)
        if name.startswith(_GRAPH_PREFIX):
            values = onnx.numpy_helper.to_array(tensor).astype(np.float32)
            weights[f"{kind}.{name.removeprefix(_GRAPH_PREFIX)}"] = torch.from_numpy(values)
    return weights


def part_of(weights: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """The parameters of one network, its name taken off: ``maps.weight``."""
    prefix = name + "."
    return {key.removeprefix(prefix): v for key, v in weights.items() if key.startswith(prefix)}


def differing(weights: dict[str, Tensor], others: dict[str, Tensor]) -> list[str]:
    """Names of the weights that two networks do not share in name and shape, sorted."""
    shapes, theirs = ({k: tuple(v.shape) for k, v in w.items()} for w in (weights, others))
    return sorted(k for k in shapes.keys() | theirs.keys() if shapes.get(k) != theirs.get(k))


def what_fits(weights: dict[str, Tensor], network: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state of a network that takes over what ``weights`` have of the same name and shape.

    What they have not stays as it is.

    Raises:
        ValueError: nothing fits.
    """
    fitting = {k: v for k, v in weights.items() if k in network and v.shape == network[k].shape}
    if not fitting:
        raise InputError(
            f"none of {len(weights)} weights has the name and shape of one of the "
            f"{len(network)} of this network: these are those of another kind"
        )
    return network | fitting


def averaged(
    weights: dict[str, Tensor],
    earlier: dict[str, Tensor],
    share: float,
    only: Sequence[str] | None = None,
) -> dict[str, Tensor]:
    """The mean of two states of one network, parameter by parameter.

    Where one was trained on from the other, and on other data, the mean is often better than both
    (Wortsman et al. 2022, "Model soups"). ``earlier`` are those that a run started from, with a
    ``share`` of 0..1. Where ``only`` is given, the earlier ones are taken as they are of parameters
    whose names do not begin with one of these.

    Raises:
        ValueError: they are not of one network, or the share is none.
    """
    if not 0 <= share <= 1:
        raise InputError(f"the earlier weights' share must lie in 0..1, got {share}")
    if differ := differing(weights, earlier):
        raise InputError(
            f"expected weights of the same network, but {len(differ)} differ in shape or are "
            f"missing, {differ[0]} for example: average with those that the run started from"
        )
    mean = "" if only is None else tuple(only)
    shares = {name: share if name.startswith(mean) else 1.0 for name in weights}
    return {
        name: value.lerp(earlier[name].to(value), shares[name]) for name, value in weights.items()
    }
