"""What is well calibrated must come out as such, and what is not by how much it is not."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import calibration
from knuckle.pose import confidence

RNG = np.random.default_rng(0)


def test_honest_probabilities_lie_on_the_diagonal_and_others_beside_it():
    said = RNG.uniform(0, 1, 50_000)
    honest = RNG.random(50_000) < said
    assert calibration.Reliability.of("", "share", said, honest).gap < 0.02
    boastful = calibration.Reliability.of("", "share", said**0.5, honest)
    assert boastful.gap == pytest.approx(np.mean(said**0.5 - said), abs=0.02)


def test_the_gap_of_sizes_is_a_share():
    said = RNG.uniform(1, 5, 10_000)
    assert calibration.Reliability.of("", "size", 1.2 * said, said).gap == pytest.approx(0.2)


def looks(sigma: np.ndarray, error: np.ndarray) -> calibration.Looks:
    nothing = np.full(sigma.shape, np.nan)
    return calibration.Looks(
        confidence.score_of(sigma), sigma, error, error / 2, nothing, nothing, nothing, nothing,
        np.ones(sigma.shape, bool), np.ones(len(sigma)),
    )  # fmt: skip


def test_the_fit_finds_the_law_that_made_the_errors():
    sigma = np.exp(RNG.normal(np.log(0.04), 0.7, (4000, 21)))
    error = 1.3 * sigma * RNG.weibull(1.7, sigma.shape)
    spread, steepness = calibration.fit({"made up": looks(sigma, error)})
    assert (spread, steepness) == pytest.approx((1.3, 1.7), rel=0.05)


def test_joints_without_a_comparable_label_do_not_count():
    sigma = np.full((50, 21), 0.02)
    look = looks(sigma, np.where(np.arange(21) < 4, 9.0, 0.0) * np.ones((50, 1)))
    counts = np.broadcast_to(np.arange(21) >= 4, sigma.shape)
    look = replace(look, counts=counts)
    curves = calibration.reliabilities({"photographs": look}, np.zeros(50))
    by_title = {curve.title: curve for curve in curves["photographs"]}
    assert (by_title["joint score"].actual == 1).all()
    np.testing.assert_allclose(by_title["presence"].actual, [0] * 5 + [1] * 5)
