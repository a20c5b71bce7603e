"""Where the hand stands in the camera, in closed form.

A hand of known 3D shape and size is seen along known rays: that fixes its distance. After Iqbal et
al. 2018 ("Hand pose estimation via latent 2.5D heatmap regression"), who solve it from one bone;
here all 42 linear equations of the 21 joints take part, each as far as it can be trusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from knuckle.hand import N_JOINTS, Joint, hand_length
from knuckle.median import median

#: No joint is nearer to the camera than this.
MIN_DEPTH_MM = 20.0
#: No hand is farther: beyond it, it would be smaller than a pixel in any video.
MAX_DEPTH_MM = 50_000.0
#: Share of the lifter's error that lies across the line of sight; most lies along it. Measured.
_ACROSS = 0.5
#: A residual of so many standard deviations halves a joint's weight (Cauchy's weights).
_HALF_TRUST = 3.0
_STEPS = 3
#: Of N hands, x, y and z of the wrist, mm. For so few numbers Python is faster than NumPy.
Roots = list[tuple[float, float, float]]
#: (210,), (210,) all pairs of joints.
_PAIRS = np.triu_indices(N_JOINTS, 1)


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known about the joints of N hands before they are placed."""

    joints_root_mm: np.ndarray  # (N, 21, 3) relative to the wrist, axes of the camera frame
    #: (N, 21) their expected error per axis; across the line of sight it is smaller.
    sigma_mm: np.ndarray
    #: (N, 21, 2) directions (x/z, y/z) in the camera frame along which they are seen.
    rays: np.ndarray
    sigma_rays: np.ndarray  # (N, 21) expected error of the rays, per axis

    def __post_init__(self) -> None:
        n = self.joints_root_mm.shape[0]
        expected = {
            "joints_root_mm": (n, N_JOINTS, 3),
            "sigma_mm": (n, N_JOINTS),
            "rays": (n, N_JOINTS, 2),
            "sigma_rays": (n, N_JOINTS),
        }
        for name, shape in expected.items():
            got = getattr(self, name).shape
            if got != shape:
                raise ValueError(f"{name} must have shape {shape}, got {got}")

    @cached_property
    def variance_across_mm2(self) -> np.ndarray:
        """(N, 21) of the joints across the line of sight, relative to the hand as a whole.

        Relative to that, the wrist is no more certain than the other joints.
        """
        sigma = _ACROSS * np.maximum(self.sigma_mm.astype(np.float64), 1e-3)
        variance = sigma * sigma
        variance[:, Joint.WRIST] = variance[:, 1:].sum(axis=1) / (N_JOINTS - 1)
        return variance

    @cached_property
    def nearest_mm(self) -> np.ndarray:
        """(N,) the least depth of each wrist at which all joints are in front of the camera."""
        return MIN_DEPTH_MM - self.joints_root_mm[..., 2].min(axis=1)

    @cached_property
    def terms(self) -> np.ndarray:
        """(N, 10, 21) what each joint says of the wrist at t, see ``place``.

        Variance of its ray; u, v, a, b; 1, u² + v², u a + v b; then what makes its variance, with
        1 (and with it a² + b² of the squared residual) and with t_z, as the first does with t_z².
        All variances are times ``_HALF_TRUST``².
        """
        (x, y, z), (u, v) = self.joints_root_mm.T.swapaxes(1, 2), self.rays.T.swapaxes(1, 2)
        variance = (_HALF_TRUST * self.sigma_rays) ** 2
        a, b, leans = u * z - x, v * z - y, z * variance
        alone = z * leans + a * a + b * b + _HALF_TRUST**2 * self.variance_across_mm2
        one, square, product = np.ones_like(u), u * u + v * v, u * a + v * b
        rows = [variance, u, v, a, b, one, square, product, alone, 2 * leans]  # (N, 21) each
        return np.array(rows).swapaxes(0, 1)


