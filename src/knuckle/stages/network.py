"""Runs an exported network: an ONNX Runtime session that agrees with its model card.

This is the only file that knows ONNX Runtime. A network is checked once, when it is opened: what it
says about itself, and whether what goes in and comes out is what its stage says. After that its
arrays can be trusted.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from knuckle.address import at_home
from knuckle.errors import InputError, NotFoundError, warn
from knuckle.modelcard import OWN_LICENSE, ModelCard
from knuckle.stages.contract import TensorSpec
from knuckle.stages.table import STAGES, needed

#: A file or folder on the disk, or inside a zip.
NetworkFile = Path | Traversable


class Network:
    """One exported network, ready to run.

    It can be copied, sent to another process, and used after a fork: it is opened again there.
    """

    def __init__(self, path: NetworkFile, kind: str, *, threads: int = 2) -> None:
        """Open and check the ONNX file of a network, for a kind of stage in ``STAGES``.

        More threads than there are processors never help.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is not an ONNX file, not exported by this Knuckle, of another kind, or
                its inputs and outputs are not what its stage and its card promise.
        """
        if not path.is_file():
            raise NotFoundError(
                f"the {kind} network {path} does not exist; point weights_dir at a folder with "
                f"{', '.join(f'{name}.onnx' for name in needed())}"
            )
        self._path, self._threads = path, threads
        self._session: ort.InferenceSession | None = _open_session(path, threads)
        _OPEN.add(self)
        self.card = _card_of(self._here(), path)  # what the file says about itself
        if self.card.kind != kind:
            raise InputError(f"expected a {kind} network, {path} holds a {self.card.kind}")
        if self.card.license != OWN_LICENSE:
            warn(
                f"{path.name}: these weights are under {self.card.license}, not {OWN_LICENSE}, "
                "because of what they learnt from",
            )
        stage, found = STAGES[kind], self._here().get_outputs()
        lacking = stage.OPTIONAL - {item.name for item in found}
        outputs = {name: spec for name, spec in stage.OUTPUTS.items() if name not in lacking}
        self._check("input", stage.INPUTS, self._here().get_inputs())
        self._check("output", outputs, found)
        self._outputs = tuple(outputs)

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Run a batch: arrays by the names of the contract in, arrays by name out."""
        if _HEARD is not None:
            _HEARD.setdefault(self.card.kind, []).append(inputs)
        values = self._here().run(self._outputs, inputs)
        return dict(zip(self._outputs, values, strict=True))

    def input_shape(self, name: str) -> tuple[int | None, ...]:
        """Shape of an input as the file declares it; None where an axis is free."""
        declared = {item.name: item.shape for item in self._here().get_inputs()}[name]
        return tuple(n if isinstance(n, int) else None for n in declared)

    def __getstate__(self) -> dict[str, Any]:
        """All but the session, which belongs to one process."""
        return self.__dict__ | {"_session": None}

    def _check(
        self, role: str, expected: Mapping[str, TensorSpec], found: list[ort.NodeArg]
    ) -> None:
        """Refuse tensors that are not as expected."""
        declared = {item.name: (item.type, tuple(item.shape)) for item in found}
        for name, spec in expected.items():
            if name not in declared:
                raise InputError(
                    f"{self._path} has no {role} {name!r}, only {', '.join(declared)}; "
                    "export it again"
                )
            if not (wanted := spec.of(self.card)).fits(*declared[name]):
                raise InputError(
                    f"{role} {name!r} of {self._path} must be {wanted} with a free batch axis, "
                    f"found {declared[name][0]} {declared[name][1]}; export it again"
                )

    def _here(self) -> ort.InferenceSession:
        """The session of this process."""
        if self._session is None:
            self._session = _open_session(self._path, self._threads)
            _OPEN.add(self)
        return self._session


#: What ``overheard`` collects, if anyone listens.
_HEARD: dict[str, list[dict[str, np.ndarray]]] | None = None


@contextmanager
def overheard() -> Iterator[dict[str, list[dict[str, np.ndarray]]]]:
    """While this lasts, collect the batches that networks of this process are asked, by kind."""
    global _HEARD
    before, _HEARD = _HEARD, {}
    try:
        yield _HEARD
    finally:
        _HEARD = before


#: Networks with a session in this process.
_OPEN: weakref.WeakSet[Network] = weakref.WeakSet()


def _leave_sessions_to_the_parent() -> None:
    """In a forked child, which has none of their threads: they are neither used nor ended.

    Ending one waits for its threads, for ever, also when Python ends; so they are kept alive.
    """
    for network in list(_OPEN):
        if network._session is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(network._session))
            network._session = None
    _OPEN.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_sessions_to_the_parent)


def weights_folder(weights_dir: str | Path | None) -> NetworkFile:
    """The folder that holds the networks: the given one, or the one inside the package.

    That one need not be on the disk: a package is also imported from a zip.
    """
    return (
        at_home(weights_dir) if weights_dir is not None else resources.files("knuckle") / "weights"
    )


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
            enable_fallback=0,  # it would print, and try the same once more
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
