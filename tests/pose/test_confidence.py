"""A keypoint's score and its expected error say the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knuckle.pose.confidence import RIGHT_WITHIN, SPREAD, score_of, sigma_of


@given(st.floats(0.006, 2))
def test_score_and_sigma_are_inverse(sigma: float) -> None:
    assert sigma_of(score_of(np.array(sigma))) == pytest.approx(sigma, rel=1e-3)


def test_the_surer_the_higher() -> None:
    scores = score_of(np.array([0.0, 0.01, 0.05, 0.2, 100.0]))
    assert (np.diff(scores) < 0).all() and scores[0] == 1 and scores[-1] < 0.001
    assert score_of(np.array(RIGHT_WITHIN / SPREAD)) == pytest.approx(1 - np.exp(-1))


@pytest.mark.parametrize("sigma", [0.01, 0.025, 0.05, 0.1])
def test_score_is_about_the_share_of_keypoints_within_reach(sigma: float) -> None:
    # Errors along the two axes, as the networks are trained to expect them.
    errors = np.random.default_rng(0).laplace(0, sigma, (100_000, 2))
    right = np.linalg.norm(errors, axis=1) < RIGHT_WITHIN
    assert np.mean(right) == pytest.approx(score_of(np.array(sigma)), abs=0.08)


@given(st.floats(0, 1))
def test_any_score_has_a_finite_sigma(score: float) -> None:
    assert 0 < sigma_of(np.array(score)) < np.inf
