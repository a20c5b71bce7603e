"""What follows from the side and the joints of a hand, whichever frame these are in."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any

import numpy as np

from knuckle import hand as _hand
from knuckle.hand import Joint, Side
from knuckle.mesh import HandMesh, hand_mesh


class HandShape(ABC):
    """A hand of a known side with ``joints_mm`` (21, 3) in a right-handed frame, mm.

    The frame is that of the camera, or the world of a rig.
    """

    side: Side
    joints_mm: np.ndarray

    @property
    def root_mm(self) -> np.ndarray:
        """(3,) position of the wrist, in the frame of the joints, mm."""
        return self.joints_mm[Joint.WRIST]

    @cached_property
    def joints_root_mm(self) -> np.ndarray:
        """(21, 3) joints relative to the wrist, with the same axes, mm."""
        return self.joints_mm - self.root_mm

    @cached_property
    def bone_lengths_mm(self) -> np.ndarray:
        """(20,) length of each bone, in the order of ``hand.BONES``, mm."""
        return _hand.bone_lengths(self.joints_mm)

    @cached_property
    def joint_angles(self) -> np.ndarray:
        """(15, 2) flexion and spread in degrees, see ``hand.joint_angles``."""
        return _hand.joint_angles(self.joints_mm, self.side)

    @cached_property
    def _wrist_m(self) -> np.ndarray:
        """(4, 4) pose of the wrist in the frame of the joints, metres."""
        pose = np.eye(4)
        pose[:3, :3] = _hand.wrist_axes(self.joints_mm, self.side)
        pose[:3, 3] = self.root_mm / 1000
        return pose

    def operator_frame_m(self) -> np.ndarray:
        """(21, 3) metres in the wrist's own axes, as for retargeting to a robot hand.

        They do not change when the hand moves or turns as a whole. dex-retargeting calls these axes
        MANO's.
        """
        return self.joints_root_mm @ self._wrist_m[:3, :3] / 1000

    def mesh(self) -> HandMesh:
        """The skin of this hand, fitted to its joints; see ``mesh.hand_mesh``.

        Raises:
            ValueError: the joints are not finite.
        """
        return hand_mesh(self.joints_mm, self.side)

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists under the names of the attributes."""

    def to_json(self) -> str:
        """``to_dict`` as one line of JSON; unknown values (NaN) become null."""
        return json.dumps(_without_nan(self.to_dict()))


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
