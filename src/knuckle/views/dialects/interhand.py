"""InterHand2.6M's ``…_camera.json``: cameras at ``campos``, turned by ``camrot``, millimetres.

Each capture has a rig of its own, so a file of several does not say which is meant.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from knuckle.errors import InputError
from knuckle.rigid import RigidTransform
from knuckle.views.dialects.parts import Calibration, lens, rotation
from knuckle.views.rig import RigCamera

_NEEDED = {"campos", "camrot", "focal", "princpt"}


def accepts(path: Path) -> bool:
    """A JSON of one or more captures with the four keys."""
    if path.suffix != ".json" or not path.is_file():
        return False
    try:
        captures = json.loads(path.read_text(encoding="utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError):
        return False
    return bool(_captures(captures))


def _captures(content: Any) -> dict[str, dict[str, Any]]:
    """Capture -> its four tables."""
    if not isinstance(content, dict):
        return {}
    if set(content) >= _NEEDED:
        return {"": content}
    return {k: v for k, v in content.items() if isinstance(v, dict) and set(v) >= _NEEDED}


def read(path: Path) -> Calibration:
    """The cameras of the only capture."""
    captures = _captures(json.loads(path.read_text(encoding="utf-8-sig")))
    if len(captures) > 1:
        raise InputError(
            f"{path} holds the rigs of the captures {', '.join(list(captures)[:8])}: expected one; "
            "write the one that you mean into a file of its own, or use knuckle evaluate rig"
        )
    (capture,) = captures.values()
    cameras = []
    for name in capture["campos"]:
        focal, centre = capture["focal"][name], capture["princpt"][name]
        K = [[focal[0], 0, centre[0]], [0, focal[1], centre[1]], [0, 0, 1]]
        R = rotation(capture["camrot"][name], name)
        place = np.asarray(capture["campos"][name], float)
        cameras.append(RigCamera(name, lens(K, name=name), RigidTransform.from_centre(R, place)))
    return Calibration(tuple(cameras), 1.0)
