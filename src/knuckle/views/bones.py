"""The bones of the people before a rig: measured where rays meet well, then locked."""

from __future__ import annotations

import numpy as np

from knuckle.hand import BONES, MEAN_LENGTHS_MM, N_BONES, N_JOINTS
from knuckle.median import median
from knuckle.views.decisions import MEASURING, MEETING, PEOPLE
from knuckle.views.triangulation import Points


class RigBones:
    """Bone lengths of one person, from both hands.

    What is known of people's hands to begin with, and what each look adds: a Kalman filter on the
    logarithms of the lengths between keypoints. Size is soon known better than people have it in
    common; what is seen badly stays as the rest of the hand has it. Of what keypoints say of the
    proportions, only so much is believed as joints may have to do with it.
    """

    def __init__(self, looks: int = 60, lengths_mm: np.ndarray | None = None) -> None:
        """Lock after so many looks; lengths (20,) that are given are locked from the start."""
        self._looks = looks
        usual = MEAN_LENGTHS_MM if lengths_mm is None else np.asarray(lengths_mm, float)
        self._usual = np.log(usual)
        people, beside = _of_people(), MEASURING.beside_mm**2 * _of_ends()
        self._own = people @ np.linalg.inv(people + beside)
        self._mean, self._covariance = self._usual, people + beside
        self._seen, self._as_one = 0, 1.0
        self._seen_s: float | None = None
        self.locked = lengths_mm is not None

    @property
    def lengths_mm(self) -> np.ndarray:
        """(20,) the lengths to use."""
        return np.exp(self._usual + self._own @ (self._mean - self._usual))

    @property
    def new(self) -> bool:
        """Whether too little was seen to rely on the hands' size."""
        return not self.locked and self._seen < MEASURING.telling

    @property
    def size(self) -> float | None:
        """The hands' size over that of the mean adult's; None while it is not known."""
        return None if self.new else float(np.median(self.lengths_mm / MEAN_LENGTHS_MM))

    def see(self, points: Points, time_s: float) -> None:
        """Take triangulated joints (21, 3) of an instant into account."""
        if self.locked:
            return
        logs, covariance = _measured(points)
        good = np.isfinite(logs) & (np.diag(covariance) < MEASURING.most_unsure**2)
        if not good.any():
            return
        told, noise = good.nonzero()[0], covariance[np.ix_(good, good)]
        beside = logs[told] - self._mean[told]
        known = self._covariance[np.ix_(told, told)]
        # A hand of another size than people's is believed; one of other proportions is doubted.
        odd = beside - median(beside)
        strain = np.mean(odd**2 / np.diag(known + noise))
        noise = noise * max(float(strain), 1.0) * self._alike(time_s)
        gain = np.linalg.solve(known + noise, self._covariance[told]).T
        self._mean = self._mean + gain @ beside
        self._covariance = self._covariance - gain @ self._covariance[told]
        self._seen_s = time_s
        self._seen += 1
        doubt = np.diag(self._own @ self._covariance @ self._own.T)
        self.locked = self._seen >= self._looks and bool((doubt < MEASURING.sure**2).all())

    def _alike(self, time_s: float) -> float:
        """So many looks are as good as one: those at one instant are of different hands."""
        if self._seen_s is None or time_s == self._seen_s:
            return self._as_one
        self._as_one = float(
            np.clip(MEASURING.alike_s / abs(time_s - self._seen_s), 1.0, MEASURING.most_alike)
        )
        return self._as_one


def _of_people() -> np.ndarray:
    """(20, 20) covariance of the logarithms of people's bones."""
    finger = np.arange(N_BONES) // 4
    same = finger[:, None] == finger[None]
    return PEOPLE.size**2 + MEASURING.finger**2 * same + MEASURING.bone**2 * np.eye(N_BONES)


def _of_ends() -> np.ndarray:
    """(20, 20) covariance of the logarithms if each joint lies 1 mm beside, along its finger."""
    J = np.zeros((N_BONES, N_JOINTS))
    J[np.arange(N_BONES), BONES[:, 1]] = 1 / MEAN_LENGTHS_MM
    J[np.arange(N_BONES), BONES[:, 0]] = -1 / MEAN_LENGTHS_MM
    return J @ J.T


def _measured(points: Points) -> tuple[np.ndarray, np.ndarray]:
    """(20,) logarithms of the lengths between joints, and their (20, 20) covariance.

    A bone is the surer the longer it is taken to be. That makes up for keypoints which lie the
    nearer together the less sure they are: weighed by expected lengths, hands came out too small.
    """
    own = np.linalg.inv(points.information + MEETING.nothing * np.eye(3))
    own = own * np.clip(points.strain, 1, MEASURING.most_strain)[:, None, None] ** 2
    parent, child = BONES.T
    bone = points.mm[child] - points.mm[parent]
    length = np.maximum(np.linalg.norm(bone, axis=1), 1e-6)
    along = bone / length[:, None] ** 2
    J = np.zeros((N_BONES, N_JOINTS, 3))
    J[np.arange(N_BONES), child], J[np.arange(N_BONES), parent] = along, -along
    covariance = np.einsum("ajx,jxy,bjy->ab", J, own, J, optimize=True)
    return np.log(length), covariance