def place(evidence: Evidence) -> np.ndarray:
    """The wrists' positions (N, 3) mm in the camera frame, all joints being in front of it.

    Joint j, at P_j from the wrist, is seen along the ray (u_j, v_j). With the wrist at t, its
    image obeys (P_jx + t_x) = u_j (P_jz + t_z), and the same for y and v; both are linear in t::

        t_x - u_j t_z = u_j P_jz - P_jx  =: a_j
        t_y - v_j t_z = v_j P_jz - P_jy  =: b_j

    Weighted least squares over all joints separates. With ~ for "less the weighted mean" and ¯ for
    the weighted mean::

        t_z = - Σ w (ũ ã + ṽ b̃) / Σ w (ũ² + ṽ²),   t_x = ā + ū t_z,   t_y = b̄ + v̄ t_z

    The residual of a joint is its depth times its error across the ray, in mm, so its variance is
    (depth · sigma_rays)² + (sigma_mm / 2)². Joints that disagree with the rest lose weight (Cauchy)
    in a few repetitions. As one wild keypoint can carry least squares away, they start from the
    median over all pairs of joints of t_z = -(Δa Δu + Δb Δv) / (Δu² + Δv²) (Theil and Sen): it
    stands even when every fourth keypoint is wrong.

    Where 2D and 3D contradict each other so much that the solution lies behind the camera, the
    depth is that of weak perspective: the ratio of the spreads of joints and rays.
    """
    roots = _median_solution(evidence)
    for _ in range(_STEPS):
        roots = _solve(evidence.terms, _in_front(roots, evidence))
    return np.array(_in_front(roots, evidence))


def place_together(
    evidence: Evidence, hands: Sequence[int], roots_mm: np.ndarray, behind_mm: float
) -> np.ndarray:
    """The wrists (2, 3) of two hands, of which it is known how far one is behind the other.

    With the second wrist ``behind_mm`` farther from the camera than the first, both hands tell one
    depth t_z: the sums in ``place`` that fix it run over the joints of both, the second hand's
    joints ``behind_mm`` deeper. Across, each hand follows its own rays.

    ``roots_mm`` (2, 3) are from ``place``; they stay where the solution would not be in front of
    the camera.
    """
    both = list(hands)
    terms, nearest = evidence.terms[both], evidence.nearest_mm[both].tolist()
    roots = roots_mm.tolist()
    for _ in range(_STEPS):
        # At first the hands disagree about the depth; each is judged by its own.
        roots = _solve(terms, roots, (0.0, behind_mm))
    return np.array(roots) if all(_are_in_front(roots, nearest)) else roots_mm


def fuse(evidence: Evidence, root_mm: np.ndarray) -> np.ndarray:
    """Joints (N, 21, 3) mm in the camera frame, each between its lifted place and its ray.

    Across the line of sight two things speak for a joint's place: the lifted shape, now placed,
    and the ray at the joint's depth. They are averaged by inverse variance, so a keypoint that is
    sure is reprojected closely and one that is hidden follows the rest of the hand. Along the line
    of sight only the lifter knows anything: depth is kept. A ray that contradicts the lifted place
    by many standard deviations is a mistaken keypoint; it loses weight as in ``place``.
    """
    placed = evidence.joints_root_mm + root_mm[:, None]
    gap = evidence.rays * placed[..., 2:] - placed[..., :2]
    lifted_variance = evidence.variance_across_mm2
    ray_variance = (evidence.sigma_rays * placed[..., 2]) ** 2
    doubt = (gap * gap).sum(axis=-1) / _HALF_TRUST**2
    share = lifted_variance / (lifted_variance + ray_variance + doubt)  # of the ray
    placed[..., :2] += share[..., None] * gap
    return placed


def with_hand_length(
    joints_root_mm: np.ndarray, sigma_mm: np.ndarray, length_mm: float
) -> tuple[np.ndarray, np.ndarray]:
    """The same shapes (N, 21, 3) and their expected errors (N, 21), scaled to a known length."""
    scale = length_mm / np.maximum(hand_length(joints_root_mm), 1e-6)
    return joints_root_mm * scale[:, None, None], sigma_mm * scale[:, None]


