"""Where cameras stand, where joints are and how long bones are, all at once: least squares.

Seen from one direction, keypoints lie a little beside the joints, the same way in every look. What
that is for each camera is estimated as well, as a share of the hand's extent across and along its
palm: else thousands of keypoints would be as sure as if each were wrong by itself, and the shape of
a hand would count for more than its way through the room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from knuckle.hand import (
    BONES,
    KNUCKLES,
    MEAN_LENGTHS_MM,
    MIDDLE_RAY,
    N_BONES,
    N_JOINTS,
    Joint,
    bone_vectors,
)
from knuckle.pose.placement import MIN_DEPTH_MM
from knuckle.rigid import RigidTransform, crosses
from knuckle.views import huber
from knuckle.views.decisions import BY_HANDS, VARIETY
from knuckle.views.looks import Looks
from knuckle.views.motions import pose_errors, small
from knuckle.views.triangulation import Sight, meet
from knuckle.views.variety import variety


@dataclass(frozen=True, eq=False)
class Shape:
    """One hand at one instant, as several cameras see it."""

    looks: Looks  # of one instant
    members: tuple[int, ...]  # indices into these, one a camera

    @property
    def cameras(self) -> np.ndarray:
        """Indices of the cameras, in the order of ``members``."""
        return self.looks.camera[list(self.members)]

    @property
    def rays(self) -> dict[int, np.ndarray]:
        """(21, 2) to its joints, by the index of the camera."""
        members = zip(self.cameras.tolist(), self.members, strict=True)
        return {camera: self.looks.rays[i] for camera, i in members}


@dataclass(eq=False)
class _Group:
    """S hands that the same C cameras see."""

    rows: np.ndarray  # (C,) of the cameras among the poses
    numbers: np.ndarray  # (S,) of the hands
    rays: np.ndarray  # (S, C, 21, 2)
    sigma: np.ndarray  # (S, C, 21); infinite where there is no ray
    #: (S, C, 2, 2) from shares of the hand's extent, across and along the palm, to rays.
    upright: np.ndarray
    joints: np.ndarray  # (S, 21, 3) in the world, as they are now

    def take(self, hands: np.ndarray) -> _Group:
        """Some of the hands."""
        of_hands = (self.numbers, self.rays, self.sigma, self.upright, self.joints)
        return _Group(self.rows, *(values[hands] for values in of_hands))


#: What a group adds to the normal equations: joints (S, 63, 63), between joints and the shared
#: unknowns (S, 63, n), gradient of the joints (S, 63).
_Part = tuple[np.ndarray, np.ndarray, np.ndarray]


class Adjustment:
    """Poses, joints, bones and what keypoints lie beside joints, by Levenberg and Marquardt.

    The joints of each hand touch no other hand's: they are eliminated (Schur complement), and what
    is solved for at once is as large as poses and bones.
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
        self.shapes = list(shapes)  # the hands that count
        self.poses = list(poses)  # ``T_camera_from_world``
        self._usual = MEAN_LENGTHS_MM * (length_mm / MEAN_LENGTHS_MM[MIDDLE_RAY].sum())
        self.lengths = self._usual.copy()  # (20,) mm
        self._size_doubt = size_doubt
        self._n_poses = 6 * (len(self.poses) - 1)  # unknowns of the poses; the first is fixed
        self._offsets = np.zeros((len(self.poses), N_JOINTS, 2))
        # As shares of the bones: in millimetres, a smaller world would always fit better.
        self._bone = BY_HANDS.bone_mm / self._usual
        row = {c: row for row, c in enumerate(cameras or range(len(poses)))}
        alike: dict[tuple[int, ...], list[int]] = {}
        for number, shape in enumerate(self.shapes):
            alike.setdefault(tuple(shape.cameras.tolist()), []).append(number)
        self._groups = [
            self._group(np.array([row[c] for c in cameras_of]), np.array(numbers))
            for cameras_of, numbers in alike.items()
        ]

    def _group(self, rows: np.ndarray, numbers: np.ndarray) -> _Group:
        """The hands of some numbers, where their rays meet."""
        some = [self.shapes[i] for i in numbers]
        sight = Sight.of(
            [self.poses[row] for row in rows],
            np.stack([s.looks.rays[list(s.members)] for s in some], axis=1),
            np.stack([s.looks.sigma[list(s.members)] for s in some], axis=1),
        )
        rays, sigma = np.moveaxis(sight.rays, 1, 0), np.moveaxis(sight.sigma, 1, 0)
        left = np.array([s.looks.right[list(s.members)] < 0.5 for s in some])
        side_by_side = replace(sight, R=sight.R[:, None], t_mm=sight.t_mm[:, None])
        return _Group(rows, numbers, rays, sigma, _upright(rays, left), meet(side_by_side).mm)

    def solve(self) -> float:
        """Go down until it is flat; returns what is left."""
        damping, cost = 1e-3, self._cost()
        for _ in range(BY_HANDS.steps):
            joints = [group.joints for group in self._groups]
            before = self.poses, self.lengths, self._offsets
            self._move(damping)
            after = self._cost()
            if after < cost:
                flat = cost - after < 1e-4 * cost
                damping, cost = max(damping / 5, 1e-7), after
                if flat:
                    break
                continue
            self.poses, self.lengths, self._offsets = before
            for group, x in zip(self._groups, joints, strict=True):
                group.joints = x
            damping *= 8
            if damping > 1e6:
                break
        return cost

    def drop_wrong(self) -> bool:
        """Forget hands that do not fit; whether there were any."""
        fits = [self._strains(group) < BY_HANDS.most_strain for group in self._groups]
        kept = [g.take(good) for g, good in zip(self._groups, fits, strict=True) if good.any()]
        numbers = sorted(int(i) for group in kept for i in group.numbers)
        renumbered = {old: new for new, old in enumerate(numbers)}
        for group in kept:
            group.numbers = np.array([renumbered[int(i)] for i in group.numbers])
        self._groups, self.shapes = kept, [self.shapes[i] for i in numbers]
        return not all(good.all() for good in fits)

    def strangers(self) -> list[int]:
        """Cameras, by their rows, that do not fit: they see other hands than the others do."""
        beside = np.sqrt((self._offsets**2).mean(axis=(1, 2)))
        return np.flatnonzero(beside > BY_HANDS.most_bias).tolist()

    def miss(self, focal: np.ndarray) -> float:
        """Median distance of a keypoint from its joint's image, px of the straight picture.

        The cameras' focal lengths are (V,) px.
        """
        off = [
            (self._misses(group) * focal[group.rows][None, :, None])[np.isfinite(group.sigma)]
            for group in self._groups
        ]
        return float(np.median(np.concatenate(off)))

    def variety(self) -> int:
        """How many of the hands that count differ from each other."""
        return variety([shape.rays for shape in self.shapes])

    def pose_errors(self) -> tuple[np.ndarray, np.ndarray]:
        """(V,) degrees and (V,) mm that the poses may be off, at this scale."""
        S, _, _ = self._reduced(0.0, known_size=True)
        strains = np.concatenate([self._strains(group) for group in self._groups])
        doubt = BY_HANDS.variance_factor * max(float(np.mean(strains**2)), 1.0)
        doubt *= max(VARIETY.enough / max(self.variety(), 1), 1.0)
        turn, shift = pose_errors(np.linalg.inv(S)[: self._n_poses, : self._n_poses] * doubt)
        return np.append(0.0, turn), np.append(0.0, shift)

    def _seen(self, group: _Group) -> np.ndarray:
        """(S, C, 21, 3) the joints in each camera."""
        R = np.stack([self.poses[row].rotation for row in group.rows])
        t = np.stack([self.poses[row].translation_mm for row in group.rows])
        return group.joints[:, None] @ np.swapaxes(R, 1, 2) + t[:, None]

    def _misses(self, group: _Group) -> np.ndarray:
        """(S, C, 21) how far rays are off the joints; NaN behind a camera."""
        seen = self._seen(group)
        z = np.where(seen[..., 2] > MIN_DEPTH_MM, seen[..., 2], np.nan)
        return np.linalg.norm(seen[..., :2] / z[..., None] - self._rays(group), axis=-1)

    def _rays(self, group: _Group) -> np.ndarray:
        """(S, C, 21, 2) to the joints, by the keypoints that lie beside them."""
        beside = self._offsets[group.rows] @ np.swapaxes(group.upright, -1, -2)
        return group.rays - beside

    def _strains(self, group: _Group) -> np.ndarray:
        """(S,) by how many expected errors half of a hand's rays miss at most."""
        missed = np.nan_to_num(self._misses(group) / group.sigma, nan=99.0)
        return np.median(missed.reshape(len(missed), -1), axis=1)

    def _cost(self) -> float:
        total = 0.0
        for group in self._groups:
            r = np.nan_to_num(self._misses(group) / group.sigma, nan=1e3)
            total += huber.cost(r, BY_HANDS.huber)
            length = np.linalg.norm(bone_vectors(group.joints), axis=-1)
            off = np.log(np.maximum(length, 1e-6) / self.lengths) / self._bone
            total += float((off**2).sum())
        _, _, residual = self._prior()
        return (
            total + float((residual**2).sum()) + float((self._offsets**2).sum()) / BY_HANDS.bias**2
        )

    def _prior(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What is known of people: (20, 20) and (20,) normal parts, and the residuals."""
        logs = np.log(self.lengths / self._usual)
        ray = np.zeros(N_BONES)
        ray[MIDDLE_RAY] = self.lengths[MIDDLE_RAY] / self.lengths[MIDDLE_RAY].sum()
        size = float(np.log(self.lengths[MIDDLE_RAY].sum() / self._usual[MIDDLE_RAY].sum()))
        J = np.concatenate(
            [(np.eye(N_BONES) - 1 / N_BONES) / BY_HANDS.proportions, ray[None] / self._size_doubt]
        )
        r = np.append((logs - logs.mean()) / BY_HANDS.proportions, size / self._size_doubt)
        return J.T @ J, -J.T @ r, r

    def _part(self, group: _Group, H: np.ndarray, g: np.ndarray) -> _Part:
        """A group's share of the normal equations; what is shared is added to ``H`` and ``g``."""
        n, count = len(g), len(group.joints)
        seen = self._seen(group)
        z = np.maximum(seen[..., 2], MIN_DEPTH_MM)
        rays = seen[..., :2] / z[..., None]
        r = (rays - self._rays(group)) / group.sigma[..., None]
        size = np.linalg.norm(r, axis=-1)
        weight = huber.weight(size, BY_HANDS.huber)
        r = r * weight[..., None]
        J_c = np.zeros((*rays.shape, 3))  # (S, C, 21, 2, 3)
        J_c[..., 0, 0] = J_c[..., 1, 1] = 1
        J_c[..., 2] = -rays
        J_c *= (weight / (z * group.sigma))[..., None, None]
        R = np.stack([self.poses[row].rotation for row in group.rows])
        J_x = J_c @ R[:, None]
        own = (np.swapaxes(J_x, -1, -2) @ J_x).sum(axis=1)  # (S, 21, 3, 3)
        g_x = -(np.swapaxes(J_x, -1, -2) @ r[..., None])[..., 0].sum(axis=1).reshape(count, 63)
        H_xs = np.zeros((count, 63, n))
        J_o = group.upright[:, :, None] * (weight / group.sigma)[..., None, None]  # (…, 2, 2)
        joints = np.arange(63).reshape(N_JOINTS, 3)
        for at, row in enumerate(group.rows.tolist()):
            # (21, 2) where the camera's offsets stand among the shared unknowns.
            first = self._n_poses + N_BONES + 2 * N_JOINTS * row
            offsets = first + np.arange(2 * N_JOINTS).reshape(N_JOINTS, 2)
            turned = np.swapaxes(J_o[:, at], -1, -2)  # (S, 21, 2, 2)
            between = np.swapaxes(J_x[:, at], -1, -2) @ J_o[:, at]  # (S, 21, 3, 2)
            H_xs[:, joints[:, :, None], offsets[:, None]] += between
            H[offsets[:, :, None], offsets[:, None]] += (turned @ J_o[:, at]).sum(axis=0)
            g[offsets] -= (turned @ r[:, at, :, :, None])[..., 0].sum(axis=0)
            if not row:
                continue
            J_p = np.concatenate([-J_c[:, at] @ crosses(seen[:, at]), J_c[:, at]], axis=-1)
            block = slice(6 * (row - 1), 6 * row)
            between = np.swapaxes(J_x[:, at], -1, -2) @ J_p  # (S, 21, 3, 6)
            H_xs[:, :, block] += between.reshape(count, 63, 6)
            flat = J_p.reshape(-1, 6)
            H[block, block] += flat.T @ flat
            g[block] -= flat.T @ r[:, at].ravel()
            shared = (turned @ J_p).sum(axis=0).reshape(-1, 6)  # (42, 6)
            H[offsets.ravel(), block] += shared
            H[block, offsets.ravel()] += shared.T
        bone = bone_vectors(group.joints)
        length = np.maximum(np.linalg.norm(bone, axis=-1), 1e-6)  # (S, 20)
        along = bone / (length**2 * self._bone)[..., None]
        of_ends = np.zeros((count, N_BONES, N_JOINTS, 3))
        of_ends[:, np.arange(N_BONES), BONES[:, 1]] = along
        of_ends[:, np.arange(N_BONES), BONES[:, 0]] -= along
        J_b = of_ends.reshape(count, N_BONES, 63)
        off = np.log(length / self.lengths) / self._bone
        H_xx = np.swapaxes(J_b, 1, 2) @ J_b
        of_joints = np.arange(N_JOINTS)
        H_xx.reshape(count, N_JOINTS, 3, N_JOINTS, 3)[:, of_joints, :, of_joints, :] += np.moveaxis(
            own, 1, 0
        )
        bones = slice(self._n_poses, self._n_poses + N_BONES)
        H_xs[:, :, bones] -= np.swapaxes(J_b, 1, 2) / self._bone
        H[bones, bones] += count * np.diag(self._bone**-2)
        g[bones] += (off / self._bone).sum(axis=0)
        g_x -= (np.swapaxes(J_b, 1, 2) @ off[..., None])[..., 0]
        return H_xx, H_xs, g_x

    def _reduced(
        self, damping: float, known_size: bool = False
    ) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """The normal equations of poses and bones alone, and (S, 63, n + 1) what gives hands back.

        The last column is each hand's own step, the others what it gives way to the shared ones.
        """
        n = self._n_poses + N_BONES + self._offsets.size  # unknowns that all hands share
        H, g = np.zeros((n, n)), np.zeros(n)
        parts = [self._part(group, H, g) for group in self._groups]
        S, back = H.copy(), []
        for H_xx, H_xs, g_x in parts:
            lift = damping * np.diagonal(H_xx, axis1=1, axis2=2) + 1e-9
            lifted = H_xx + lift[:, :, None] * np.eye(63)
            solved = np.linalg.solve(lifted, np.concatenate([H_xs, g_x[..., None]], axis=2))
            flat = H_xs.reshape(-1, n).T
            S -= flat @ solved[:, :, :-1].reshape(-1, n)
            g -= flat @ solved[:, :, -1].ravel()
            back.append(solved)
        bones = slice(self._n_poses, self._n_poses + N_BONES)
        prior, slope, _ = self._prior()
        S[bones, bones] += prior + (1e4 * np.eye(N_BONES) if known_size else 0)
        g[bones] += slope
        offsets = np.arange(self._n_poses + N_BONES, n)
        S[offsets, offsets] += BY_HANDS.bias**-2
        g[offsets] -= self._offsets.ravel() / BY_HANDS.bias**2
        S += np.diag(damping * np.diag(S) + 1e-9)
        return S, g, back

    def _move(self, damping: float) -> None:
        """Take one step."""
        S, g, back = self._reduced(damping)
        step = np.linalg.solve(S, g)
        poses = [self.poses[0]]
        for v in range(1, len(self.poses)):
            poses.append(small(step[6 * (v - 1) : 6 * v]) @ self.poses[v])
        self.poses = poses
        bones, offsets = np.split(step[self._n_poses :], [N_BONES])
        self.lengths = self.lengths * np.exp(np.clip(bones, -0.2, 0.2))
        self._offsets = self._offsets + offsets.reshape(self._offsets.shape)
        for group, solved in zip(self._groups, back, strict=True):
            own = solved[:, :, -1] - solved[:, :, :-1] @ step
            group.joints = group.joints + own.reshape(-1, N_JOINTS, 3)


def _upright(rays: np.ndarray, left: np.ndarray) -> np.ndarray:
    """(S, C, 2, 2) of hands (S, C, 21, 2) that are left ones or not: (S, C)."""
    palm = rays[..., KNUCKLES, :].mean(axis=-2) - rays[..., Joint.WRIST, :]
    along = palm / np.maximum(np.linalg.norm(palm, axis=-1, keepdims=True), 1e-9)
    across = np.stack([-along[..., 1], along[..., 0]], axis=-1) * np.where(left, -1, 1)[..., None]
    extent = np.ptp(rays, axis=-2).max(axis=-1)
    return extent[..., None, None] * np.stack([across, along], axis=-1)
