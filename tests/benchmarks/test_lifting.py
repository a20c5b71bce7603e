"""The measuring of lifters and of the temporal stage is right before they are measured."""

import sys
from pathlib import Path

import numpy as np
import pytest

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
