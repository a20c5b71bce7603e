"""The way of a frame: what is looked at after the first looks, what is found, what it costs."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from dot_world import true_hand, turn
from knuckle.camera import Camera
from knuckle.codec import DetectedHand, NeighbourCodec
from knuckle.crop import MARGIN, Crop
from knuckle.hand import SIDES, extent_px, other_side
from knuckle.letterbox import Letterbox
from knuckle.pipeline import EstimatorSettings, frame, judge, propose
from knuckle.pipeline.looks import Looks, Proposal
from knuckle.pose import Keypoints
from knuckle.results import HandPose
from knuckle.stages.detector import Detections

CAMERA = Camera(600, 600, 320, 240)
IMAGE = np.zeros((480, 640, 3), np.uint8)
MASK = 32


def hand(x: float, side: str = "right", angle: float = 0.0) -> HandPose:
    return true_hand(CAMERA, (x, 60, 600), side=side, rotation=turn(angle))


def middle_of(pose: HandPose) -> np.ndarray:
    return (pose.joints_px.min(axis=0) + pose.joints_px.max(axis=0)) / 2


def on(pose: HandPose, points_px: np.ndarray) -> np.ndarray:
    """Whether places in the frame (..., 2) are on a hand: a disc around its middle."""
    return np.linalg.norm(points_px - middle_of(pose), axis=-1) < extent_px(pose.joints_px) * 0.45


@dataclass
class Eyes:
    """Networks that see the true hands: whichever a crop shows, if it is upright in it.

    Attributes:
        hands: what there is.
        claims: how surely who looks at a hand sees its neighbour.
        presence: of a hand that is looked at well.
        mistaken: by how much the angle is off that it is seen in, radians.
        asked: number of crops that were looked at.
    """

    hands: Sequence[HandPose]
    claims: float = 0.0
    presence: float = 0.95
    mistaken: float = 0.0
    settings: EstimatorSettings = field(
        default_factory=lambda: EstimatorSettings(score_threshold=0.5)
    )
    asked: int = 0

    def crop_of(self, guess: DetectedHand) -> Crop:
        return Crop(
            guess.centre_px, guess.size_px * MARGIN, guess.angle, mirror=guess.side == "left"
        )

    def crop_around(self, joints_px: np.ndarray, side: Any) -> Crop:
        return Crop.from_joints(joints_px, side)

    def look(
        self,
        image: np.ndarray,
        crops: Sequence[Crop],
        known_px: Sequence[np.ndarray | None] = (),
    ) -> Keypoints:
        if not crops:
            return Keypoints.nothing()
        self.asked += len(crops)
        known = known_px or [None] * len(crops)
        looks = [self._look(*each) for each in zip(crops, known, strict=True)]
        return Keypoints(
            crops=tuple(crops),
            **{name: np.stack([look[name] for look in looks]) for name in looks[0]},
        )

    def _look(self, crop: Crop, known_px: np.ndarray | None) -> dict[str, np.ndarray]:
        shown = min(self.hands, key=lambda h: np.linalg.norm(middle_of(h) - crop.centre_px))
        exact = Crop.from_joints(shown.joints_px, shown.side)
        off = np.linalg.norm(middle_of(shown) - crop.centre_px) / exact.size_px
        tilt = abs(np.angle(np.exp(1j * (crop.angle - exact.angle))))
        rows, columns = np.mgrid[:MASK, :MASK]
        cells_px = replace(crop, out_size=MASK).to_frame(np.stack([columns, rows], axis=-1))
        return {
            "points_crop": crop.to_crop(shown.joints_px),
            "sigma_crop": np.ones(21),
            "visible": np.ones(21),
            "presence": np.array(self.presence if off < 0.5 and tilt < 0.9 else 0.02),
            "side_score": np.array(0.97 if crop.mirror == exact.mirror else 0.1),
            "mask": on(shown, cells_px).astype(np.float32),
            "on_border": np.zeros(3),
            "pixels": np.zeros((MASK, MASK, 3), np.uint8),
            "features": np.zeros((21, 4)),
            "neighbour": self._neighbour(shown, exact) if self.claims else np.zeros(6),
            "log_odds": np.float64(0),
        }

    def _neighbour(self, shown: HandPose, crop: Crop) -> np.ndarray:
        """(6,) as the network says it, through a crop that shows the hand exactly."""
        other = next(hand for hand in self.hands if hand is not shown)
        square = Crop.from_joints(other.joints_px, other.side)
        turned = square.angle - crop.angle + self.mistaken
        seen = DetectedHand(
            tuple(crop.to_crop(np.array(square.centre_px))),
            square.size_px / MARGIN * crop.out_size / crop.size_px,
            -turned if crop.mirror else turned,
            other.side,
        )
        return np.r_[self.claims, NeighbourCodec(crop.out_size).encode(seen)]

    def seen(self, *hands: HandPose) -> Keypoints:
        """What is known of some of them."""
        if not hands:
            return Keypoints.nothing()
        return self.look(IMAGE, [Crop.from_joints(h.joints_px, h.side) for h in hands])


def detected(hands: Sequence[HandPose], named: Sequence[HandPose]) -> Detections:
    """A mask of all hands, whose sides are in doubt, but detections of some only."""
    box = Letterbox.of(IMAGE, 256)
    rows, columns = np.mgrid[:64, :64]
    cell = np.array(box.box_size) / 64
    places = box.to_frame((np.stack([columns, rows], axis=-1) + 0.5) * cell - 0.5)
    mask = np.any([on(h, places) for h in hands], axis=0).astype(np.float32)
    squares = tuple(
        DetectedHand(tuple(middle_of(h)), float(extent_px(h.joints_px)), 2.0, "right", 0.6)
        for h in named
    )
    return Detections(squares, np.stack([0.5 * mask + 0.01, 0.5 * mask]), box)


def hands_in(
    networks: Any,
    there: Sequence[HandPose],
    named: Sequence[HandPose],
    room: int = 2,
    *,
    by: str = "detection",
    known: int = 0,
) -> tuple[Keypoints, int]:
    """The hands of an image, and the crops that it took after the first looks.

    Args:
        networks: the eyes.
        there: hands that the detector's mask shows.
        named: hands that the first looks are at, exactly.
        room: hands beside those that are known.
        by: who proposes the first looks.
        known: so many of them, the first, show hands that are known.
    """
    crops = [Crop.from_joints(h.joints_px, h.side) for h in named]
    track: Any = object() if by == "track" else None
    first = Looks.at(networks, IMAGE, [Proposal(crop, by, track=track) for crop in crops])
    networks.asked = 0
    looks, hands = frame.hands_of(
        networks, IMAGE, first, detected(there, named), room, range(known)
    )
    return looks.seen.take(hands), networks.asked


def sides_of(hands: Keypoints) -> list[str]:
    return sorted(hands.side(i) for i in range(len(hands)))


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("angle", [0, 80, 180, -100])
def test_a_hand_that_touches_the_one_found_is_found(side: str, angle: float) -> None:
    first, second = hand(-60), hand(60, side, angle)
    hands, _ = hands_in(Eyes([first, second]), [first, second], [first], by="track", known=1)
    assert sides_of(hands) == sorted(["right", side])
    gaps = np.abs(hands.points_px - second.joints_px).max(axis=(1, 2))
    assert gaps.min() < 1e-6 < gaps.max()


@pytest.mark.parametrize("angle", [0, 45, -130])
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_neighbour_is_found_where_it_is_seen_at_one_look(side: Any, angle: float) -> None:
    """Two hands on each other: no piece of mask is left over."""
    other = other_side(side)
    front, away = hand(0, side), hand(0, other, angle)
    x, y = (middle_of(front) + np.array([60, 20]) - middle_of(away)) * 600 / CAMERA.fx
    behind = true_hand(CAMERA, (x, 60 + y, 600), side=other, rotation=turn(angle))
    hands, asked = hands_in(Eyes([front, behind], claims=0.9), [front, behind], [front])
    assert len(hands) == 2 and hands.side(1) == other and asked == 1
    np.testing.assert_allclose(hands.points_px[1], behind.joints_px, atol=1e-6)


def test_a_neighbour_that_is_seen_the_wrong_way_up_is_found() -> None:
    front, behind = hand(0), hand(60, "left")
    eyes = Eyes([front, behind], claims=0.9, mistaken=np.pi / 2)
    hands, _ = hands_in(eyes, [front, behind], [front])
    assert sides_of(hands) == ["left", "right"]


@pytest.mark.parametrize("alone", [hand(-60), hand(0, "left", 50)])
@pytest.mark.parametrize("by", ["detection", "track"])
def test_a_lone_hand_costs_nothing(alone: HandPose, by: str) -> None:
    hands, asked = hands_in(Eyes([alone]), [alone], [alone], by=by, known=int(by == "track"))
    assert len(hands) == 1 and asked == 0


def test_nothing_is_looked_for_where_there_is_no_room() -> None:
    both = [hand(-60), hand(60, "left")]
    for known, room in ((0, 1), (1, 0)):
        hands, asked = hands_in(Eyes(both, claims=0.9), both, both[:1], room, known=known)
        assert len(hands) == 1 and asked == 0


def test_a_pair_has_no_third_hand() -> None:
    three = [hand(-90), hand(90, "left"), hand(200)]
    _, asked = hands_in(Eyes(three[:2], claims=0.9), three, three[:2], room=6)
    assert asked == 0


def test_what_is_far_from_any_hand_is_not_looked_at() -> None:
    near, far = hand(-200), hand(200, "left")
    hands, asked = hands_in(Eyes([near, far]), [near, far], [near])
    assert len(hands) == 1 and asked == 0


def test_what_is_no_hand_is_not_made_one() -> None:
    """Part of an arm in the detector's mask: whoever looks there sees the same hand again."""
    alone, arm = hand(-60), hand(60, "left")
    hands, asked = hands_in(Eyes([alone]), [alone, arm], [alone])
    assert len(hands) == 1 and asked > 0


