"""Videos of the world of dots: identity, side, velocity and steadiness against exact truth."""

import copy
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dot_world import GREY, DotNetworks, blank, paint, true_hand, turn
from knuckle.camera import Camera
from knuckle.codec import DetectedHand
from knuckle.crop import MARGIN, Crop
from knuckle.hand import MIDDLE_RAY
from knuckle.pipeline import HandEstimator, HandTracker, propose
from knuckle.pose import Keypoints
from knuckle.results import Frame, HandPose, TrackedHand
from knuckle.stages.detector import Detections

CAMERA = Camera(300, 300, 160, 120)
FPS = 30.0

Scene = Callable[[float], list[HandPose]]


def film(
    scene: Scene, times_s: Sequence[float], background: np.ndarray | None = None
) -> list[Frame]:
    image = blank() if background is None else background
    return [
        Frame(paint(image, scene(time)), float(time), i, CAMERA) for i, time in enumerate(times_s)
    ]


def seconds(duration: float, fps: float = FPS) -> np.ndarray:
    return np.arange(round(duration * fps)) / fps


def run(tracker: HandTracker, frames: Sequence[Frame]) -> list[list[TrackedHand]]:
    return [tracker(frame) for frame in frames]


@pytest.fixture
def tracker(dot_weights: Path) -> HandTracker:
    return HandTracker(weights_dir=dot_weights)


