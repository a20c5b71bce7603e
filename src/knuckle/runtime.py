"""Runs an exported network: an ONNX Runtime session that agrees with its model card.

This is the only file that knows ONNX Runtime. A network is checked once, when it is opened: what it
says about itself, and the names, types and shapes of what goes in and comes out. After that its
arrays can be trusted.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from knuckle.codec import DetectionCodec, NeighbourCodec
from knuckle.errors import InputError, NotFoundError
from knuckle.hand import N_JOINTS
from knuckle.modelcard import KINDS, OWN_LICENSE, ModelCard

#: A file or folder on the disk, or inside a zip.
NetworkFile = Path | Traversable

#: Axis whose length is not fixed by the contract: the batch, or the side of a map.
_ANY = None
_ONNX_TYPE = {"uint8": "tensor(uint8)", "float32": "tensor(float)"}


@dataclass(frozen=True)
class TensorSpec:
    """What one input or output of a network must look like.

    Attributes:
        dtype: ``uint8`` or ``float32``.
        shape: length of each axis; None stands for any.
        free_axes: axes that may also be free in the file: the network takes any length there.
    """

    dtype: str
    shape: tuple[int | None, ...]
    free_axes: tuple[int, ...] = (0,)

    def fits(self, dtype: str, shape: tuple[int | str | None, ...]) -> bool:
        """Whether a tensor of the file, whose free axes have names, obeys this."""
        return (
            dtype == _ONNX_TYPE[self.dtype]
            and len(shape) == len(self.shape)
            and all(
                want is _ANY
                or have == want
                or (axis in self.free_axes and not isinstance(have, int))
                for axis, (have, want) in enumerate(zip(shape, self.shape, strict=True))
            )
            and not isinstance(shape[0], int)  # the batch axis must be free
        )

    def __str__(self) -> str:
        return f"{self.dtype} ({', '.join('*' if n is _ANY else str(n) for n in self.shape)})"


Signature = tuple[dict[str, TensorSpec], dict[str, TensorSpec]]


def signature_of(card: ModelCard) -> Signature:
    """Inputs and outputs, by name, that a network with this card must have."""
    size, features = card.input_size, card.feature_size

    def numbers(*shape: int | None) -> TensorSpec:
        return TensorSpec("float32", (_ANY, *shape))

    if card.kind == "detector":
        frame = TensorSpec("uint8", (_ANY, size, size, 3), free_axes=(0, 1, 2))
        return {"image": frame}, {
            "maps": numbers(DetectionCodec.N_CHANNELS, _ANY, _ANY),
            "mask": numbers(2, _ANY, _ANY),
        }
    if card.kind == "keypoints":
        return {"crop": TensorSpec("uint8", (_ANY, size, size, 3))}, {
            "keypoints_px": numbers(N_JOINTS, 2),
            "sigma_px": numbers(N_JOINTS),
            "visible": numbers(N_JOINTS),
            "presence": numbers(),
            "right": numbers(),
            "mask": numbers(_ANY, _ANY),
            "features": numbers(N_JOINTS, features),
            "neighbour": numbers(1 + NeighbourCodec.N_VALUES),
        }
    if card.kind == "temporal":
        return {
            "joints_mm": numbers(N_JOINTS, 3),
            "sigma_mm": numbers(N_JOINTS),
            "rays": numbers(N_JOINTS, 2),
            "sigma": numbers(N_JOINTS),
            "dt_s": numbers(1),
            "last_mm": numbers(N_JOINTS, 3),
            "velocity_mm_s": numbers(N_JOINTS, 3),
            "memory": numbers(_ANY),
        }, {
            "refined_mm": numbers(N_JOINTS, 3),
            "refined_sigma_mm": numbers(N_JOINTS),
            "next_velocity_mm_s": numbers(N_JOINTS, 3),
            "next_memory": numbers(_ANY),
        }
    if card.kind == "pair":  # the own and the other hand in, the other's place out
        return {
            "joints_mm": numbers(2, N_JOINTS, 3),
            "sigma_mm": numbers(2, N_JOINTS),
            "rays": numbers(2, N_JOINTS, 2),
            "sigma": numbers(2, N_JOINTS),
        }, {
            "apart_mm": numbers(3),
            "apart_sigma_mm": numbers(3),
        }
    if card.kind == "internet":  # both hands in the order of SIDES
        return {"crop": TensorSpec("uint8", (_ANY, size, size, 3))}, {
            "keypoints_px": numbers(2, N_JOINTS, 2),
            "depth_mm": numbers(2, N_JOINTS),
            "root_mm": numbers(),
            "there": numbers(2),
        }
    if card.kind == "both":
        return {
            "crop": TensorSpec("uint8", (_ANY, size, size, 3)),
            "view_from_crop": numbers(3, 3),
        }, {
            "keypoints_px": numbers(2, N_JOINTS, 2),
            "sigma_px": numbers(2, N_JOINTS),
            "joints_mm": numbers(2, N_JOINTS, 3),
            "sigma_mm": numbers(2, N_JOINTS),
            "root_mm": numbers(),
            "there": numbers(2),
        }
    return {
        "rays": numbers(N_JOINTS, 2),
        "sigma": numbers(N_JOINTS),
        "features": numbers(N_JOINTS, features),
    }, {"joints_mm": numbers(N_JOINTS, 3), "sigma_mm": numbers(N_JOINTS)}


class Network:
    """One exported network, ready to run.

    It can be copied, sent to another process, and used after a fork: it is opened again there.

    Attributes:
        card: what the file says about itself.
    """

    def __init__(self, path: NetworkFile, kind: str, *, threads: int = 2) -> None:
        """Open and check a network.

        Args:
            path: the ONNX file.
            kind: one of ``modelcard.KINDS`` or ``OPTIONAL_KINDS``.
            threads: CPU threads that one run may use; more than there are processors never help.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is not an ONNX file, not exported by this Knuckle, of another kind, or
                its inputs and outputs are not what its card promises.
        """
        if not path.is_file():
            raise NotFoundError(
                f"the {kind} network {path} does not exist; point weights_dir at a folder with "
                f"{', '.join(f'{name}.onnx' for name in KINDS)}"
            )
        self._path, self._threads = path, threads
        self._session, self._process = _open_session(path, threads), os.getpid()
        self.card = _card_of(self._session, path)
        if self.card.kind != kind:
            raise InputError(f"expected a {kind} network, {path} holds a {self.card.kind}")
        if self.card.license != OWN_LICENSE:
            warnings.warn(
                f"{path.name}: these weights are under {self.card.license}, not {OWN_LICENSE}, "
                "because of what they learnt from",
                stacklevel=2,
            )
        inputs, outputs = signature_of(self.card)
        _check_tensors(path, "input", inputs, self._session.get_inputs())
        _check_tensors(path, "output", outputs, self._session.get_outputs())
        self._outputs = tuple(outputs)

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Run a batch: arrays by the names of the contract in, arrays by name out."""
        values = self._here().run(self._outputs, inputs)
        return dict(zip(self._outputs, values, strict=True))

    def input_shape(self, name: str) -> tuple[int | None, ...]:
        """Shape of an input as the file declares it; None where an axis is free."""
        declared = {item.name: item.shape for item in self._here().get_inputs()}[name]
        return tuple(n if isinstance(n, int) else None for n in declared)

    def __getstate__(self) -> dict[str, Any]:
        """All but the session, which belongs to one process."""
        return self.__dict__ | {"_session": None}

    def _here(self) -> ort.InferenceSession:
        """The session of this process: a fork does not take its threads along."""
        if self._session is None or os.getpid() != self._process:
            self._session, self._process = _open_session(self._path, self._threads), os.getpid()
        return self._session


