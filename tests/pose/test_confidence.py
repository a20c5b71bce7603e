"""A keypoint's score and its expected error say the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knuckle.pose.confidence import score_of, sigma_of


@given(st.floats(0.003, 10))
def test_score_and_sigma_are_inverse(sigma: float) -> None:
    assert sigma_of(score_of(np.array(sigma))) == pytest.approx(sigma, rel=1e-3)


def test_the_surer_the_higher() -> None:
    scores = score_of(np.array([0.0, 0.01, 0.05, 0.2, 100.0]))
    assert (np.diff(scores) < 0).all() and scores[0] == 1 and scores[-1] < 0.001
    assert scores[2] == pytest.approx(1 - np.exp(-1))


def test_score_is_the_share_of_laplacian_errors_that_are_small() -> None:
    errors = np.abs(np.random.default_rng(0).laplace(0, 0.03, 100_000))
    assert np.mean(errors < 0.05) == pytest.approx(score_of(np.array(0.03)), abs=0.01)


@given(st.floats(0, 1))
def test_any_score_has_a_finite_sigma(score: float) -> None:
    assert 0 < sigma_of(np.array(score)) < np.inf