def test_hands_that_do_not_touch_are_left_as_they_are() -> None:
    apart = [hand(-230), hand(230), hand(0, "left")]
    hands, asked = hands_in(Eyes(apart), apart, apart, room=3)
    assert len(hands) == 3 and asked == 0
    assert len(hands_in(Eyes(apart), apart, apart, room=2)[0]) == 2


def test_three_hands_that_touch_are_three() -> None:
    row = [hand(0), hand(140, "left"), hand(-140)]
    hands, _ = hands_in(Eyes(row, claims=0.9), row, row, room=3)
    middles = sorted(float(points[:, 0].mean()) for points in hands.points_px)
    assert len(hands) == 3 and np.diff(middles).min() > 80


@dataclass
class Overshadowed(Eyes):
    """Networks that see the first hand in every crop, unless they are given it."""

    def _look(self, crop: Crop, known_px: np.ndarray | None) -> dict[str, np.ndarray]:
        first, *others = self.hands
        given = known_px is not None and np.abs(known_px - first.joints_px).mean() < 10
        return Eyes._look(replace(self, hands=others if given else [first]), crop, None)


def test_the_other_of_two_hands_is_seen_by_a_look_that_knows_of_the_first() -> None:
    both = [hand(-45), hand(45, "left")]
    hands, _ = hands_in(Overshadowed(both), both, both[:1])
    assert sides_of(hands) == ["left", "right"]


