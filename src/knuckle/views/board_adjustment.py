"""Where cameras stand and where a board was before them, all at once: least squares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from knuckle.errors import InputError
from knuckle.rigid import RigidTransform, crosses
from knuckle.views import huber
from knuckle.views.decisions import BY_BOARDS
from knuckle.views.motions import pose_errors, small


@dataclass(frozen=True, eq=False)
class Look:
    """What one camera sees of the board at one instant."""

    camera: int  # its number
    points_mm: np.ndarray  # (N, 3) on the board
    rays: np.ndarray  # (N, 2) x/z, y/z
    T_camera_from_board: RigidTransform  # as the look alone says


@dataclass
class BoardAdjustment:
    """Poses of cameras and of the board together, by Levenberg and Marquardt.

    No shot of the board touches another's pose: they are eliminated (Schur complement).
    """

    shots: list[list[Look]]
    poses: list[RigidTransform]
    focal: np.ndarray
    boards: list[RigidTransform] = field(init=False)

    def __post_init__(self) -> None:
        self.shots = [list(looks) for looks in self.shots]
        self.boards = [self._board_of(looks) for looks in self.shots]

    def _board_of(self, looks: Sequence[Look]) -> RigidTransform:
        """``T_world_from_board`` of the look that the others agree with."""
        said = [self.poses[look.camera].inverse() @ look.T_camera_from_board for look in looks]
        return min(
            said,
            key=lambda T: sum(float(np.minimum(self._off(look, T), 50).sum()) for look in looks),
        )

    def _off(self, look: Look, board: RigidTransform) -> np.ndarray:
        """(N,) px."""
        seen = (self.poses[look.camera] @ board)(look.points_mm)
        rays = seen[:, :2] / np.maximum(seen[:, 2:], 1.0)
        return np.linalg.norm(rays - look.rays, axis=1) * self.focal[look.camera]

    def misses(self) -> list[tuple[int, Look, np.ndarray]]:
        """Of each look the shot's number and (N,) px."""
        return [
            (s, look, self._off(look, self.boards[s]))
            for s, looks in enumerate(self.shots)
            for look in looks
        ]

    def cost(self) -> float:
        """Huber's, px²."""
        r = np.concatenate([off for _, _, off in self.misses()])
        return huber.cost(r, BY_BOARDS.huber_px)

    def drop_wrong(self) -> None:
        """Leave out looks that do not fit, and shots that are then seen once."""
        good: list[list[Look]] = [[] for _ in self.shots]
        for s, look, off in self.misses():
            if np.median(off) < BY_BOARDS.wrong_px:
                good[s].append(look)
        kept = [
            (looks, board) for looks, board in zip(good, self.boards, strict=True) if len(looks) > 1
        ]
        if not kept:
            raise InputError(
                "what the cameras see of the board contradicts itself: are the videos of one "
                "instant (leave --together out), the lenses right (--intrinsics), and is the board "
                "flat and the one described?"
            )
        self.shots, self.boards = [list(x) for x in zip(*kept, strict=True)]

    def solve(self) -> None:
        """Go down until it is flat."""
        damping, cost = 1e-3, self.cost()
        for _ in range(BY_BOARDS.steps):
            before = self.poses, self.boards
            self.poses, self.boards = self._moved(damping)
            after = self.cost()
            if after < cost:
                flat = cost - after < 1e-6 * cost
                damping, cost = max(damping / 5, 1e-9), after
                if flat:
                    break
            else:
                self.poses, self.boards = before
                damping *= 8

    def _normals(self) -> tuple[np.ndarray, np.ndarray, list[tuple[np.ndarray, ...]]]:
        """(6 V, 6 V) and (6 V,) of the cameras, and of each shot what belongs to the board."""
        n = 6 * len(self.poses)
        H, g = np.zeros((n, n)), np.zeros(n)
        shots: list[tuple[np.ndarray, ...]] = []
        for looks, board in zip(self.shots, self.boards, strict=True):
            H_bb, H_bc, g_b = np.zeros((6, 6)), np.zeros((6, n)), np.zeros(6)
            for look in looks:
                block = slice(6 * look.camera, 6 * look.camera + 6)
                r, J_c, J_b = self._rows(look, board)
                H[block, block] += J_c.T @ J_c
                g[block] -= J_c.T @ r
                H_bb += J_b.T @ J_b
                H_bc[:, block] += J_b.T @ J_c
                g_b -= J_b.T @ r
            shots.append((H_bb, H_bc, g_b))
        return H, g, shots

    def _rows(self, look: Look, board: RigidTransform) -> tuple[np.ndarray, ...]:
        """Residuals (2 N,), and their slopes by the camera's and by the board's small motions."""
        pose, world = self.poses[look.camera], board(look.points_mm)
        seen = pose(world)
        z = np.maximum(seen[:, 2:], 1.0)
        rays = seen[:, :2] / z
        off = (rays - look.rays) * self.focal[look.camera]
        size = np.linalg.norm(off, axis=1)
        weight = huber.weight(size, BY_BOARDS.huber_px)
        J = np.zeros((len(world), 2, 3))
        J[:, 0, 0] = J[:, 1, 1] = 1
        J[:, :, 2] = -rays
        J *= (weight * self.focal[look.camera] / z[:, 0])[:, None, None]
        J_c = np.concatenate([-J @ crosses(seen), J], axis=2)
        J_w = J @ pose.rotation
        J_b = np.concatenate([-J_w @ crosses(world), J_w], axis=2)
        return (off * weight[:, None]).ravel(), J_c.reshape(-1, 6), J_b.reshape(-1, 6)

    def _reduced(self, damping: float) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """The cameras' normal equations, the first one's left out; what gives each board back."""
        H, g, shots = self._normals()
        back = []
        for H_bb, H_bc, g_b in shots:
            lifted = H_bb + np.diag(damping * np.diag(H_bb) + 1e-9)
            solved = np.linalg.solve(lifted, np.concatenate([H_bc, g_b[:, None]], axis=1))
            H -= H_bc.T @ solved[:, :-1]
            g -= H_bc.T @ solved[:, -1]
            back.append(solved)
        H += np.diag(damping * np.abs(np.diag(H)) + 1e-9)
        return H[6:, 6:], g[6:], back

    def _moved(self, damping: float) -> tuple[list[RigidTransform], list[RigidTransform]]:
        H, g, back = self._reduced(damping)
        step = np.append(np.zeros(6), np.linalg.solve(H, g))
        poses = [small(step[6 * v : 6 * v + 6]) @ T for v, T in enumerate(self.poses)]
        boards = [
            small(solved[:, -1] - solved[:, :-1] @ step) @ T
            for solved, T in zip(back, self.boards, strict=True)
        ]
        return poses, boards

    def pose_errors(self) -> tuple[np.ndarray, np.ndarray]:
        """(V,) degrees and (V,) mm that the poses may be off."""
        H, _, _ = self._reduced(0.0)
        r = np.concatenate([off for _, _, off in self.misses()])
        doubt = BY_BOARDS.variance_factor * max(float(np.median(r)) ** 2, 1e-4)
        turn, shift = pose_errors(np.linalg.inv(H) * doubt)
        return np.append(0.0, turn), np.append(0.0, shift)
