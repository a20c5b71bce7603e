"""What was looked at in vain is not looked at again at once; searches cost, and need a reason."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from knuckle.codec import DetectedHand
from knuckle.track.search import Search

MOUSE = DetectedHand((490, 482), 180, 0.3, "left", score=0.4)


class Still:
    """A track that stays in a corner of the picture."""

    def predict(self, time_s: float) -> np.ndarray:
        return np.tile([[4.0, 4.0], [8.0, 8.0], [6.0, 6.0]], (7, 1))


def searching() -> Search:
    """One that has searched a scene in which nothing moves."""
    search = Search(3, 30)
    for _ in range(2):
        search.see(np.full((600, 800, 3), 90, np.uint8))
        search.searched(0, [], 0.0)
    return search


def test_the_same_thing_is_refuted_for_a_while() -> None:
    search = searching()
    assert not search.is_refuted(MOUSE, 0.0)
    search.refute(MOUSE, 0.0)
    wavering = replace(MOUSE, centre_px=(500, 470), size_px=200, side="right", score=0.45)
    assert search.is_refuted(wavering, 0.9)
    assert not search.is_refuted(wavering, 1.1)


def test_a_hand_beside_it_is_news() -> None:
    search = searching()
    search.refute(MOUSE, 0.0)
    assert not search.is_refuted(replace(MOUSE, centre_px=(400, 482)), 0.1)


@pytest.mark.parametrize(
    ("followed", "doubtful", "moves", "expected"),
    [
        (0, False, True, range(70)),
        (0, False, False, range(0, 70, 3)),
        (1, False, True, range(0, 70, 3)),
        (1, False, False, range(0, 70, 30)),
        (1, True, False, range(0, 70, 3)),
        (2, False, True, []),
        (2, True, False, range(0, 70, 3)),
    ],
)
def test_searches_are_as_frequent_as_there_is_reason(
    followed: int, doubtful: bool, moves: bool, expected: Sequence[int]
) -> None:
    search, tracks, found = Search(3, 30), [Still()] * followed, []
    for i in range(70):
        image = np.full((60, 80, 3), 90, np.uint8)
        image[30:50, 40:60] += 100 * (moves and i % 2)
        search.see(image)
        if search.due(tracks, 2, doubtful, i / 30) == 0:
            search.searched(0, tracks, i / 30)
            found.append(i)
    assert found == list(expected)
