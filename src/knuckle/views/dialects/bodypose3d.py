"""The text files of bodypose3d and handpose3d: ``c0.dat`` and ``rot_trans_c0.dat``, and so on.

The unit is the square of the checkerboard, which the files do not say.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from knuckle.errors import InputError
from knuckle.views.dialects.parts import Calibration, lens, pose
from knuckle.views.rig import RigCamera


def _lenses(path: Path) -> list[Path]:
    folders = (path, path / "camera_parameters") if path.is_dir() else (path.parent,)
    return sorted(file for folder in folders for file in folder.glob("c[0-9]*.dat"))


def accepts(path: Path) -> bool:
    """Their folder, the one around it, or one of the files."""
    return (path.is_dir() or path.suffix == ".dat") and bool(_lenses(path))


def read(path: Path) -> Calibration:
    """The cameras, called ``cam0``, ``cam1`` and so on."""
    cameras = []
    for file in _lenses(path):
        intrinsics, standing = numbers(file), numbers(file.with_name(f"rot_trans_{file.name}"))
        if len(intrinsics) < 14 or len(standing) < 12:
            raise InputError(
                f"{file.parent} must hold K and 5 coefficients in {file.name}, R and T in "
                f"rot_trans_{file.name}; found {len(intrinsics)} and {len(standing)} numbers"
            )
        name = f"cam{file.stem[1:]}"
        camera = lens(intrinsics[:9].reshape(3, 3), intrinsics[9:14], name=name)
        cameras.append(
            RigCamera(name, camera, pose(standing[:9].reshape(3, 3), standing[9:12], name))
        )
    return Calibration(tuple(cameras), None)


def numbers(path: Path) -> np.ndarray:
    """All numbers of a file before the first comment, row by row; headings are skipped."""
    if not path.is_file():
        raise InputError(f"{path} does not exist: the files of a camera go together")
    lines = path.read_text(encoding="utf-8-sig").split("#", 1)[0].splitlines()
    rows = [line.split() for line in lines if line.strip() and not line.rstrip().endswith(":")]
    return np.array([float(number) for row in rows for number in row])
