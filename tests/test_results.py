"""What a hand says of itself, to people and to other programs."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np

import knuckle
from fakes import pose


def test_a_hand_is_one_line() -> None:
    text = repr([pose(), pose(track_id=7)])
    assert "\n" not in text and len(text) < 400
    assert "right" in text and "hand 7" in text and "mm" in text


def test_a_notebook_shows_a_small_drawing() -> None:
    html = pose(track_id=3)._repr_html_()
    assert html.count("<line") == 20 and "nan" not in html and "hand 3" in html


def test_numbers_for_other_programs() -> None:
    hand = pose(track_id=2)
    values = json.loads(hand.to_json())
    assert values["track_id"] == 2 and values["side"] == hand.side
    np.testing.assert_allclose(values["joints_mm"], hand.joints_mm)
    unknown = replace(hand, joint_sigma_mm=np.full(21, np.nan))
    assert json.loads(unknown.to_json())["joint_sigma_mm"] == [None] * 21


def test_normalised_coordinates_reach_from_edge_to_edge() -> None:
    corners = np.zeros((21, 2)) - 0.5
    corners[1:] = (639.5, 479.5)
    shares = replace(pose(), joints_px=corners).joints_normalised(640, 480)
    np.testing.assert_allclose(shares[:2], [(0, 0), (1, 1)])


def test_the_clip_that_ships() -> None:
    assert knuckle.demo_clip().is_file()
