"""The protocols: what exactly a number in a paper means. Each is defined here and nowhere else.

A protocol says which joint is the root, whose depth the root gets, whether the scale is given,
which hands count, and how errors are averaged. Errors in mm.

A network of the papers always answers with all 42 joints; a system that finds hands itself may miss
one. **A missed hand is scored, under every protocol, as if all its joints had been put onto its
root** (and both roots onto each other): leaving a hand out never lowers an error. How many were
found stands beside every number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from knuckle.errors import InputError
from knuckle.evaluate.pairs import Matching, ScoredHands
from knuckle.hand import JOINT_NAMES, N_JOINTS, SIDES, Joint
from knuckle.metrics import joint_errors, masked_mean, mrrpe

_LEFT, _RIGHT = SIDES.index("left"), SIDES.index("right")


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How errors are measured and averaged. The defaults are what most of them have in common."""

    name: str  # key in ``PROTOCOLS``
    source: str  # where it is defined
    #: Joint that both hands are moved onto. A hand whose root is not valid does not count.
    root: Joint = Joint.WRIST
    #: "own" leaves the predicted 3D as it is; "true" gives the root its true depth and unprojects
    #: the 2D keypoints with the depths relative to it (what a 2.5D network needs: its 3D is only as
    #: good as the depth that it is told).
    root_depth: Literal["own", "true"] = "own"
    #: Two joints whose true distance the predicted hand is scaled to, or None.
    scale_bone: tuple[Joint, Joint] | None = None
    hands: Literal["all", "two"] = "all"  # "two": only pictures that show two hands
    #: "joint": the mean of the 42 joints' means (each joint of each hand counts the same, however
    #: often it is valid); "pooled": the mean over all valid joints; "side": the mean of the left
    #: hands' pooled mean and the right hands'; "hand": the mean of each hand's.
    mean: Literal["joint", "pooled", "side", "hand"]
    matching: Matching  # see ``pairs.Matching``

    def counted(self, pairs: ScoredHands) -> np.ndarray:
        """(H, 21) bool: the joints that count: valid ones of hands with 3D and a valid root."""
        counted = pairs.valid & pairs.has_3d[:, None] & pairs.valid[:, self.root][:, None]
        if self.scale_bone is not None:
            first, second = self.scale_bone
            counted = counted & (pairs.valid[:, first] & pairs.valid[:, second])[:, None]
        if self.hands == "two":
            counted = counted & pairs.two[:, None]
        return counted

    def errors(self, pairs: ScoredHands) -> np.ndarray:
        """(H, 21) mm: distance of every joint from the truth, roots aligned."""
        true = pairs.true_mm - pairs.true_mm[:, self.root][:, None]
        return joint_errors(self._relative(pairs), true)

    def _relative(self, pairs: ScoredHands) -> np.ndarray:
        """(H, 21, 3) predicted joints relative to the root; all zero for a missed hand."""
        joints = pairs.relative_mm
        if self.root_depth == "true":
            joints = self._with_true_depth(pairs)
        relative = joints - joints[:, self.root][:, None]
        if self.scale_bone is not None:
            length = np.maximum(_bone(relative, self.scale_bone), 1e-9)
            relative = relative * (_bone(pairs.true_mm, self.scale_bone) / length)[:, None, None]
        if np.isnan(relative[pairs.found & self.counted(pairs).any(axis=1)]).any():
            raise InputError(
                f"the protocol {self.name} needs 3D joints for every predicted hand"
                + (", and 2D keypoints with the camera" if self.root_depth == "true" else "")
                + "; some predictions have none"
            )
        return np.where(pairs.found[:, None, None], relative, 0.0)

    def _with_true_depth(self, pairs: ScoredHands) -> np.ndarray:
        """(H, 21, 3) camera frame: keypoints unprojected at the true root's depth."""
        depth = pairs.relative_mm[..., 2] - pairs.relative_mm[:, self.root, 2][:, None]
        depth = depth + pairs.true_mm[:, self.root, 2][:, None]
        return _unproject(pairs.predicted_px, depth, pairs.intrinsics[:, None])

    def relative_root_errors(self, pairs: ScoredHands) -> np.ndarray:
        """(N,) mm: MRRPE of every picture of two hands whose roots are both valid."""
        left, right = _two_hands(pairs, self.root)
        if self.root_depth == "own":
            predicted = pairs.predicted_mm[:, self.root]
            off = predicted[left] - predicted[right]
        else:
            off = self._offset_with_true_depth(pairs, left, right)
        both = pairs.found[left] & pairs.found[right]
        off = np.where(both[:, None], off, 0.0)
        return mrrpe(
            off, np.zeros(3), pairs.true_mm[left][:, self.root], pairs.true_mm[right][:, self.root]
        )

    def _offset_with_true_depth(
        self, pairs: ScoredHands, left: np.ndarray, right: np.ndarray
    ) -> np.ndarray:
        """Left root from right root, when the right root is told its true depth."""
        own = pairs.predicted_mm[:, self.root, 2]
        depth = pairs.true_mm[right, self.root, 2]
        at = pairs.predicted_px[:, self.root]
        left_mm = _unproject(at[left], depth + own[left] - own[right], pairs.intrinsics[left])
        return left_mm - _unproject(at[right], depth, pairs.intrinsics[right])


