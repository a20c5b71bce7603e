"""What the cameras that see one hand say together of where it is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from knuckle.rigid import RigidTransform
from knuckle.views.fit import Fit, Held, fit
from knuckle.views.looks import Looks, shape_in_world
from knuckle.views.rig import Rig
from knuckle.views.triangulation import Points, Sight, meet_gated, with_doubt


class Meeting:
    """Looks at one hand, and where their rays meet; what was found out once is kept."""

    def __init__(self, rig: Rig, looks: Looks, members: Sequence[int]) -> None:
        self.rig, self.looks = rig, looks
        self.members = list(members)  # those of the looks that are of this hand, one a camera
        self._last_mm: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.members)

    @cached_property
    def sight(self) -> Sight:
        """The rays; those of a camera that is off as a whole are unsure."""
        return with_doubt(self.looks.sight(self.rig, self.members))

    @cached_property
    def points(self) -> Points:
        """Where they meet, joint by joint."""
        return meet_gated(self.sight)

    def fit(self, lengths_mm: np.ndarray, *, new: bool = False, held: Held | None = None) -> Fit:
        """The hand with bones of these lengths (20,); begins where the last fit ended.

        ``new`` and ``held`` as ``fit.fit`` has them.
        """
        found = fit(
            self.rig,
            self.looks,
            self.members,
            self.sight,
            self.points.used,
            lengths_mm,
            start_mm=self._last_mm,
            new=new,
            held=held,
        )
        self._last_mm = found.joints_mm
        return found

    def seen_from(self, i: int) -> tuple[int, RigidTransform]:
        """The camera of a look, its number and its ``T_camera_from_world``."""
        camera = int(self.looks.camera[i])
        return camera, self.rig.cameras[camera].T_camera_from_world

    def said_mm(self, i: int, lengths_mm: np.ndarray) -> np.ndarray:
        """(21, 3) in the world, where the camera of a look alone has a hand of these bones."""
        camera, size = int(self.looks.camera[i]), float(lengths_mm.sum())
        return shape_in_world(self.rig, camera, self.looks.poses[i], size)

    def moved_mm(self, i: int, found: Fit, about_mm: np.ndarray) -> np.ndarray:
        """(3,) how far the hand moved from the instant to the frame of a look: across it, as seen.

        Along the line of sight by as much as it moved about (3,).
        """
        _, T = self.seen_from(i)
        now, then = (
            hand.rays.mean(axis=0) for hand in (self.looks.poses[i], self.looks.hands[i].raw)
        )
        away_mm = T.rotation[2] @ about_mm
        across_mm = (then - now) * T(found.joints_mm)[:, 2].mean() + then * away_mm
        return np.array([*across_mm, away_mm]) @ T.rotation
