"""EasyMocap's ``intri.yml`` and ``extri.yml``: ``names``, then K, dist, R or Rot, and T of each.

Metres. Either file, or their folder, stands for both.
"""

from __future__ import annotations

from pathlib import Path

from knuckle.errors import InputError
from knuckle.views.dialects.opencv_stereo import Storage
from knuckle.views.dialects.parts import Calibration, lens, pose
from knuckle.views.rig import RigCamera

_FILES = ("intri.yml", "extri.yml")


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def accepts(path: Path) -> bool:
    """A folder with both files, or one of them."""
    if path.is_file() and path.name not in _FILES:
        return False
    return any((_folder(path) / name).is_file() for name in _FILES)


def read(path: Path) -> Calibration:
    """The cameras that both files name."""
    missing = [name for name in _FILES if not (_folder(path) / name).is_file()]
    if missing:
        raise InputError(f"{_folder(path)} has no {missing[0]}: EasyMocap's two files go together")
    intrinsic, extrinsic = (Storage(_folder(path) / name) for name in _FILES)
    cameras = []
    for name in extrinsic.words("names") or intrinsic.words("names"):
        K, R = intrinsic.matrix(f"K_{name}"), extrinsic.matrix(f"Rot_{name}", f"R_{name}")
        t, distortion = extrinsic.matrix(f"T_{name}"), intrinsic.matrix(f"dist_{name}")
        if K is None or R is None or t is None:
            raise InputError(f"{path}: expected K_{name}, R_{name} or Rot_{name}, and T_{name}")
        size = intrinsic.size(f"size_{name}")
        camera = lens(K, distortion, name=name)
        cameras.append(RigCamera(name, camera, pose(R, t, name), size))
    return Calibration(tuple(cameras), 1000.0)
