"""The bones of the people before a rig: measured where rays meet well, then locked."""

from __future__ import annotations

import numpy as np

from knuckle.hand import BONES, N_BONES
from knuckle.track.skeleton import MEAN_LENGTHS_MM

#: A bone counts in a look if its ends are sure within this, mm, and its rays agree within so many
#: expected errors.
_SURE_MM, _MOST_STRAIN = 8.0, 2.5
#: Both ends of a bone err mostly together: so much of their variance is each one's own. On a
#: synthetic capture, bones shook across by half of what independent ends would.
_OWN_SHARE = 0.3
#: The mean hand's proportions are as sure as so many looks: looks at one pose err alike.
_PRIOR_LOOKS = 30.0
#: Lengths are locked when every bone was seen so often.
_LEAST_OF_EACH = 0.25
#: Looks that are kept: beyond these, one more changes nothing.
_MOST_LOOKS = 400


class RigBones:
    """Bone lengths of one person, from both hands.

    The rays give lengths in true millimetres, a little too long on average where joints shake
    across the bone; what is expected of that is taken off. The median over looks is unmoved by
    wrong ones.
    """

    def __init__(self, looks: int = 60, lengths_mm: np.ndarray | None = None) -> None:
        """Lock after so many looks; lengths (20,) that are given are locked from the start."""
        self._looks = looks
        self._squares: list[np.ndarray] = []
        self._lengths = MEAN_LENGTHS_MM if lengths_mm is None else np.asarray(lengths_mm, float)
        self.locked = lengths_mm is not None

    @property
    def lengths_mm(self) -> np.ndarray:
        """(20,) the lengths to use."""
        return self._lengths

    @property
    def new(self) -> bool:
        """Whether too little was seen to rely on the lengths."""
        return not self.locked and len(self._squares) < 5

    @property
    def size(self) -> float | None:
        """The hands' size over that of the mean adult's; None while it is not known."""
        return None if self.new else float(np.median(self._lengths / MEAN_LENGTHS_MM))

    def see(self, joints_mm: np.ndarray, information: np.ndarray, strain: np.ndarray) -> None:
        """Take triangulated joints (21, 3) with their information and strain into account."""
        if self.locked:
            return
        covariance = np.linalg.inv(information + 1e-9 * np.eye(3))
        shake = np.trace(covariance, axis1=-2, axis2=-1)  # mm²
        good = (np.sqrt(shake) < _SURE_MM) & (strain < _MOST_STRAIN)
        good &= np.isfinite(joints_mm).all(axis=-1)
        parent, child = BONES.T
        bone = joints_mm[child] - joints_mm[parent]
        square = (bone**2).sum(axis=-1)
        along = bone / np.sqrt(np.maximum(square, 1e-9))[:, None]
        both = covariance[child] + covariance[parent]
        across = np.trace(both, axis1=-2, axis2=-1) - np.einsum("bi,bij,bj->b", along, both, along)
        square = np.where(good[child] & good[parent], square - _OWN_SHARE * across, np.nan)
        if np.isfinite(square).sum() < N_BONES / 2:
            return
        self._squares.append(square)
        self._settle()

    def _settle(self) -> None:
        seen = np.array(self._squares[-_MOST_LOOKS:])
        counts = np.isfinite(seen).sum(axis=0)
        known = counts > 0
        lengths = np.full(N_BONES, np.nan)
        lengths[known] = np.sqrt(np.maximum(np.nanmedian(seen[:, known], axis=0), 1.0))
        larger = np.nanmedian(lengths / MEAN_LENGTHS_MM)
        usual = larger * MEAN_LENGTHS_MM
        share = counts / (counts + _PRIOR_LOOKS)
        ratio = np.where(known, np.log(np.where(known, lengths, 1.0) / usual), 0.0)
        self._lengths = usual * np.exp(share * np.clip(ratio, -0.5, 0.5))
        self.locked = len(self._squares) >= self._looks and bool(
            (counts >= _LEAST_OF_EACH * self._looks).all()
        )
