"""The partner of a hand: what explains the rest, shares no pixels and is the other side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knuckle.crop import Crop, Letterbox
from knuckle.detect import Detections
from knuckle.pipeline.partner import best_partner
from knuckle.pose import Keypoints

MASK = 32


def hand_at(x: float, *, mirror: bool = False, claim: float = 0.5, score: float = 0.9) -> Keypoints:
    """A look at a hand, 60 px in radius, whose mask is the left half or so of its crop's middle."""
    crop = Crop((x, 240.0), 160.0, 0.0, mirror=mirror, out_size=MASK)
    rows, columns = np.mgrid[:MASK, :MASK]
    disc = np.hypot(rows - 15.5, columns - 15.5) < 12
    angle = np.linspace(0, 2 * np.pi, 21, endpoint=False)
    return Keypoints(
        crops=(crop,),
        points_crop=15.5 + 11 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)[None],
        sigma_crop=np.full((1, 21), 0.01),
        visible=np.ones((1, 21)),
        presence=np.array([score]),
        right=np.array([0.95]),
        mask=disc[None].astype(np.float32),
        pixels=np.zeros((1, 1, 1, 3), np.uint8),
        features=np.zeros((1, 21, 0)),
        neighbour=np.array([[claim, 0, 0, 0, 1, 0]]),
        log_odds=np.zeros(1),
    )


def together(*looks: Keypoints) -> Keypoints:
    joined = Keypoints.nothing()
    for look in looks:
        joined = Keypoints.concatenate(joined, look)
    return joined


def mask_of(looks: Sequence[Keypoints]) -> Detections:
    """What a detector shows of hands that are there."""
    box = Letterbox.of(np.zeros((480, 640, 3), np.uint8), 256)
    blank = Detections((), np.zeros((2, 64, 64), np.float32), box)
    middles = [look.crops[0].centre_px for look in looks]
    seen = [np.linalg.norm(blank.cells_px - middle, axis=-1) < 60 for middle in middles]
    return Detections((), np.stack([np.any(seen, axis=0), np.zeros((64, 64))]), box)


def test_the_first_hand_once_more_is_no_partner() -> None:
    first, other = hand_at(250), hand_at(330, mirror=True, score=0.6)
    once_more = hand_at(256, mirror=True, score=0.95)
    best = best_partner(mask_of([first, other]), first, 0, together(once_more, other), 0.5).look
    assert best == 1


def test_of_two_alike_the_other_side_is_chosen() -> None:
    first, same, other = hand_at(250), hand_at(330), hand_at(330, mirror=True)
    best = best_partner(mask_of([first, other]), first, 0, together(same, other), 0.5).look
    assert best == 1


def test_what_is_known_is_no_partner_again() -> None:
    hands = together(hand_at(200), hand_at(300, mirror=True))
    best = best_partner(mask_of([hand_at(200)]), hands, 0, hand_at(301, mirror=True), 0.5)
    assert best.look == -1 and best.log_odds == -np.inf


def test_what_scores_too_little_is_none() -> None:
    first, other = hand_at(250), hand_at(330, mirror=True, score=0.4)
    assert best_partner(mask_of([first, other]), first, 0, other, 0.5).look == -1
    assert best_partner(mask_of([first, other]), first, 0, other, 0.3).look == 0


def test_a_mask_that_needs_both_speaks_for_the_second() -> None:
    first, other = hand_at(250), hand_at(350, mirror=True)
    for_it = best_partner(mask_of([first, other]), first, 0, other, 0.5).log_odds
    against_it = best_partner(mask_of([first]), first, 0, other, 0.5).log_odds
    assert for_it > against_it + 2


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_surer_neighbour_is_likelier_there(claim: float, other_claim: float) -> None:
    low, high = sorted((claim, other_claim))
    looks = hand_at(330, mirror=True)
    odds = [
        best_partner(mask_of([looks]), hand_at(250, claim=seen), 0, looks, 0.5).log_odds
        for seen in (low, high)
    ]
    assert odds[0] <= odds[1] and np.isfinite(odds).all()


@pytest.mark.parametrize("mirror", [False, True])
def test_no_looks_no_partner(mirror: bool) -> None:
    first = hand_at(250, mirror=mirror)
    assert best_partner(mask_of([first]), first, 0, Keypoints.nothing(), 0.5).look == -1
