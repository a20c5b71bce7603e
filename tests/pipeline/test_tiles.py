"""Small hands: tiles of a frame are searched as well, and what they show is told once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dot_world import blank, paint, true_hand
from knuckle.camera import Camera
from knuckle.codec import DetectedHand
from knuckle.letterbox import Letterbox
from knuckle.pipeline import HandEstimator, HandTracker, judge
from knuckle.pipeline.settings import FOUND_FROM, EstimatorSettings
from knuckle.pipeline.tiles import in_tile, joined, tiles_of
from knuckle.results import Frame, HandPose
from knuckle.stages.detector import Detections

WIDTH, HEIGHT = 1600, 1200
CAMERA = Camera(1100, 1100, 800, 600)
SIZES = st.tuples(st.integers(1, 4000), st.integers(1, 4000))
SHARES = st.floats(0, FOUND_FROM, exclude_max=True)
LEAST_PX = 256


def small_hands() -> list[HandPose]:
    """One of each side, far apart, near corners: of the whole the detector reads no dot."""
    return [
        true_hand(CAMERA, (1500, -900, 4400), side="left"),
        true_hand(CAMERA, (-1900, 1300, 4400)),
    ]


def sides(hands: list[HandPose]) -> list[str]:
    return sorted(hand.side for hand in hands)


@given(
    size=SIZES,
    share=st.floats(2 * FOUND_FROM**2, FOUND_FROM, exclude_max=True),
    larger=st.floats(0, 1),
    at=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_a_small_hand_lies_whole_in_a_tile(
    size: tuple[int, int], share: float, larger: float, at: tuple[float, float]
) -> None:
    """Wherever it is, if the whole frame does not show it; and the tiles lie in the frame."""
    tiles = tiles_of(size, share, LEAST_PX) or [(0, 0, *size)]
    hand = (share + larger * (FOUND_FROM - share)) * max(size)
    low = [place * max(length - hand, 0) for place, length in zip(at, size, strict=True)]
    high = [min(a + hand, length) for a, length in zip(low, size, strict=True)]
    assert all(0 <= x0 < x1 <= size[0] and 0 <= y0 < y1 <= size[1] for x0, y0, x1, y1 in tiles)
    slack = 1.0  # tiles begin at whole pixels
    assert any(
        x0 <= low[0] + slack
        and y0 <= low[1] + slack
        and high[0] <= x1 + slack
        and high[1] <= y1 + slack
        for x0, y0, x1, y1 in tiles
    )


@given(size=SIZES, share=SHARES)
def test_a_tile_shows_the_smallest_hand_as_large_as_need_be(
    size: tuple[int, int], share: float
) -> None:
    tiles = tiles_of(size, share, LEAST_PX)
    side = max((max(x1 - x0, y1 - y0) for x0, y0, x1, y1 in tiles), default=LEAST_PX)
    assert side == LEAST_PX or side * FOUND_FROM <= share * max(size) + FOUND_FROM
    assert tiles_of(size, FOUND_FROM, LEAST_PX) == ()


@given(size=SIZES, share=SHARES)
def test_no_tile_has_fewer_pixels_than_the_detector_looks_at(
    size: tuple[int, int], share: float
) -> None:
    """However small the hands that are wanted."""
    tiles = tiles_of(size, share, LEAST_PX)
    assert all(max(x1 - x0, y1 - y0) >= LEAST_PX for x0, y0, x1, y1 in tiles)
    assert len(tiles) != 1  # the whole frame is searched anyway


def detections(*hands: DetectedHand) -> Detections:
    return Detections(hands, np.zeros((2, 64, 64), np.float32), Letterbox((200, 100)))


def test_what_a_border_cuts_off_is_left_to_the_tile_that_shows_it_whole() -> None:
    tile, frame_size = (100, 0, 200, 100), (300, 100)
    whole = DetectedHand((150, 50), 40, 0.0, "left", score=0.8)
    at_border = replace(whole, centre_px=(110, 50))
    at_rim_of_frame = replace(whole, centre_px=(150, 5))
    seen = in_tile(detections(whole, at_border, at_rim_of_frame), tile, frame_size, 4)
    assert [hand.centre_px for hand in seen.hands] == [(150, 50), (150, 5)]


def test_each_of_many_tiles_is_believed_less() -> None:
    """Odds of 4 to 1 are even ones where there were four chances to be mistaken."""
    hand = DetectedHand((50, 50), 40, 0.0, "left", score=0.8)
    (seen,) = in_tile(detections(hand), (0, 0, 100, 100), (100, 100), 4).hands
    assert seen.score == pytest.approx(0.5)


def test_a_hand_seen_twice_is_told_once_and_the_best_come_first() -> None:
    hand = DetectedHand((50, 50), 40, 0.0, "left", score=0.8)
    again = replace(hand, centre_px=(53, 49), score=0.9)
    other = replace(hand, centre_px=(150, 50), score=0.7)
    found = joined(detections(hand), [detections(again), detections(other)], most=5).hands
    assert found == (again, other)
    assert joined(detections(hand), [detections(other)], most=1).hands == (hand,)


def test_small_hands_are_found_in_tiles(dot_weights: Path) -> None:
    image, truth = paint(blank(WIDTH, HEIGHT), small_hands()), small_hands()
    assert HandEstimator(weights_dir=dot_weights)(image, CAMERA) == []
    found = HandEstimator(weights_dir=dot_weights, smallest_hand=0.01)(image, CAMERA)
    assert sides(found) == ["left", "right"]
    for hand in found:
        (same,) = (each for each in truth if each.side == hand.side)
        assert np.linalg.norm(hand.joints_px - same.joints_px, axis=1).max() < 1.5


def test_a_picture_is_searched_in_tiles_only_where_it_shows_no_larger_hand(
    dot_weights: Path,
) -> None:
    small = true_hand(CAMERA, (540, -360, 1800), side="left")
    alone, beside = ([small], [small, true_hand(CAMERA, (-150, 50, 500))])
    as_it_comes = HandEstimator(weights_dir=dot_weights)
    asked_for = HandEstimator(weights_dir=dot_weights, smallest_hand=0.03)
    at_one_sight = HandEstimator(weights_dir=dot_weights, smallest_hand=FOUND_FROM)
    for truth, found_by in (
        (alone, {as_it_comes: ["left"], asked_for: ["left"], at_one_sight: []}),
        (beside, {as_it_comes: ["right"], asked_for: ["left", "right"], at_one_sight: ["right"]}),
    ):
        image = paint(blank(WIDTH, HEIGHT), truth)
        for estimator, expected in found_by.items():
            assert sides(estimator(image, CAMERA)) == expected


def test_a_video_is_searched_in_tiles_while_there_is_room(dot_weights: Path) -> None:
    """In a still scene once: what tiles have not shown they will not show."""
    tracker = HandTracker(weights_dir=dot_weights, max_hands=2)
    hands = [
        true_hand(CAMERA, (540, -360, 1800), side="left"),
        true_hand(CAMERA, (-150, 50, 500)),
    ]
    image, views = paint(blank(WIDTH, HEIGHT), hands[1:]), list[int]()
    detect = tracker._networks.detect

    def noting(image: np.ndarray, view: int = 0) -> Detections:
        views.append(view)
        return detect(image, view)

    tracker._networks.detect = noting  # type: ignore[method-assign]
    for i in range(40):
        tracker(Frame(image, i / 30, i, CAMERA))
    n_tiles = tracker._networks.n_tiles(image)
    assert sorted(view for view in views if view) == list(range(1, n_tiles + 1))
    image = paint(blank(WIDTH, HEIGHT), hands)  # another one comes into sight
    told = [tracker(Frame(image, i / 30, i, CAMERA)) for i in range(40, 50)]
    assert sides(list(told[-1])) == ["left", "right"]


def test_a_video_finds_them_within_a_turn_of_the_tiles(dot_weights: Path) -> None:
    """Every frame searches one tile, and what is found is followed as any hand."""
    tracker = HandTracker(weights_dir=dot_weights, smallest_hand=0.01)
    image = paint(blank(WIDTH, HEIGHT), small_hands())
    n_tiles = tracker._networks.n_tiles(image)
    told = [tracker(Frame(image, i / 30, i, CAMERA)) for i in range(2 * n_tiles)]
    first = next(i for i, hands in enumerate(told) if len(hands) == 2)
    assert first < 1.6 * n_tiles
    assert all(sides(list(hands)) == ["left", "right"] for hands in told[first:])


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="smallest_hand must be in"):
        HandEstimator(smallest_hand=share)
    with pytest.raises(TypeError, match="smallest_hand must be a number"):
        HandTracker(smallest_hand="small")  # type: ignore[arg-type]


@given(least=st.floats(0, 1), n=st.integers(1, 30))
def test_more_tiles_ask_for_more(least: float, n: int) -> None:
    """A hand that only tiles show must be surer, the more there are; still, one can be."""
    settings = EstimatorSettings(score_threshold=least)
    sure, surer = judge.cautious(settings, n), judge.cautious(settings, n + 1)
    assert least < sure.score_threshold <= surer.score_threshold <= 1 or least == 1
    assert sure.partner_threshold <= 1
