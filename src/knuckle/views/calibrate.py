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

from knuckle.camera import Camera, RigidTransform
from knuckle.hand import BONES, MIDDLE_RAY, N_BONES, N_JOINTS, SIDES
from knuckle.results import TrackedHand
from knuckle.track.skeleton import MEAN_LENGTHS_MM
from knuckle.views.looks import Looks
from knuckle.views.matching import group
from knuckle.views.rig import Rig, RigCamera
from knuckle.views.triangulation import Sight, meet

#: So many looks at hands are enough, spread over the recording; and so few are too few.
MOST_SHAPES, LEAST_SHAPES = 100, 12
#: A pair of cameras needs so many hands in common to be joined.
_LEAST_SHARED = 8
#: A ray that misses by more than this many expected errors counts less, the farther the less.
_HUBER = 1.5
#: A hand whose joints miss by more than this, half of them, is two hands, or of two instants.
_MOST_STRAIN = 4.0
#: Bones hold within so many mm; people's proportions, and their hands' size, within these shares.
_BONE_MM, _PROPORTIONS, _SIZE = 1.0, 0.05, 0.08
_STEPS, _ROUNDS = 25, 2
#: Wrist to middle fingertip of the mean adult.
_USUAL_MM = float(MEAN_LENGTHS_MM[MIDDLE_RAY].sum())
#: Hands from which the ways to begin are compared.
_TRIED = 40
#: Keypoints of one look err together, and those of all looks from one direction: so many count as
#: one in what is expected of the poses. By the boards of two real rigs.
_ALIKE = 80.0


@dataclass(frozen=True, eq=False)
class Shape:
    """One hand at one instant, as several cameras see it.

    Attributes:
        looks: of one instant.
        members: indices into these, one a camera.
    """

    looks: Looks
    members: tuple[int, ...]

    @property
    def cameras(self) -> np.ndarray:
        """Indices of the cameras, in the order of ``members``."""
        return self.looks.camera[list(self.members)]


@dataclass(frozen=True, eq=False)
class RigCalibration:
    """The outcome.

    Attributes:
        rig: the cameras; the world is the first one's frame, mm.
        shapes: hands that decided.
        miss_px: median distance of a keypoint from the image of its joint.
        turn_deg, shift_mm: (V,) expected errors of each camera's pose; the first has none.
        scale_doubt: expected error of all distances together, as a share.
        hand_length_mm: of the person, wrist to tip of the middle finger.
    """

    rig: Rig
    shapes: int
    miss_px: float
    turn_deg: np.ndarray
    shift_mm: np.ndarray
    scale_doubt: float
    hand_length_mm: float

    def __str__(self) -> str:
        """Lines for people."""
        first = self.rig.cameras[0]
        lines = [
            f"{len(self.rig)} cameras from {self.shapes} looks at hands, keypoints "
            f"{self.miss_px:.1f} px off (median); the world is the frame of {first.name}"
        ]
        for each, turn, shift in zip(
            self.rig.cameras[1:], self.turn_deg[1:], self.shift_mm[1:], strict=True
        ):
            away = float(np.linalg.norm(each.centre_mm - first.centre_mm))
            lines.append(
                f"  {each.name}: {away:.0f} mm away, ± {shift:.0f} mm and ± {turn:.2f}° against "
                "the others"
            )
        lines.append(
            f"hands {self.hand_length_mm:.0f} mm long; all distances together ± "
            f"{100 * self.scale_doubt:.0f}%: "
            + ("as the length of the hand was given" if self.scale_doubt < _SIZE / 2 else
               "give --hand-length-mm (wrist to middle fingertip) to make that less")
        )  # fmt: skip
        return "\n".join(lines)


