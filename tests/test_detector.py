"""The detector finds hands at their true place, size, angle and side."""

from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from dot_world import blank, paint, true_hand, turn
from knuckle.camera import Camera
from knuckle.crop import Crop
from knuckle.hand import SIDES, other_side
from knuckle.stages import Network, weights_folder
from knuckle.stages.detector import BOX_STEP, Detector
from knuckle.video import open_source


@pytest.fixture(scope="module")
def detector(dot_weights: Path) -> Detector:
    return Detector(Network(dot_weights / "detector.onnx", "detector"))


@pytest.mark.parametrize("size", [(320, 240), (240, 320), (317, 243), (640, 480), (200, 200)])
@pytest.mark.parametrize("side", ["left", "right"])
def test_finds_the_square_around_the_joints(
    detector: Detector, size: tuple[int, int], side: str
) -> None:
    width, height = size
    camera = Camera.assume(width, height)
    for in_plane in (0, 70, -120):
        truth = true_hand(camera, (20, 30, 600), side=side, rotation=turn(in_plane, 10, 5))
        (found,) = detector(paint(blank(width, height), [truth])).hands
        exact = Crop.from_joints(truth.joints_px, side, margin=1.0)
        assert found.side == side
        np.testing.assert_allclose(found.centre_px, exact.centre_px, atol=0.01 * exact.size_px)
        assert found.size_px == pytest.approx(exact.size_px, rel=0.02)
        assert np.degrees(np.angle(np.exp(1j * (found.angle - exact.angle)))) == pytest.approx(
            0, abs=1.5
        )


def test_nothing_is_found_where_nothing_is(detector: Detector) -> None:
    for size in ((320, 240), (1, 1), (5, 900)):
        assert detector(blank(*size)).hands == ()


def test_masks_lie_over_their_hands(detector: Detector) -> None:
    camera = Camera(300, 300, 160, 120)
    left = true_hand(camera, (-115, 40, 480), side="left")
    right = true_hand(camera, (115, 40, 480), side="right")
    found = detector(paint(blank(), [left, right]))
    assert {hand.side for hand in found.hands} == {"left", "right"}
    cells_px = found.cells_px.reshape(-1, 2)
    for hand in (left, right):
        gaps = np.linalg.norm(hand.joints_px[:, None] - cells_px, axis=-1)  # (21, cells)
        own, other = SIDES.index(hand.side), SIDES.index(other_side(hand.side))
        masks = found.side_masks.reshape(2, -1)[:, gaps.argmin(axis=1)]
        assert (masks[own] > 0.4).all() and (masks[other] < 0.1).all()


def test_bars_beside_the_frame_are_left_out() -> None:
    """The detector that ships takes any size, and finds the same hands with hardly any bars."""
    network = Network(weights_folder(None) / "detector.onnx", "detector")
    assert network.input_shape("image") == (None, None, None, 3)
    with resources.as_file(resources.files("knuckle.demo") / "hands.mp4") as video:
        frame = next(iter(open_source(str(video))))
    detector, square = Detector(network), Detector(network)
    square._step = None
    found, expected = (which(frame.image) for which in (detector, square))
    assert found.letterbox.box_size == (192, 160)
    assert expected.letterbox.box_size == (192, 192)
    sure = [hand for hand in expected.hands if hand.score > 0.5]
    assert sure
    for hand in sure:
        gaps = [np.hypot(*np.subtract(hand.centre_px, h.centre_px)) for h in found.hands]
        assert min(gaps) < 0.15 * hand.size_px
    ends, size = found.cells_px.reshape(-1, 2), np.array(frame.image.shape[1::-1])
    bar = BOX_STEP / found.letterbox.scale / 2  # what a whole step may need on each side
    assert (ends.min(axis=0) >= -0.5 - bar).all() and (ends.max(axis=0) <= size + bar).all()
