"""Laws of the networks' targets: what is encoded is decoded."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from knuckle.codec import DetectedHand, DetectionCodec, HeatmapCodec

middles = st.tuples(st.floats(30, 226), st.floats(30, 226))
detected_hands = st.builds(
    DetectedHand,
    centre_px=middles,
    size_px=st.floats(16, 200),
    angle=st.floats(-3.1, 3.1),
    side=st.sampled_from(["left", "right"]),
)


def test_cells_are_centred_as_an_image_is_resized() -> None:
    """A cell's middle is the mean of the pixels that it stands for."""
    np.testing.assert_allclose(HeatmapCodec(128, 32).cell_centres_px[:2], [1.5, 5.5])


@given(detected_hands)
def test_a_hand_comes_back(hand: DetectedHand) -> None:
    codec = DetectionCodec()
    maps, weight = codec.encode([hand])
    assert weight.max() == 1 and maps[:2].max() == 1
    (found,) = codec.decode(maps)
    assert found.side == hand.side and found.score == 1
    np.testing.assert_allclose(found.centre_px, hand.centre_px, atol=1e-3)
    assert found.size_px == pytest.approx(hand.size_px, rel=1e-4)
    assert np.cos(found.angle - hand.angle) == pytest.approx(1, abs=1e-6)


@given(detected_hands, st.integers(0, 1000))
def test_geometry_holds_around_the_peak(hand: DetectedHand, seed: int) -> None:
    """Whichever cell of the peak wins, the hand is the same."""
    codec = DetectionCodec()
    maps, weight = codec.encode([hand])
    rows, columns = np.nonzero(weight.max(axis=0))
    pick = np.random.default_rng(seed).integers(len(rows))
    maps[:2] = 0
    maps[("left", "right").index(hand.side), rows[pick], columns[pick]] = 0.7
    (found,) = codec.decode(maps)
    np.testing.assert_allclose(found.centre_px, hand.centre_px, atol=1e-3)
    assert found.size_px == pytest.approx(hand.size_px, rel=1e-4)


@given(st.lists(detected_hands, min_size=2, max_size=3))
def test_hands_apart_are_all_found(hands: list[DetectedHand]) -> None:
    for i, hand in enumerate(hands):
        for other in hands[:i]:
            gap = np.hypot(*np.subtract(hand.centre_px, other.centre_px))
            assume(gap > 0.35 * (hand.size_px + other.size_px) + 16)
    codec = DetectionCodec()
    found = codec.decode(codec.encode(hands)[0])
    assert sorted(hand.side for hand in found) == sorted(hand.side for hand in hands)


def test_both_hands_on_one_place_are_two() -> None:
    pair = [DetectedHand((100, 100), 60, 0.2, side) for side in ("left", "right")]
    codec = DetectionCodec()
    assert {hand.side for hand in codec.decode(codec.encode(pair)[0])} == {"left", "right"}


@given(detected_hands, detected_hands)
def test_a_left_and_a_right_hand_keep_their_squares(
    left: DetectedHand, right: DetectedHand
) -> None:
    """However much they overlap, neither is drawn to the other."""
    pair = [replace(left, side="left"), replace(right, side="right")]
    found = DetectionCodec().decode(DetectionCodec().encode(pair)[0])
    assert {hand.side for hand in found} == {"left", "right"}
    for hand in found:
        true = pair[("left", "right").index(hand.side)]
        np.testing.assert_allclose(hand.centre_px, true.centre_px, atol=1e-3)
        assert hand.size_px == pytest.approx(true.size_px, rel=1e-4)


@pytest.mark.parametrize(("left", "right"), [(1.0, 0.5), (0.6, 0.55), (0.3, 0.2)])
def test_a_hand_whose_side_is_in_doubt_is_one(left: float, right: float) -> None:
    codec = DetectionCodec()
    maps, _ = codec.encode([DetectedHand((100, 100), 60, 0.2, "left")])
    maps[1] = right * maps[0]
    maps[0] *= left
    (found,) = codec.decode(maps)
    assert found.side == "left" and found.score == pytest.approx(min(left + right, 1))
    assert found.side_share == pytest.approx(left / min(left + right, 1))


@given(detected_hands, st.sampled_from([(160, 256), (256, 96)]))
def test_bars_may_be_left_out(hand: DetectedHand, size: tuple[int, int]) -> None:
    """The maps of a frame that is no square need not hold what is beside it."""
    height, width = size
    x, y = hand.centre_px
    hand = replace(hand, centre_px=(x * width / 256, y * height / 256))
    codec = DetectionCodec()
    maps = codec.encode([hand])[0][:, : height // 8, : width // 8]
    (found,) = codec.decode(maps)
    np.testing.assert_allclose(found.centre_px, hand.centre_px, atol=1e-3)


def test_threshold_and_number_are_kept() -> None:
    codec = DetectionCodec()
    hands = [DetectedHand((40 + 60 * i, 100), 30, 0.0, "left") for i in range(4)]
    maps, _ = codec.encode(hands)
    maps[:2] *= 0.5
    assert codec.decode(maps, threshold=0.6) == []
    assert len(codec.decode(maps, threshold=0.4)) == 4
    assert len(codec.decode(maps, threshold=0.4, max_hands=3)) == 3


def test_no_hand_is_no_hand() -> None:
    maps, weight = DetectionCodec().encode([])
    assert DetectionCodec().decode(maps) == [] and weight.max() == 0
    # Middles outside the picture have no cell.
    outside = DetectedHand((-50, 300), 60, 0.0, "left")
    assert DetectionCodec().encode([outside])[0][:2].max() == 0


def test_wild_sizes_do_not_overflow() -> None:
    maps = np.zeros((DetectionCodec.N_CHANNELS, 32, 32), np.float32)
    maps[0, 5, 5], maps[4] = 1, 1e4
    assert np.isfinite(DetectionCodec().decode(maps)[0].size_px)
