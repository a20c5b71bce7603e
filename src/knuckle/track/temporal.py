"""The temporal stage: lifted joints made better by what the last frames said about this hand.

No network of this kind is shipped and the tracker does without it: it steadies hands, but does not
bring rendered ones nearer to the truth (docs/lifting.md). ``benchmarks/temporal.py --clip`` puts it
into the tracker.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from knuckle.camera import Camera
from knuckle.crop import CropView
from knuckle.pose import Keypoints, LiftedJoints
from knuckle.runtime import Network

#: What is older says nothing about the hand of this frame; the stage was trained on gaps up to it.
_STALE_S = 0.5
#: Time since the last frame, for a hand that has none.
_FIRST_DT_S = 1 / 30


@dataclass(frozen=True, eq=False)
class Past:
    """What one hand hands on from frame to frame, in the axes of the camera.

    Attributes:
        joints_root_mm: (21, 3) of the last frame, relative to the wrist.
        velocity_mm_s: (21, 3) of the joints, relative to the wrist.
        memory: (W,) the network's own.
        time_s: of the last frame.
    """

    joints_root_mm: np.ndarray
    velocity_mm_s: np.ndarray
    memory: np.ndarray
    time_s: float


class TemporalStage:
    """A temporal network. The past of each hand is kept by the caller; without one it begins."""

    def __init__(self, network: Network) -> None:
        """Use a network of kind ``temporal``."""
        self._network = network
        self._width = int(network.card.extra["memory"])

    def __call__(
        self,
        keypoints: Keypoints,
        lifted: LiftedJoints,
        camera: Camera,
        pasts: Sequence[Past | None],
        time_s: float,
    ) -> tuple[LiftedJoints, list[Past]]:
        """Refine all hands of a frame as one batch.

        Args:
            keypoints: N hands.
            lifted: what the lifter says about them.
            camera: of the frame.
            pasts: of each hand, None for a new one.
            time_s: of the frame.

        Returns:
            The refined joints, and the pasts for the next frame.
        """
        views = [CropView.of(crop, camera) for crop in keypoints.crops]
        frame = [
            self._inputs(keypoints, lifted, i, view, pasts[i], time_s)
            for i, view in enumerate(views)
        ]
        said = self._network(
            **{
                name: np.stack([hand[name] for hand in frame]).astype(np.float32)
                for name in frame[0]
            }
        )
        joints = np.empty_like(lifted.joints_root_mm)
        now: list[Past] = []
        for i, view in enumerate(views):
            joints[i] = view.to_camera(said["refined_mm"][i].astype(np.float64))
            velocity = view.to_camera(said["next_velocity_mm_s"][i].astype(np.float64))
            now.append(Past(joints[i], velocity, said["next_memory"][i], time_s))
        return LiftedJoints(joints, said["refined_sigma_mm"]), now

    def _inputs(
        self,
        keypoints: Keypoints,
        lifted: LiftedJoints,
        i: int,
        view: CropView,
        past: Past | None,
        time_s: float,
    ) -> dict[str, np.ndarray]:
        """What the network is told about hand ``i``, in the axes of its view."""
        joints = view.to_view(lifted.joints_root_mm[i])
        if past is None or time_s - past.time_s > _STALE_S:
            last, velocity = joints, np.zeros_like(joints)
            memory, dt_s = np.zeros(self._width), _FIRST_DT_S
        else:
            last, velocity = view.to_view(past.joints_root_mm), view.to_view(past.velocity_mm_s)
            memory, dt_s = past.memory, time_s - past.time_s
        return {
            "joints_mm": joints,
            "sigma_mm": lifted.sigma_mm[i],
            "rays": view.rays(keypoints.points_crop[i]),
            "sigma": keypoints.sigma_crop[i] * view.rays_per_px,
            "dt_s": np.array([dt_s]),
            "last_mm": last,
            "velocity_mm_s": velocity,
            "memory": memory,
        }
