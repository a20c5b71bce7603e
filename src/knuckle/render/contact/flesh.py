"""The flesh of the mean hand as balls that fill its mesh, and how they follow its shape."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from knuckle.render.hand_model import HandModel
from knuckle.render.raster import vertex_normals

#: Smallest ball, and how far the skin may lie from the nearest ball (mm).
_SMALLEST_MM, _COVERED_MM = 3.5, 1.5


@dataclass(frozen=True, eq=False)
class Flesh:
    """A hand's balls, as linear functions of its shape."""

    #: ``centre_mm``, ``centre_basis_mm``: (K, 3) and (S, K, 3), in the flat right hand's frame.
    centre_mm: np.ndarray
    centre_basis_mm: np.ndarray
    #: ``radius_mm``, ``radius_basis_mm``: (K,) and (S, K).
    radius_mm: np.ndarray
    radius_basis_mm: np.ndarray
    weight: np.ndarray  # (K, 19) skinning weights
    bone: np.ndarray  # (K,) the bone that moves a ball most; balls are in the order of their bones

    @classmethod
    def load(cls) -> Flesh:
        """The balls of the hand that ships (computed once)."""
        return _flesh()

    def rest(self, shape: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Centres (N, K, 3) and radii (N, K) in flat right hands of the given shapes, mm."""
        basis = self.centre_basis_mm.reshape(len(self.centre_basis_mm), -1)
        centres = self.centre_mm + (shape @ basis).reshape(-1, *self.centre_mm.shape)
        return centres, self.radius_mm + shape @ self.radius_basis_mm


@cache
def _flesh() -> Flesh:
    model = HandModel.load()
    skin = model.vertices_mm.astype(np.float64)
    centres, radii = _medial_balls(skin, vertex_normals(model.vertices_mm, model.faces))
    distance = np.linalg.norm(skin[:, None] - centres, axis=2)  # (V, candidates)
    chosen = _cover(np.abs(distance - radii) < _COVERED_MM, radii >= _SMALLEST_MM)
    touching = np.abs(distance[:, chosen] - radii[chosen]) < _COVERED_MM
    share = (touching / touching.sum(axis=0)).T  # (K, V)
    weight = share @ model.dense_weights
    order = np.argsort(weight.argmax(axis=1), kind="stable")
    chosen, share, weight = chosen[order], share[order], weight[order]
    basis = model.shape_basis_mm
    centre_basis = share @ basis  # (S, K, 3)
    outward = skin - centres[chosen][:, None]  # (K, V, 3)
    outward *= (share / np.linalg.norm(outward, axis=2))[..., None]
    swell = basis.reshape(len(basis), -1) @ outward.reshape(len(outward), -1).T
    swell -= np.einsum("ki,ski->sk", outward.sum(axis=1), centre_basis)
    # The balls touch the skin from inside: on average it lies half of what is allowed further out.
    radius = radii[chosen] + _COVERED_MM / 2
    return Flesh(
        centre_mm=centres[chosen].astype(np.float32),
        centre_basis_mm=centre_basis.astype(np.float32),
        radius_mm=radius.astype(np.float32),
        radius_basis_mm=swell.astype(np.float32),
        weight=weight.astype(np.float32),
        bone=weight.argmax(axis=1),
    )


def _medial_balls(skin: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each vertex the largest ball inside that touches it: centres (V, 3), radii (V,)."""
    away = skin[None] - skin[:, None]
    inward = -np.einsum("pqi,pi->pq", away, normals.astype(np.float64))
    # A ball through p with its centre on the normal, and through q, has this radius.
    with np.errstate(divide="ignore", invalid="ignore"):
        radius = np.where(inward > 1e-3, (away**2).sum(-1) / (2 * inward), np.inf)
    radii = radius.min(axis=1)
    return skin - normals * radii[:, None], radii


def _cover(covered: np.ndarray, allowed: np.ndarray, enough: float = 0.97) -> np.ndarray:
    """Greedy set cover: columns of ``covered`` (V, C) until a share of the rows has one."""
    covered = covered & allowed
    left, chosen = covered.any(axis=1), []
    target = (1 - enough) * left.sum()
    while left.sum() > target:
        chosen.append(int(covered[left].sum(axis=0).argmax()))
        left &= ~covered[:, chosen[-1]]
    return np.array(chosen)
