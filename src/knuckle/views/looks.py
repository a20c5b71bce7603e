"""What each camera says of the hands before it, as arrays that the rig can compare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from knuckle.hand import MEAN_LENGTHS_MM, N_JOINTS, bone_lengths
from knuckle.results import HandPose, TrackedHand
from knuckle.track.uncertainty import Uncertainty
from knuckle.views.between import Brought
from knuckle.views.decisions import LOOKING
from knuckle.views.rig import Rig
from knuckle.views.triangulation import Sight


@dataclass(frozen=True, eq=False)
class Looks:
    """N hands, each as one camera sees it."""

    hands: tuple[TrackedHand, ...]  # N of them, as their frames show them
    #: The same at the instant at which they are compared, which may lie between frames.
    poses: tuple[HandPose, ...]
    camera: np.ndarray  # (N,) index of the camera that each was seen by
    rays: np.ndarray  # (N, 21, 2) x/z, y/z of the keypoints of ``poses``
    sigma: np.ndarray  # (N, 21) expected error of these, per axis
    doubts: tuple[Uncertainty, ...]  # what each may be off by, as its camera alone sees it
    right: np.ndarray  # (N,) 0..1, probability that it is a right hand

    @classmethod
    def of(
        cls,
        views: Sequence[Sequence[TrackedHand]],
        bring: Callable[[int, TrackedHand], Brought] = lambda _, hand: Brought.nowhere(hand),
        least_share: float = LOOKING.least_share,
    ) -> Looks:
        """Of the hands of every camera, each brought to one instant; by default as it is.

        ``views`` has for each camera the hands that it sees; ``bring`` takes one of a camera to the
        instant; ``least_share`` of the hand's extent is the least error of a keypoint.
        """
        hands = tuple(hand for view in views for hand in view)
        camera = np.array([v for v, view in enumerate(views) for _ in view], dtype=int)
        rays, sigma = np.zeros((len(hands), N_JOINTS, 2)), np.zeros((len(hands), N_JOINTS))
        brought = [bring(v, hand) for v, hand in zip(camera.tolist(), hands, strict=True)]
        doubts = tuple(Uncertainty.of(each.pose) for each in brought)
        for i, (each, doubt) in enumerate(zip(brought, doubts, strict=True)):
            rays[i] = each.pose.rays
            own = np.maximum(doubt.across, least_share * doubt.extent)
            sigma[i] = np.hypot(own, each.doubt)
        right = np.array([right_score(hand) for hand in hands])
        return cls(hands, tuple(each.pose for each in brought), camera, rays, sigma, doubts, right)

    def sight(self, rig: Rig, some: Sequence[int]) -> Sight:
        """The rays of some of the hands, in the cameras of the rig that see them."""
        transforms = [rig.cameras[c].T_camera_from_world for c in self.camera[some]]
        return Sight.of(transforms, self.rays[some], self.sigma[some])

    def since_px(self, i: int) -> np.ndarray:
        """(21, 2) how far a hand has moved in its picture from the instant to its frame."""
        return self.hands[i].raw.joints_px - self.poses[i].joints_px

    def __len__(self) -> int:
        return len(self.hands)


def right_score(hand: HandPose) -> float:
    """0..1, probability that it is a right hand."""
    return hand.side_score if hand.side == "right" else 1 - hand.side_score


def shape_in_world(rig: Rig, camera: int, hand: HandPose, size: float) -> np.ndarray:
    """(21, 3) mm, what one camera alone says: its shape at the size of a known hand.

    A camera sees the product of size and distance: a hand that is known to be larger than it was
    taken for is as much farther away.

    ``size`` is the sum of that hand's bones, mm.
    """
    factor = size / float(hand.bone_lengths_mm.sum())
    return rig.cameras[camera].T_camera_from_world.inverse()(hand.joints_mm * factor)


def size_ratio(joints_mm: np.ndarray) -> np.ndarray:
    """(...) how much larger than the mean adult's a hand (..., 21, 3) is, robustly."""
    return np.median(bone_lengths(joints_mm) / MEAN_LENGTHS_MM, axis=-1)
