"""The looks that explain a frame: each hand once, and a second one only where two are told of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from knuckle.crop import Crop
from knuckle.letterbox import Letterbox
from knuckle.pipeline import EstimatorSettings, judge
from knuckle.pipeline.explain import explain
from knuckle.pipeline.looks import Looks, Proposal
from knuckle.pose import Keypoints
from knuckle.stages.detector import Detections

MASK = 32
SETTINGS = EstimatorSettings(score_threshold=0.6, partner_threshold=0.5)


def hand_at(
    x: float, *, mirror: bool = False, claim: float = 0.5, score: float = 0.9, by: str = "detection"
) -> Looks:
    """A look at a hand, 60 px in radius, whose mask is a disc in its crop's middle."""
    crop = Crop((x, 240.0), 160.0, 0.0, mirror=mirror, out_size=MASK)
    rows, columns = np.mgrid[:MASK, :MASK]
    disc = np.hypot(rows - 15.5, columns - 15.5) < 12
    angle = np.linspace(0, 2 * np.pi, 21, endpoint=False)
    seen = Keypoints(
        crops=(crop,),
        points_crop=15.5 + 11 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)[None],
        sigma_crop=np.full((1, 21), 0.01),
        visible=np.ones((1, 21)),
        presence=np.array([score]),
        side_score=np.array([0.95]),
        mask=disc[None].astype(np.float32),
        on_border=np.zeros((1, 3)),
        pixels=np.zeros((1, 1, 1, 3), np.uint8),
        features=np.zeros((1, 21, 0)),
        neighbour=np.array([[claim, 0, 0, 0, 1, 0]]),
        log_odds=np.zeros(1),
    )
    return Looks((Proposal(crop, by),), seen)


def mask_of(looks: Sequence[Looks]) -> Detections:
    """What a detector shows of hands that are there."""
    box = Letterbox.of(np.zeros((480, 640, 3), np.uint8), 256)
    blank = Detections((), np.zeros((2, 64, 64), np.float32), box)
    middles = [look.seen.crops[0].centre_px for look in looks]
    shown = [np.linalg.norm(blank.cells_px - middle, axis=-1) < 60 for middle in middles]
    return Detections((), np.stack([np.any(shown, axis=0), np.zeros((64, 64))]), box)


def hands(*looks: Looks, there: Sequence[Looks], room: int = 2, known: Sequence[int] = ()) -> list:
    return explain(sum(looks, Looks.none()), mask_of(there), SETTINGS, room, known)


def test_the_first_hand_once_more_is_no_partner() -> None:
    first, other = hand_at(250), hand_at(345, mirror=True, score=0.8)
    once_more = hand_at(256, mirror=True, score=0.88)
    assert hands(first, once_more, other, there=[first, other]) == [0, 2]


def test_of_two_alike_the_other_side_is_chosen() -> None:
    first, same, other = hand_at(250), hand_at(350), hand_at(350, mirror=True, score=0.85)
    assert hands(first, same, other, there=[first, other], known=[0], room=1) == [0, 2]


def test_a_mask_that_needs_both_speaks_for_the_second_and_so_does_a_detection() -> None:
    first = hand_at(250, claim=0.3)
    other = hand_at(350, mirror=True, claim=0.3, score=0.5, by="partner")
    assert hands(first, other, there=[first, other]) == [0, 1]
    assert hands(first, other, there=[first]) == [0]


@pytest.mark.parametrize(("score", "believed"), [(0.65, True), (0.55, False)])
def test_a_hand_alone_is_believed_by_its_score(score: float, believed: bool) -> None:
    alone = hand_at(250, score=score)
    assert hands(alone, there=[alone]) == ([0] if believed else [])


def test_what_a_search_names_must_be_seen_by_itself_too() -> None:
    for by, believed in (("detection", [0]), ("search", [])):
        look = hand_at(250, score=0.97, by=by)
        blurred = replace(look.seen, sigma_crop=np.full((1, 21), 5.0), log_odds=np.array([4.0]))
        assert blurred.look_score[0] < SETTINGS.score_threshold < blurred.score[0]
        vague = replace(look, seen=blurred)
        assert hands(vague, there=[vague]) == believed


def test_a_hand_that_was_lost_must_be_seen_better_than_one_that_is_new() -> None:
    for score, believed in ((0.55, []), (0.9, [0])):
        look = hand_at(250, score=score, by="lost")
        track: Any = "the one that was lost"
        again = replace(look, proposals=(replace(look.proposals[0], track=track),))
        assert hands(again, there=[again]) == believed


@pytest.mark.parametrize(("score", "believed"), [(0.55, False), (0.9, True)])
def test_a_hand_alone_that_nobody_has_detected_must_be_seen_better(
    score: float, believed: bool
) -> None:
    alone = hand_at(250, score=score, by="turned")
    assert hands(alone, there=[alone]) == ([0] if believed else [])


def of_unsure_side(look: Looks, right: float) -> Looks:
    return replace(look, seen=replace(look.seen, side_score=np.array([right])))


@pytest.mark.parametrize(("score", "alone", "beside_another"), [
    (0.65, True, True), (0.55, False, True), (0.45, False, False),
])  # fmt: skip
def test_after_all_looks_a_hand_has_the_score_that_is_asked_for(
    score: float, alone: bool, beside_another: bool
) -> None:
    hand, other = hand_at(250, score=score).seen, hand_at(345, mirror=True).seen
    assert judge.is_enough(hand, 0, SETTINGS) == alone
    assert judge.is_enough(Keypoints.concatenate(hand, other), 0, SETTINGS) == beside_another


def test_a_guess_that_is_thrown_out_gives_back_the_hand_that_it_hid() -> None:
    hand = of_unsure_side(hand_at(250, score=0.97), 0.55)
    guess = hand_at(262, score=0.7, by="turned")
    assert hands(hand, guess, there=[hand]) == [0]


def test_a_look_that_is_not_believed_hides_no_surer_one() -> None:
    hand = of_unsure_side(hand_at(250, score=0.97), 0.5)
    faint = hand_at(256, score=0.55)
    assert hands(hand, faint, there=[hand]) == [0]


def test_of_a_hand_and_a_guess_that_is_hardly_better_the_hand_is_taken() -> None:
    hand = of_unsure_side(hand_at(250, score=0.95), 0.75)
    guess = hand_at(262, score=0.8, by="turned")
    assert hands(hand, guess, there=[hand]) == [0]


def test_there_are_no_more_hands_than_wanted_and_the_best_come_first() -> None:
    row = [hand_at(100.0 + 400 * k, score=0.8 + 0.05 * k) for k in range(3)]
    assert hands(*row, there=row, room=2) == [2, 1]
    assert hands(*row, there=row, room=1, known=[0]) == [0, 2]


def test_what_a_known_hand_explains_is_not_found_again() -> None:
    track = hand_at(250, by="track", score=0.8)
    assert hands(track, hand_at(252, score=0.95), there=[track], known=[0]) == [0]


def test_a_track_that_is_on_no_hand_is_none() -> None:
    track = hand_at(250, by="track", score=0.9)
    assert hands(track, there=[track]) == []


def test_a_frame_that_was_not_searched_goes_by_scores_alone() -> None:
    looks = hand_at(250) + hand_at(350, mirror=True, score=0.75)
    assert explain(looks, None, SETTINGS, 2) == [0, 1]
    assert explain(looks, None, EstimatorSettings(score_threshold=0.8), 2) == [0]


def test_no_looks_no_hands() -> None:
    assert explain(Looks.none(), None, SETTINGS, 2) == []
