"""Labelled hands of photographs: what counts as found, and as reported twice."""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from knuckle.hand import Side

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import photographs

HAND = np.random.default_rng(0).uniform(0, 100, (21, 2))


@dataclass(frozen=True, eq=False)
class Answer:
    side: Side
    joints_px: np.ndarray
    joints_mm: np.ndarray | None = None


def photo(*sides: Side) -> photographs.Photo:
    """Hands of these sides side by side, 300 px apart."""
    joints = HAND + 300 * np.arange(len(sides))[:, None, None] * np.array([1.0, 0.0])
    return photographs.Photo(np.zeros((200, 700, 3), np.uint8), joints, sides)


def answers(of: photographs.Photo) -> list[Answer]:
    return [Answer(side, px) for side, px in zip(of.sides, of.joints_px, strict=True)]


def test_the_truth_is_found_and_once():
    told = photo("left", "right")
    assert photographs.counts(told, answers(told)) == photographs.Counts(2, 2, 2, 0)


def test_nothing_is_found_in_no_answers():
    assert photographs.counts(photo("left"), []) == photographs.Counts(1, 0, 0, 0)


def test_a_hand_that_is_taken_for_a_left_and_a_right_one_is_reported_twice():
    told = photo("left")
    # Its fingers the other way round: as a hand of the other side would lie there.
    other = Answer("right", HAND[::-1] + 5)
    assert photographs.counts(told, [*answers(told), other]) == photographs.Counts(1, 1, 1, 1)


def test_a_hand_elsewhere_is_not_counted():
    told = photo("left")
    elsewhere = Answer("right", HAND + np.array([300.0, 0]))
    assert photographs.counts(told, [*answers(told), elsewhere]).twice == 0


def test_a_wrong_side_is_found_but_not_right():
    told = photo("left")
    assert photographs.counts(told, [Answer("right", HAND)]) == photographs.Counts(1, 1, 0, 0)
