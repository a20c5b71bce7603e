"""What was looked at in vain is not looked at again at once."""

from dataclasses import replace

from knuckle.codec import DetectedHand
from knuckle.track.search import Refuted

MOUSE = DetectedHand((490, 482), 180, 0.3, "left", score=0.4)


def test_the_same_thing_is_explained_for_a_while() -> None:
    refuted = Refuted()
    assert not refuted.explains(MOUSE, 0.0)
    refuted.note(MOUSE, 0.0)
    wavering = replace(MOUSE, centre_px=(500, 470), size_px=200, side="right", score=0.45)
    assert refuted.explains(wavering, 0.9)
    assert not refuted.explains(wavering, 1.1)


def test_a_hand_beside_it_is_news() -> None:
    refuted = Refuted()
    refuted.note(MOUSE, 0.0)
    assert not refuted.explains(replace(MOUSE, centre_px=(400, 482)), 0.1)
