"""What the page must know of this Knuckle: its networks' cards, its hand, and every constant.

The page repeats in TypeScript what ``pipeline`` does to one video. Numbers are told to it from the
very modules that use them, so that the two cannot drift apart.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from knuckle import hand
from knuckle.codec import DetectionCodec
from knuckle.draw import FINGER_COLOURS
from knuckle.letterbox import Letterbox
from knuckle.pipeline import TrackerSettings
from knuckle.stages import Network, read_card
from knuckle.stages.detector import BOX_STEP
from knuckle.track.decisions import DECISIONS

#: Whose constants the page needs, by the name under which it finds them.
_TOLD = (
    "camera",
    "codec",
    "crop",
    "letterbox",
    "pipeline.judge",
    "pipeline.networks",
    "pose.confidence",
    "pose.keypoints",
    "pose.pair",
    "pose.placement",
    "track.track",
    "track.uncertainty",
)


def page_settings(weights: dict[str, Path]) -> dict[str, Any]:
    """Everything the page is told, ready for JSON.

    Args:
        weights: file of each network, by kind.
    """
    detector = Network(weights["detector"], "detector", threads=1)
    takes_any_size = detector.input_shape("image")[1] is None
    return {
        "cards": {kind: asdict(read_card(path)) for kind, path in weights.items()},
        "constants": {name: _numbers_of(import_module(f"knuckle.{name}")) for name in _TOLD},
        "detection": {
            "box_step": BOX_STEP if takes_any_size else None,
            "fill": Letterbox.FILL,
            "geometry": DetectionCodec.N_GEOMETRY,
            "size_unit_px": DetectionCodec.size_unit_px,
        },
        "hand": {
            "joints": hand.JOINT_NAMES,
            "parents": hand.PARENTS.tolist(),
            "knuckles": hand.KNUCKLES.tolist(),
            "sides": hand.SIDES,
            "finger_colours": [list(colour) for colour in FINGER_COLOURS],
        },
        "decisions": _numbers(asdict(DECISIONS)),
        "tracker": _numbers(
            {item.name: getattr(TrackerSettings(), item.name) for item in fields(TrackerSettings)}
        ),
    }


def _numbers_of(module: ModuleType) -> dict[str, Any]:
    """The constants of a module, by their names."""
    return _numbers({name: value for name, value in vars(module).items() if name.isupper()})


def _numbers(values: dict[str, Any]) -> dict[str, Any]:
    """Those that are numbers, or small rows of numbers."""
    told = {}
    for name, value in values.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            told[name] = value
        elif isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind == "f":
            told[name] = value.tolist()
    return told
