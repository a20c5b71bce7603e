"""What networks of both hands say, in the camera frame: decoding, and the wrists' own depth.

Both networks say joints from each hand's own wrist. Where a wrist is must come from elsewhere: from
the truth, or from our own placement. InterNet's answer is 2.5D, and needs it even for the shape of
a hand; the paper leaves it to a network of its own, RootNet.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from knuckle.hand import MIDDLE_RAY, SIDES, Joint
from knuckle.models.both import BothOutput
from knuckle.models.internet import InterNetOutput, InterNetSettings, decoded, depth_of, joints_of
from knuckle.models.pair import place
from knuckle.render.hand_model import MEAN_HAND_LENGTH_MM
from knuckle.train.losses import bones_of, ray_sigma
from knuckle.train.modules import Batch

Decoding = Literal["argmax", "soft"]
RootDepth = Literal["true", "own"]

_LEFT, _RIGHT = SIDES.index("left"), SIDES.index("right")
#: Distances between which hands are looked for, mm.
_NEAREST_MM, _FARTHEST_MM = 100.0, 5000.0
_ROUNDS = 20


class Answers(NamedTuple):
    """What is said about N crops, in the frame and the camera frame."""

    joints_px: Tensor  # (N, 2, 21, 2) frame px
    joints_mm: Tensor  # (N, 2, 21, 3) camera frame
    there: Tensor  # (N, 2) probability
    #: (N, 2, 21, 3) from each hand's own wrist; None: as ``joints_mm`` have them.
    relative_mm: Tensor | None = None


def internet_answers(
    out: InterNetOutput,
    batch: Batch,
    settings: InterNetSettings,
    decoding: Decoding,
    root_depth: RootDepth,
) -> Answers:
    """InterNet's joints, decoded from its volumes and put at the wrists' depths."""
    # Picture by picture: what decoding needs beside the volumes is as large as they are.
    cells = torch.stack([decoded(volumes, settings, decoding) for volumes in out.volumes])
    in_crop, depth_mm = joints_of(cells, settings)
    root_mm = depth_of(out.root_cells, settings)
    return decoded_answers(in_crop, depth_mm, root_mm, out.there_logit, batch, root_depth)


def decoded_answers(
    in_crop: Tensor,
    depth_mm: Tensor,
    root_mm: Tensor,
    there_logit: Tensor,
    batch: Batch,
    root_depth: RootDepth,
) -> Answers:
    """InterNet's decoded joints, unprojected at the wrists' depths.

    With the root depth "true", as in the official code: where the left wrist is from the right one
    is what the network says, but the shape of each hand is unprojected at its own true depth.

    Joints (N, 2, 21, 2) crop px; ``depth_mm`` (N, 2, 21) along the camera's axis, of which only
    differences from the wrist count; ``root_mm`` (N,) the left wrist's from the right one's.
    """
    joints_px, there = to_frame(in_crop, batch), there_logit.sigmoid()
    rays, depth_mm = rays_of(joints_px, batch), depth_mm - depth_mm[..., :1]
    if root_depth == "own":
        depths = own_depths(rays, depth_mm, root_mm, there_logit)
        return Answers(joints_px, _along(rays, depth_mm + depths[..., None]), there)
    true = batch["roots_mm"][..., 2]
    depths = told_depths(true, root_mm)
    alone = _along(rays, depth_mm + torch.where(true > 0, true, depths)[..., None])
    joints_mm = _along(rays, depth_mm + depths[..., None])
    return Answers(joints_px, joints_mm, there, alone - alone[:, :, :1])


def both_answers(out: BothOutput, batch: Batch, root_depth: RootDepth) -> Answers:
    """Our joints, put where their keypoints were seen and turned to the camera's axes."""
    sigma = ray_sigma(out.log_sigma_px, batch)
    turn = batch["camera_from_view"]
    if root_depth == "true":
        ahead = torch.cat([out.rays[:, :, 0], torch.ones_like(out.rays[:, :, 0, :1])], dim=-1)
        per_depth = (ahead * turn[:, None, 2]).sum(dim=-1)  # camera depth of depth 1 in the view
        depths = told_depths(batch["roots_mm"][..., 2] / per_depth, out.root_mm)
    else:
        alone = place(out.joints_mm, out.log_sigma_mm.exp(), out.rays, sigma)[..., 2]
        depths = agreed_depths(alone, out.root_mm, out.there_logit)
    roots = _across(out.joints_mm, out.rays, sigma, depths)
    joints = (out.joints_mm + roots[:, :, None]) @ turn.transpose(1, 2)[:, None]
    return Answers(to_frame(out.keypoints_px, batch), joints, out.there_logit.sigmoid())


def told_depths(true: Tensor, root_mm: Tensor) -> Tensor:
    """(N, 2) depths of the wrists: the right one's, or a lone left one's, is the truth.

    The other follows by what the network said of it.

    ``true`` is 0 where there is no hand; ``root_mm`` (N,) is the left wrist's depth from the right
    one's.
    """
    right = true[:, _RIGHT]
    left = torch.where(right > 0, right + root_mm, true[:, _LEFT])
    right = torch.where(right > 0, right, left - root_mm)
    return torch.stack([left, right], dim=1).clamp(_NEAREST_MM, _FARTHEST_MM)


