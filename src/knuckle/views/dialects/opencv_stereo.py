"""OpenCV's FileStorage of a stereo pair, yml or xml: M1, D1, M2, D2, R, T (second from first).

The world is the first camera's frame. The unit is that of the board, which the file does not say.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from knuckle.errors import InputError
from knuckle.quiet import quiet_opencv
from knuckle.views.dialects.parts import Calibration, lens, pose
from knuckle.views.rig import RigCamera

#: The names that the samples of OpenCV, and others after them, have given to the same things.
_NAMES = {
    "M1": ("M1", "K1", "cameraMatrix1", "mtxL", "left_camera_matrix"),
    "M2": ("M2", "K2", "cameraMatrix2", "mtxR", "right_camera_matrix"),
    "D1": ("D1", "distCoeffs1", "distL", "left_distortion_coefficients"),
    "D2": ("D2", "distCoeffs2", "distR", "right_distortion_coefficients"),
    "R": ("R", "rotation"),
    "T": ("T", "translation"),
}


class Storage:
    """Matrices and lists of a FileStorage, by name."""

    def __init__(self, path: Path) -> None:
        flags = cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY
        text = path.read_text(encoding="utf-8-sig")  # OpenCV stumbles over what editors put before
        try:
            with quiet_opencv():
                self._file = cv2.FileStorage(text, flags)
        except (cv2.error, SystemError):
            raise InputError(
                f"{path} is no FileStorage of OpenCV, which begins with %YAML or <?xml: write it "
                "again with cv2.FileStorage"
            ) from None
        self.path = path

    def matrix(self, *names: str) -> np.ndarray | None:
        """The first that is there; None for none."""
        for name in names:
            node = self._file.getNode(name)
            if node.isMap():
                return node.mat()
        return None

    def words(self, name: str) -> list[str]:
        """A list of strings; empty where there is none."""
        node = self._file.getNode(name)
        if not node.isSeq():
            return []
        items = [node.at(i) for i in range(node.size())]
        return [item.string() if item.isString() else f"{item.real():.15g}" for item in items]

    def size(self, *names: str) -> tuple[int, int] | None:
        """(width, height) from a list of two numbers."""
        for name in names:
            node = self._file.getNode(name)
            if node.isSeq() and node.size() == 2:
                return int(node.at(0).real()), int(node.at(1).real())
        return None


def accepts(path: Path) -> bool:
    """A yml or xml with both matrices."""
    if path.suffix not in (".yml", ".yaml", ".xml") or not path.is_file():
        return False
    try:
        storage = Storage(path)
    except ValueError:
        return False
    return all(storage.matrix(*_NAMES[key]) is not None for key in ("M1", "M2", "R", "T"))


def read(path: Path) -> Calibration:
    """The two cameras, called ``cam_1`` and ``cam_2`` as their matrices are."""
    storage = Storage(path)
    found = {key: storage.matrix(*names) for key, names in _NAMES.items()}
    size = storage.size("imageSize", "image_size", "size")
    poses = {"1": pose(np.eye(3), np.zeros(3)), "2": pose(found["R"], found["T"], "cam_2")}
    cameras = [
        RigCamera(name, lens(found[f"M{n}"], found[f"D{n}"], name=name), poses[n], size)
        for n, name in (("1", "cam_1"), ("2", "cam_2"))
    ]
    return Calibration(tuple(cameras), None)
