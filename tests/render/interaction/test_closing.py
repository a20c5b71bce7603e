"""Two hands that meet: in contact, not in each other, one person's, the same for the same seed."""

import numpy as np
import pytest

from knuckle.render.contact import gap_mm, penetration_mm
from knuckle.render.hand_model import HandModel
from knuckle.render.interaction import (
    MAX_GAP_MM,
    MAX_OVERLAP_MM,
    MEETINGS,
    Pairs,
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
        assert set(pairs.right.sides) == {"right"} and set(pairs.left.sides) == {"left"}
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
