"""What a network file says about itself: the one contract between training and runtime.

``export`` writes a ``ModelCard`` into the metadata of the ONNX file; ``stages`` reads it back and
refuses a file that it would misread.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from knuckle.errors import InputError
from knuckle.hand import JOINT_NAMES

#: Raised when inputs, outputs or their meaning change; the runtime reads only its own.
FORMAT = 1
#: Of weights that learnt from nothing that asks for another.
OWN_LICENSE = "Apache-2.0"
_PREFIX = "knuckle."


@dataclass(frozen=True)
class ModelCard:
    """Preprocessing, meaning and origin of one network."""

    kind: str  # of the stage that it is for, such as ``keypoints``
    version: str  # version of the weights, such as ``2026.11.22``
    input_size: int = 0  # side of the square input, px (0 for the lifter, which sees no image)
    #: ``mean``, ``std``: per RGB channel, on 0..255: the network's input is (image - mean) / std.
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (255.0, 255.0, 255.0)
    joint_order: tuple[str, ...] = JOINT_NAMES  # names of the joints as the network orders them
    units: str = "mm"  # of 3D outputs
    feature_size: int = 0  # channels of the per-joint image features (keypoints out, lifter in)
    license: str = OWN_LICENSE  # of the weights
    recipe: str = ""  # name of the recipe that trained it
    #: Further numbers, such as the codec's settings or a calibration.
    extra: Mapping[str, float] = field(default_factory=dict)
    format: int = FORMAT  # see ``FORMAT``

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise InputError(
                f"this model has format {self.format}, this Knuckle reads format {FORMAT}; "
                "export it again or install the matching version"
            )
        if self.joint_order != JOINT_NAMES:
            raise InputError("this model orders the joints differently; export it again")

    def to_metadata(self) -> dict[str, str]:
        """Key-value strings for the ONNX file."""
        return {_PREFIX + key: json.dumps(value) for key, value in asdict(self).items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], source: str = "model") -> ModelCard:
        """Read back what ``to_metadata`` wrote.

        Raises:
            ValueError: the file was not exported by Knuckle, or by one too old or too new.
        """
        values = {
            key.removeprefix(_PREFIX): _parse(key, value, source)
            for key, value in metadata.items()
            if key.startswith(_PREFIX)
        }
        names = {item.name for item in fields(cls)}
        if set(values) != names:
            raise InputError(
                f"{source} is not a network exported by this Knuckle: expected the metadata "
                f"{sorted(names)}, missing {sorted(names - set(values))}, "
                f"unknown {sorted(set(values) - names)}"
            )
        for key in ("mean", "std", "joint_order"):
            if not isinstance(values[key], list):
                raise InputError(f"{source}: {key} must be a list, got {values[key]!r}")
            values[key] = tuple(values[key])
        return cls(**values)


def _parse(key: str, value: str, source: str) -> Any:
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        raise InputError(f"{source}: the metadata {key!r} is not JSON: {value!r:.40}") from None
