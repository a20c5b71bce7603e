"""The Epipolar Transformer: features of one view helped by those of another.

He, Yan, Fragkiadaki, Yu 2020, "Epipolar Transformers" (arXiv 2005.04551). What a cell of the
reference map shows lies, in the source view, on a line. Along it the source map is sampled; each
sample counts as much as it is like the cell, and the sum is added to the cell. The two views need
to be calibrated; weights are shared, and gradients flow into both.

Two ways to place the samples. ``"line"`` is the paper's: the whole line, from border to border of
the source map. ``"depth"`` takes only what lies near the hand: with the hand's distance known to
some ten centimetres, an eighth of the samples is as fine.

Geometry comes as two small tensors a pair, so that a file for ONNX Runtime needs no inverse: a
point at depth d (mm) on the ray of the reference's cell (u, v) falls on the source's cell
``d * turn @ (u, v, 1) + shift``, in homogeneous coordinates. ``pair_geometry`` makes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from knuckle.errors import InputError

#: A point that is nearer to a camera has no image, mm.
_NEAREST_MM = 1.0
#: Lines that cut less than this of the map, in cells, do not cross it.
_LEAST_CUT = 1e-3
#: Stands for minus infinity where a sample does not count: what is left out must stay finite.
_NOT = -1e4


@dataclass(frozen=True)
class EpipolarSettings:
    """Settings of ``EpipolarTransformer``."""

    channels: int = 48  # of the feature maps
    samples: int = 64  # along each line
    #: "line" for the whole line, "depth" for what is within ``reach_mm`` of the hand; "none" for no
    #: fusion, to compare with.
    place: Literal["line", "depth", "none"] = "line"
    reach_mm: float = 150.0  # before and behind the hand's distance
    scale: float = 1 / 8  # of the dot product
    #: Also add the weighted sum itself, as the paper's released configuration does; without, the
    #: stage changes nothing before it has learnt.
    keep_sum: bool = True
    #: What makes a sample like the cell is learnt: a matrix between the two in place of the dot
    #: product. For features that stay as they are; the paper's learn themselves.
    learn_match: bool = False
    #: Look only from so many cells of a map, those that are most likely to hold a joint; 0 for all,
    #: as in the paper. The others hold next to nothing of any joint.
    cells: int = 0

    def __post_init__(self) -> None:
        if self.samples < 2 or self.channels < 1:
            raise InputError(
                f"expected 2 or more samples and 1 or more channels, got {self.samples} and "
                f"{self.channels}"
            )
        if self.cells < 0:
            raise InputError(f"cells must not be negative, got {self.cells}")
        if self.place not in ("line", "depth", "none"):
            raise InputError(f'place must be "line", "depth" or "none", got {self.place!r}')


def pair_geometry(
    rays_from_cells: np.ndarray, R: np.ndarray, t_mm: np.ndarray, source: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """``turn`` (..., V, S, 3, 3) and ``shift`` (..., V, S, 3) of views that look at others.

    ``rays_from_cells`` (..., V, 3, 3) lead from cells (u, v, 1) of each view's map to rays
    (x/z, y/z, 1) of its camera, which stands at ``R`` (..., V, 3, 3) and ``t_mm`` (..., V, 3) from
    the world; ``source`` (..., V, S) int are the views that each of them looks at.
    """
    cells_from_world = np.linalg.inv(rays_from_cells) @ R
    world_from_cells = np.swapaxes(R, -1, -2) @ rays_from_cells
    centre = -(np.swapaxes(R, -1, -2) @ t_mm[..., None])[..., 0]
    theirs = _of_views(cells_from_world, source)  # (..., V, S, 3, 3)
    turn = theirs @ world_from_cells[..., None, :, :]
    apart = centre[..., None, :] - _of_views(centre, source)
    return turn, (theirs @ apart[..., None])[..., 0]


def _of_views(values: np.ndarray, source: np.ndarray) -> np.ndarray:
    """(..., V, A) or (..., V, A, B) -> (..., V, S, A) or (..., V, S, A, B) of the sources."""
    lead = source.ndim - 2
    flat = values.reshape(-1, *values.shape[lead:])  # (N, V, ...)
    index = source.reshape(len(flat), -1)
    taken = flat[np.arange(len(flat))[:, None], index]
    return taken.reshape(*source.shape, *values.shape[lead + 1 :])


def samples_on_line(
    turn: Tensor, shift: Tensor, cells: Tensor, source_size: tuple[int, int], count: int
) -> tuple[Tensor, Tensor]:
    """Samples from where each cell's line enters the source map to where it leaves it.

    ``turn`` (N, 3, 3), ``shift`` (N, 3); cells (N or 1, P, 3) of the reference map, see
    ``cells_of``; (h, w) of the source map.

    Returns:
        (N, P, K, 2) x and y in cells of the source map, and (N, P) 1 where the line crosses it,
        else 0.
    """
    at_infinity = cells @ turn.transpose(1, 2)  # (N, P, 3): where the ray points to
    line = torch.linalg.cross(shift[:, None].expand_as(at_infinity), at_infinity)
    length = torch.linalg.norm(line[..., :2], dim=-1, keepdim=True).clamp_min(1e-12)
    a, b, c = (line / length).unbind(-1)  # a x + b y + c = 0, (a, b) of length 1
    # Along (-b, a) from the foot of the perpendicular of the corner cell; the map is a box.
    low, high = torch.full_like(a, -1e9), torch.full_like(a, 1e9)
    height, width = source_size
    for foot, along, end in ((-c * a, -b, width - 1.0), (-c * b, a, height - 1.0)):
        steep = torch.where(along.abs() > 1e-9, along, torch.full_like(along, 1e-9))
        first, last = -foot / steep, (end - foot) / steep
        low = torch.maximum(low, torch.minimum(first, last))
        high = torch.minimum(high, torch.maximum(first, last))
    crosses = (high - low > _LEAST_CUT).to(line.dtype)
    share = torch.linspace(0, 1, count, device=line.device, dtype=line.dtype)
    t = low[..., None] + (high - low)[..., None] * share  # (N, P, K)
    x = (-c * a)[..., None] - b[..., None] * t
    y = (-c * b)[..., None] + a[..., None] * t
    return torch.stack([x, y], dim=-1), crosses


def samples_near(
    turn: Tensor, shift: Tensor, cells: Tensor, depth: Tensor, reach_mm: float, count: int
) -> tuple[Tensor, Tensor]:
    """Samples of what lies on each cell's ray near a depth (N,), mm in the reference camera.

    Arguments as of ``samples_on_line``; so many mm before and behind it.

    Returns:
        as ``samples_on_line``, but the second is (N, P, K): 1 before the source camera.
    """
    at_infinity = cells @ turn.transpose(1, 2)  # (N, P, 3)
    share = torch.linspace(-1, 1, count, device=turn.device, dtype=turn.dtype)
    depths = (depth[:, None] + reach_mm * share).clamp_min(_NEAREST_MM)  # (N, K)
    points = at_infinity[:, :, None] * depths[:, None, :, None] + shift[:, None, None]
    z = points[..., 2:]
    before = (z[..., 0] > _NEAREST_MM).to(points.dtype)
    return points[..., :2] / z.clamp_min(_NEAREST_MM), before


def cells_of(size: tuple[int, int], like: Tensor) -> Tensor:
    """(1, H * W, 3) cells of a map as (x, y, 1), row by row."""
    height, width = size
    y, x = torch.meshgrid(
        torch.arange(height, device=like.device, dtype=like.dtype),
        torch.arange(width, device=like.device, dtype=like.dtype),
        indexing="ij",
    )
    return torch.stack([x, y, torch.ones_like(x)], dim=-1).reshape(1, -1, 3)


class EpipolarTransformer(nn.Module):
    """Adds to a view's features what another view shows of the same points."""

    def __init__(self, settings: EpipolarSettings) -> None:
        super().__init__()
        self.settings = settings
        self.match: nn.Module = nn.Identity()
        if settings.learn_match:
            # Of all samples of a line the same part of a sum drops out of the softmax: with its
            # bias, one matrix is as good as a projection of each side.
            matrix = nn.Conv2d(settings.channels, settings.channels, 1)
            assert matrix.bias is not None
            nn.init.eye_(matrix.weight.data[:, :, 0, 0])
            nn.init.zeros_(matrix.bias)
            self.match = matrix
        self.mix = nn.Conv2d(settings.channels, settings.channels, 1)
        self.norm = nn.BatchNorm2d(settings.channels)
        nn.init.zeros_(self.norm.weight)

    def forward(
        self,
        level: Tensor,
        source: Tensor,
        turn: Tensor,
        shift: Tensor,
        depth: Tensor,
        there: Tensor,
        likely: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Let every view of a hand look at others, each weighed cell by cell by its own trust.

        Args:
            level: (N, V, C, H, W) features of N hands in V views.
            source: (N, V, S) int64, the views that each view looks at.
            turn: (N, V, S, 3, 3) from the view to the one it looks at, see ``pair_geometry``.
            shift: (N, V, S, 3) likewise.
            depth: (N, V) of the hand in each view, mm; the whole line does not ask for it.
            there: (N, V, S) 1, or 0 for a view that does not show the hand.
            likely: (N, V, H, W) how likely each cell holds a joint, see ``cells`` of the settings.

        Returns:
            (N, V, C, H, W), and (N, V, H, W) the largest trust among the views looked at: how far
            one sample stands out among the others, 0..1.
        """
        n, v, s = source.shape
        channels, height, width = level.shape[2:]
        views = level.reshape(-1, channels, height, width)
        flat = views.flatten(2)  # (N V, C, H W)
        cells = cells_of((int(height), int(width)), level).expand(n * v, -1, -1)
        some = None
        if self.settings.cells:
            some = likely.reshape(-1, height * width).topk(self.settings.cells, dim=1).indices
            cells = cells.gather(1, some[..., None].expand(-1, -1, 3))
        mine = flat if some is None else flat.gather(2, some[:, None].expand(-1, channels, -1))
        first = v * torch.arange(n, device=source.device)[:, None, None]
        added, trust = self.look_up(
            mine.repeat_interleave(s, dim=0),
            cells.repeat_interleave(s, dim=0),
            views[(source + first).reshape(-1)],
            turn.reshape(-1, 3, 3),
            shift.reshape(-1, 3),
            depth[:, :, None].expand(n, v, s).reshape(-1),
        )
        trust = trust.reshape(-1, s, 1, trust.shape[1]) * there.reshape(-1, s, 1, 1)
        total = trust.sum(1)
        mean = (added.reshape(-1, s, channels, added.shape[2]) * trust).sum(1)
        mixed, trusted = self._mixed(mean / total.clamp_min(1e-6), total), trust.amax(1)[:, 0]
        if some is not None:
            index = some[:, None].expand(-1, channels, -1)
            mixed = torch.zeros_like(flat).scatter(2, index, mixed)
            trusted = torch.zeros_like(flat[:, 0]).scatter(1, some, trusted)
        return (flat + mixed).reshape(level.shape), trusted.reshape(n, v, height, width)

    def look_up(
        self,
        reference: Tensor,
        cells: Tensor,
        source: Tensor,
        turn: Tensor,
        shift: Tensor,
        depth: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """What cells (N or 1, P, 3), see ``cells_of``, with features (N, C, P) find on their lines.

        The source is (N, C, h, w), ``turn`` (N, 3, 3) and ``shift`` (N, 3) lead there; ``depth``
        (N,) is that of the hand in the reference, mm.

        Returns:
            (N, C, P) the weighted sums of their samples, and (N, P) their trust.
        """
        chosen = self.settings
        h, w = int(source.shape[2]), int(source.shape[3])
        if chosen.place == "line":
            at, there = samples_on_line(turn, shift, cells, (h, w), chosen.samples)
            there = there[..., None].expand(-1, -1, chosen.samples)
        else:
            at, there = samples_near(turn, shift, cells, depth, chosen.reach_mm, chosen.samples)
        x, y = at.unbind(-1)
        inside = (x >= -0.5) & (x <= w - 0.5) & (y >= -0.5) & (y <= h - 0.5)
        there = there * inside.to(there.dtype)  # (N, P, K)
        grid = torch.stack([2 * x / max(w - 1, 1) - 1, 2 * y / max(h - 1, 1) - 1], dim=-1)
        samples = F.grid_sample(
            source, grid, mode="bilinear", padding_mode="zeros", align_corners=True
        )  # (N, C, P, K)
        wanted = self.match(reference[..., None])  # (N, C, P, 1)
        likeness = (samples * wanted).sum(1) * chosen.scale  # (N, P, K)
        weight = torch.softmax(likeness + _NOT * (1 - there), dim=-1) * there
        return (samples * weight[:, None]).sum(-1), weight.amax(-1)

    def _mixed(self, added: Tensor, trust: Tensor) -> Tensor:
        """What is added to cells (N, C, P); nothing where no sample counts."""
        mixed = self.norm(self.mix(added[..., None]))[..., 0] * (trust > 0)
        return mixed + added if self.settings.keep_sum else mixed
