"""What the page says of frames, beside what Python says of the same frames.

A tracker looks next where it saw a hand last, so two of them drift apart by what the networks
tremble from crop to crop. Compared is therefore each frame by itself, through the page's own crop:
where a hand is new, with what Python finds in the whole frame; where it is followed, also whether
Python would have looked there after what the page has seen.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from knuckle.camera import Camera
from knuckle.crop import Crop
from knuckle.pipeline import TrackerSettings, propose
from knuckle.pipeline.frame import one_each
from knuckle.pipeline.networks import Networks
from knuckle.pose import Keypoints
from knuckle.results import HandPose
from knuckle.track.track import Track

#: So often a hand is told of before where it is looked for is compared: by then what went before
#: has no part in its velocity.
_SETTLED = 5


@dataclass
class Differences:
    """Largest differences of each hand in each frame, and of where it was looked for."""

    px: list[float]
    mm: list[float]
    crop_px: list[float]


def compare(images: list[np.ndarray], times_s: list[float], seen: list[list[dict]]) -> Differences:
    """Compare hands as the page tells of them with Python's, frame by frame."""
    networks = Networks(TrackerSettings(threads=1))
    height, width = images[0].shape[:2]
    camera = Camera.assume(width, height)
    differences, tracks, told = Differences([], [], []), dict[int, Track](), dict[int, int]()
    for image, time_s, hands in zip(images, times_s, seen, strict=True):
        crops = [_crop_of(hand["crop"]) for hand in hands]
        looks = [
            networks.look(image, [crop])
            if hand["trackId"] in told
            else _found(networks, image, hand)
            for hand, crop in zip(hands, crops, strict=True)
        ]
        poses = networks.poses(Keypoints.concatenate(*looks), camera, (height, width))
        for hand, crop, pose in zip(hands, crops, poses, strict=True):
            number, joints_px = hand["trackId"], np.array(hand["jointsPx"])
            differences.px.append(float(np.abs(pose.joints_px - joints_px).max()))
            differences.mm.append(float(np.abs(pose.joints_mm - hand["jointsMm"]).max()))
            if told.get(number, 0) >= _SETTLED:
                expected = networks.crop_around(tracks[number].predict(time_s), pose.side)
                gap = np.subtract(expected.centre_px, crop.centre_px)
                size = abs(expected.size_px - crop.size_px)
                differences.crop_px.append(max(*np.abs(gap).tolist(), size))
            _follow(tracks, number, _pose_of(hand, pose), time_s)
        told = {hand["trackId"]: told.get(hand["trackId"], 0) + 1 for hand in hands}
    return differences


def _found(networks: Networks, image: np.ndarray, hand: dict[str, Any]) -> Keypoints:
    """The detected hand that is nearest to the page's."""
    named = propose.detected(networks, networks.detect(image).hands)
    found = one_each(networks, image, [[proposal] for proposal in named])
    gaps = np.linalg.norm(found.points_px - hand["jointsPx"], axis=-1).mean(axis=-1)
    return found.take([int(gaps.argmin())]).with_prior(np.zeros(1))


def _follow(tracks: dict[int, Track], number: int, pose: HandPose, time_s: float) -> None:
    if number not in tracks:
        tracks[number] = Track(pose, time_s, ids=itertools.count(), smoother=None)
    tracks[number].see(pose, time_s)


def _crop_of(told: dict[str, Any]) -> Crop:
    return Crop(tuple(told["centre"]), told["size"], told["angle"], told["mirror"], told["outSize"])


def _pose_of(hand: dict[str, Any], like: HandPose) -> HandPose:
    return HandPose(
        side=hand["side"],
        side_score=hand["sideScore"],
        score=hand["score"],
        joints_px=np.array(hand["jointsPx"]),
        joints_mm=np.array(hand["jointsMm"]),
        joint_score=np.array(hand["jointScore"]),
        visible=np.array(hand["visible"]),
        joint_sigma_mm=like.joint_sigma_mm,
        camera=like.camera,
    )
