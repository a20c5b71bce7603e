"""The measuring of two hands is right before they are measured."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import two_hands
from knuckle.hand import hand_length
from knuckle.pipeline import EstimatorSettings
from knuckle.pipeline.networks import Networks
from knuckle.sample import HandLabel, Sample


@pytest.fixture(scope="module")
def networks():
    return Networks(EstimatorSettings(threads=1))


@pytest.fixture(scope="module")
def looks(networks):
    return two_hands.posed_looks(networks, 3, touching=True)


class TrueLifter:
    """Says what is true, or that times something for each hand."""

    def __init__(self, looks, times=(1.0, 1.0)):
        self._true = {id(look.keypoints): look.true_mm for look in looks}
        self._times = np.array(times)[:, None, None]

    def __call__(self, keypoints, camera):
        joints = self._true[id(keypoints)]
        return (joints - joints[:, :1]) * self._times, np.full((2, 21), 0.1)


def exact(looks):
    """Looks that see every joint where it is."""
    return [
        replace(
            look,
            keypoints=replace(
                look.keypoints,
                points_crop=np.stack(
                    [
                        crop.to_crop(look.camera.project(hand))
                        for crop, hand in zip(look.keypoints.crops, look.true_mm, strict=True)
                    ]
                ),
            ),
        )
        for look in looks
    ]


def test_posed_hands_are_seen_about_where_they_are(looks):
    for look in looks:
        seen, true = look.keypoints.points_px, look.camera.project(look.true_mm)
        size = np.ptp(true, axis=1).max(axis=-1)
        assert np.median(np.abs(seen - true) / size[:, None, None]) < 0.2
        assert [look.keypoints.side(i) for i in range(2)] == ["right", "left"]


def test_what_is_lifted_rightly_is_placed_rightly(looks, monkeypatch):
    looks = exact(looks)
    networks = Networks(EstimatorSettings(threads=1))
    monkeypatch.setitem(networks.__dict__, "lifter", TrueLifter(looks))
    for look in looks:
        for way in (two_hands.each_alone, two_hands.one_size):
            assert np.abs(way(networks, look) - look.true_mm).max() < 6.0  # hands differ a little


def test_one_size_makes_both_hands_equally_long(looks, monkeypatch):
    networks = Networks(EstimatorSettings(threads=1))
    looks = exact(looks)
    monkeypatch.setitem(networks.__dict__, "lifter", TrueLifter(looks, times=(0.8, 1.25)))
    found = two_hands.one_size(networks, looks[0])
    alone = two_hands.each_alone(networks, looks[0])
    spread = np.abs(np.diff(np.log(hand_length(found))))
    assert spread < 0.25 * np.abs(np.diff(np.log(hand_length(alone))))


def test_only_pictures_of_a_right_and_a_left_hand_count(looks):
    def label(side, seen=21):
        true = looks[0].true_mm[0]
        visible = np.arange(21) < seen
        points = looks[0].camera.project(true)
        return HandLabel(side=side, joints_px=points, joints_mm=true, visible=visible)

    def sample(*hands):
        blank = np.zeros((720, 1280, 3), np.uint8)
        return Sample(image=blank, hands=hands, camera=looks[0].camera, key="k")

    pair = sample(label("left"), label("right"))
    others = [
        sample(label("right")),
        sample(label("right"), label("right")),
        sample(label("left"), label("right", seen=3)),
    ]
    assert two_hands.of_two_hands([pair, *others]) == [pair]
