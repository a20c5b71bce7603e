"""Looks around a place: what is followed up, and what is not looked at twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from knuckle.codec import DetectedHand, NeighbourCodec
from knuckle.crop import MARGIN, Crop
from knuckle.hand import Side
from knuckle.pipeline.hypotheses import MOST_CROPS, explore
from knuckle.pose import Keypoints

IMAGE = np.zeros((480, 640, 3), np.uint8)
ANGLES = np.linspace(0, 2 * np.pi, 21, endpoint=False)
RING = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=-1)


class Drifting:
    """Stages that see a hand a little beside each crop, always in the same direction.

    Attributes:
        step: by how much of the crop's size the hand is off.
        score: of every look.
        claim: that there is a neighbour, a crop to the left.
        crops: what was looked at.
    """

    def __init__(self, step: float = 0.0, score: float = 0.9, claim: float = 0.0) -> None:
        self.step, self.score, self.claim = step, score, claim
        self.crops: list[Crop] = []

    def crop_of(self, guess: DetectedHand) -> Crop:
        return Crop(
            guess.centre_px, guess.size_px * MARGIN, guess.angle, mirror=guess.side == "left"
        )

    def crop_around(self, joints_px: np.ndarray, side: Side) -> Crop:
        centre = (joints_px.min(axis=0) + joints_px.max(axis=0)) / 2
        return Crop((float(centre[0]), float(centre[1])), 100.0, 0.0, mirror=side == "left")

    def look(self, image: np.ndarray, crops: Sequence[Crop]) -> Keypoints:
        if not crops:
            return Keypoints.nothing()
        self.crops += crops
        n = len(crops)
        flip = np.array([[-1.0 if c.mirror else 1.0, 1.0] for c in crops])[:, None]  # (n, 1, 2)
        middle = (crops[0].out_size - 1) / 2
        left = DetectedHand((middle - crops[0].out_size, middle), 60.0, 0.0, "left")
        claim = np.r_[self.claim, NeighbourCodec(crops[0].out_size).encode(left)]
        return Keypoints(
            crops=tuple(crops),
            points_crop=middle + crops[0].out_size * flip * (0.3 * RING + (self.step, 0.0)),
            sigma_crop=np.full((n, 21), 0.01),
            visible=np.ones((n, 21)),
            presence=np.full(n, self.score),
            right=np.full(n, 0.95),
            mask=np.zeros((n, 4, 4)),
            pixels=np.zeros((n, 1, 1, 3), np.uint8),
            features=np.zeros((n, 21, 0)),
            neighbour=np.tile(claim, (n, 1)),
            log_odds=np.zeros(n),
        )


def guess_at(x: float, side: Side = "right") -> DetectedHand:
    return DetectedHand((x, 240.0), 100 / MARGIN, 0.0, side)


def explored(stages: Any, *guesses: DetectedHand, rounds: int = 2) -> Keypoints:
    return explore(stages, IMAGE, guesses, Keypoints.nothing(), rounds)


def test_what_is_seen_elsewhere_is_followed() -> None:
    looks = explored(Drifting(step=0.3), guess_at(300), rounds=2)
    places = [crop.centre_px[0] for crop in looks.crops]
    np.testing.assert_allclose(places, [300, 330, 360], atol=1.0)


def test_what_is_seen_where_it_was_looked_for_is_not_looked_at_again() -> None:
    assert len(explored(Drifting(), guess_at(300), guess_at(300.5), rounds=3)) == 1
    stages: Any = Drifting()
    seen = explored(stages, guess_at(300))
    again = explore(stages, IMAGE, [guess_at(300)], seen, 2)
    assert len(again) == len(stages.crops) == 1


def test_what_is_no_hand_is_not_followed() -> None:
    assert len(explored(Drifting(step=0.3, score=0.1), guess_at(300))) == 1


def test_a_neighbour_that_is_seen_is_looked_at() -> None:
    looks = explored(Drifting(claim=0.9), guess_at(300), rounds=1)
    assert [crop.mirror for crop in looks.crops] == [False, True]
    assert looks.crops[1].centre_px[0] < 300 - 90
    assert len(explored(Drifting(claim=0.1), guess_at(300), rounds=1)) == 1


def test_a_side_in_doubt_is_looked_at_as_both() -> None:
    class Unsure(Drifting):
        def look(self, image: np.ndarray, crops: Sequence[Crop]) -> Keypoints:
            looks = super().look(image, crops)
            return replace(looks, right=np.full(len(looks), 0.5))

    assert {crop.mirror for crop in explored(Unsure(), guess_at(300)).crops} == {False, True}


def test_what_is_seen_as_either_side_is_followed_as_both() -> None:
    looks = explored(Drifting(step=0.3), guess_at(300), guess_at(300, "left"), rounds=1)
    assert sorted(crop.mirror for crop in looks.crops) == [False, False, True, True]


def test_of_many_the_best_are_followed() -> None:
    many = [guess_at(500.0 * k) for k in range(12)]
    assert len(explored(Drifting(step=0.3), *many, rounds=1)) == 12 + 8


def test_looks_are_limited() -> None:
    """However much there is to see, so many crops a round are followed up."""
    many = [guess_at(20.0 * k) for k in range(40)]
    assert len(explored(Drifting(step=0.11, claim=0.9), *many, rounds=2)) <= 40 + 2 * MOST_CROPS