def test_the_same_hand_seen_as_the_other_side_is_no_partner() -> None:
    alone = hand(0)
    twice = [Proposal(Crop.from_joints(alone.joints_px, side), "detection") for side in SIDES]
    looks = Looks.at(Eyes([alone]), IMAGE, twice)
    _, hands = frame.hands_of(Eyes([alone]), IMAGE, looks, detected([alone], [alone]), 2)
    assert hands == [SIDES.index("right")]


def test_an_inexact_crop_is_followed_by_the_exact_one_and_both_count() -> None:
    alone = hand(0)
    near = Crop.from_joints(alone.joints_px + 12.0, "right", margin=1.9)
    eyes: Any = Eyes([alone])
    looks, hands = frame.hands_of(
        eyes,
        IMAGE,
        Looks.at(eyes, IMAGE, [Proposal(near, "detection")]),
        detected([alone], [alone]),
        2,
    )
    assert [looks.proposals[i].by for i in hands] == ["exact"] and eyes.asked == 2
    spread = looks.averaged(hands).sigma_px / looks.seen.take(hands).sigma_px
    assert (spread != 1).any()


def test_a_side_in_doubt_is_looked_at_as_both() -> None:
    class Unsure(Eyes):
        def _look(self, crop: Crop, known_px: np.ndarray | None) -> dict[str, np.ndarray]:
            return super()._look(crop, known_px) | {
                "side_score": np.array(0.9 if crop.mirror else 0.6)
            }

    alone = hand(0)
    hands, asked = hands_in(Unsure([alone]), [alone], [alone])
    assert sides_of(hands) == ["left"] and asked == 1


