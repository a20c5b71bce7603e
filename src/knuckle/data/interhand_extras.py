"""What may stand beside InterHand2.6M's files: masks, depth and visibility, in ``extras/``.

::

    extras/hand_map/<split>/<file_name>.png   8 bit: 0 background, 1 right hand, 2 left hand, 255
                                              unknown; forearms are background
    extras/depth/<split>/<file_name>.png      16 bit: z of the nearest surface in tenths of a
                                              millimetre, 0 where there is none
    extras/visible/<split>.npz                annotation (N,) ids, visible (N, 42) bool in the
                                              order of joint_valid

``<file_name>`` is that of the annotations with ``.png`` for ``.jpg``. Any part may be missing, as
may single pictures of ``hand_map`` and ``depth``. The synthetic capture writes all of it; whoever
has masks for the real data set can put them there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from knuckle.data.json_stream import BrokenDataError
from knuckle.data.labelled import inside
from knuckle.errors import InputError
from knuckle.hand import Side
from knuckle.limits import check_picture, open_npz
from knuckle.sample import UNKNOWN

#: What a hand's pixels hold in ``hand_map``.
SIDE_VALUES: dict[Side, int] = {"right": 1, "left": 2}
#: One step of ``depth``.
DEPTH_UNIT_MM = 0.1


@dataclass(frozen=True)
class Extras:
    """The extras of one split."""

    root: Path  # folder of the release
    split: str  # train, val or test

    def hand_map_path(self, file_name: str) -> Path:
        """Where the mask of a picture lies."""
        return self._path("hand_map", file_name)

    def depth_path(self, file_name: str) -> Path:
        """Where the depth of a picture lies."""
        return self._path("depth", file_name)

    def hand_map(self, file_name: str, sides: tuple[Side, ...]) -> np.ndarray | None:
        """(H, W) uint8 as in ``Sample.hand_map`` for hands of the given sides, None if unknown."""
        values = self._read(self.hand_map_path(file_name), np.uint8)
        if values is None:
            return None
        table = np.zeros(256, np.uint8)
        table[UNKNOWN] = UNKNOWN
        for number, side in enumerate(sides, start=1):
            table[SIDE_VALUES[side]] = number
        return table[values]

    def depth_mm(self, file_name: str) -> np.ndarray | None:
        """(H, W) float32, 0 where nothing is; None if unknown."""
        values = self._read(self.depth_path(file_name), np.uint16)
        return None if values is None else values * np.float32(DEPTH_UNIT_MM)

    def visible(self, annotation: int) -> np.ndarray | None:
        """(42,) bool in the order of ``joint_valid``; None if unknown."""
        identities, visible = self._visible
        row = int(np.searchsorted(identities, annotation))
        if row == len(identities) or identities[row] != annotation:
            return None
        return visible[row]

    def write_visible(self, annotations: np.ndarray, visible: np.ndarray) -> None:
        """Write which joints (N, 42) of annotations (N,) are seen."""
        path = self._visible_path
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, annotation=annotations, visible=visible)

    @property
    def _visible_path(self) -> Path:
        return self.root / "extras" / "visible" / f"{self.split}.npz"

    @cached_property
    def _visible(self) -> tuple[np.ndarray, np.ndarray]:
        """Ids in rising order and their rows."""
        path = self._visible_path
        if not path.exists():
            return np.zeros(0, np.int64), np.zeros((0, 42), bool)
        try:
            with open_npz(path, "which joints are seen", "remove it to do without") as file:
                annotations, visible = file["annotation"], file["visible"]
            if visible.shape != (len(annotations), 42):
                raise InputError(f"visible has shape {visible.shape}")
        except (KeyError, ValueError, OSError) as error:
            raise BrokenDataError(
                f"{path} must hold annotation (N,) and visible (N, 42): {error}; remove the file "
                "to do without"
            ) from None
        order = np.argsort(annotations, kind="stable")
        return annotations[order], visible[order].astype(bool)

    def _path(self, kind: str, file_name: str) -> Path:
        return inside(self.root / "extras" / kind / self.split, file_name).with_suffix(".png")

    @staticmethod
    def _read(path: Path, kind: type) -> np.ndarray | None:
        if not path.exists():
            return None
        content = path.read_bytes()
        check_picture(content, path)
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
        if image is None or image.ndim != 2 or image.dtype != kind:
            raise BrokenDataError(
                f"{path} must be a grey PNG of type {np.dtype(kind)}; remove it to do without"
            )
        return image
