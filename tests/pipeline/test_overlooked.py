"""Hands that share one detection: found where the detector's mask goes on, and nowhere else."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from dot_world import true_hand, turn
from knuckle.camera import Camera
from knuckle.codec import DetectedHand, NeighbourCodec
from knuckle.crop import MARGIN, Crop, Letterbox
from knuckle.detect import Detections
from knuckle.hand import SIDES
from knuckle.pipeline import EstimatorSettings
from knuckle.pipeline.overlooked import MOST_LOOKS, MOST_LOOKS_IN_FRAME, PartnerSearch
from knuckle.pose import Keypoints
from knuckle.pose.duplicates import extent_px
from knuckle.results import HandPose

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
    """Stages that see the true hands: whichever a crop shows, if it is upright in it.

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

    def look(self, image: np.ndarray, crops: Sequence[Crop]) -> Keypoints:
        if not crops:
            return Keypoints.nothing()
        self.asked += len(crops)
        looks = [self._look(crop) for crop in crops]
        return Keypoints(
            crops=tuple(crops),
            **{name: np.stack([look[name] for look in looks]) for name in looks[0]},
        )

    def look_again(self, image: np.ndarray, first: Keypoints) -> Keypoints:
        return first

    def _look(self, crop: Crop) -> dict[str, np.ndarray]:
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
            "presence": np.array(self.presence if off < 0.5 and tilt < 0.9 else 0.05),
            "right": np.array(0.97 if crop.mirror == exact.mirror else 0.1),
            "mask": on(shown, cells_px).astype(np.float32),
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


def search(stages: Any, hands: Sequence[HandPose], named: Sequence[HandPose]) -> PartnerSearch:
    """In an image with these hands, of which some were detected."""
    return PartnerSearch(stages, IMAGE, detected(hands, named))


def tell_apart(
    hands: Sequence[HandPose], found: Sequence[HandPose], room: int = 2, **eyes: Any
) -> tuple[Keypoints, int]:
    """What becomes of hands that were found, and the crops that it took."""
    stages: Any = Eyes(hands, **eyes)
    seen = stages.seen(*found)
    stages.asked = 0
    return search(stages, hands, found).told_apart(seen, room), stages.asked


def look_for_more(
    hands: Sequence[HandPose], known: Sequence[HandPose], named: Sequence[HandPose], room: int = 6
) -> tuple[Keypoints, int]:
    """The hands that are found beside the known ones, and the crops that it took."""
    eyes: Any = Eyes(hands)
    seen = eyes.seen(*known)
    eyes.asked = 0
    return search(eyes, hands, named).overlooked(seen, room), eyes.asked


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("angle", [0, 80, 180, -100])
def test_a_hand_that_touches_the_one_found_is_found(side: str, angle: float) -> None:
    first, second = hand(-60), hand(60, side, angle)
    more, _ = look_for_more([first, second], [first], [first])
    assert len(more) == 1 and more.side(0) == side
    np.testing.assert_allclose(more.points_px[0], second.joints_px, atol=1e-6)


@pytest.mark.parametrize("angle", [0, 45, -130])
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_neighbour_is_found_where_it_is_seen(side: str, angle: float) -> None:
    """Two hands on each other: no piece of mask is left over."""
    other = "right" if side == "left" else "left"
    front, away = hand(0, side), hand(0, other, angle)
    x, y = (middle_of(front) + np.array([60, 20]) - middle_of(away)) * 600 / CAMERA.fx
    behind = true_hand(CAMERA, (x, 60 + y, 600), side=other, rotation=turn(angle))
    eyes: Any = Eyes([front, behind], claims=0.9)
    seen = eyes.seen(front)
    eyes.asked = 0
    more = search(eyes, [front], [front]).overlooked(seen, 6)
    assert len(more) == 1 and more.side(0) == other and eyes.asked == 1
    np.testing.assert_allclose(more.points_px[0], behind.joints_px, atol=1e-6)


def test_a_neighbour_that_is_seen_the_wrong_way_up_is_found() -> None:
    front, behind = hand(0), hand(40, "left")
    eyes: Any = Eyes([front, behind], claims=0.9, mistaken=2.5)
    more = search(eyes, [front], [front]).overlooked(eyes.seen(front), 6)
    assert len(more) == 1 and more.side(0) == "left"


def test_a_lone_hand_costs_nothing() -> None:
    for alone in (hand(-60), hand(0, "left", 50)):
        more, asked = look_for_more([alone], [alone], [alone])
        assert len(more) == 0 and asked == 0


def test_nothing_is_looked_for_where_there_is_no_room() -> None:
    first, second = hand(-60), hand(60, "left")
    more, asked = look_for_more([first, second], [first], [first], room=0)
    assert len(more) == 0 and asked == 0