class Likes(Eyes):
    """Takes both for right hands; the second fits as a left one as well, a little less."""

    def _look(self, crop: Crop, known_px: np.ndarray | None) -> dict[str, np.ndarray]:
        seen = super()._look(crop, known_px)
        second = crop.centre_px[0] > middle_of(self.hands[0])[0] + 40
        right = (0.8 if crop.mirror else 0.9) if second else (0.05 if crop.mirror else 0.97)
        return seen | {"side_score": np.array(right)}


@pytest.mark.parametrize("apart", [80, 230])
def test_of_two_of_one_side_the_less_certain_is_looked_at_as_the_other(apart: int) -> None:
    both = [hand(-apart), hand(apart)]
    hands, _ = hands_in(Likes(both), both, both)
    assert sides_of(hands) == ["left", "right"]


def test_a_side_comes_into_doubt_by_what_is_found_later_beside_it() -> None:
    eyes: Any = Likes([hand(-230), hand(230)])
    first, second = (Crop.from_joints(h.joints_px, h.side) for h in eyes.hands)
    named = [Proposal(replace(first, mirror=True), "detection"), Proposal(second, "detection")]
    looks, hands = frame.hands_of(
        eyes,
        IMAGE,
        Looks.at(eyes, IMAGE, named),
        detected(eyes.hands, eyes.hands),
        2,
    )
    assert sides_of(looks.seen.take(hands)) == ["left", "right"]


def test_two_hands_that_are_surely_of_one_side_stay_so() -> None:
    both = [hand(-230), hand(230)]
    hands, _ = hands_in(Eyes(both), both, both)
    assert sides_of(hands) == ["right", "right"]


class Squinting(Eyes):
    """Networks that see less of a hand that is tilted in its crop, and its joints all the same."""

    def _look(self, crop: Crop, known_px: np.ndarray | None) -> dict[str, np.ndarray]:
        shown = min(self.hands, key=lambda h: np.linalg.norm(middle_of(h) - crop.centre_px))
        exact = Crop.from_joints(shown.joints_px, shown.side)
        tilted = abs(np.angle(np.exp(1j * (crop.angle - exact.angle)))) > 0.3
        return super()._look(crop, known_px) | {"presence": np.array(0.3 if tilted else 0.95)}


