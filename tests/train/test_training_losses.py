"""Losses ask for what their texts say."""

import torch

from knuckle.hand import Joint
from knuckle.train.losses import depth_losses


def test_depth_is_asked_for_in_palm_lengths_where_it_is_known():
    """The truth costs nothing, half a palm too far half a palm; unknown joints nothing."""
    torch.manual_seed(0)
    joints = torch.randn(3, 21, 3) * 40
    joints[:, Joint.WRIST] = 0.0
    palm = joints[:, Joint.MIDDLE_MCP].norm(dim=-1)
    features = torch.zeros(3, 21, 8)
    features[..., 0] = joints[..., 2] / palm[:, None]
    weight = torch.ones(3, 21)
    weight[2, Joint.MIDDLE_MCP] = 0.0  # a hand without a palm has no unit
    features[2] = 100.0
    batch = {"joints_mm": joints, "joint_weight": weight}
    right = depth_losses(features, batch)["depth"]
    assert right < 1e-5

    features[:2, :, 0] += 0.5
    half, unit = depth_losses(features, batch)["depth"], 1.5
    torch.testing.assert_close(half, torch.tensor(0.5 * unit))


def test_hands_without_depth_do_not_teach_depth():
    """Photographs have keypoints only."""
    batch = {"joints_mm": torch.zeros(2, 21, 3), "joint_weight": torch.zeros(2, 21)}
    features = torch.randn(2, 21, 4, requires_grad=True)
    total = sum(depth_losses(features, batch).values())
    total.backward()
    assert torch.isfinite(total)
    assert (features.grad == 0).all()