def test_a_pair_has_no_third_hand() -> None:
    hands = [hand(-60), hand(60, "left"), hand(150)]
    more, asked = look_for_more(hands, hands[:2], hands[:1])
    assert len(more) == 0 and asked == 0


def test_what_is_far_from_any_hand_is_not_looked_at() -> None:
    near, far = hand(-200), hand(200, "left")
    more, asked = look_for_more([near, far], [near], [near])
    assert len(more) == 0 and asked == 0


def test_what_is_no_hand_is_not_made_one() -> None:
    """Part of an arm in the detector's mask: whoever looks there sees the same hand again."""
    alone, arm = hand(-60), hand(60, "left")
    eyes: Any = Eyes([alone])
    more = search(eyes, [alone, arm], [alone]).overlooked(eyes.seen(alone), 6)
    assert len(more) == 0


def test_two_hands_of_which_neither_was_found_are_found() -> None:
    first, second = hand(-60, angle=0), hand(60, "left", -60)
    more, _ = look_for_more([first, second], [], [first])
    assert sorted(more.side(i) for i in range(len(more))) == ["left", "right"]


@pytest.mark.parametrize(("presence", "found"), [(0.7, 1), (0.58, 0)])
def test_where_nothing_was_found_at_first_a_hand_must_be_seen_well(
    presence: float, found: int
) -> None:
    alone = hand(0)
    stages: Any = Eyes([alone], presence=presence)
    assert len(search(stages, [alone], [alone]).overlooked(Keypoints.nothing(), 1)) == found


@pytest.mark.parametrize(("x", "found"), [(20, 1), (100, 0)])
def test_what_is_seen_beside_a_detection_does_not_explain_it(x: float, found: int) -> None:
    stages: Any = Eyes([hand(x)])
    more = search(stages, [hand(0)], [hand(0)]).overlooked(Keypoints.nothing(), 1)
    assert len(more) == found


def test_where_there_is_no_room_not_even_a_detection_is_looked_at() -> None:
    more, asked = look_for_more([hand(0)], [], [hand(0)], room=0)
    assert len(more) == 0 and asked == 0


def test_no_detection_no_guess() -> None:
    more, asked = look_for_more([hand(0)], [], [])
    assert len(more) == 0 and asked == 0


def test_a_partner_of_a_hand_in_an_image_is_found() -> None:
    first, second = hand(-80), hand(80, "left", 60)
    for claims in (0.0, 0.9):  # by the mask alone, and by what the first shows as well
        pair, _ = tell_apart([first, second], [first], claims=claims)
        by_side = {pair.side(i): pair.points_px[i] for i in range(len(pair))}
        np.testing.assert_allclose(by_side["left"], second.joints_px, atol=1e-6)
        np.testing.assert_allclose(by_side["right"], first.joints_px, atol=1e-6)


def test_a_pair_that_is_sure_costs_nothing() -> None:
    hands = [hand(-90), hand(90, "left")]
    pair, asked = tell_apart(hands, hands, claims=0.9)
    assert len(pair) == 2 and asked == 0


def test_two_of_one_side_are_looked_at_more_closely_and_stay() -> None:
    hands = [hand(-90), hand(90)]
    pair, asked = tell_apart(hands, hands, claims=0.9)
    assert [pair.side(i) for i in range(2)] == ["right", "right"] and asked > 0


@pytest.mark.parametrize(("presence", "kept"), [(0.95, 2), (0.58, 1)])
def test_a_hand_that_was_detected_and_is_seen_well_stays(presence: float, kept: int) -> None:
    """The mask shows one hand only, of two of one side: nothing else speaks for the second."""
    first, second = hand(0), hand(70)
    stages: Any = Eyes([first, second], claims=0.5)
    found = stages.seen(first, second)
    found = replace(found, presence=np.array([0.95, presence]))
    stages.hands = [first]  # nobody else comes upon it
    stages.claims = 0.0
    hands = search(stages, [first], [first, second]).told_apart(found, 2)
    assert len(hands) == kept


def test_three_hands_that_touch_are_three() -> None:
    hands = [hand(0), hand(130, "left"), hand(-130)]
    kept, _ = tell_apart(hands, hands, room=3, claims=0.9)
    middles = sorted(float(points[:, 0].mean()) for points in kept.points_px)
    assert len(kept) == 3 and np.diff(middles).min() > 80


class Shaded(Eyes):
    """Stages that see the last hand less well than the others."""

    def _look(self, crop: Crop) -> dict[str, np.ndarray]:
        seen = super()._look(crop)
        points_px = crop.to_frame(seen["points_crop"])
        is_last = np.allclose(points_px, self.hands[-1].joints_px, atol=1e-6)
        return seen | {"presence": seen["presence"] * (0.7 if is_last else 1.0)}


