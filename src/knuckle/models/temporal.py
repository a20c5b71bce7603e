"""The temporal stage: what the last frames say about the shape of a hand in this one.

It follows the lifter, frame by frame, and looks only backwards. Each joint is predicted at constant
velocity; the lifted joint then moves the prediction by a share, and the velocity by another, as in
an alpha-beta filter. Both shares, and a correction of its own, come from a gated recurrent unit
(Cho et al. 2014) that sees how the lifted hand and the prediction differ, how sure each joint is
and how much time has passed: it learns when to believe the new look, what hidden joints do
meanwhile, and the hand's own proportions.

Joints and velocities are handed over from frame to frame in the camera's axes, by whoever calls
(the view of a crop turns with the hand); the memory is what no turn can change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from knuckle.hand import N_JOINTS
from knuckle.models.lifter import UNIT_MM, describe

#: Per joint: lifted 3, away from the prediction 3, sigma 1, the keypoint 5.
_CHANNELS = 12
#: Differences from the prediction, and corrections, are of this order, mm.
_FINE_MM = 10.0
#: Before training: most of what is lifted is believed, little of its velocity.
_FIRST_SHARE, _FIRST_PACE = 1.0, -1.5


@dataclass(frozen=True)
class TemporalSettings:
    """Size of the temporal stage.

    Attributes:
        width: channels of the memory.
        frames: of the clips that it learns from.
    """

    width: int = 128
    frames: int = 24


class TemporalState(NamedTuple):
    """What is handed from frame to frame, of N hands, in the axes of the present view."""

    joints_mm: Tensor  # (N, 21, 3) of the last frame, relative to the wrist
    velocity_mm_s: Tensor  # (N, 21, 3)
    memory: Tensor  # (N, width)


class TemporalOutput(NamedTuple):
    """What is said about N hands, in the axes of the present view."""

    log_sigma_mm: Tensor  # (N, 21) logarithm of the Laplace scale per axis
    state: TemporalState  # its joints are the answer


class Temporal(nn.Module):
    """Lifted joints and the past to better joints, see the module's text."""

    def __init__(self, settings: TemporalSettings) -> None:
        super().__init__()
        self.settings = settings
        width = settings.width
        self.look = nn.Linear(N_JOINTS * _CHANNELS + 1, width)
        self.gates = nn.Linear(2 * width, 2 * width)
        self.candidate = nn.Linear(2 * width, width)
        self.out = nn.Linear(2 * width, N_JOINTS * 6)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def begin(self, joints_mm: Tensor) -> TemporalState:
        """The state before the first frame of hands (N, 21, 3)."""
        memory = joints_mm.new_zeros(len(joints_mm), self.settings.width)
        return TemporalState(joints_mm, torch.zeros_like(joints_mm), memory)

    def forward(
        self,
        joints_mm: Tensor,
        sigma_mm: Tensor,
        rays: Tensor,
        sigma: Tensor,
        dt_s: Tensor,
        state: TemporalState,
    ) -> TemporalOutput:
        """One frame.

        Args:
            joints_mm: (N, 21, 3) as lifted from this frame alone, relative to the wrist.
            sigma_mm: (N, 21) their expected error.
            rays: (N, 21, 2) directions (x/z, y/z) in the crop's view.
            sigma: (N, 21) expected error of the rays.
            dt_s: (N, 1) time since the last frame.
            state: of the last frame, turned into the axes of this view.
        """
        dt = dt_s[:, None]  # (N, 1, 1)
        expected = state.joints_mm + state.velocity_mm_s * dt
        surprise = joints_mm - expected
        log_sigma = sigma_mm.clamp(min=1e-2).log()
        seen = torch.cat(
            [
                joints_mm / UNIT_MM,
                torch.tanh(surprise / (2 * _FINE_MM)),
                log_sigma[..., None] / 2 - 1,
                describe(rays, sigma),
            ],
            dim=-1,
        )
        time = torch.log(30 * dt_s.clamp(min=1e-3))
        look = torch.relu(self.look(torch.cat([seen.flatten(1), time], dim=-1)))
        memory = self._remember(look, state.memory)
        out = self.out(torch.cat([look, memory], dim=-1)).unflatten(1, (N_JOINTS, 6))
        share = torch.sigmoid(out[..., :1] + _FIRST_SHARE)
        pace = torch.sigmoid(out[..., 1:2] + _FIRST_PACE)
        refined = expected + share * surprise + out[..., 2:5] * _FINE_MM
        refined = refined - refined[:, :1]
        change = (refined - state.joints_mm) / dt.clamp(min=1e-3)
        velocity = state.velocity_mm_s + pace * (change - state.velocity_mm_s)
        return TemporalOutput(log_sigma + out[..., 5], TemporalState(refined, velocity, memory))

    def _remember(self, look: Tensor, memory: Tensor) -> Tensor:
        """The gated recurrent unit: (N, width), (N, width) -> (N, width)."""
        both = torch.cat([look, memory], dim=-1)
        forget, keep = torch.sigmoid(self.gates(both)).chunk(2, dim=-1)
        new = torch.tanh(self.candidate(torch.cat([look, forget * memory], dim=-1)))
        return keep * memory + (1 - keep) * new