@contextmanager
def weights_folder(weights_dir: str | Path | None) -> Iterator[NetworkFile]:
    """The folder that holds the networks: the given one, or the one inside the package.

    That one need not be on the disk: a package is also imported from a zip.
    """
    yield Path(weights_dir) if weights_dir is not None else resources.files("knuckle") / "weights"


def read_card(path: NetworkFile) -> ModelCard:
    """What a network's file says about itself.

    Raises:
        ValueError: it is not an ONNX file, or not exported by this Knuckle.
    """
    return _card_of(_open_session(path, threads=1), path)


def _card_of(session: ort.InferenceSession, path: NetworkFile) -> ModelCard:
    return ModelCard.from_metadata(session.get_modelmeta().custom_metadata_map, str(path))


def _open_session(path: NetworkFile, threads: int) -> ort.InferenceSession:
    try:
        return ort.InferenceSession(
            path if isinstance(path, Path) else path.read_bytes(),
            sess_options=_session_options(threads),
            providers=["CPUExecutionProvider"],
        )
    except Exception as error:  # ONNX Runtime has a class per status code and no common base
        raise InputError(
            f"{path} is not an ONNX network that this ONNX Runtime {ort.__version__} can read; "
            "fetch or export it again"
        ) from error


def _session_options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = min(threads, os.cpu_count() or 1)
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    # Threads spin while a run lasts and sleep between runs. Spinning on would save a fifth of the
    # time and cost half as much CPU again; not spinning at all makes two threads as slow as one.
    # On a busy machine one thread is faster: two that wait for each other lose whole time slices.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return options


def _check_tensors(
    path: NetworkFile,
    role: str,
    expected: Mapping[str, TensorSpec],
    found: list[ort.NodeArg],
) -> None:
    declared = {item.name: (item.type, tuple(item.shape)) for item in found}
    for name, spec in expected.items():
        if name not in declared:
            raise InputError(
                f"{path} has no {role} {name!r}, only {', '.join(declared)}; export it again"
            )
        if not spec.fits(*declared[name]):
            raise InputError(
                f"{role} {name!r} of {path} must be {spec} with a free batch axis, found "
                f"{declared[name][0]} {declared[name][1]}; export it again"
            )
