"""Masks are held against those of the hands they lie on."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import masks
from knuckle.camera import Camera
from knuckle.crop import Crop
from knuckle.mask import CropMask
from knuckle.results import HandPose
from knuckle.sample import HandLabel, Sample

CAMERA = Camera(300.0, 300.0, 159.5, 119.5)
JOINTS = np.random.default_rng(0).uniform(-40, 40, (21, 3)) + np.array([0, 0, 400])


def hand(x_px: float = 0.0, half: bool = False) -> HandPose:
    """A hand whose mask is a square of 60 px, or its left half, around the joints."""
    probability = np.ones((60, 60), np.float32)
    probability[:, 30:] = 0.0 if half else 1.0
    joints_mm = JOINTS + np.array([x_px * 400 / 300, 0, 0])
    return HandPose(
        side="right", side_score=1.0, score=1.0, joints_px=CAMERA.project(joints_mm),
        joints_mm=joints_mm, joint_score=np.ones(21), visible=np.ones(21, bool),
        joint_sigma_mm=np.ones(21), camera=CAMERA,
        crop_mask=CropMask(probability, Crop((159.5 + x_px, 119.5), 60.0), (240, 320)),
    )  # fmt: skip


def sample(*hands: HandPose) -> Sample:
    hand_map = np.zeros((240, 320), np.uint8)
    for number, each in enumerate(hands, start=1):
        hand_map[each.mask] = number
    labels = tuple(HandLabel(side=h.side, joints_px=h.joints_px) for h in hands)
    return Sample(image=np.zeros((240, 320, 3), np.uint8), hands=labels, hand_map=hand_map, key="a")


def test_the_right_mask_is_right_and_half_of_it_is_half() -> None:
    right = masks.score([sample(hand())], [[hand()]])
    assert (right.found, right.iou, right.boundary_f, right.twice) == (1, 1, 1, 0)
    half = masks.score([sample(hand())], [[hand(half=True)]])
    assert half.iou == pytest.approx(0.5, abs=0.01)
    assert half.boundary_f < 0.8


def test_missed_hands_are_counted_but_have_no_mask() -> None:
    scores = masks.score([sample(hand(-80), hand(80))], [[hand(80)]])
    assert (scores.hands, scores.found, scores.iou) == (2, 1, 1)


def test_pixels_of_two_hands_are_noticed() -> None:
    pair = [hand(), hand(30)]
    assert masks.score([sample(*pair)], [pair]).twice == pytest.approx(1 / 3, abs=0.01)
    apart = [replace(pair[0], crop_mask=hand(half=True).crop_mask), pair[1]]
    assert masks.score([sample(*pair)], [apart]).twice == 0