def test_the_last_of_a_row_is_not_taken_for_the_one_before_it() -> None:
    """The third hand touches the second, which is seen better and has been told apart before."""
    hands = [hand(-200), hand(0, "left"), hand(200)]
    stages: Any = Shaded(hands, claims=0.9)
    kept = search(stages, hands, hands).told_apart(stages.seen(*hands), 4)
    middles = sorted(float(points[:, 0].mean()) for points in kept.points_px)
    assert len(kept) == 3 and np.diff(middles).min() > 80


def test_a_better_look_at_the_first_hand_takes_its_place() -> None:
    """The first look at two that touch shows a mixture, of which little is trusted."""
    hands = [hand(-80), hand(80, "left", 60)]
    stages: Any = Eyes(hands, claims=0.9)
    found = replace(stages.seen(hands[0]), right=np.array([0.55]))
    pair = search(stages, hands, hands[:1]).told_apart(found, 2)
    assert len(pair) == 2 and pair.right.min() > 0.9


def test_a_lone_hand_in_an_image_costs_nothing() -> None:
    alone = hand(0, "left", 50)
    hands, asked = tell_apart([alone], [alone])
    assert len(hands) == 1 and asked == 0


def test_where_one_hand_is_wanted_no_partner_is_looked_for() -> None:
    first, second = hand(-80), hand(80, "left", 60)
    hands, asked = tell_apart([first, second], [first], room=1, claims=0.9)
    assert len(hands) == 1 and asked == 0


def test_where_one_hand_is_wanted_a_mixture_of_two_is_resolved() -> None:
    first, second = hand(-80), hand(80, "left", 60)
    stages: Any = Eyes([first, second], claims=0.9)
    mixture = replace(stages.seen(first), right=np.array([0.6]))
    (one,) = search(stages, [first, second], [first]).told_apart(mixture, 1).right
    assert one > 0.9


@pytest.mark.parametrize(("score", "looked"), [(0.99, False), (0.7, True)])
def test_beside_a_hand_that_is_surely_alone_little_is_not_looked_at(
    score: float, looked: bool
) -> None:
    """A piece of its forearm is in the detector's mask, as often."""
    alone, arm = hand(-60), hand(0)
    stages: Any = Eyes([alone])
    known = replace(stages.seen(alone), presence=np.array([score]))
    stages.asked = 0
    hands = search(stages, [alone, arm], [alone]).told_apart(known, 2)
    assert len(hands) == 1 and (stages.asked > 0) == looked


def test_hands_that_do_not_touch_are_left_as_they_are() -> None:
    hands = [hand(-230), hand(230), hand(0, "left")]
    kept, asked = tell_apart(hands, hands, room=3)
    assert len(kept) == 3 and asked == 0
    assert len(tell_apart(hands, hands, room=2)[0]) == 2


def test_the_same_hand_seen_as_the_other_side_is_no_partner() -> None:
    alone = hand(0)
    stages: Any = Eyes([alone])
    twice = stages.look(IMAGE, [Crop.from_joints(alone.joints_px, side) for side in SIDES[::-1]])
    twice = replace(twice, right=np.array([0.97, 0.9]))
    hands = search(stages, [alone], [alone]).told_apart(twice, 2)
    assert [hands.side(i) for i in range(len(hands))] == ["right"]


def test_no_hand_found_and_none_there() -> None:
    assert tell_apart([hand(0)], [])[1] == 0  # nothing was detected: nothing to look at


class Dazzled(Eyes):
    """Stages that see a hand of either side in every crop, never where they look, and another."""

    def look(self, image: np.ndarray, crops: Sequence[Crop]) -> Keypoints:
        rng = np.random.default_rng(self.asked)
        looks = super().look(image, crops)
        n = len(looks)
        away = rng.uniform(-60, 60, (n, 1, 2))
        return replace(
            looks,
            points_crop=looks.points_crop + away,
            presence=rng.uniform(0.3, 0.49, n),  # worth following, and no hand
            right=rng.uniform(0.3, 0.7, n),
            neighbour=np.c_[np.full(n, 0.9), rng.normal(0, 1, (n, 5))] if n else looks.neighbour,
        )


@pytest.mark.parametrize("known", [1, 3])
def test_looks_are_limited_whatever_there_is_to_see(known: int) -> None:
    hands = [hand(-260 + 260 * k) for k in range(known)]  # too far apart to touch
    seen = Eyes(hands).seen(*hands)
    seen = replace(seen, neighbour=np.tile([0.9, 0.3, 0.3, 0.0, 1.0, 0.0], (known, 1)))
    stages: Any = Dazzled(hands)
    assert not len(search(stages, hands, hands).overlooked(seen, 6))
    assert 0.6 * MOST_LOOKS_IN_FRAME * known <= stages.asked <= MOST_LOOKS_IN_FRAME * known
    stages = Dazzled(hands)
    assert len(search(stages, hands, hands).told_apart(seen, 6)) == known
    assert 0.6 * MOST_LOOKS * known <= stages.asked <= MOST_LOOKS * known