_WRIST, _MIDDLE = Joint.WRIST, Joint.MIDDLE_MCP

PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        # evaluate() of the official code, data/InterHand2.6M/dataset.py. Its root depth comes from
        # RootNet, the system's own estimate; its own 3D is its 2.5D unprojected with that. The 42
        # joints include both wrists, whose error is always 0: numbers are 4.8 % (2/42) lower than
        # over the joints that can be wrong.
        Protocol(
            name="moon",
            source="Moon et al., InterHand2.6M, ECCV 2020, official code",
            mean="joint",
            matching="side",
        ),
        # HandMetric and InterHand3DDataset with use_gt_root_depth=True (its configurations' own).
        Protocol(
            name="mmpose",
            source="mmpose 1.x, InterHand3D: HandMetric, true root depth",
            root_depth="true",
            mean="pooled",
            matching="side",
        ),
        # apps/eval_interhand.py. The original takes both the truth and the prediction from MANO
        # meshes with one regressor; here the labelled joints are the truth, which is harder.
        Protocol(
            name="intaghand",
            source="Li et al., IntagHand, CVPR 2022, official code; labelled joints, not MANO's",
            root=_MIDDLE,
            scale_bone=(_WRIST, _MIDDLE),
            hands="two",
            mean="side",
            matching="side",
        ),
        # Hands are found by place; every hand counts the same.
        Protocol(
            name="knuckle",
            source="Knuckle: own detection, no scale and no depth given, every hand counts once",
            mean="hand",
            matching="place",
        ),
    )
}


@dataclass(frozen=True, eq=False)
class Scores:
    """What a protocol says about a system. NaN where nothing counts."""

    mpjpe_mm: dict[str, float]  # for "single", "two" and "all" hands
    per_joint_mm: np.ndarray  # (2, 21) mean error of each joint of the left and the right hands
    mrrpe_mm: float  # see ``metrics.mrrpe``
    handedness: float  # share of the pictures in which exactly the hands that are there were said
    found: float  # share of the counted hands for which there was a prediction
    n_hands: int  # how many hands counted
    #: (H,) mm, mean over the counted joints of each hand; NaN where none counts.
    hand_errors: np.ndarray

    def numbers(self) -> dict[str, float]:
        """All single numbers, by name."""
        return {
            **{f"mpjpe_{kind}_mm": value for kind, value in self.mpjpe_mm.items()},
            "mrrpe_mm": self.mrrpe_mm,
            "handedness_accuracy": self.handedness,
            "found": self.found,
            "hands": self.n_hands,
        }

    def joints(self) -> dict[str, float]:
        """Mean error by joint, such as ``left_index_tip``."""
        return {
            f"{side}_{name}": float(self.per_joint_mm[s, j])
            for s, side in enumerate(SIDES)
            for j, name in enumerate(JOINT_NAMES)
        }


