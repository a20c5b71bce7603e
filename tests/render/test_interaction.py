"""Two hands that meet: in contact, not in each other, one person's, the same for the same seed."""

import numpy as np
import pytest

from knuckle.render.contact import gap_mm, penetration_mm
from knuckle.render.hand_model import HandModel, sample_shapes
from knuckle.render.interaction import (
    MAX_GAP_MM,
    MAX_OVERLAP_MM,
    MEETINGS,
    Pairs,
    interaction_motion,
    mirror,
    sample_interactions,
)

MODEL = HandModel.load()


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    return sample_interactions(np.random.default_rng(0), 78)


class TestPairs:
    def test_do_not_pass_through_each_other(self, pairs):
        assert penetration_mm(pairs.right, pairs.left).max() <= MAX_OVERLAP_MM

    def test_touch(self, pairs):
        assert (gap_mm(pairs.right, pairs.left) <= MAX_GAP_MM).mean() > 0.9

    def test_are_a_right_and_a_left_hand_of_one_person(self, pairs):
        assert pairs.right.side == "right" and pairs.left.side == "left"
        np.testing.assert_array_equal(pairs.right.shape, pairs.left.shape)

    def test_are_the_same_for_the_same_seed(self, pairs):
        again = sample_interactions(np.random.default_rng(0), 78)
        np.testing.assert_array_equal(again.left.root_mm, pairs.left.root_mm)

    def test_stand_upright_with_the_right_elbow_on_the_viewers_left(self, pairs):
        elbows = [
            MODEL.vertices(hand)[:, MODEL.part == 16].mean(axis=1)
            for hand in (pairs.right, pairs.left)
        ]
        assert (elbows[0][:, 0] < elbows[1][:, 0]).mean() > 0.8


@pytest.mark.parametrize("kind", list(MEETINGS))
def test_every_kind_can_be_drawn_alone(kind):
    pairs = sample_interactions(np.random.default_rng(1), 4, mix={kind: 1.0})
    assert (pairs.kind == list(MEETINGS).index(kind)).all()
    assert penetration_mm(pairs.right, pairs.left).max() <= MAX_OVERLAP_MM


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="expected kinds among"):
        sample_interactions(np.random.default_rng(1), 4, mix={"juggling": 1.0})


def test_a_mirror_twice_changes_nothing(pairs):
    twice = mirror(mirror(pairs.left))
    np.testing.assert_allclose(MODEL.joints(twice), MODEL.joints(pairs.left), atol=1e-3)
    flipped = MODEL.joints(mirror(pairs.left)) * (-1, 1, 1)
    np.testing.assert_allclose(flipped, MODEL.joints(pairs.left), atol=1e-3)


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
        assert (right.side, left.side) == ("right", "left")
        assert len(right) == len(left) == len(TIME_S)

    def test_refuses_times_that_do_not_increase(self):
        shape = np.zeros(MODEL.n_shape)
        with pytest.raises(ValueError, match="increasing times"):
            interaction_motion(np.random.default_rng(0), np.zeros(3), shape, shape, MODEL)
