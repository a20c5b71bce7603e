"""The features that MediaPipe's hand landmark network has learnt of real hands, to start from.

Its file, ``hand_landmark_full.tflite``, stands in the wheel of mediapipe 0.10.21 under
``mediapipe/modules/hand_landmark/`` and is Apache-2.0, as its models are. Inside is an
EfficientNet-Lite: its convolutions come first, in the order of the graph, batch norms folded in;
the dense layers behind them, which know one scale and one crop, are not used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from knuckle.errors import InputError, NotFoundError
from knuckle.models.efficientnet_lite import EfficientNetLite

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
_TYPES = {0: np.float32, 1: np.float16}


def load_landmark_features(backbone: EfficientNetLite, path: str | Path) -> None:
    """Start a backbone of ``landmark`` features from MediaPipe's ``hand_landmark_full.tflite``.

    Raises:
        FileNotFoundError: there is no such file.
        ModuleNotFoundError: PyPI ``tflite`` is not installed (extra ``train``).
        ValueError: the file holds another network.
    """
    own = backbone.convolutions()
    theirs = read_convolutions(path)
    for conv, (weight, bias) in zip(own, theirs, strict=False):
        if tuple(conv.weight.shape) != weight.shape:
            raise InputError(
                f"{path}: expected a convolution of {tuple(conv.weight.shape)}, found "
                f"{weight.shape}: it is not the hand_landmark_full.tflite of mediapipe 0.10.21"
            )
        with torch.no_grad():
            conv.weight.copy_(torch.from_numpy(weight))
            assert conv.bias is not None
            conv.bias.copy_(torch.from_numpy(bias))
    if len(theirs) < len(own):
        raise InputError(f"{path}: expected {len(own)} convolutions, found {len(theirs)}")


def read_convolutions(path: str | Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weight (C', C / groups, k, k) and bias (C',), float32, of each convolution of a tflite file.

    Raises:
        FileNotFoundError: there is no such file.
        ModuleNotFoundError: PyPI ``tflite`` is not installed (extra ``train``).
    """
    import tflite

    if not Path(path).exists():
        raise NotFoundError(
            f"{path} does not exist; the file is in the wheel of mediapipe 0.10.21: "
            "pip download --no-deps mediapipe==0.10.21, and unzip it"
        )
    model = tflite.Model.GetRootAsModel(Path(path).read_bytes(), 0)
    graph = model.Subgraphs(0)
    names = {code: name for name, code in vars(tflite.BuiltinOperator).items()}
    stored_in_half: dict[int, int] = {}
    convolutions = []
    for k in range(graph.OperatorsLength()):
        operator = graph.Operators(k)
        code = model.OperatorCodes(operator.OpcodeIndex())
        name = names[max(code.DeprecatedBuiltinCode(), code.BuiltinCode())]
        inputs = operator.InputsAsNumpy().tolist()
        if name == "DEQUANTIZE":
            stored_in_half[operator.Outputs(0)] = inputs[0]
        elif name in _CONVOLUTIONS:
            weight, bias = (
                _constant(model, graph, stored_in_half.get(index, index)) for index in inputs[1:3]
            )
            # (C', k, k, C), and (1, k, k, C') where each channel has a kernel of its own.
            order = (0, 3, 1, 2) if name == "CONV_2D" else (3, 0, 1, 2)
            convolutions.append((np.ascontiguousarray(weight.transpose(order)), bias))
    return convolutions


def _constant(model: Any, graph: Any, index: int) -> np.ndarray:
    """A tensor of the file, as float32."""
    tensor = graph.Tensors(index)
    data = model.Buffers(tensor.Buffer()).DataAsNumpy().tobytes()
    values = np.frombuffer(data, _TYPES[tensor.Type()])
    return values.reshape(tensor.ShapeAsNumpy()).astype(np.float32)