@pytest.mark.parametrize("others", [0, 1])
def test_what_is_detected_and_seen_aslant_is_followed_up_beside_a_sure_hand_too(
    others: int,
) -> None:
    sure, tilted = [hand(-230)][:others], hand(230, "left")
    aslant = replace(Crop.from_joints(tilted.joints_px, "left"), angle=0.6)
    eyes: Any = Squinting([*sure, tilted])
    proposals = [Proposal(Crop.from_joints(h.joints_px, h.side), "detection") for h in sure]
    first = Looks.at(eyes, IMAGE, [*proposals, Proposal(aslant, "detection")])
    looks, hands = frame.hands_of(eyes, IMAGE, first, detected(eyes.hands, eyes.hands), 2)
    assert sides_of(looks.seen.take(hands)) == ["left", "right"][: 1 + others]


def test_boxes_have_a_hand_each_however_unlikely() -> None:
    there = hand(0)
    eyes: Any = Eyes([there])
    rows = [
        [Proposal(Crop.from_joints(there.joints_px + off, side), "box") for side in SIDES]
        for off in (0.0, 500.0)
    ]
    found = frame.one_each(eyes, IMAGE, rows)
    assert len(found) == 2 and found.side(0) == "right"
    assert found.score[1] < 0.1 < 0.9 < found.score[0]
    assert len(frame.one_each(eyes, IMAGE, [])) == 0


@pytest.mark.parametrize(("by", "followed"), [("detection", True), ("search", False)])
def test_a_weak_look_is_followed_up_in_a_picture_alone(by: Any, followed: bool) -> None:
    there = hand(0)
    eyes: Any = Eyes([there], presence=0.08)
    inexact = Crop.from_joints(there.joints_px, there.side).jittered(
        np.random.default_rng(0), shift=0.1, log_scale=0.3, angle=0.0
    )
    first = Looks.at(eyes, IMAGE, [Proposal(inexact, by)])
    assert judge.HOPELESS_IN_PICTURE < first.seen.score[0] < judge.HOPELESS
    looks, hands = frame.hands_of(eyes, IMAGE, first, None, 2)
    assert hands == [] and (len(looks) > 1) == followed


def test_no_hand_found_and_none_there() -> None:
    eyes = Eyes([hand(0)])
    assert frame.hands_of(eyes, IMAGE, Looks.none(), None, 2)[1] == []
    assert eyes.asked == 0


class Dazzled(Eyes):
    """Networks that see a hand of either side in every crop, never where they look, and another."""

    def look(
        self,
        image: np.ndarray,
        crops: Sequence[Crop],
        known_px: Sequence[np.ndarray | None] = (),
    ) -> Keypoints:
        rng = np.random.default_rng(self.asked)
        looks = super().look(image, crops)
        n = len(looks)
        away = rng.uniform(-60, 60, (n, 1, 2))
        return replace(
            looks,
            points_crop=looks.points_crop + away,
            presence=rng.uniform(0.3, 0.49, n),  # worth following, and no hand
            side_score=rng.uniform(0.3, 0.7, n),
            neighbour=np.c_[np.full(n, 0.9), rng.normal(0, 1, (n, 5))] if n else looks.neighbour,
        )


@pytest.mark.parametrize("known", [0, 1, 3])
def test_looks_are_limited_whatever_there_is_to_see(known: int) -> None:
    row = [hand(-260 + 260 * k) for k in range(max(known, 1))]  # too far apart to touch
    _, asked = hands_in(
        Dazzled(row), row, row, 6, by="track" if known else "detection", known=known
    )
    most = 4 * frame.MOST_CROPS + 3 * known
    assert 0.4 * most <= asked <= most


# --- where the mask goes on ----------------------------------------------------------------------


@pytest.mark.parametrize("shift", [-130, 130])
def test_a_piece_of_mask_is_a_hand_there(shift: float) -> None:
    first, second = hand(0), hand(shift, "left")
    guess = propose.unexplained(detected([first, second], [first]), Eyes([first]).seen(first))
    assert guess is not None and guess.side == "left"
    beyond = np.subtract(guess.centre_px, middle_of(first))
    assert np.sign(beyond[0]) == np.sign(shift) and abs(beyond[1]) < 0.2 * abs(beyond[0])
    assert guess.size_px >= 0.8 * np.ptp(first.joints_px, axis=0).max()


