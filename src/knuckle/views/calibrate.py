"""``knuckle camera rig``: where cameras stand, told from people's hands moving before them.

What is needed is what any recording has: hands that two cameras see at a time. First two cameras
after another: the essential matrix of all joints over time, or what each camera alone says of the
hands' shapes, whichever explains the keypoints better. Then everything at once: poses, joints and
one person's bones, by least squares in which each ray weighs what its expected error says. The
scale is that of the hands: as good as their length is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import cv2
import numpy as np

from knuckle.camera import ASSUMED_DIAGONAL_FOV_DEG, Camera
from knuckle.errors import InputError
from knuckle.hand import (
    MEAN_LENGTHS_MM,
    MIDDLE_RAY,
    N_JOINTS,
    SIDES,
    bone_lengths,
    check_hand_length,
)
from knuckle.results import TrackedHand
from knuckle.rigid import RigidTransform
from knuckle.views import matching
from knuckle.views.adjustment import Adjustment, Shape
from knuckle.views.decisions import BY_HANDS, LOOKING, PEOPLE, VARIETY
from knuckle.views.looks import Looks
from knuckle.views.motions import chained
from knuckle.views.rig import Rig, RigCamera
from knuckle.views.triangulation import Sight, meet

#: Wrist to middle fingertip of the mean adult.
_USUAL_MM = float(MEAN_LENGTHS_MM[MIDDLE_RAY].sum())


@dataclass(frozen=True, eq=False)
class RigCalibration:
    """The outcome."""

    rig: Rig  # the cameras; the world is the first one's frame, mm
    shapes: int  # hands that decided
    unlike: int  # how many of them differ in how they are turned, or bent
    miss_px: float  # median distance of a keypoint from the image of its joint
    turn_deg: np.ndarray  # (V,) expected errors of each camera's pose; the first has none
    shift_mm: np.ndarray  # (V,) expected errors of each camera's pose; the first has none
    scale_doubt: float  # expected error of all distances together, as a share
    hand_length_mm: float  # of the person, wrist to tip of the middle finger

    def __str__(self) -> str:
        """Lines for people."""
        given = self.scale_doubt < PEOPLE.size / 2
        how = (
            "as the length of the hand was given"
            if given
            else "give --hand-length-mm (wrist to middle fingertip) to make that less"
        )
        lines = [
            f"{len(self.rig)} cameras from {self.shapes} looks at hands, keypoints "
            f"{self.miss_px:.1f} px off (median); the world is the frame of {self.rig.names[0]}",
            *self.rig.told(self.turn_deg, self.shift_mm),
            *self._hardly_moved(),
            f"hands {self.hand_length_mm:.0f} mm long; all distances together ± "
            f"{100 * self.scale_doubt:.0f}%: {how}",
        ]
        if any(each.camera.assumed for each in self.rig.cameras):
            lines.append(
                f"lenses taken to see {ASSUMED_DIAGONAL_FOV_DEG:.0f}°, and what that is off by is "
                "in none of these ±: measure them (knuckle camera calibrate) and give --intrinsics"
            )
        return "\n".join(lines)

    def _hardly_moved(self) -> list[str]:
        """A line if the hands were held in few ways."""
        if self.unlike >= VARIETY.enough:
            return []
        return [
            f"only {self.unlike} of these looks differ, which makes the ± large: turn the hands "
            "about and bend the fingers for ten seconds"
        ]


def calibrate_rig(
    names: Sequence[str],
    cameras: Sequence[Camera],
    sizes: Sequence[tuple[int, int]],
    instants: Sequence[Sequence[Sequence[TrackedHand]]],
    *,
    hand_length_mm: float | None = None,
) -> RigCalibration:
    """Find where V cameras of these names, lenses and picture sizes (width, height) stand.

    An instant has for each camera the hands that it sees. A hand's length, wrist to tip of the
    middle finger along the bones, sets the scale if it is known.

    Raises:
        ValueError: too few hands are seen by two cameras at a time, or they do not agree.
    """
    seen = [Looks.of(views, least_share=LOOKING.calibrating_share) for views in instants]
    shapes = _spread(_by_side(looks) for looks in seen)
    if len(shapes) < BY_HANDS.least_hands:
        raise InputError(
            f"expected hands that two cameras see at a time in {BY_HANDS.least_hands} "
            f"instants or more, found {len(shapes)}: move both hands slowly where all cameras see "
            "them, fingers spread, for ten seconds"
        )
    poses = _first_poses(shapes, len(cameras), names)
    length, doubt = _USUAL_MM, PEOPLE.size
    if hand_length_mm is not None:
        length, doubt = check_hand_length(hand_length_mm), BY_HANDS.known_length

    def rig_of(poses: Sequence[RigidTransform]) -> Rig:
        each = zip(names, cameras, poses, sizes, strict=True)
        return Rig(tuple(RigCamera(*parts) for parts in each), "the calibrated rig")

    problem = Adjustment(shapes, poses, length, doubt)
    of_side = sum(len(_by_side(looks)) for looks in seen)
    for _ in range(BY_HANDS.rounds):
        problem.solve()
        # Now that the poses are nearly right, they say which looks are of one hand; sides err.
        met = [_by_place(rig_of(problem.poses), looks) for looks in seen]
        shapes = _spread(met)
        problem = Adjustment(shapes, problem.poses, length, doubt)
        problem.solve()
        problem.drop_wrong()
    problem.solve()
    fitting = sum(map(len, met)) * len(problem.shapes) / max(len(shapes), 1)
    if len(problem.shapes) < BY_HANDS.least_hands or fitting < BY_HANDS.least_inliers * of_side:
        raise InputError(
            "the hands that the cameras see contradict each other: are the videos of one instant "
            "(leave --together out), and the lenses right (--intrinsics)?"
        )
    strangers = [names[row] for row in problem.strangers()]
    if strangers:
        raise InputError(
            f"{' and '.join(strangers)} and the other cameras do not seem to see the same hands: "
            "one sees the left and one the right, or they show other instants (leave --together "
            "out); move both hands, empty, where all cameras see them"
        )
    turn, shift = problem.pose_errors()
    focal = np.array([np.sqrt(camera.fx * camera.fy) for camera in cameras])
    return RigCalibration(
        rig=rig_of(problem.poses),
        shapes=len(problem.shapes),
        unlike=problem.variety(),
        miss_px=problem.miss(focal),
        turn_deg=turn,
        shift_mm=shift,
        scale_doubt=PEOPLE.size if hand_length_mm is None else BY_HANDS.known_scale,
        hand_length_mm=float(problem.lengths[MIDDLE_RAY].sum()),
    )


def _spread(shapes: Iterable[list[Shape]]) -> list[Shape]:
    """At most ``BY_HANDS.most_hands`` of the hands of all instants, evenly over time."""
    found = [shape for of_instant in shapes for shape in of_instant]
    keep = np.unique(np.linspace(0, len(found) - 1, BY_HANDS.most_hands).round().astype(int))
    return [found[i] for i in keep] if found else []


def _by_side(looks: Looks) -> list[Shape]:
    """Hands that cameras see on the same side, the best in each."""
    found = []
    for side in SIDES:
        of_side = [i for i, hand in enumerate(looks.hands) if hand.side == side]
        best: dict[int, int] = {}
        for i in sorted(of_side, key=lambda i: looks.hands[i].raw.score):
            best[int(looks.camera[i])] = i
        if len(best) >= 2:
            found.append(Shape(looks, tuple(best[c] for c in sorted(best))))
    return found


def _by_place(rig: Rig, looks: Looks) -> list[Shape]:
    """Hands whose rays meet."""
    return [
        Shape(looks, tuple(sorted(members, key=lambda i: int(looks.camera[i]))))
        for members in matching.group(rig, looks, {})
        if len(members) >= 2
    ]


# --------------------------------------------------------------------------------------------
# Two cameras after another
# --------------------------------------------------------------------------------------------
def _first_poses(shapes: Sequence[Shape], count: int, names: Sequence[str]) -> list[RigidTransform]:
    """``T_camera_from_world`` of each, joined along the pairs with most hands in common."""
    shared = {
        (i, k): [s for s in shapes if {i, k} <= set(s.cameras.tolist())]
        for i, k in combinations(range(count), 2)
    }
    return chained(
        {pair: len(of) for pair, of in shared.items()},
        names,
        BY_HANDS.least_shared,
        lambda i, k: _pair_pose(shared[i, k], i, k),
        lambda lonely, most: (
            f"{lonely} and the other cameras see too few hands at a time ({most}): move the hands "
            "where both see them"
        ),
    )


def _pair_pose(shapes: Sequence[Shape], i: int, k: int) -> RigidTransform:
    """``T_k_from_i``, whichever of both ways explains the keypoints better."""
    # (S, 2, 21, 2)
    rays = np.array([[s.looks.rays[_member(s, c)] for c in (i, k)] for s in shapes])
    alone = np.array([[_alone(shape, c) for c in (i, k)] for shape in shapes])  # (S, 2, 21, 3)
    pick = shapes[:: max(len(shapes) // BY_HANDS.scoring, 1)]
    pairs = [Shape(s.looks, (_member(s, i), _member(s, k))) for s in pick]
    first = RigidTransform(np.eye(3), np.zeros(3))
    tried = []
    for T in [_by_shapes(alone), *_by_essential(rays)]:
        adjusted = Adjustment(pairs, [first, T], _USUAL_MM, PEOPLE.size, cameras=(i, k))
        tried.append((adjusted.solve(), adjusted.poses[1]))
    return min(tried, key=lambda each: each[0])[1]


def _member(shape: Shape, camera: int) -> int:
    return shape.members[shape.cameras.tolist().index(camera)]


def _alone(shape: Shape, camera: int) -> np.ndarray:
    """(21, 3) what a camera alone says, with bones of the usual size."""
    hand = shape.looks.poses[_member(shape, camera)]
    return hand.joints_mm * (MEAN_LENGTHS_MM.sum() / hand.bone_lengths_mm.sum())


def _by_shapes(alone: np.ndarray) -> RigidTransform:
    """The motion that lays what one camera says of many hands onto what the other says.

    Flat hands are often misread as their mirror image in depth, and then turn otherwise: of the
    turns that single hands say, the one is taken that suits half of the hands best.
    """
    a, b = np.moveaxis(alone - alone.mean(axis=2, keepdims=True), 1, 0)  # (S, 21, 3) each

    def off(R: np.ndarray) -> np.ndarray:
        return np.linalg.norm(b - a @ R.T, axis=-1).mean(axis=1)

    each = [_turn(np.einsum("jx,jy->xy", q, p)) for p, q in zip(a, b, strict=True)]
    R = min(each, key=lambda R: float(np.median(off(R))))
    for _ in range(5):
        R = _turn(np.einsum("s,sjx,sjy->xy", 1 / (off(R) + 5.0) ** 2, b, a))
    shift = alone[:, 1].mean(axis=1) - alone[:, 0].mean(axis=1) @ R.T
    return RigidTransform(R, np.median(shift, axis=0))


def _turn(covariance: np.ndarray) -> np.ndarray:
    """(3, 3) the rotation nearest to a matrix (Kabsch 1976)."""
    left, _, right = np.linalg.svd(covariance)
    return (left * [1, 1, np.sign(np.linalg.det(left @ right))]) @ right


def _by_essential(rays: np.ndarray) -> list[RigidTransform]:
    """The motion of the essential matrix, as long as the hands say; none if it fails."""
    first, second = (np.ascontiguousarray(rays[:, c].reshape(-1, 2)) for c in (0, 1))
    E, mask = cv2.findEssentialMat(first, second, np.eye(3), cv2.RANSAC, 0.999, 0.01)
    if E is None or E.shape != (3, 3):
        return []
    _, R, t, _ = cv2.recoverPose(E, first, second, np.eye(3), mask=mask)
    T = RigidTransform(R, np.ravel(t) * 500.0)
    transforms = [RigidTransform(np.eye(3), np.zeros(3)), T]
    both = np.moveaxis(rays, 1, 0).reshape(2, -1, 2)
    sight = Sight.of(transforms, both, np.full(both.shape[:2], 0.01))
    met = meet(sight).mm.reshape(len(rays), N_JOINTS, 3)
    size = np.maximum(np.median(bone_lengths(met), axis=0), 1e-6)
    factor = float(np.median(MEAN_LENGTHS_MM / size))
    return [replace(T, translation_mm=T.translation_mm * factor)]