def _solve(terms: np.ndarray, roots: Roots, behind_mm: Sequence[float] | None = None) -> Roots:
    """The next solution in ``place`` after ``roots``, one for each of the terms.

    ``behind_mm`` is how much deeper than one common depth each is, if that is known.
    """
    # Variance (times _HALF_TRUST²) and squared residual of a joint are linear in its terms.
    known = [
        (z * z, -2 * x * z, -2 * y * z, -2 * x, -2 * y, x * x + y * y, z * z, 2 * z, 1.0, z)
        for x, y, z in roots
    ]
    weights = 1 / (np.array(known)[:, None] @ terms)  # (N, 1, 21)
    moments = (weights @ terms[:, 1:8].swapaxes(1, 2))[:, 0].tolist()
    spread, agreement, means = [], [], []
    for u, v, a, b, total, squares, products in moments:
        spread.append(max(squares - (u * u + v * v) / total, 1e-18))
        agreement.append(products - (u * a + v * b) / total)
        means.append((u / total, v / total, a / total, b / total))
    if behind_mm is None:
        depths = [-agreed / fixed for agreed, fixed in zip(agreement, spread, strict=True)]
    else:
        deeper = sum(fixed * more for fixed, more in zip(spread, behind_mm, strict=True))
        depths = [more - (sum(agreement) + deeper) / sum(spread) for more in behind_mm]
    return [(a + u * z, b + v * z, z) for (u, v, a, b), z in zip(means, depths, strict=True)]


def _median_solution(evidence: Evidence) -> Roots:
    """The solution in ``place`` by medians: unmoved by a few wild keypoints."""
    first, second = (evidence.terms[:, :5].take(joints, axis=2) for joints in _PAIRS)
    variance = first[:, 0] + second[:, 0]
    u, v, a, b = (first - second)[:, 1:].swapaxes(0, 1)  # (N, 210) each
    ray_gap2 = np.maximum(u * u + v * v, 1e-18)
    depths = -(u * a + v * b) / ray_gap2
    # Near pairs fix the depth badly, and so do unsure ones; a wild one must not look sure by far.
    reach2 = np.minimum(ray_gap2, median(ray_gap2, axis=1)[:, None])
    sureness = np.sqrt(reach2 / variance)
    return _at_depth(evidence, list(map(_weighted_median, depths, sureness)))


def _at_depth(evidence: Evidence, depths: Sequence[float]) -> Roots:
    """The wrists at given depths, by the median over the joints."""
    rays, offsets = evidence.terms[:, 1:3], evidence.terms[:, 3:5]
    places = median(offsets + rays * np.array(depths)[:, None, None], axis=2).tolist()
    return [(x, y, z) for (x, y), z in zip(places, depths, strict=True)]


def _in_front(roots: Roots, evidence: Evidence) -> Roots:
    """``roots``, but where one is behind the camera, or out of sight, that of weak perspective."""
    good = _are_in_front(roots, evidence.nearest_mm.tolist())
    if all(good):
        return roots
    depths = weak_perspective_depth(evidence.joints_root_mm, evidence.rays)
    seen = _at_depth(evidence, np.clip(depths, evidence.nearest_mm, MAX_DEPTH_MM).tolist())
    return [own if fine else other for own, fine, other in zip(roots, good, seen, strict=True)]


def _are_in_front(roots: Roots, nearest_mm: Sequence[float]) -> list[bool]:
    """Which hands are wholly before the camera, and in sight."""
    return [near <= z <= MAX_DEPTH_MM for near, (*_, z) in zip(nearest_mm, roots, strict=True)]


def weak_perspective_depth(joints: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """The depth (N,) at which joints (N, 21, 3) would spread as far as rays (N, 21, 2) do."""
    both = np.concatenate([joints[..., :2], rays], axis=-1)  # (N, 21, 4)
    off = both - both.sum(axis=1, keepdims=True) / N_JOINTS
    x, y, u, v = np.sqrt((off * off).sum(axis=1)).T
    return (x + y) / np.maximum(u + v, 1e-9)


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """That of (M,) values."""
    order = values.argsort()
    total = weights[order].cumsum()
    return float(values[order[total.searchsorted(total[-1] / 2)]])
