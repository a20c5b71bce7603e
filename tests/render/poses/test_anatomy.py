"""What joints can do: limits that hold once held, and couplings."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from knuckle.render.hand_model import FLEXION, SPREAD
from knuckle.render.poses import MCP, constrain, sample_poses


def test_flexed_knuckles_leave_little_spread():
    pose = sample_poses(np.random.default_rng(4), 1000, {"wild": 1.0})
    flexed = pose[:, MCP, FLEXION] > 80
    assert np.abs(pose[:, MCP, SPREAD][flexed]).max() < 10


@given(st.integers(0, 10_000))
def test_constraining_twice_changes_nothing(seed):
    wild = np.random.default_rng(seed).normal(0, 80, (3, 17, 3))
    once = constrain(wild)
    np.testing.assert_allclose(constrain(once), once, atol=1e-9)
