"""Random frames: no hand up to several, of both sides, alone and touching."""

from dataclasses import replace

import numpy as np
import pytest

from knuckle.render.backgrounds import Backgrounds
from knuckle.render.camera_faults import CameraFaults
from knuckle.render.scene import FRAMES, World, render_frames
from knuckle.render.scene.frames import _without_unseen
from knuckle.sample import UNKNOWN, HandLabel, Sample


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
        known = frame.hand_map[frame.hand_map != UNKNOWN]
        assert known.max() == len(frame.hands)
        assert all(hand.visible.sum() >= 4 for hand in frame.hands)


def test_frames_of_touching_hands_hold_both(world):
    settings = replace(FRAMES, contact=1.0, faults=CameraFaults(0.0), distance_m=(0.3, 0.8))
    frames = list(render_frames(np.random.default_rng(0), 30, world, settings, 96, 72))
    both = [{hand.side for hand in frame.hands} == {"left", "right"} for frame in frames]
    assert np.mean(both) > 0.6  # of some, one hides behind the other; of hands apart it is 0.3


def test_what_is_seen_of_a_hand_that_is_not_labelled_is_no_background():
    shown = np.zeros((20, 30), np.uint8)
    shown[:8], shown[12:] = 1, 2
    points = np.tile([15.0, 4.0], (21, 1))
    hidden = HandLabel(side="left", joints_px=points, visible=np.zeros(21, bool))
    seen = replace(hidden, visible=np.ones(21, bool))
    image = np.zeros((20, 30, 3), np.uint8)
    sample = Sample(image=image, hands=(hidden, seen), hand_map=shown, key="k")
    left = _without_unseen(sample)
    assert len(left.hands) == len(left.ignore_xyxy) == 1
    assert (left.hand_map[:8] == UNKNOWN).all() and not left.hand_map[8:12].any()
    assert (left.hand_map[12:] == 1).all()
