"""aniposelib's toml, which Pose2Sim and freemocap write as well, and Knuckle.

A table per camera: ``name, size, matrix, distortions, rotation`` (Rodrigues), ``translation,
fisheye``; ``[metadata]``. The form does not say what its lengths are: aniposelib's are those of the
board, Pose2Sim's metres. Knuckle adds ``unit = "mm"`` to the metadata, ``up = "z"`` or another axis
if it was set, and ``late_s`` to a camera that is late.
"""

from __future__ import annotations

import json
import tomllib
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from knuckle.errors import InputError
from knuckle.views.dialects.parts import Calibration, lens, pose, size
from knuckle.views.rig import Rig, RigCamera, unit_mm

_NEEDED = {"matrix", "rotation", "translation"}


def accepts(path: Path) -> bool:
    """Any toml: an error about what it lacks says more than that no form fits."""
    return path.suffix == ".toml" and path.is_file()


def tables(path: Path) -> dict[str, Any]:
    """What a toml holds; ``ValueError`` if it is none."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not toml: {error}") from None


def read(path: Path) -> Calibration:
    """The cameras, in the order of the file."""
    found = tables(path)
    metadata = found.pop("metadata", {})
    cameras = {
        key: table
        for key, table in found.items()
        if isinstance(table, dict) and set(table) >= _NEEDED and not table.get("ignore", False)
    }
    if not cameras:
        raise InputError(
            f"{path} holds no camera: expected tables with matrix, distortions, rotation and "
            f"translation, found {', '.join(found) or 'nothing'}"
        )
    unit = metadata.get("unit")
    return Calibration(
        tuple(camera_of(str(table.get("name", key)), table) for key, table in cameras.items()),
        None if unit is None else unit_mm(unit),
        metadata.get("up"),
    )


def camera_of(name: str, table: dict[str, Any]) -> RigCamera:
    """One table."""
    fisheye = table.get("fisheye", False)
    if fisheye not in (True, False):
        raise InputError(f"camera {name}: fisheye must be true or false, got {fisheye!r:.40}")
    return RigCamera(
        name,
        lens(table["matrix"], table.get("distortions"), fisheye=bool(fisheye), name=name),
        pose(table["rotation"], table["translation"], name),
        size(table.get("size")),
        _late_s(name, table.get("late_s", 0.0)),
    )


def _late_s(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"camera {name}: late_s must be a number of seconds, got {value!r}")
    return float(value)


def write(rig: Rig) -> str:
    """The text of the file."""
    parts = []
    for number, each in enumerate(rig.cameras):
        vector, _ = cv2.Rodrigues(each.T_camera_from_world.rotation)
        values = {
            "name": each.name,
            "matrix": each.camera.matrix.tolist(),
            "distortions": list(each.camera.distortion)
            or [0.0] * (4 if each.camera.fisheye else 5),
            "rotation": np.ravel(vector).tolist(),
            "translation": each.T_camera_from_world.translation_mm.tolist(),
            "fisheye": each.camera.fisheye,
        }
        if each.size is not None:
            values["size"] = list(each.size)
        if each.late_s:
            values["late_s"] = each.late_s
        as_toml = partial(json.dumps, ensure_ascii=False)  # toml knows no surrogates
        lines = [f"{key} = {as_toml(value)}" for key, value in values.items()]
        parts.append("\n".join([f"[cam_{number}]", *lines]))
    up = "" if rig.stated_up is None else f'\nup = "{rig.stated_up}"'
    return "\n\n".join([*parts, f'[metadata]\nunit = "mm"{up}']) + "\n"
