"""The measuring of lifters and of the temporal stage is right before they are measured."""

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import lifters
import temporal
from knuckle.render.hand_model import HandModel
from knuckle.train import poses
from knuckle.train.motion import sample_motions


@pytest.fixture(scope="module")
def motions():
    rng = np.random.default_rng(0)
    model, bank = HandModel.load(), poses.PoseBank(rng, 300)
    noise = poses.upright_noise(rng, bank, model, 300)
    return sample_motions(rng, 2, 60, bank, model, noise, temporal.FPS)


def test_what_is_lifted_rightly_is_placed_rightly(motions):
    said = temporal.Lifted(motions.joints_mm, np.full(motions.sigma.shape, 0.01, np.float32))
    truth = motions.joints_mm @ motions.R_camera_from_view.swapaxes(-1, -2)
    found = temporal.raw(temporal.in_camera(motions, said))
    np.testing.assert_allclose(found, truth, atol=0.5)


@pytest.mark.parametrize("late", [0, 1, 3])
def test_the_lag_is_how_late_it_is(motions, late):
    truth = motions.joints_mm @ motions.R_camera_from_view.swapaxes(-1, -2)
    assert temporal.lag(np.roll(truth, late, axis=1), truth) == pytest.approx(late, abs=0.1)


def test_a_perfect_lifter_has_no_error(motions):
    sets = {"posed": {"joints_mm": motions.joints_mm[0]}}
    assert lifters.errors(lambda batch: batch["joints_mm"], sets) == ["0.00"]


def test_independent_noise_is_as_large_as_its_sigma_says(motions):
    noise = lifters.IndependentNoise(np.zeros((21, 2)), np.zeros((2, 21, 21)))
    rng, points = np.random.default_rng(1), motions.rays[0]
    said, sigma = noise(rng, points, np.full(points.shape[:2], 0.05))
    assert (np.abs(said - points) / sigma[..., None]).mean() == pytest.approx(1, abs=0.1)


def test_directly_regressed_joints_lie_on_their_rays(motions):
    network = lifters.DirectDepth(lifters.LifterSettings())
    rays = torch.from_numpy(motions.rays[0, :8])
    features = torch.randn(8, 21, 32)
    joints = network(rays, torch.ones(8, 21), features).joints_mm
    # The wrist lies on its ray at some distance d: w = d (x, y, 1); every joint does if j + w does.
    across = joints[..., :2] - rays * joints[..., 2:]  # = d (ray - wrist's ray)
    apart = rays - rays[:, :1]
    distance = (across * apart).sum((1, 2)) / apart.square().sum((1, 2))
    torch.testing.assert_close(across, distance[:, None, None] * apart, atol=1e-2, rtol=1e-3)
    assert (distance > 0).all()


def test_the_true_depth_gives_the_true_joints(motions):
    joints = motions.joints_mm[0] - motions.joints_mm[0, :, :1]
    wrist = np.full((len(joints), 3), (20.0, -10.0, 500.0), np.float32)
    places = joints + wrist[:, None]
    palm = np.linalg.norm(joints[:, 9], axis=-1)[:, None]
    batch = {
        "joints_mm": joints,
        "wrist_mm": wrist,
        "rays": places[..., :2] / places[..., 2:],
        "features": np.repeat((joints[..., 2] / palm)[..., None], 2, axis=-1),
    }
    np.testing.assert_allclose(lifters.own_depth(batch), joints, atol=0.01)


def test_every_design_learns_from_looks(motions, monkeypatch):
    ticks = itertools.count()  # a step takes one second, however busy the machine is
    monkeypatch.setattr(lifters.time, "process_time", lambda: float(next(ticks)))
    monkeypatch.setattr(lifters, "_BATCH", 64)
    joints = motions.joints_mm[0] - motions.joints_mm[0, :, :1]
    n = len(joints)
    looks = {
        "rays": motions.rays[0],
        "sigma": np.full((n, 21), 0.01, np.float32),
        "features": np.repeat(joints[..., 2:] / 100, 32, axis=-1).astype(np.float32),
        "joints_mm": joints.astype(np.float32),
        "joint_weight": np.ones((n, 21), np.float32),
    }
    for name, contestant in lifters.SEEING.items():
        untrained, _ = lifters.train_seeing(contestant, looks, 0.0)
        trained, steps = lifters.train_seeing(contestant, looks, 40.0)
        before, after = (
            np.linalg.norm(lifters.lift_with(net, features=contestant.features)(looks) - joints,
                           axis=-1).mean()
            for net in (untrained, trained)
        )  # fmt: skip
        assert steps == 40 and after < before / 2, (name, before, after)
