"""The shipped clip, and the shipped networks on it, measured against the rendered truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from knuckle import HandTracker, open_source
from knuckle.hand import SIDES
from knuckle.results import TrackedHand

DEMO = Path(str(resources.files("knuckle.demo")))
CLIP = DEMO / "hands.mp4"

#: A hand counts where so many of its joints are in the picture.
WHOLE = 0.95
#: After a hand has come into view, the tracker may take so many frames to notice.
GRACE_FRAMES = 6


@pytest.fixture(scope="module")
def truth() -> Mapping[str, np.ndarray]:
    with np.load(DEMO / "hands_truth.npz") as file:
        return dict(file)


class TestClip:
    def test_is_small_and_short(self) -> None:
        assert CLIP.stat().st_size <= 1_000_000
        with open_source(CLIP) as source:
            assert source.size == (640, 480)
            frames = list(source)
        assert len(frames) == 170
        np.testing.assert_allclose([f.time_s for f in frames], np.arange(170) / 30, atol=1e-3)

    def test_truth_agrees_with_itself(self, truth: Mapping[str, np.ndarray]) -> None:
        fx, fy, cx, cy = truth["camera"]
        x, y, z = np.moveaxis(truth["joints_mm"], -1, 0)
        projected = np.stack([fx * x / z + cx, fy * y / z + cy], axis=-1)
        np.testing.assert_allclose(projected, truth["joints_px"], atol=0.05)

    def test_tells_the_story(self, truth: Mapping[str, np.ndarray]) -> None:
        right, left = (truth["shown"][:, list(truth["side"]).index(s)] for s in ("right", "left"))
        assert (right[:40] == 1).all()
        assert (left[:40] == 0).all()  # one hand
        assert (left[65:] >= WHOLE).all()  # the second joins and stays
        assert (right[120:130] == 0).all()
        assert (right[-20:] == 1).all()  # the first leaves and returns

    def test_shows_hands_where_the_truth_has_them(self, truth: Mapping[str, np.ndarray]) -> None:
        with open_source(CLIP) as source:
            images = np.stack([frame.image for frame in source]).astype(np.int16)
        # The empty room: its left half while the right hand is away, its right half before the
        # left one comes.
        room = np.concatenate([images[125][:, :335], images[10][:, 335:]], axis=1)
        at_joints = []
        for i in range(0, len(images), 5):
            changed = np.abs(images[i] - room).max(axis=-1) > 12
            whole = truth["joints_px"][i, truth["shown"][i] == 1]
            x, y = whole.reshape(-1, 2).round().astype(int).T
            at_joints.extend(changed[y, x])
            assert changed[:40].mean() < 0.02  # nobody reaches up there
        assert np.mean(at_joints) > 0.85


@dataclass(frozen=True)
class Match:
    """A true hand in one frame, and the tracked one of its side nearest to it.

    Attributes:
        frame, hand: where in the truth.
        tracked: None if no hand lies on it.
        error: mean 2D error of the joints as a share of the larger side of the true box.
    """

    frame: int
    hand: int
    tracked: TrackedHand | None
    error: float


@pytest.fixture(scope="module")
def tracked() -> list[list[TrackedHand]]:
    """What the shipped networks see in each frame of the shipped clip."""
    tracker = HandTracker(max_hands=2)
    with open_source(CLIP) as source:
        return [tracker(frame) for frame in source]


@pytest.fixture(scope="module")
def matches(truth: Mapping[str, np.ndarray], tracked: list[list[TrackedHand]]) -> list[Match]:
    """One per true hand that is whole, and has been for a moment."""
    found = []
    for frame, hands in enumerate(tracked):
        for k in range(len(SIDES)):
            recent = truth["shown"][max(frame - GRACE_FRAMES, 0) : frame + 1, k]
            if (recent >= WHOLE).all():
                found.append(_match(truth["joints_px"][frame, k], hands, frame, k))
    return found


def _match(joints_px: np.ndarray, hands: list[TrackedHand], frame: int, k: int) -> Match:
    box = np.ptp(joints_px, axis=0).max()
    errors = [np.linalg.norm(h.joints_px - joints_px, axis=1).mean() / box for h in hands]
    if not errors or min(errors) > 0.4:  # what is further off lies on something else
        return Match(frame, k, None, np.inf)
    best = int(np.argmin(errors))
    return Match(frame, k, hands[best], float(errors[best]))


class TestShippedNetworks:
    def test_find_the_hands(self, matches: list[Match]) -> None:
        assert len(matches) > 200
        assert np.mean([m.tracked is not None for m in matches]) >= 0.9

    def test_see_no_more_hands_than_there_are(
        self, truth: Mapping[str, np.ndarray], tracked: list[list[TrackedHand]]
    ) -> None:
        there = (truth["shown"] > 0).sum(axis=1)
        assert np.mean([len(hands) <= n for hands, n in zip(tracked, there, strict=True)]) >= 0.9

    def test_sit_on_the_joints(self, matches: list[Match]) -> None:
        assert np.median([m.error for m in matches]) < 0.08

    def test_know_left_from_right(
        self, matches: list[Match], truth: Mapping[str, np.ndarray]
    ) -> None:
        right = [m.tracked.side == truth["side"][m.hand] for m in matches if m.tracked]
        assert np.mean(right) >= 0.9

    def test_know_how_far_away_the_hands_are(
        self, matches: list[Match], truth: Mapping[str, np.ndarray]
    ) -> None:
        """The clip's camera is the assumed one and its hand the mean one: depth must come out."""
        ratios = [
            m.tracked.root_mm[2] / truth["joints_mm"][m.frame, m.hand, 0, 2]
            for m in matches
            if m.tracked
        ]
        assert abs(np.median(ratios) - 1) < 0.15
