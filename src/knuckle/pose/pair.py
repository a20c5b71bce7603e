"""Two hands near each other, placed together.

Used where a right and a left hand are near each other in the picture and may be at one distance:
then they are taken for the hands of one person. The further apart they are, the less is changed, so
that nothing jumps when hands meet; other hands are left where they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from knuckle.camera import Camera
from knuckle.crop import CropView
from knuckle.hand import extent_px
from knuckle.pose import placement
from knuckle.pose.keypoints import Keypoints
from knuckle.pose.placement import Evidence
from knuckle.runtime import Network

#: Least distance of their joints in the picture, as a share of the larger hand: up to the first,
#: two hands are one couple, beyond the second they are none.
_NEAR, _FAR = 0.4, 0.9
#: The same of the logarithm of how many times as far one of them is, each placed by itself.
_SAME_DEPTH, _OTHER_DEPTH = 0.7, 1.0


@dataclass(frozen=True)
class Couple:
    """A right and a left hand that are near each other.

    Attributes:
        right, left: which hands of the frame.
        nearness: 0..1, how far they are to be placed together.
    """

    right: int
    left: int
    nearness: float

    @property
    def hands(self) -> tuple[int, int]:
        """Both."""
        return self.right, self.left


def find_couples(keypoints: Keypoints, evidence: Evidence) -> list[Couple]:
    """Hands that belong together, each at most once, the nearest ones first."""
    sides = [keypoints.side(i) for i in range(len(keypoints))]
    found = [
        Couple(right, left, _picture_nearness(keypoints.points_px[[right, left]]))
        for right, side in enumerate(sides)
        for left, other in enumerate(sides)
        if (side, other) == ("right", "left")
    ]
    found = [couple for couple in found if couple.nearness > 0]
    if not found:
        return []
    depths = placement.weak_perspective_depth(evidence.joints_root_mm, evidence.rays)
    couples: list[Couple] = []
    for couple in sorted(found, key=lambda each: -each.nearness):
        if any(couple.right == c.right or couple.left == c.left for c in couples):
            continue
        times = abs(float(np.log(depths[couple.right] / depths[couple.left])))
        share = couple.nearness * _falling(times, _SAME_DEPTH, _OTHER_DEPTH)
        if share > 0:
            couples.append(replace(couple, nearness=share))
    return couples


def _picture_nearness(pair_px: np.ndarray) -> float:
    """0..1 of two hands (2, 21, 2): 1 where they touch or overlap in the picture."""
    gaps = np.linalg.norm(pair_px[0][:, None] - pair_px[1], axis=-1)
    extent = max(float(extent_px(pair_px).max()), 1.0)
    return _falling(float(gaps.min()) / extent, _NEAR, _FAR)


def _falling(value: float, start: float, end: float) -> float:
    """1 up to ``start``, 0 from ``end`` on."""
    return float(np.clip((end - value) / (end - start), 0.0, 1.0))


class PairStage:
    """A pair network. It is asked about each couple twice, once by each of its hands."""

    def __init__(self, network: Network) -> None:
        """Use a network of kind ``pair``."""
        self._network = network

    def __call__(
        self,
        keypoints: Keypoints,
        evidence: Evidence,
        camera: Camera,
        couples: Sequence[Couple],
    ) -> np.ndarray:
        """Where the left wrists of all couples of a frame are, as one batch.

        Args:
            keypoints: N hands.
            evidence: what is known about them, each by itself.
            camera: of the frame.
            couples: C of them.

        Returns:
            (C, 3) from the right wrist to the left one, camera frame, mm.
        """
        views = {i: CropView.of(keypoints.crops[i], camera) for c in couples for i in c.hands}
        questions = [
            _question(keypoints, evidence, views, own, other)
            for couple in couples
            for own, other in (couple.hands, couple.hands[::-1])
        ]
        said = self._network(
            **{
                name: np.stack([each[name] for each in questions]).astype(np.float32)
                for name in questions[0]
            }
        )
        apart_mm = said["apart_mm"].astype(np.float64).reshape(-1, 2, 3)
        sigma_mm = said["apart_sigma_mm"].astype(np.float64).reshape(-1, 2, 3)
        offsets = [
            _agreed([views[i] for i in couple.hands], apart, sigma)
            for couple, apart, sigma in zip(couples, apart_mm, sigma_mm, strict=True)
        ]
        return np.array(offsets)


def place_couples(
    evidence: Evidence, couples: Sequence[Couple], offsets_mm: np.ndarray
) -> np.ndarray:
    """The wrists of all hands (N, 3), of couples such that their offset in depth is kept.

    Across the line of sight both hands follow their rays, which know better.

    Args:
        evidence: N hands.
        couples: C of them.
        offsets_mm: (C, 3) from the right wrist to the left one, camera frame.
    """
    roots = placement.place(evidence)
    for couple, offset in zip(couples, offsets_mm, strict=True):
        both = list(couple.hands)
        alone = roots[both]
        behind = alone[1, 2] - alone[0, 2]
        behind += couple.nearness * (offset[2] - behind)
        together = placement.place_together(evidence.take(both), alone, float(behind))
        roots[both] = alone + couple.nearness * (together - alone)
    return roots


def _question(
    keypoints: Keypoints, evidence: Evidence, views: Mapping[int, CropView], own: int, other: int
) -> dict[str, np.ndarray]:
    """What the network is told about a pair, in the axes of the own hand's view."""
    both, view = [own, other], views[own]
    rays = np.concatenate([evidence.rays[both], np.ones((2, len(evidence.rays[own]), 1))], axis=-1)
    ahead = view.to_view(rays)  # (2, 21, 3)
    per_px = np.array([views[i].rays_per_px for i in both])
    return {
        "joints_mm": view.to_view(evidence.joints_root_mm[both]),
        "sigma_mm": evidence.sigma_mm[both],
        "rays": ahead[..., :2] / ahead[..., 2:],
        "sigma": keypoints.sigma_crop[both] * per_px[:, None],
    }


def _agreed(views: Sequence[CropView], apart_mm: np.ndarray, sigma_mm: np.ndarray) -> np.ndarray:
    """(3,) from the right wrist to the left one: what both hands say (2, 3), by their certainty."""
    total, weighted = np.zeros((3, 3)), np.zeros(3)
    for view, apart, sigma, sign in zip(views, apart_mm, sigma_mm, (1.0, -1.0), strict=True):
        turn = view.camera_from_view
        certainty = turn / sigma**2 @ turn.T  # inverse covariance, camera frame
        total += certainty
        weighted += certainty @ view.to_camera(sign * apart)
    return np.linalg.solve(total, weighted)
