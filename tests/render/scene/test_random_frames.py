"""Random frames: no hand up to several, of both sides, alone and touching."""

from dataclasses import replace

import numpy as np
import pytest

from knuckle.render.backgrounds import Backgrounds
from knuckle.render.camera_faults import CameraFaults
from knuckle.render.scene import FRAMES, World, render_frames


@pytest.fixture(scope="module")
def world() -> World:
    return World.of(Backgrounds())


def test_frames_hold_no_to_four_hands_of_both_sides(world):
    settings = replace(FRAMES, faults=CameraFaults(0.0))
    frames = list(render_frames(np.random.default_rng(0), 40, world, settings, 96, 72))
    numbers = {len(frame.hands) for frame in frames}
    assert 0 in numbers and max(numbers) in (2, 3, 4)
    assert {h.side for f in frames for h in f.hands} == {"left", "right"}
    for frame in frames:
        assert frame.image.shape == (72, 96, 3) and frame.complete
        assert frame.hand_map.max() == len(frame.hands)
        assert all(hand.visible.sum() >= 4 for hand in frame.hands)


def test_frames_of_touching_hands_hold_both(world):
    settings = replace(FRAMES, contact=1.0, faults=CameraFaults(0.0), distance_m=(0.3, 0.8))
    frames = list(render_frames(np.random.default_rng(0), 30, world, settings, 96, 72))
    both = [{hand.side for hand in frame.hands} == {"left", "right"} for frame in frames]
    assert np.mean(both) > 0.6  # of some, one hides behind the other; of hands apart it is 0.3