def test_what_is_explained_far_away_or_too_little_is_no_guess(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = hand(0), hand(130, "left")
    whole, known = detected([first, second], [first]), Eyes([first, second])
    assert propose.unexplained(detected([first], [first]), known.seen(first)) is None
    assert propose.unexplained(whole, known.seen(first, second)) is None
    assert propose.unexplained(detected([first, hand(450)], [first]), known.seen(first)) is None
    monkeypatch.setattr(judge, "LEAST_SHARE", 2.0)
    assert propose.unexplained(whole, known.seen(first)) is None


# --- a finger that leaves its crop ---------------------------------------------------------------


class TightEyes(Eyes):
    """They take a hand whose crop does not hold all of it for a folded one, and see it cut off."""

    def _look(self, crop: Crop, known_px: np.ndarray | None) -> dict[str, np.ndarray]:
        look = super()._look(crop, known_px)
        points = look["points_crop"]
        if (points < 0).any():
            look["points_crop"] = np.maximum(points, [-np.inf, 0.6 * crop.out_size])
            look["on_border"] = np.array([0.0, judge.RIM, 0.0])
        return look


def tight(pose: HandPose) -> Crop:
    """A crop that ends below the fingertips."""
    crop = Crop.from_joints(pose.joints_px, pose.side)
    return replace(crop, size_px=0.8 * crop.size_px, centre_px=(crop.centre_px[0], 250.0))


@pytest.mark.parametrize("by", ["track", "detection"])
def test_a_hand_that_its_crop_cuts_off_is_looked_at_through_a_wider_one(by: str) -> None:
    """And what the tight crop showed does not count, not even in a mean."""
    pose = hand(0)
    networks: Any = TightEyes([pose])
    track: Any = object() if by == "track" else None
    first = Looks.at(networks, IMAGE, [Proposal(tight(pose), by, track=track)])
    assert any(judge.cut_off(first.seen, 0))
    known = [0] if by == "track" else []
    looks, hands = frame.hands_of(networks, IMAGE, first, detected([pose], [pose]), 1, known)
    assert len(hands) == 1
    assert np.abs(looks.averaged(hands).points_px[0] - pose.joints_px).max() < 1e-6
    if by == "track":  # it is the look of the track that shows it now
        assert hands == [0] and looks.proposals[0].by == "track"


def test_a_wider_look_that_shows_no_hand_changes_nothing() -> None:
    pose = hand(0)

    class Doubting(TightEyes):
        def _look(self, crop: Crop, known_px: np.ndarray | None) -> dict[str, np.ndarray]:
            look = super()._look(crop, known_px)
            return look if look["on_border"].any() else {**look, "presence": np.array(0.1)}

    networks: Any = Doubting([pose])
    first = Looks.at(networks, IMAGE, [Proposal(tight(pose), "track", track=Any)])
    looks, _ = frame.hands_of(networks, IMAGE, first, None, 1, [0])
    assert networks.asked == 2
    assert looks.seen.crops[0] == tight(pose)


@pytest.mark.parametrize(("curl_deg", "has_room"), [(80, True), (0, False)])
def test_a_followed_fist_has_room_for_its_fingers(curl_deg: float, has_room: bool) -> None:
    """The crop of an open hand is as its joints define it."""
    pose = true_hand(CAMERA, (0, 60, 600), flexion_deg=curl_deg)

    class Known:
        side = pose.side

        def predict(self, time_s: float) -> np.ndarray:
            return pose.joints_px

    networks: Any = Eyes([pose])
    track: Any = Known()
    (proposal,) = propose.followed(networks, [track], 0.0)
    tight = Crop.from_joints(pose.joints_px, pose.side)
    assert (proposal.crop.size_px > 1.02 * tight.size_px) == has_room
    assert proposal.crop.size_px >= tight.size_px
