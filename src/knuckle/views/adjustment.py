"""Where cameras stand, where joints are and how long bones are, all at once: least squares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from knuckle.camera import RigidTransform
from knuckle.hand import BONES, MIDDLE_RAY, N_BONES, N_JOINTS
from knuckle.track.skeleton import MEAN_LENGTHS_MM
from knuckle.views.looks import Looks
from knuckle.views.triangulation import Sight, meet

#: A ray that misses by more than this many expected errors counts less, the farther the less.
_HUBER = 1.5
#: A hand whose joints miss by more than this, half of them, is two hands, or of two instants.
_MOST_STRAIN = 4.0
#: Bones hold within so many mm; people's proportions, and their hands' size, within these shares.
_BONE_MM, _PROPORTIONS, SIZE_DOUBT = 1.0, 0.05, 0.08
_STEPS = 25
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


class Adjustment:
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