def agreed_depths(depths: Tensor, root_mm: Tensor, there_logit: Tensor) -> Tensor:
    """(N, 2) own depths that lie as far apart as the network says, where it sees two hands."""
    there = there_logit.sigmoid()
    share = there / there.sum(dim=1, keepdim=True).clamp(min=1e-6)
    right = share[:, _RIGHT] * depths[:, _RIGHT] + share[:, _LEFT] * (depths[:, _LEFT] - root_mm)
    return torch.stack([right + root_mm, right], dim=1).clamp(_NEAREST_MM, _FARTHEST_MM)


def own_depths(rays: Tensor, depth_mm: Tensor, root_mm: Tensor, there_logit: Tensor) -> Tensor:
    """(N, 2) depths at which each hand is as long as people's hands are.

    Rays (N, 2, 21, 2), ``depth_mm`` (N, 2, 21) from the own wrist, ``root_mm`` (N,) the left one's
    from the right one's.
    """
    low = torch.full_like(depth_mm[..., 0], _NEAREST_MM)
    high = torch.full_like(low, _FARTHEST_MM)
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        joints = _along(rays, (middle[..., None] + depth_mm).clamp(min=1.0))
        too_far = bones_of(joints).norm(dim=-1)[..., MIDDLE_RAY].sum(dim=-1) > MEAN_HAND_LENGTH_MM
        low, high = torch.where(too_far, low, middle), torch.where(too_far, middle, high)
    return agreed_depths((low + high) / 2, root_mm, there_logit)


def to_frame(points: Tensor, batch: Batch) -> Tensor:
    """(N, 2, 21, 2) crop px -> frame px."""
    frame = batch["frame_from_crop"]
    return points @ frame[:, None, :2, :2].transpose(-1, -2) + frame[:, None, None, :2, 2]


def rays_of(joints_px: Tensor, batch: Batch) -> Tensor:
    """(N, 2, 21, 2) frame px -> directions (x/z, y/z) in the camera frame, no distortion."""
    lens = batch["intrinsics"][:, None, None]
    return (joints_px - lens[..., 2:]) / lens[..., :2]


def _along(rays: Tensor, depth_mm: Tensor) -> Tensor:
    return torch.cat([rays * depth_mm[..., None], depth_mm[..., None]], dim=-1)


def _across(joints: Tensor, rays: Tensor, sigma: Tensor, depths: Tensor) -> Tensor:
    """(N, 2, 3) wrists at known depths, across so that the joints lie on their rays on average."""
    deep = depths[..., None] + joints[..., 2]
    off = rays * deep[..., None] - joints[..., :2]  # (N, 2, 21, 2)
    trust = 1 / sigma.square().clamp(min=1e-12)
    trust = (trust / trust.sum(dim=-1, keepdim=True))[..., None]
    return torch.cat([(trust * off).sum(dim=-2), depths[..., None]], dim=-1)


# --------------------------------------------------------------------------------------------
# Scores
# --------------------------------------------------------------------------------------------
class Tally:
    """Moon's protocol over many batches: each joint of each hand counts the same.

    ``evaluate.protocols`` defines it; this one adds up while training validates.
    """

    def __init__(self) -> None:
        self._sums = torch.zeros(2, 2, 2, len(Joint), dtype=torch.float64)  # what, two?, side
        self._apart: list[Tensor] = []
        self._sides: list[Tensor] = []

    def add(self, answers: Answers, batch: Batch) -> None:
        """Take in a batch and what was said about it."""
        relative = answers.relative_mm
        if relative is None:
            relative = answers.joints_mm - answers.joints_mm[:, :, :1]
        away = (relative - batch["true_mm"]).norm(dim=-1)
        two = batch["there"].sum(dim=1) > 1
        for kind, chosen in enumerate((~two, two)):
            weight = batch["valid_3d"] * chosen[:, None, None]
            self._sums[0, kind] += (away * weight).sum(dim=0).double().cpu()
            self._sums[1, kind] += weight.sum(dim=0).double().cpu()
        both = batch["root_known"] > 0
        said = answers.joints_mm[both, _LEFT, 0] - answers.joints_mm[both, _RIGHT, 0]
        true = batch["roots_mm"][both, _LEFT] - batch["roots_mm"][both, _RIGHT]
        self._apart.append((said - true).norm(dim=-1).double().cpu())
        known = batch["there_known"] > 0
        wrong = ((answers.there > 0.5) != (batch["there"] > 0.5)).any(dim=1)
        self._sides.append(wrong[known].double().cpu())

    def numbers(self) -> dict[str, float]:
        """MPJPE, single, two and all, and MRRPE in mm, the share of wrong sides; NaN if none."""
        sums = torch.cat([self._sums, self._sums.sum(dim=1, keepdim=True)], dim=1)
        means = sums[0] / sums[1]  # (3, 2, 21), NaN where a joint was never seen
        single, two, both = (float(each.nanmean()) for each in means)
        return {
            "mpjpe_mm": both,
            "mpjpe_single_mm": single,
            "mpjpe_two_mm": two,
            "mrrpe_mm": float(torch.cat(self._apart).mean()),
            "wrong_sides": float(torch.cat(self._sides).mean()),
        }
