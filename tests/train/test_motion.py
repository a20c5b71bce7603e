"""Moving hands: one hand per clip, errors that last, and losses that know how it moves."""

import numpy as np
import pytest
import torch

from knuckle.hand import KNUCKLES, Joint, bone_lengths
from knuckle.models.lifter import Lifter, LifterSettings
from knuckle.models.temporal import TemporalSettings
from knuckle.render.hand_model import HandModel
from knuckle.train import poses
from knuckle.train.losses import lag_frames, motion_losses
from knuckle.train.modules import TemporalModule, true_steps
from knuckle.train.motion import Motions, sample_motions
from knuckle.train.recipe import OptimiserSettings, Recipe
from knuckle.train.streams import lifted, training_loader

N, FRAMES = 6, 12


@pytest.fixture(scope="module")
def motions() -> Motions:
    rng = np.random.default_rng(0)
    model, bank = HandModel.load(), poses.PoseBank(rng, 500)
    noise = poses.upright_noise(rng, bank, model, 500)
    return sample_motions(rng, N, FRAMES, bank, model, noise)


@pytest.fixture(scope="module")
def batch(motions):
    torch.manual_seed(0)
    lifter = Lifter(LifterSettings(feature_size=4, width=16, whole_width=64))
    return {key: torch.from_numpy(value) for key, value in lifted(lifter, motions).items()}


def module():
    torch.manual_seed(0)
    return TemporalModule(Recipe("temporal", "t", temporal=TemporalSettings(32, FRAMES)))


def test_a_hand_keeps_its_bones(motions):
    lengths = bone_lengths(motions.joints_mm)  # (N, T, 20)
    np.testing.assert_allclose(lengths, lengths[:, :1].repeat(FRAMES, axis=1), rtol=1e-3, atol=0.05)


def test_views_are_rotations_that_hold_hands_upright_and_in_the_middle(motions):
    turns = motions.R_camera_from_view
    eye = np.broadcast_to(np.eye(3), turns.shape)
    np.testing.assert_allclose(turns @ turns.swapaxes(-1, -2), eye, atol=1e-5)
    assert np.all(np.linalg.det(turns) > 0)
    up = motions.rays[:, :, KNUCKLES].mean(axis=2) - motions.rays[:, :, Joint.WRIST]
    assert np.median(np.abs(np.arctan2(up[..., 0], -up[..., 1]))) < 0.2
    assert np.abs(motions.rays.mean(axis=2)).max() < 0.3


def test_errors_last_from_frame_to_frame(motions):
    root = np.einsum("ntji,ntj->nti", motions.R_camera_from_view, motions.root_mm)
    true = motions.joints_mm + root[:, :, None]
    error = (motions.rays - true[..., :2] / true[..., 2:]) / motions.sigma[..., None]
    now, then = error[:, 1:].ravel(), error[:, :-1].ravel()
    assert 0.5 < np.corrcoef(now, then)[0, 1] < 0.99
    assert 0.5 < np.abs(error).mean() < 2


def test_true_steps_are_those_in_the_camera(motions, batch):
    in_camera = motions.joints_mm @ motions.R_camera_from_view.swapaxes(-1, -2)
    steps = true_steps(batch).numpy() @ motions.R_camera_from_view[:, 1:].swapaxes(-1, -2)
    np.testing.assert_allclose(steps, np.diff(in_camera, axis=1), atol=1e-3)


def test_an_untrained_stage_mostly_believes_the_lifter_and_learns(batch):
    stage = module()
    before = stage.scores(batch)
    assert before["step_mm"] < before["lifted_step_mm"]
    optimiser = torch.optim.Adam(stage.parameters(), 3e-3)
    first = None
    for _ in range(15):
        loss = torch.stack(list(stage.losses(batch).values())).sum()
        value = float(loss.detach())
        first = value if first is None else first
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert value < 0.9 * first


def test_the_lag_of_late_joints_is_how_late_they_are(batch):
    steps = true_steps(batch)
    for late in (0.0, 1.0, 2.5):
        assert float(lag_frames(-late * steps, steps)) == pytest.approx(late, abs=1e-4)
    terms = motion_losses(torch.zeros_like(steps), steps, steps)
    assert all(float(term) == 0 for term in terms.values())


def test_the_future_is_not_seen(batch):
    stage = module()
    torch.nn.init.normal_(stage.temporal.out.weight, std=0.1)
    early = {key: value[:, :5] for key, value in batch.items()}
    torch.testing.assert_close(stage(batch)[0].joints_mm[:, :5], stage(early)[0].joints_mm)


def test_the_same_turn_of_all_views_changes_nothing_but_the_view(batch):
    """Only relative turns are handed over: a constant view needs no turning at all."""
    still = dict(batch)
    eye = torch.eye(3).expand_as(batch["R_view_from_last"])
    still["R_view_from_last"] = eye
    assert not torch.allclose(module()(still)[0].joints_mm, module()(batch)[0].joints_mm)
    torch.testing.assert_close(batch["R_view_from_last"][:, 0], eye[:, 0], atol=1e-5, rtol=0)


def test_a_temporal_recipe_needs_a_lifter():
    recipe = Recipe("temporal", "t", optimiser=OptimiserSettings(batch=2), workers=0)
    with pytest.raises(ValueError, match="start_lifter"):
        next(iter(training_loader(recipe)))
