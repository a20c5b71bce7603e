"""Two hands that come together, touch and part: smooth, and never through each other."""

import numpy as np
import pytest

from knuckle.render.contact import gap_mm, penetration_mm
from knuckle.render.hand_model import HandModel, sample_shapes
from knuckle.render.interaction import MAX_GAP_MM, MAX_OVERLAP_MM, interaction_motion

MODEL = HandModel.load()
TIME_S = np.arange(0, 6, 1 / 20)


@pytest.fixture(scope="module")
def motion():
    shape = sample_shapes(np.random.default_rng(3), 1, MODEL.n_shape)[0]
    return interaction_motion(np.random.default_rng(5), TIME_S, shape, shape, MODEL)


class TestMotion:
    def test_is_free_of_passing_through_at_all_times(self, motion):
        assert penetration_mm(*motion).max() <= MAX_OVERLAP_MM

    def test_touches_and_parts(self, motion):
        gap = gap_mm(*motion)
        assert gap.max() > 20 and (gap < MAX_GAP_MM).mean() > 0.2

    def test_is_smooth(self, motion):
        for hand in motion:
            step = np.linalg.norm(np.diff(MODEL.joints(hand), axis=0), axis=-1)
            assert step.max() * 20 < 3000  # mm a second

    def test_has_one_hand_of_each_side(self, motion):
        right, left = motion
        assert (set(right.sides), set(left.sides)) == ({"right"}, {"left"})
        assert len(right) == len(left) == len(TIME_S)

    def test_refuses_times_that_do_not_increase(self):
        shape = np.zeros(MODEL.n_shape)
        with pytest.raises(ValueError, match="increasing times"):
            interaction_motion(np.random.default_rng(0), np.zeros(3), shape, shape, MODEL)