def score(protocol: Protocol, pairs: ScoredHands) -> Scores:
    """Apply a protocol to pairs that were matched as it says.

    Raises:
        ValueError: the predictions lack what the protocol needs.
    """
    counted = protocol.counted(pairs)
    # A system that finds hands but never says anything in 3D is not scored in 3D.
    in_3d = not pairs.found.any() or bool(np.isfinite(pairs.relative_mm).any())
    errors = protocol.errors(pairs) if in_3d else np.full(counted.shape, np.nan)
    hands = np.asarray(counted.any(axis=1))
    same_sides = np.asarray((pairs.true_sides == pairs.predicted_sides).all(axis=1))
    kinds = {"single": ~pairs.two, "two": pairs.two, "all": np.ones(len(pairs), bool)}
    return Scores(
        mpjpe_mm={
            kind: _average(protocol, errors, counted & chosen[:, None], pairs.side)
            for kind, chosen in kinds.items()
        },
        per_joint_mm=by_joint(errors, counted, pairs.side),
        mrrpe_mm=float(masked_mean(protocol.relative_root_errors(pairs))),
        handedness=float(masked_mean(same_sides, pairs.sides_known)),
        found=float(masked_mean(pairs.found, hands)),
        n_hands=int(hands.sum()),
        hand_errors=masked_mean(errors, counted),
    )


def _average(
    protocol: Protocol, errors: np.ndarray, counted: np.ndarray, side: np.ndarray
) -> float:
    """One number from (H, 21) errors; see ``Protocol.mean``."""
    if protocol.mean == "joint":
        means = by_joint(errors, counted, side)
        return float(masked_mean(means, np.isfinite(means), axis=None))
    if protocol.mean == "side":
        means = np.array(
            [masked_mean(errors[side == s], counted[side == s], axis=None) for s in (0, 1)]
        )
        return float(masked_mean(means, np.isfinite(means)))
    if protocol.mean == "hand":
        means = masked_mean(errors, counted)
        return float(masked_mean(means, np.isfinite(means)))
    return float(masked_mean(errors, counted, axis=None))


def by_joint(errors: np.ndarray, counted: np.ndarray, side: np.ndarray) -> np.ndarray:
    """(2, 21): mean error of each joint, left and right hands apart."""
    means = np.full((2, N_JOINTS), np.nan)
    for s in (_LEFT, _RIGHT):
        means[s] = masked_mean(errors[side == s], counted[side == s], axis=0)
    return means


def _two_hands(pairs: ScoredHands, root: Joint) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the left and of the right hand of every picture with both, roots valid, 3D known."""
    usable = pairs.valid[:, root] & pairs.has_3d
    left = np.flatnonzero(usable & (pairs.side == _LEFT))
    right = np.flatnonzero(usable & (pairs.side == _RIGHT))
    _, a, b = np.intersect1d(pairs.picture[left], pairs.picture[right], return_indices=True)
    return left[a], right[b]


def _bone(joints_mm: np.ndarray, bone: tuple[Joint, Joint]) -> np.ndarray:
    return np.linalg.norm(joints_mm[:, bone[1]] - joints_mm[:, bone[0]], axis=-1)


def _unproject(points_px: np.ndarray, depth_mm: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """(..., 2) px at (...) mm through (..., 4) fx, fy, cx, cy -> (..., 3) mm, no distortion."""
    xy = (points_px - intrinsics[..., 2:]) / intrinsics[..., :2] * depth_mm[..., None]
    return np.concatenate([xy, depth_mm[..., None]], axis=-1)
