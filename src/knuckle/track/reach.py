"""A finger can look shorter than it is, but not longer: what has jumped onto another hand.

Where hands cross, the keypoints of one sometimes slide over to the other, a finger at a time. Bones
give that away in the picture: foreshortened they may be, stretched never.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from knuckle.hand import MIDDLE_RAY, N_BONES, N_JOINTS, bone_lengths
from knuckle.median import median
from knuckle.results import HandPose
from knuckle.track.decisions import DECISIONS
from knuckle.track.skeleton import BoneLengths

#: Of a joint that is held: the share that is left of its score, and its expected error.
_UNSEEN_SCORE, _UNSEEN_MM = 0.05, 30.0


def out_of_reach(rays: np.ndarray, lengths_mm: np.ndarray, depth_mm: float) -> np.ndarray:
    """Which joints cannot be those of a hand with these bones.

    A hand that has come nearer looks larger as a whole: bones are judged beside one another.

    Args:
        rays: (21, 2) directions (x/z, y/z) along which the joints are seen.
        lengths_mm: (20,) of the hand's bones.
        depth_mm: of the hand, lately.

    Returns:
        (21,) bool, from the first bone that is too long to the tip of its finger. None, where most
        of the hand would be: then it is another hand, or another place.
    """
    away = np.zeros(N_JOINTS, bool)
    seen_mm = bone_lengths(rays) * depth_mm
    larger = max(float(median(seen_mm / lengths_mm)), 1.0)
    most_mm = larger * (
        DECISIONS.stretch * lengths_mm + DECISIONS.inexact * lengths_mm[MIDDLE_RAY].sum()
    )
    too_long = (seen_mm > most_mm).tolist()
    if True not in too_long:  # as in most frames
        return away
    first = {bone // 4: bone for bone in reversed(range(N_BONES)) if too_long[bone]}
    if len(first) <= DECISIONS.most_fingers:
        for finger, bone in first.items():
            away[1 + bone : 5 + 4 * finger] = True
    return away


class Reach:
    """Keeps the fingers of one hand from what is beyond their reach, for a while.

    Attributes:
        bones: their lengths, learnt from the looks that are believed.
    """

    def __init__(self, bones: BoneLengths) -> None:
        self.bones = bones
        self._held = 0  # looks that were held since all was within reach
        self._last: HandPose | None = None

    def __call__(self, pose: HandPose) -> HandPose:
        """The next look at the hand; joints out of its reach stay where the hand takes them along.

        Those are not ``visible``, and their score is next to nothing.
        """
        last, self._last = self._last, pose
        away = self._out_of_reach(pose, last)
        if last is not None and away.any():
            if self._held < DECISIONS.most_held:
                self._held += 1
                self._last = _without(pose, away, last)
                return self._last
        else:
            self._held = 0
        self.bones.learn(pose.bone_lengths_mm)
        return pose

    def _out_of_reach(self, pose: HandPose, last: HandPose | None) -> np.ndarray:
        """(21,) bool; none before the bones are known."""
        if last is None or self.bones.learnt < DECISIONS.known_looks:
            return np.zeros(N_JOINTS, bool)
        return out_of_reach(pose.rays, self.bones.mm, float(last.root_mm[2]))


def _without(pose: HandPose, away: np.ndarray, last: HandPose) -> HandPose:
    """The pose with some joints (21,) bool from the last one, carried along by the others."""
    shift_px = median((pose.joints_px - last.joints_px)[~away])
    joints_px = np.where(away[:, None], last.joints_px + shift_px, pose.joints_px)
    joints_root_mm = np.where(away[:, None], last.joints_root_mm, pose.joints_root_mm)
    return replace(
        pose,
        joints_px=joints_px,
        joints_mm=pose.root_mm + joints_root_mm,
        joint_score=np.where(away, _UNSEEN_SCORE * pose.joint_score, pose.joint_score),
        visible=pose.visible & ~away,
        joint_sigma_mm=np.where(
            away, np.maximum(pose.joint_sigma_mm, _UNSEEN_MM), pose.joint_sigma_mm
        ),
    )
