"""What joints say of a hand's mask, beside exact masks of rendered hands."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knuckle.crop import Crop
from knuckle.hand import MEAN_LENGTHS_MM
from knuckle.render.scene import CropSettings, World, render_crops
from knuckle.sample import Sample
from knuckle.train.bone_masks import bone_mask

SIZE = 48
ALL = np.ones(21, bool)


@st.composite
def hands(draw) -> np.ndarray:
    """(21, 2) joints of a flat hand, turned and leant, with labels that are off."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    lean, turn = np.radians([draw(st.integers(0, 60)), draw(st.integers(0, 359))])
    fingers = np.arange(5)[:, None]
    along = np.cumsum(MEAN_LENGTHS_MM.reshape(5, 4), axis=1)
    flat = np.stack([20 * (fingers - 2) * along / 90, along * np.cos(lean)], axis=-1).reshape(20, 2)
    flat = np.concatenate([[(0, 0)], flat]) - (0, 90)
    cos, sin = np.cos(turn), np.sin(turn)
    return (
        flat @ np.array([[cos, sin], [-sin, cos]]) * 0.16 + SIZE / 2 + rng.normal(0, 0.5, (21, 2))
    )


@pytest.fixture(scope="module")
def rendered() -> list[Sample]:
    """Single hands, whole and in the picture."""
    settings = CropSettings(second_hand=0.0, occluder=0.0)
    samples = render_crops(np.random.default_rng(5), 16, World.of(), settings)
    return [each for each in samples if each.hands and each.hands[0].valid.all()]


def test_exact_masks_agree(rendered):
    """Of rendered hands nearly all that is said is right, and a good part of the hand is said."""
    wrong, told = [], []
    for sample in rendered:
        hand = sample.hands[0]
        crop = Crop.from_joints(hand.joints_px, hand.side, out_size=SIZE)
        true = crop.cut((sample.hand_map == 1).astype(np.float32)) > 0.5
        mask, known = bone_mask(crop.to_crop(hand.joints_px), hand.visible, SIZE)
        said = known > 0
        wrong.append(((mask > 0) != true)[said].mean())
        told.append((mask > 0)[true].mean())
    assert np.mean(wrong) < 0.03
    assert np.mean(told) > 0.2


@given(points=hands())
def test_where_a_bone_is_seen_is_hand_and_far_from_all_is_none(points):
    mask, known = bone_mask(points, ALL, SIZE)
    assert mask.shape == known.shape == (SIZE, SIZE)
    assert set(np.unique(mask)) <= {0.0, 1.0} and set(np.unique(known)) <= {0.0, 1.0}
    assert (known[mask > 0] == 1).all()
    assert mask.any()
    cells = np.argwhere(known > mask)[:, ::-1]  # said to be none
    assert np.linalg.norm(cells[:, None] - points, axis=-1).min() > 3.0


@given(points=hands(), shift=st.tuples(st.integers(-3, 3), st.integers(-3, 3)))
def test_the_mask_goes_with_the_hand(points, shift):
    mask, known = bone_mask(points, ALL, SIZE)
    moved, moved_known = bone_mask(points + shift, ALL, SIZE)
    inner = slice(4, -4)
    back = [np.roll(each, (-shift[1], -shift[0]), (0, 1)) for each in (moved, moved_known)]
    np.testing.assert_array_equal(back[0][inner, inner], mask[inner, inner])
    np.testing.assert_array_equal(back[1][inner, inner], known[inner, inner])


@given(points=hands(), hidden=st.sets(st.integers(0, 20), min_size=1))
def test_of_what_is_hidden_nothing_is_said(points, hidden):
    some = ALL.copy()
    some[list(hidden)] = False
    mask, known = bone_mask(points, some, SIZE)
    whole, whole_known = bone_mask(points, ALL, SIZE)
    assert (mask <= whole).all() and (known <= whole_known).all()
    nothing, far = bone_mask(points, ~ALL, SIZE)
    assert not nothing.any()
    np.testing.assert_array_equal(far, whole_known * (whole == 0))
