"""Losses ask for what their texts say."""

import torch

from knuckle.hand import BONES, Joint
from knuckle.models.lifter import LifterOutput
from knuckle.train.kinds.detector import side_loss
from knuckle.train.kinds.keypoints import KeypointLosses, depth_losses
from knuckle.train.kinds.lifter import bone_depth_errors
from knuckle.train.losses import weighted_mean

SHARE = KeypointLosses()


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
    right = depth_losses(features, batch, SHARE)["depth"]
    assert right < 1e-5

    features[:2, :, 0] += 0.5
    half, unit = depth_losses(features, batch, SHARE)["depth"], 1.5
    torch.testing.assert_close(half, torch.tensor(0.5 * unit))


def test_hands_without_depth_do_not_teach_depth():
    """Photographs have keypoints only."""
    batch = {"joints_mm": torch.zeros(2, 21, 3), "joint_weight": torch.zeros(2, 21)}
    features = torch.randn(2, 21, 4, requires_grad=True)
    total = sum(depth_losses(features, batch, SHARE).values())
    total.backward()
    assert torch.isfinite(total)
    assert (features.grad == 0).all()


def test_the_side_counts_only_where_one_hand_is():
    """A hand of one side costs nothing once its map is far above the other's; two hands never."""
    target = torch.zeros(1, 2, 8, 8)
    target[0, 1, 2, 2] = 1.0  # a right hand
    target[0, :, 6, 6] = 1.0  # one of each side on one place
    weight, logit = torch.ones_like(target), torch.zeros(1, 2, 8, 8)
    in_doubt = side_loss(logit, target, weight)
    torch.testing.assert_close(in_doubt, torch.tensor(2.0).log())
    logit[0, 1, 2, 2], logit[0, 0, 6, 6] = 20.0, 20.0
    assert side_loss(logit, target, weight) < 1e-6
    assert side_loss(-logit, target, weight) > 10
    weight[0, :, 2, 2] = 0.0  # nobody knows what is there
    assert side_loss(-logit, target, weight) == 0


def test_bones_are_asked_to_lead_away_by_their_label_alone():
    """The right depth costs nothing at any length; a bone whose depth nobody knows never does."""
    torch.manual_seed(0)
    joints = (torch.randn(3, 21, 3) * 40).requires_grad_()
    bones = (joints[:, BONES[:, 1]] - joints[:, BONES[:, 0]]).detach()
    depth = bones[..., 2] / bones.norm(dim=-1)
    weight = torch.ones(3, 20)
    weight[1, 7] = 0.0
    batch = {"bone_depth": depth, "bone_depth_weight": weight}
    out = LifterOutput(joints, torch.zeros(3, 21))
    assert weighted_mean(*bone_depth_errors(out, batch)) < 1e-6
    longer = LifterOutput(joints * 1.3, torch.zeros(3, 21))
    assert weighted_mean(*bone_depth_errors(longer, batch)) < 1e-6

    depth[1, 7] = 5.0
    assert weighted_mean(*bone_depth_errors(out, batch)) < 1e-6
    depth[0, 3] += 0.5
    wrong = weighted_mean(*bone_depth_errors(out, batch))
    wrong.backward()
    parent, child = BONES[3]
    moved = joints.grad.abs().sum(dim=-1)
    assert wrong > 0
    assert (moved[0, [parent, child]] > 1e-6).all()
    assert moved[2].max() < 1e-4