@pytest.fixture
def searches(tracker: HandTracker, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one each time the tracker searches a whole frame."""
    counted: list[int] = []
    detect = tracker._networks.detect

    def counting(image: np.ndarray, view: int) -> object:
        counted.append(len(counted))
        return detect(image, view)

    monkeypatch.setattr(tracker._networks, "detect", counting)
    return counted


def moving_right(time: float) -> list[HandPose]:
    return [true_hand(CAMERA, (-100 + 200 * time, 70, 500), rotation=turn(20 * time))]


def test_one_hand_is_one_track(tracker: HandTracker, searches: list[int]) -> None:
    frames = film(moving_right, seconds(1))
    for frame, hands in zip(frames, run(tracker, frames), strict=True):
        (hand,) = hands
        (truth,) = moving_right(frame.time_s)
        assert hand.track_id == 0 and hand.side == "right"
        assert hand.age_s == pytest.approx(frame.time_s)
        assert np.abs(hand.raw.joints_px - truth.joints_px).max() < 0.8
        assert np.linalg.norm(hand.joints_px - truth.joints_px, axis=1).mean() < 1.5
        assert np.linalg.norm(hand.joints_mm - truth.joints_mm, axis=1).mean() < 15
    assert len(searches) <= 1 + len(frames) / 3


def test_it_says_what_was_set_and_whom_it_follows(dot_weights: Path) -> None:
    tracker = HandTracker(weights_dir=dot_weights, max_hands=1)
    assert repr(tracker).startswith("<HandTracker(max_hands=1, weights_dir=")
    assert repr(tracker).endswith("follows hands: none>")
    run(tracker, film(moving_right, seconds(0.2)))
    assert repr(tracker).endswith("follows hands: 0>")
    assert repr(HandEstimator(looks=2)) == "HandEstimator(looks=2)"


def test_a_full_house_is_never_searched(dot_weights: Path) -> None:
    tracker = HandTracker(weights_dir=dot_weights, max_hands=1)
    frames = film(moving_right, seconds(0.5))
    tracker(frames[0])
    tracker._networks.detect = None  # type: ignore[assignment]  # whoever searches now, falls
    for frame in frames[1:]:
        assert len(tracker(frame)) == 1


def test_an_absent_second_hand_is_not_searched_for_in_a_still_scene(
    tracker: HandTracker, searches: list[int]
) -> None:
    frames = film(lambda _: [true_hand(CAMERA, (0, 70, 450))], seconds(2))
    assert all(len(hands) == 1 for hands in run(tracker, frames))
    assert len(searches) <= 4


@pytest.mark.parametrize("smooth", ["one_euro", None])
def test_velocity_is_that_of_the_wrist(dot_weights: Path, smooth: str | None) -> None:
    tracker = HandTracker(weights_dir=dot_weights, smooth=smooth)
    hands = run(tracker, film(moving_right, seconds(0.8)))
    velocity = np.mean([frame[0].velocity_mm_s for frame in hands[-8:]], axis=0)
    np.testing.assert_allclose(velocity, (200, 0, 0), atol=30)


def test_time_comes_from_the_frames(dot_weights: Path) -> None:
    """The same motion, its frames at irregular times, some of them missing."""
    rng = np.random.default_rng(0)
    times = np.sort(rng.choice(np.arange(0, 60), 28, replace=False)) / 60
    tracker = HandTracker(weights_dir=dot_weights)
    tracks = run(tracker, film(moving_right, times))
    assert [[hand.track_id for hand in hands] for hands in tracks] == [[0]] * len(times)
    velocity = np.mean([hands[0].velocity_mm_s for hands in tracks[-8:]], axis=0)
    np.testing.assert_allclose(velocity, (200, 0, 0), atol=40)
    for time, hands in zip(times, tracks, strict=True):
        (truth,) = moving_right(time)
        assert np.linalg.norm(hands[0].joints_px - truth.joints_px, axis=1).mean() < 2.5


def crossing(time: float) -> list[HandPose]:
    """A left hand passes behind a right one."""
    return [
        true_hand(CAMERA, (-140 + 280 * time, 60, 560), side="left", rotation=turn(-15)),
        true_hand(CAMERA, (140 - 280 * time, 75, 520), side="right", rotation=turn(10)),
    ]


def test_crossing_hands_keep_their_ids_and_sides(tracker: HandTracker) -> None:
    frames = film(crossing, seconds(1.0))
    tracks = run(tracker, frames)
    sides = {hand.track_id: hand.side for hand in tracks[0]}
    assert sorted(sides.values()) == ["left", "right"]
    seen = 0
    for frame, hands in zip(frames, tracks, strict=True):
        truths = {truth.side: truth for truth in crossing(frame.time_s)}
        for hand in hands:
            assert sides[hand.track_id] == hand.side
            error = np.linalg.norm(hand.raw.joints_px - truths[hand.side].joints_px, axis=1)
            assert np.median(error) < 3
            seen += 1
    assert len(tracks[-1]) == 2
    assert seen > 0.85 * 2 * len(frames)


def meeting(_: float) -> list[HandPose]:
    return [
        true_hand(CAMERA, (-50, 70, 520), side="left"),
        true_hand(CAMERA, (50, 70, 520), rotation=turn(15)),
    ]


def test_two_hands_in_one_detection_are_two_tracks(
    tracker: HandTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    detect = tracker._networks.detect
    monkeypatch.setattr(
        tracker._networks, "detect", lambda *a: replace(d := detect(*a), hands=d.hands[:1])
    )
    tracks = run(tracker, film(meeting, seconds(0.5)))
    assert all(sorted(hand.side for hand in hands) == ["left", "right"] for hands in tracks[4:])
    assert {hand.track_id for hands in tracks for hand in hands} == {0, 1}


def test_a_neighbour_that_a_crop_shows_is_followed(
    tracker: HandTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The detector never sees the second hand, the looks at the first one do."""
    first, second = meeting(0)
    detect = tracker._networks.detect

    def only_first(image: np.ndarray, view: int) -> Detections:
        seen = detect(image, view)
        hands = [hand for hand in seen.hands if hand.side == first.side]
        return replace(seen, hands=tuple(hands), side_masks=np.zeros_like(seen.side_masks))

    def neighbour_of(known: Keypoints, index: int) -> DetectedHand:
        other = second if known.side(index) == first.side else first
        crop = Crop.from_joints(other.joints_px, other.side)
        return DetectedHand(crop.centre_px, crop.size_px / MARGIN, crop.angle, other.side, 0.9)

    monkeypatch.setattr(tracker._networks, "detect", only_first)
    monkeypatch.setattr(Keypoints, "neighbour_of", neighbour_of)
    monkeypatch.setattr(propose, "claims_neighbour", lambda looks, i: True)
    tracks = run(tracker, film(meeting, seconds(0.4)))
    assert all(len(hands) == 2 for hands in tracks[4:])


def test_a_side_that_was_wrong_in_contact_is_overturned(tracker: HandTracker) -> None:
    """Two hands are taken for left ones at first; when looks tell them apart, one is right."""
    left, right = meeting(0)
    mistaken = replace(right, side="left")
    tracks = run(
        tracker,
        film(lambda time: [left, mistaken if time < 0.1 else right], seconds(1.5)),
    )
    assert sorted(hand.side for hand in tracks[-1]) == ["left", "right"]
    assert len(tracks[-1]) == 2 and 0 in {hand.track_id for hand in tracks[-1]}


def test_a_newcomer_is_not_told_of_as_the_side_that_its_neighbour_has(tracker: HandTracker) -> None:
    """Beside a left hand a right one is taken for a left one at first: that stays unsaid."""
    left, right = meeting(0)
    mistaken = replace(right, side="left")
    tracks = run(
        tracker, film(lambda time: [left, mistaken if time < 0.1 else right], seconds(0.6))
    )
    told = {(hand.track_id, hand.side) for hands in tracks for hand in hands}
    assert sorted(side for _, side in told) == ["left", "right"]
    assert all(len(hands) == 2 for hands in tracks[6:])


def test_a_hand_that_is_taken_for_two_stays_who_it_is(
    tracker: HandTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newcomer has the better look at a hand that has long been followed."""
    frames = film(moving_right, seconds(0.6))
    run(tracker, frames[:8])
    (known,) = tracker._tracks
    tracker._tracks.append(copy.copy(known))
    tracker._tracks[1].track_id = None
    look = tracker._networks.look

    def dimmer(image: np.ndarray, crops: list[Crop], *known: Any) -> Keypoints:
        looked = look(image, crops, *known)
        first = np.arange(len(crops)) == 0
        return replace(looked, presence=np.where(first, 0.8, 1.0) * looked.presence)

    monkeypatch.setattr(tracker._networks, "look", dimmer)
    for frame in frames[8:]:
        assert [hand.track_id for hand in tracker(frame)] == [0]
    assert tracker._tracks == [known]


def swapping(time: float) -> list[HandPose]:
    """Two hands meet, one is hidden, and what comes out has changed places."""
    left, right = meeting(0)
    if time < 0.4:
        return [left, right]
    if time < 0.6:
        return [right]
    return [
        true_hand(CAMERA, (-50, 70, 520)),
        true_hand(CAMERA, (50, 70, 520), side="left", rotation=turn(15)),
    ]


@pytest.mark.parametrize("hidden_s", [0.2, 0.0])
def test_a_track_that_has_strayed_onto_the_other_hand_gives_it_back(
    tracker: HandTracker, hidden_s: float
) -> None:
    """Where a right hand was followed is a left one now: that is the one that had been there."""
    frames = film(lambda t: swapping(t if t < 0.4 else t + 0.2 - hidden_s), seconds(1.2))
    tracks = run(tracker, frames)
    before = {hand.track_id: hand.side for hand in tracks[5]}
    assert sorted(before.values()) == ["left", "right"]
    for hands in tracks:
        assert all(before.get(hand.track_id) == hand.side for hand in hands)
    first = round((0.4 + hidden_s) * FPS) + 4
    assert all(len(hands) == 2 for hands in tracks[first:])


def test_a_lone_hand_whose_side_wavers_is_not_looked_at_again(
    tracker: HandTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = true_hand(CAMERA, (0, 70, 450))
    other = replace(truth, side="left")
    frames = film(lambda time: [other if 0.3 < time < 0.42 else truth], seconds(0.5))
    run(tracker, frames[:9])
    looks: list[int] = []
    look = tracker._networks.look
    monkeypatch.setattr(
        tracker._networks,
        "look",
        lambda image, crops, *known: (looks.append(len(crops)), look(image, crops, *known))[1],
    )
    run(tracker, frames[9:])
    assert sum(looks) == len(frames) - 9


def test_a_hand_that_jumps_is_found_in_the_same_frame(dot_weights: Path) -> None:
    """Where one hand is wanted and followed, the frame in which it is lost is searched at once."""

    def scene(time: float) -> list[HandPose]:
        return [true_hand(CAMERA, (-130 if time < 0.25 else 130, 70, 520))]

    tracker = HandTracker(weights_dir=dot_weights, max_hands=1)
    assert all(len(hands) == 1 for hands in run(tracker, film(scene, seconds(0.4))))


def test_two_right_hands_are_two_tracks(tracker: HandTracker) -> None:
    def scene(time: float) -> list[HandPose]:
        return [
            true_hand(CAMERA, (-150 + 40 * time, 60, 600)),
            true_hand(CAMERA, (180 - 40 * time, 60, 600), rotation=turn(-10)),
        ]

    tracks = run(tracker, film(scene, seconds(0.6)))
    assert all([hand.track_id for hand in hands] == [0, 1] for hands in tracks)
    assert all([hand.side for hand in hands] == ["right", "right"] for hands in tracks)
    assert all(hands[0].joints_px[0, 0] < hands[1].joints_px[0, 0] - 50 for hands in tracks)


def test_more_hands_than_two_are_followed(dot_weights: Path) -> None:
    def scene(time: float) -> list[HandPose]:
        return [
            true_hand(CAMERA, (-170, 60 + 10 * time, 600)),
            true_hand(CAMERA, (10, 60 - 10 * time, 600), side="left"),
            true_hand(CAMERA, (190, 60, 600), rotation=turn(-20)),
        ]

    tracker = HandTracker(weights_dir=dot_weights, max_hands=5)
    assert all(len(hands) == 3 for hands in run(tracker, film(scene, seconds(0.4))))


def leaving(time: float) -> list[HandPose]:
    """One hand stays; the other leaves to the right and comes back."""
    stays = true_hand(CAMERA, (-110, 60, 520), side="left")
    away = 170 + 500 * np.sin(np.pi * time / 2)
    return [stays, true_hand(CAMERA, (away, 60, 600))]


def test_a_returning_hand_is_found_within_three_frames(
    tracker: HandTracker, searches: list[int]
) -> None:
    frames = film(leaving, seconds(2.0))
    tracks = run(tracker, frames)
    whole = [bool((leaving(f.time_s)[1].joints_px[:, 0] < 312).all()) for f in frames]
    found = [any(hand.side == "right" for hand in hands) for hands in tracks]
    away = [i for i, is_whole in enumerate(whole) if not is_whole]
    returned = away[-1] + 1
    assert all(found[: away[0]])
    assert not any(found[away[0] + 8 : returned - 8])
    assert any(found[: returned + 3][-4:])
    assert all(found[returned + 3 :])
    assert all(any(hand.side == "left" for hand in hands) for hands in tracks)
    assert len(searches) < 0.4 * len(frames)


def test_a_hand_that_is_hidden_for_a_moment_is_the_same_hand(tracker: HandTracker) -> None:
    frames = film(moving_right, seconds(1))
    hidden = replace(frames[10], image=blank())
    frames[10:15] = [replace(hidden, time_s=f.time_s, index=f.index) for f in frames[10:15]]
    tracks = run(tracker, frames)
    assert not any(tracks[10:15])
    assert all([hand.track_id for hand in hands] == [0] for hands in tracks[:10] + tracks[17:])


def test_a_hand_that_is_long_gone_comes_back_as_another(tracker: HandTracker) -> None:
    frames = film(lambda _: [true_hand(CAMERA, (0, 70, 450))], seconds(2))
    for i in range(10, 45):
        frames[i] = replace(frames[i], image=blank())
    tracks = run(tracker, frames)
    assert not any(tracks[10:45])
    assert all([hand.track_id for hand in hands] == [0] for hands in tracks[:10])
    assert all([hand.track_id for hand in hands] == [1] for hands in tracks[45:])


def test_a_hand_hidden_by_another_is_the_same_hand_for_longer(tracker: HandTracker) -> None:
    """Two hands meet, one is out of sight for two seconds, and comes out again."""
    front = true_hand(CAMERA, (-40, 70, 520), side="left")

    def scene(time: float) -> list[HandPose]:
        away = 160 * abs(np.clip(time, 0, 1) - np.clip(time - 2, 0, 1))
        behind = true_hand(CAMERA, (150 - away, 70, 560))
        return [front] if 0.9 < time < 2.9 else [behind, front]

    tracks = run(tracker, film(scene, seconds(4)))
    ids = {hand.track_id: hand.side for hands in tracks for hand in hands}
    assert sorted(ids.values()) == ["left", "right"]
    assert all(len(hands) == 2 for hands in tracks[:20] + tracks[96:])


def test_a_thing_that_never_moves_is_not_taken_for_a_second_hand(tracker: HandTracker) -> None:
    """Something looks a little like a hand, always, and nothing moves there."""
    thing = true_hand(CAMERA, (180, 60, 600), side="left")
    hand = true_hand(CAMERA, (-110, 60, 520))
    image = paint(blank(), [thing])
    for x, y in thing.joints_px[15:].astype(int):
        image[y - 9 : y + 10, x - 9 : x + 10] = GREY
    estimator = HandEstimator(weights_dir=tracker.settings.weights_dir)
    (alone,) = estimator(image, CAMERA, thing.box_xyxy[None])  # by the look alone
    assert 0.5 < alone.score < 0.62
    tracks = run(tracker, film(lambda _: [hand], seconds(2), image))
    assert all([found.side for found in hands] == ["right"] for hands in tracks)


def test_the_side_never_flips(tracker: HandTracker) -> None:
    """Some looks take the hand for one of the other side: the track stays what it is."""
    truth = true_hand(CAMERA, (0, 70, 450))
    other = replace(truth, side="left")
    frames = film(lambda time: [other if 0.3 < time < 0.42 else truth], seconds(1))
    tracks = run(tracker, frames)
    assert all([(h.track_id, h.side) for h in hands] == [(0, "right")] for hands in tracks)


def test_a_side_that_was_wrong_all_along_ends_the_track(tracker: HandTracker) -> None:
    truth = true_hand(CAMERA, (0, 70, 450))
    other = replace(truth, side="left")
    tracks = run(tracker, film(lambda time: [truth if time < 0.1 else other], seconds(1.2)))
    assert {hand.side for hands in tracks for hand in hands if hand.track_id == 0} == {"right"}
    assert [hand.side for hand in tracks[-1]] == ["left"]
    assert tracks[-1][0].track_id > 0


def textured(seed: int) -> np.ndarray:
    """A background in greens that no network takes for dots."""
    rng = np.random.default_rng(seed)
    image = blank()
    image[..., 1] = np.kron(rng.integers(GREY - 45, GREY + 46, (12, 16)), np.ones((20, 20)))
    return image


def test_a_cut_ends_all_tracks(tracker: HandTracker) -> None:
    still = [true_hand(CAMERA, (0, 70, 450))]
    frames = film(lambda _: still, seconds(0.3), textured(1))
    others = film(lambda _: still, seconds(0.3) + 0.3, textured(2))
    tracks = run(tracker, frames + others)
    assert [[hand.track_id for hand in hands] for hands in tracks] == [[0]] * 9 + [[1]] * 9


def test_a_flash_or_a_shadow_is_no_cut(tracker: HandTracker) -> None:
    still = [true_hand(CAMERA, (0, 70, 450))]
    dark = textured(1)
    dark[..., 1] -= 20
    frames = film(lambda _: still, seconds(0.3), textured(1))
    frames += film(lambda _: still, seconds(0.3) + 0.3, dark)
    assert all([hand.track_id for hand in hands] == [0] for hands in run(tracker, frames))


def test_a_video_that_starts_again_is_another_video(tracker: HandTracker) -> None:
    frames = film(moving_right, seconds(0.3))
    run(tracker, frames)
    assert [hand.track_id for hand in tracker(frames[0])] == [1]
    assert tracker(frames[1])[0].age_s == pytest.approx(1 / FPS)
    tracker.reset()
    assert [hand.track_id for hand in tracker(frames[2])] == [2]


def test_bare_images_have_a_nominal_clock(tracker: HandTracker) -> None:
    frames = film(moving_right, seconds(0.5))
    ages = [tracker(frame.image, CAMERA)[0].age_s for frame in frames]
    np.testing.assert_allclose(ages, np.arange(len(frames)) / 30)
    assert tracker(frames[-1].image)[0].camera.assumed
    with pytest.raises(ValueError, match="floating point images"):
        tracker(frames[0].image * 1.0)


def trembling(time: float) -> list[HandPose]:
    """A still hand whose joints are seen with a pixel of noise."""
    truth = true_hand(CAMERA, (0, 70, 450), rotation=turn(10, 10, 10))
    rng = np.random.default_rng(round(time * 1000))
    return [replace(truth, joints_px=truth.joints_px + rng.normal(0, 0.7, (21, 2)))]


def acceleration(positions: np.ndarray) -> float:
    """Root mean square of the second difference along axis 0."""
    return float(np.sqrt((np.diff(positions, 2, axis=0) ** 2).sum(axis=-1).mean()))


def test_smoothing_steadies_a_still_hand(tmp_path: Path) -> None:
    tracker = HandTracker(weights_dir=DotNetworks(sigma_px=2.0).write(tmp_path))
    tracks = [hands[0] for hands in run(tracker, film(trembling, seconds(3)))][30:]
    for name in ("joints_px", "joints_mm", "root_mm"):
        smooth = np.stack([getattr(hand, name) for hand in tracks])
        raw = np.stack([getattr(hand.raw, name) for hand in tracks])
        assert acceleration(smooth) < 0.35 * acceleration(raw)
    truth = trembling(0.0)[0]
    error, raw_error = (
        np.mean([np.linalg.norm(h.joints_mm - truth.joints_mm, axis=1).mean() for h in poses])
        for poses in (tracks, [hand.raw for hand in tracks])
    )
    assert error < raw_error


def test_smoothing_follows_a_step_within_a_frame(tracker: HandTracker) -> None:
    def step(time: float) -> list[HandPose]:
        return [true_hand(CAMERA, (-30 if time < 0.99 else 30, 70, 450))]

    tracks = run(tracker, film(step, seconds(1.2)))
    before, after = step(0)[0].joints_px, step(2)[0].joints_px
    assert np.abs(tracks[29][0].joints_px - before).max() < 1
    way = np.abs(after - before).max()
    assert np.abs(tracks[30][0].joints_px - after).max() < 0.5 * way
    assert np.abs(tracks[31][0].joints_px - after).max() < 0.15 * way


def test_bones_keep_their_length_and_joints_their_place(tracker: HandTracker) -> None:
    def bending(time: float) -> list[HandPose]:
        flexion = 8 + 6 * np.sin(6 * time)
        root = (30 * np.sin(3 * time), 70, 450 + 60 * np.sin(2 * time))
        return [true_hand(CAMERA, root, rotation=turn(20 * time, 8), flexion_deg=flexion)]

    hands = [found[0] for found in run(tracker, film(bending, seconds(3)))]
    lengths = np.stack([hand.bone_lengths_mm for hand in hands])
    assert np.ptp(lengths[60:], axis=0).max() < 1e-6  # locked after 60 looks
    assert np.ptp(lengths.sum(axis=1)) < 0.03 * lengths.sum(axis=1).mean()
    raw = np.stack([hand.raw.bone_lengths_mm for hand in hands])
    np.testing.assert_allclose(lengths[-1].sum(), np.median(raw.sum(axis=1)), rtol=0.03)
    gaps = [
        np.linalg.norm(CAMERA.project(hand.joints_mm) - hand.joints_px, axis=1).mean()
        for hand in hands
    ]
    assert max(gaps) < 2.0


def test_a_known_hand_length_is_that_of_every_tracked_hand(dot_weights: Path) -> None:
    tracker = HandTracker(weights_dir=dot_weights, hand_length_mm=150.0)
    for hands in run(tracker, film(moving_right, seconds(0.2))):
        assert hands[0].bone_lengths_mm[MIDDLE_RAY].sum() == pytest.approx(150)


def test_errors_of_joints_scale_with_a_known_hand_length(dot_weights: Path) -> None:
    (frame,) = film(moving_right, [0.0])
    lengths = 150.0, 180.0
    short, long = (
        HandEstimator(weights_dir=dot_weights, hand_length_mm=length)(frame.image, CAMERA)[0]
        for length in lengths
    )
    np.testing.assert_allclose(long.joint_sigma_mm, short.joint_sigma_mm * 1.2, rtol=1e-5)


def test_another_thread_may_reset_it_at_any_time(tracker: HandTracker) -> None:
    """As a button of a program with a camera does."""
    frames, done = film(moving_right, seconds(1.0)), threading.Event()

    def press() -> None:
        while not done.wait(0.001):
            tracker.reset()

    button = threading.Thread(target=press)
    button.start()
    try:
        for frame in frames:
            tracker(frame)
    finally:
        done.set()
        button.join()


def test_raw_values_do_not_depend_on_smoothing(dot_weights: Path) -> None:
    frames = film(crossing, seconds(0.7))
    smooth = run(HandTracker(weights_dir=dot_weights), frames)
    plain = run(HandTracker(weights_dir=dot_weights, smooth=None), frames)
    for ours, theirs in zip(smooth, plain, strict=True):
        assert [h.track_id for h in ours] == [h.track_id for h in theirs]
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one.raw.joints_mm, other.joints_mm)
            np.testing.assert_array_equal(other.raw.joints_px, other.joints_px)


def test_frames_as_they_come_are_as_good_as_all_at_once(dot_weights: Path) -> None:
    """Nothing looks ahead: a video cut short gives the same hands up to there."""
    frames = film(crossing, seconds(0.6))
    short = run(HandTracker(weights_dir=dot_weights, smooth=None), frames[:9])
    whole = run(HandTracker(weights_dir=dot_weights, smooth=None), frames)
    for ours, theirs in zip(short, whole, strict=False):
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one.joints_mm, other.joints_mm)


def test_all_hands_are_looked_at_in_one_batch(tracker: HandTracker) -> None:
    frames = film(crossing, seconds(0.3))
    run(tracker, frames[:4])
    batches: list[int] = []
    network = tracker._networks.keypoint_estimator._network

    class Counting:
        card = network.card

        def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
            batches.append(len(inputs["crop"]))
            return network(**inputs)

    tracker._networks.keypoint_estimator._network = Counting()  # type: ignore[assignment]
    run(tracker, frames[4:])
    assert batches == [2] * len(frames[4:])


def test_two_tracks_never_share_a_hand(tracker: HandTracker) -> None:
    """Two right hands drift into one place, where only one of them is seen."""

    def merging(time: float) -> list[HandPose]:
        left = true_hand(CAMERA, (-110 + 110 * min(time, 1), 60, 560))
        right = true_hand(CAMERA, (150 - 150 * min(time, 1), 60, 560))
        return [left, right] if time < 0.7 else [left]

    for hands in run(tracker, film(merging, seconds(1.3))):
        if len(hands) == 2:
            gap = np.linalg.norm(hands[0].raw.joints_px - hands[1].raw.joints_px, axis=1).mean()
            assert gap > 8


def test_a_doubtful_hand_gives_way_to_a_certain_one(dot_weights: Path) -> None:
    """With one slot: a hand of which half is hidden, then a whole one elsewhere."""
    tracker = HandTracker(weights_dir=dot_weights, max_hands=1)
    hidden, whole = true_hand(CAMERA, (-150, 60, 600)), true_hand(CAMERA, (190, 60, 600))

    def half_hidden(image: np.ndarray) -> np.ndarray:
        covered = image.copy()
        for x, y in hidden.joints_px[9:].astype(int):
            covered[y - 6 : y + 7, x - 6 : x + 7] = GREY
        return covered

    frames = film(lambda time: [hidden, whole] if time > 0.45 else [hidden], seconds(1))
    frames = [
        replace(frame, image=half_hidden(frame.image) if frame.index > 5 else frame.image)
        for frame in frames
    ]
    tracks = run(tracker, frames)
    assert all([hand.track_id for hand in hands] == [0] for hands in tracks[:13])
    assert all([hand.track_id for hand in hands] == [1] for hands in tracks[18:])
    assert tracks[10][0].score < tracker.settings.doubt_threshold


@pytest.mark.parametrize("way", [35, 50, 70])
def test_a_hand_that_jumps_is_the_same_hand_in_the_same_frame(
    tracker: HandTracker, way: float
) -> None:
    """However much of it the crop still shows where it was."""

    def jumping(time: float) -> list[HandPose]:
        return [true_hand(CAMERA, (-way if time < 0.49 else way, 70, 520))]

    tracks = run(tracker, film(jumping, seconds(1)))
    assert all([hand.track_id for hand in hands] == [0] for hands in tracks)


def test_half_a_hand_is_not_shown_before_it_is_sure(tracker: HandTracker) -> None:
    """What looks a little like a hand, for a moment, never becomes one."""
    truth = true_hand(CAMERA, (0, 70, 450))
    image = paint(blank(), [truth])
    for x, y in truth.joints_px[10:].astype(int):
        image[y - 9 : y + 10, x - 9 : x + 10] = GREY
    frames = [Frame(image if i % 20 < 2 else blank(), i / FPS, i, CAMERA) for i in range(40)]
    scores = [
        hand.score
        for hand in HandEstimator(weights_dir=tracker.settings.weights_dir)(image, CAMERA)
    ]
    assert all(score < 0.6 for score in scores)
    assert not any(run(tracker, frames))
