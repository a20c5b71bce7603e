"""A hand in the world, steadied."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from knuckle.hand import N_JOINTS, bone_lengths
from knuckle.views.steady import Steady
from rigs import hand_mm


@pytest.mark.parametrize("sigma_mm", [4.0, 8.0])
def test_a_hand_that_turns_is_hardly_behind(sigma_mm: float) -> None:
    rest, steady = hand_mm(np.random.default_rng(0)), Steady()
    lengths, sigma, turn_rad_s = bone_lengths(rest), np.full(N_JOINTS, sigma_mm), 2.0
    for i in range(30):
        turned, _ = cv2.Rodrigues(np.array([0.0, turn_rad_s * i / 30, 0.0]))
        found = steady(rest @ turned.T, sigma, lengths, 1 / 30)
    np.testing.assert_allclose(bone_lengths(found), lengths)
    behind = np.linalg.norm(found - rest @ turned.T, axis=1) / np.linalg.norm(rest, axis=1)
    assert np.median(behind) / turn_rad_s < 0.018  # s
