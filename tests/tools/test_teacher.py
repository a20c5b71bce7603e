"""The teacher's geometry and bookkeeping; its networks need an environment of their own."""

import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import teacher
from teacher import Answer, Label, Square

HAND = np.array(
    [[0, 0], [-20, -15], [-35, -30], [-45, -42], [-52, -55]]
    + [[x, -y] for x in (-20, -5, 10, 25) for y in (60, 85, 100, 112)],
    dtype=float,
)

squares = st.builds(
    Square,
    x=st.floats(60, 140),
    y=st.floats(60, 140),
    side=st.floats(60, 100),
    angle_deg=st.floats(-180, 180),
    mirrored=st.booleans(),
)


@given(squares, st.floats(0.3, 0.7), st.floats(0.3, 0.7))
def test_what_a_crop_shows_is_mapped_back_to_where_it_is(square, u, v):
    """A dot painted in the photograph is found in the crop, and the crop's map leads back."""
    photo_from_crop = square.photo_from_crop(224)
    x, y = teacher.apply(photo_from_crop, 224 * np.array([u, v]))
    photo = np.zeros((200, 200, 3), np.uint8)
    column, row = round(x), round(y)
    photo[row, column] = 255
    crop = square.cut(photo, 224, cv2.BORDER_CONSTANT)[..., 0].astype(float)
    rows, columns = np.mgrid[:224, :224]
    middle = np.array([(crop * columns).sum(), (crop * rows).sum()]) / crop.sum()
    np.testing.assert_allclose(teacher.apply(photo_from_crop, middle), (column, row), atol=0.1)


@given(st.floats(-170, 170), st.floats(0.3, 3))
def test_the_square_of_a_hand_turns_and_grows_with_the_hand(angle, scale):
    turn = cv2.getRotationMatrix2D((0, 0), -angle, scale)
    upright = teacher.square_of_hand(HAND)
    turned = teacher.square_of_hand(teacher.apply(turn, HAND))
    assert turned.side == pytest.approx(scale * upright.side)
    apart = (turned.angle_deg - upright.angle_deg - angle + 180) % 360 - 180
    assert apart == pytest.approx(0, abs=1e-6)
    middle = teacher.apply(turn, np.array([upright.x, upright.y]))
    np.testing.assert_allclose((turned.x, turned.y), middle, atol=1e-6 * upright.side)


def answers(n_left: int, n_right: int, noise_px: float) -> list[Answer]:
    rng = np.random.default_rng(0)
    sides = ["left"] * n_left + ["right"] * n_right
    return [
        Answer(HAND + rng.normal(0, noise_px, HAND.shape), np.zeros((21, 3)), side)
        for side in sides
    ]


def test_the_label_is_the_median_and_one_wild_answer_does_not_move_it():
    steady = answers(0, 20, 0.5)
    wild = replace(steady[0], joints_px=HAND + 500)
    label = teacher._agree([*steady, wild], asked=21, seen=3)
    np.testing.assert_allclose(label.joints_px, HAND, atol=0.8)
    assert label.side == "right"
    assert label.is_kept()


@pytest.mark.parametrize(
    ("opinions", "asked", "seen"),
    [
        (answers(0, 10, 30.0), 10, 5),  # the answers scatter
        (answers(4, 6, 0.5), 10, 5),  # they do not agree on the side
        (answers(0, 10, 0.5), 30, 5),  # most looks saw no hand
        (answers(0, 10, 0.5), 10, 1),  # found in one view only
    ],
)
def test_a_doubtful_hand_is_not_kept(opinions, asked, seen):
    assert not teacher._agree(opinions, asked, seen).is_kept()


def test_two_labels_on_one_hand_become_the_better_one():
    label = teacher._agree(answers(0, 10, 0.5), 10, 5)
    worse = replace(label, joints_px=label.joints_px + 3, hits=8)
    apart = replace(label, joints_px=label.joints_px + 300)
    kept = teacher._without_doubles([worse, label, apart])
    assert [k is label or k is apart for k in kept] == [True, True]


@given(st.integers(100, 800), st.floats(50, 400))
def test_tiles_cover_the_whole_edge_and_overlap(length, side):
    centres = teacher._tile_centres(length, side)
    if length > side:
        assert centres[0] == pytest.approx(side / 2)
        assert centres[-1] == pytest.approx(length - side / 2)
    assert (np.diff(centres) <= side / 2 + 1e-6).all()


def record(name: str, plan: str) -> dict:
    return {"dataset": "photos_sign_digits", "file": name, "frame": None, "pass": plan}


def test_a_run_goes_on_where_it_stopped(tmp_path):
    path = tmp_path / "labels.json"
    labels = teacher.LabelFile(path)
    photo_set = next(s for s in teacher.PHOTO_SETS if s.folder == "photos_sign_digits")
    for name, plan in (("a.jpg", "quick"), ("b.jpg", "full")):
        photo = teacher.Photo(photo_set, name, None, np.zeros((1, 1, 3), np.uint8))
        labels.add(photo, record(name, plan))
    labels.save()

    again = teacher.LabelFile(path)
    a, b = (("photos_sign_digits", name, None) for name in ("a.jpg", "b.jpg"))
    assert again.done("quick") == {a, b}
    assert again.done("full") == {b}


def test_doubts_on_a_labelled_hand_are_not_reported():
    label: Label = teacher._agree(answers(0, 10, 0.5), 10, 5)
    on_it = teacher.box_of(label.joints_px + 2)
    elsewhere = on_it + 500
    speck = np.array([900.0, 900, 905, 905])
    boxes = teacher._boxes_beside([on_it, elsewhere, elsewhere + 1, speck], [label])
    np.testing.assert_allclose(boxes, [elsewhere], atol=0.1)