def calibrate_rig(
    names: Sequence[str],
    cameras: Sequence[Camera],
    sizes: Sequence[tuple[int, int]],
    instants: Sequence[Sequence[Sequence[TrackedHand]]],
    *,
    hand_length_mm: float | None = None,
) -> RigCalibration:
    """Find where cameras stand.

    Args:
        names: of the V cameras.
        cameras: their lenses.
        sizes: (width, height) of their pictures.
        instants: per instant and camera the hands that it sees.
        hand_length_mm: wrist to tip of the middle finger along the bones, if it is known.

    Raises:
        ValueError: too few hands are seen by two cameras at a time, or they do not agree.
    """
    seen = [Looks.of(views) for views in instants]
    shapes = _spread(_by_side(looks) for looks in seen)
    if len(shapes) < LEAST_SHAPES:
        raise ValueError(
            f"expected hands that two cameras see at a time in {LEAST_SHAPES} instants or more, "
            f"found {len(shapes)}: move both hands slowly where all cameras see them, fingers "
            "spread, for ten seconds"
        )
    poses = _first_poses(shapes, len(cameras), names)
    length, doubt = hand_length_mm or _USUAL_MM, _SIZE if hand_length_mm is None else 0.005

    def rig_of(poses: Sequence[RigidTransform]) -> Rig:
        each = zip(names, cameras, poses, sizes, strict=True)
        return Rig(tuple(RigCamera(*parts) for parts in each), "the calibrated rig")

    problem = _Adjustment(shapes, poses, length, doubt)
    for _ in range(_ROUNDS):
        problem.solve()
        # Now that the poses are nearly right, they say which looks are of one hand; sides err.
        shapes = _spread(_by_place(rig_of(problem.poses), looks) for looks in seen)
        problem = _Adjustment(shapes, problem.poses, length, doubt)
        problem.solve()
        problem.drop_wrong()
    problem.solve()
    if len(problem.shapes) < LEAST_SHAPES:
        raise ValueError(
            "the hands that the cameras see contradict each other: are the videos of one instant "
            "(leave --together out), and the lenses right (--intrinsics)?"
        )
    turn, shift = problem.pose_errors()
    focal = np.array([np.sqrt(camera.fx * camera.fy) for camera in cameras])
    return RigCalibration(
        rig=rig_of(problem.poses),
        shapes=len(problem.shapes),
        miss_px=problem.miss(focal),
        turn_deg=turn,
        shift_mm=shift,
        scale_doubt=_SIZE if hand_length_mm is None else 0.02,
        hand_length_mm=float(problem.lengths[MIDDLE_RAY].sum()),
    )


def _spread(shapes: Iterable[list[Shape]]) -> list[Shape]:
    """At most ``MOST_SHAPES`` of the hands of all instants, evenly over time."""
    found = [shape for of_instant in shapes for shape in of_instant]
    keep = np.unique(np.linspace(0, len(found) - 1, MOST_SHAPES).round().astype(int))
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
        for members in group(rig, looks, {})
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
    poses: dict[int, RigidTransform] = {0: RigidTransform(np.eye(3), np.zeros(3))}
    while len(poses) < count:
        edges = [(len(of), pair) for pair, of in shared.items() if len(set(pair) & set(poses)) == 1]
        most, (i, k) = max(edges)
        if most < _LEAST_SHARED:
            lonely = [name for v, name in enumerate(names) if v not in poses]
            raise ValueError(
                f"{', '.join(lonely)} and the other cameras see too few hands at a time ({most}): "
                "move the hands where both see them"
            )
        T_k_from_i = _pair_pose(shared[i, k], i, k)
        if i in poses:
            poses[k] = T_k_from_i @ poses[i]
        else:
            poses[i] = T_k_from_i.inverse() @ poses[k]
    return [poses[v] for v in range(count)]


def _pair_pose(shapes: Sequence[Shape], i: int, k: int) -> RigidTransform:
    """``T_k_from_i``, whichever of both ways explains the keypoints better."""
    rays = np.array([[_rays_of(shape, c) for c in (i, k)] for shape in shapes])  # (S, 2, 21, 2)
    alone = np.array([[_alone(shape, c) for c in (i, k)] for shape in shapes])  # (S, 2, 21, 3)
    pick = shapes[:: max(len(shapes) // _TRIED, 1)]
    pairs = [Shape(s.looks, (_member(s, i), _member(s, k))) for s in pick]
    first = RigidTransform(np.eye(3), np.zeros(3))
    tried = []
    for T in [_by_shapes(alone), *_by_essential(rays)]:
        adjusted = _Adjustment(pairs, [first, T], _USUAL_MM, _SIZE, cameras=(i, k))
        tried.append((adjusted.solve(), adjusted.poses[1]))
    return min(tried, key=lambda each: each[0])[1]


def _member(shape: Shape, camera: int) -> int:
    return shape.members[shape.cameras.tolist().index(camera)]


def _rays_of(shape: Shape, camera: int) -> np.ndarray:
    return shape.looks.rays[_member(shape, camera)]


def _alone(shape: Shape, camera: int) -> np.ndarray:
    """(21, 3) what a camera alone says, with bones of the usual size."""
    hand = shape.looks.hands[_member(shape, camera)].raw
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
    size = np.linalg.norm(met[:, BONES[:, 1]] - met[:, BONES[:, 0]], axis=-1)
    factor = float(np.median(MEAN_LENGTHS_MM / np.maximum(np.median(size, axis=0), 1e-6)))
    return [replace(T, translation_mm=T.translation_mm * factor)]


# --------------------------------------------------------------------------------------------
# All at once
# --------------------------------------------------------------------------------------------
class _Adjustment:
    """Poses, joints and bones together, by Levenberg and Marquardt.

    The joints of each hand touch no other hand's: they are eliminated (Schur complement), and what
    is solved for at once is as large as poses and bones.

    Attributes:
        shapes: the hands that count.
        poses: ``T_camera_from_world``.
        lengths: (20,) mm.
    """

    def __init__(
        self,
        shapes: Sequence[Shape],
        poses: Sequence[RigidTransform],
        length_mm: float,
        size_doubt: float,
        cameras: Sequence[int] | None = None,
    ) -> None:
        """Begin with poses; ``cameras`` are those that they belong to, by default all."""
        self.shapes, self.poses = list(shapes), list(poses)
        self._usual = MEAN_LENGTHS_MM * (length_mm / MEAN_LENGTHS_MM[MIDDLE_RAY].sum())
        self._camera = {c: row for row, c in enumerate(cameras or range(len(poses)))}
        self.lengths = self._usual.copy()
        self._size_doubt = size_doubt
        # As shares of the bones: in millimetres, a smaller world would always fit better.
        self._bone = _BONE_MM / self._usual
        self._joints = [self._met(shape) for shape in self.shapes]

    @property
    def _n_poses(self) -> int:
        return 6 * (len(self.poses) - 1)

    def _sight(self, shape: Shape) -> Sight:
        members = list(shape.members)
        transforms = [self.poses[self._camera[c]] for c in shape.cameras.tolist()]
        return Sight.of(transforms, shape.looks.rays[members], shape.looks.sigma[members])

    def _met(self, shape: Shape) -> np.ndarray:
        return meet(self._sight(shape)).mm

    def solve(self) -> float:
        """Go down until it is flat; returns what is left."""
        damping, cost = 1e-3, self._cost(self.poses, self.lengths, self._joints)
        for _ in range(_STEPS):
            parts = [self._part(s, x) for s, x in zip(self.shapes, self._joints, strict=True)]
            moved = self._moved(parts, damping)
            after = self._cost(*moved)
            if after < cost:
                self.poses, self.lengths, self._joints = moved
                flat = cost - after < 1e-4 * cost
                damping, cost = max(damping / 5, 1e-7), after
                if flat:
                    break
            else:
                damping *= 8
                if damping > 1e6:
                    break
        return cost

    def drop_wrong(self) -> bool:
        """Forget hands that do not fit; whether there were any."""
        fits = [
            self._strain(s, x) < _MOST_STRAIN
            for s, x in zip(self.shapes, self._joints, strict=True)
        ]
        self._joints = [x for x, good in zip(self._joints, fits, strict=True) if good]
        self.shapes = [s for s, good in zip(self.shapes, fits, strict=True) if good]
        return not all(fits)

    def miss(self, focal: np.ndarray) -> float:
        """Median distance of a keypoint from its joint's image, px of the straight picture."""
        off = [
            (self._sight(s).misses(x) * focal[s.cameras][:, None]).ravel()
            for s, x in zip(self.shapes, self._joints, strict=True)
        ]
        return float(np.median(np.concatenate(off)))

    def pose_errors(self) -> tuple[np.ndarray, np.ndarray]:
        """(V,) degrees and (V,) mm that the poses may be off, at this scale."""
        parts = [self._part(s, x) for s, x in zip(self.shapes, self._joints, strict=True)]
        S, _, _ = self._reduced(parts, 0.0, known_size=True)
        strain = float(
            np.mean(
                [self._strain(s, x) ** 2 for s, x in zip(self.shapes, self._joints, strict=True)]
            )
        )
        covariance = np.linalg.inv(S)[: self._n_poses, : self._n_poses] * _ALIKE * max(strain, 1.0)
        turn, shift = np.zeros(len(self.poses)), np.zeros(len(self.poses))
        for v in range(1, len(self.poses)):
            block = slice(6 * (v - 1), 6 * v)
            own = covariance[block, block]
            turn[v] = np.degrees(np.sqrt(np.trace(own[:3, :3])))
            R = self.poses[v].rotation  # the centre's error, from those of turn and translation
            t = self.poses[v].translation_mm
            J = np.concatenate([R.T @ _cross(t), -R.T], axis=1)
            shift[v] = np.sqrt(np.trace(J @ own @ J.T))
        return turn, shift

    def _strain(self, shape: Shape, x: np.ndarray) -> float:
        sight = self._sight(shape)
        return float(np.median(np.nan_to_num(sight.misses(x) / sight.sigma, nan=99.0)))

    def _cost(
        self, poses: list[RigidTransform], lengths: np.ndarray, joints: list[np.ndarray]
    ) -> float:
        before, self.poses = self.poses, poses
        total = 0.0
        for shape, x in zip(self.shapes, joints, strict=True):
            sight = self._sight(shape)
            r = np.nan_to_num(sight.misses(x) / sight.sigma, nan=1e3)
            total += float(np.where(r < _HUBER, r * r, _HUBER * (2 * r - _HUBER)).sum())
            length = np.linalg.norm(x[BONES[:, 1]] - x[BONES[:, 0]], axis=1)
            total += float(((np.log(np.maximum(length, 1e-6) / lengths) / self._bone) ** 2).sum())
        self.poses = before
        _, _, residual = self._prior(lengths)
        return total + float((residual**2).sum())

    def _prior(self, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What is known of people: (20, 20) and (20,) normal parts, and the residuals."""
        logs = np.log(lengths / self._usual)
        ray = np.zeros(N_BONES)
        ray[MIDDLE_RAY] = lengths[MIDDLE_RAY] / lengths[MIDDLE_RAY].sum()
        size = float(np.log(lengths[MIDDLE_RAY].sum() / self._usual[MIDDLE_RAY].sum()))
        J = np.concatenate(
            [(np.eye(N_BONES) - 1 / N_BONES) / _PROPORTIONS, ray[None] / self._size_doubt]
        )
        r = np.append((logs - logs.mean()) / _PROPORTIONS, size / self._size_doubt)
        return J.T @ J, -J.T @ r, r

    def _part(self, shape: Shape, x: np.ndarray) -> tuple[np.ndarray, ...]:
        """One hand's share of the normal equations: joints, shared, and between them."""
        sight, n = self._sight(shape), self._n_poses + N_BONES
        H_xs, H_ss, own = np.zeros((63, n)), np.zeros((n, n)), np.zeros((N_JOINTS, 3, 3))
        g_x, g_s = np.zeros(63), np.zeros(n)
        seen = sight.in_cameras(x)
        for row, camera in enumerate(self._camera[c] for c in shape.cameras.tolist()):
            X = seen[row]
            z = np.maximum(X[:, 2], 20.0)
            rays = X[:, :2] / z[:, None]
            r = (rays - sight.rays[row]) / sight.sigma[row][:, None]
            size = np.linalg.norm(r, axis=1)
            weight = np.sqrt(np.where(size < _HUBER, 1.0, _HUBER / np.maximum(size, 1e-9)))
            J_c = np.zeros((N_JOINTS, 2, 3))
            J_c[:, 0, 0] = J_c[:, 1, 1] = 1
            J_c[:, :, 2] = -rays
            J_c *= (weight / (z * sight.sigma[row]))[:, None, None]
            r = r * weight[:, None]
            J_x = J_c @ sight.R[row]
            own += np.swapaxes(J_x, 1, 2) @ J_x
            g_x -= (np.swapaxes(J_x, 1, 2) @ r[..., None]).ravel()
            if camera:
                turned = np.stack([-_cross(point) for point in X])
                J_p = np.concatenate([J_c @ turned, J_c], axis=2)  # (21, 2, 6)
                block = slice(6 * (camera - 1), 6 * camera)
                H_xs[:, block] += (np.swapaxes(J_x, 1, 2) @ J_p).reshape(63, 6)
                H_ss[block, block] += np.einsum("jri,jrk->ik", J_p, J_p)
                g_s[block] -= np.einsum("jri,jr->i", J_p, r)
        bone = x[BONES[:, 1]] - x[BONES[:, 0]]
        length = np.maximum(np.linalg.norm(bone, axis=1), 1e-6)
        along = bone / (length**2 * self._bone)[:, None]
        J_b = np.zeros((N_BONES, N_JOINTS, 3))
        J_b[np.arange(N_BONES), BONES[:, 1]] = along
        J_b[np.arange(N_BONES), BONES[:, 0]] -= along
        J_bx = J_b.reshape(N_BONES, 63)
        J_l = np.diag(-1 / self._bone)
        r_b = np.log(length / self.lengths) / self._bone
        bones = slice(self._n_poses, n)
        H_xx = J_bx.T @ J_bx
        of_joints = np.arange(N_JOINTS)
        H_xx.reshape(N_JOINTS, 3, N_JOINTS, 3)[of_joints, :, of_joints, :] += own
        H_xs[:, bones] += J_bx.T @ J_l
        H_ss[bones, bones] += J_l.T @ J_l
        g_x -= J_bx.T @ r_b
        g_s[bones] -= J_l.T @ r_b
        return H_xx, H_xs, H_ss, g_x, g_s

    def _reduced(
        self, parts: Sequence[tuple[np.ndarray, ...]], damping: float, known_size: bool = False
    ) -> tuple[np.ndarray, np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
        """The normal equations of poses and bones alone, and what gives each hand back."""
        n = self._n_poses + N_BONES
        S, g, back = np.zeros((n, n)), np.zeros(n), []
        for H_xx, H_xs, H_ss, g_x, g_s in parts:
            lifted = H_xx + np.diag(damping * np.diag(H_xx) + 1e-9)
            solved = np.linalg.solve(lifted, np.concatenate([H_xs, g_x[:, None]], axis=1))
            S += H_ss - H_xs.T @ solved[:, :-1]
            g += g_s - H_xs.T @ solved[:, -1]
            back.append((solved[:, :-1], solved[:, -1]))
        bones = slice(self._n_poses, n)
        H, b, _ = self._prior(self.lengths)
        S[bones, bones] += H + (1e4 * np.eye(N_BONES) if known_size else 0)
        g[bones] += b
        S += np.diag(damping * np.diag(S) + 1e-9)
        return S, g, back

    def _moved(
        self, parts: Sequence[tuple[np.ndarray, ...]], damping: float
    ) -> tuple[list[RigidTransform], np.ndarray, list[np.ndarray]]:
        """Where one step leads."""
        S, g, back = self._reduced(parts, damping)
        step = np.linalg.solve(S, g)
        poses = [self.poses[0]]
        for v in range(1, len(self.poses)):
            turn, shift = step[6 * (v - 1) : 6 * v - 3], step[6 * v - 3 : 6 * v]
            T = RigidTransform(cv2.Rodrigues(turn.reshape(3, 1))[0], shift)
            poses.append(T @ self.poses[v])
        lengths = self.lengths * np.exp(np.clip(step[self._n_poses :], -0.2, 0.2))
        joints = [
            x + (own - pull @ step).reshape(N_JOINTS, 3)
            for x, (pull, own) in zip(self._joints, back, strict=True)
        ]
        return poses, lengths, joints


def _cross(v: np.ndarray) -> np.ndarray:
    """(3, 3) so that ``_cross(v) @ w`` is v × w."""
    x, y, z = v
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
