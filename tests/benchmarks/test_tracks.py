"""Measures of tracking, on cases small enough to work out by hand."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import tracks
from knuckle.hand import Joint
from tracks import Answer, Presence, TrueVideo

HAND_MM = np.random.default_rng(0).uniform(-50, 50, (21, 3)) + np.array([0.0, 0.0, 500.0])
HAND_PX = HAND_MM[:, :2] + 200
FAR = np.array([400.0, 0.0])


def video(presence: list[list[int]], side: tuple = ("right", "left")) -> TrueVideo:
    """The first hand stands here, the second far away."""
    frames, hands = len(presence), len(presence[0])
    joints_px = np.stack([HAND_PX, HAND_PX + FAR])[None, :hands].repeat(frames, axis=0)
    joints_mm = np.broadcast_to(HAND_MM, (frames, hands, 21, 3)).copy()
    return TrueVideo(side[:hands], joints_px, joints_mm, np.array(presence))


def here(track_id: int = 0, side: str = "right", shift: np.ndarray | float = 0.0) -> Answer:
    return Answer(side, HAND_PX + shift, HAND_MM, track_id)


def there(track_id: int = 1, side: str = "left") -> Answer:
    return here(track_id, side, FAR)


BOTH = [Presence.THERE, Presence.THERE]


def test_the_truth_is_followed_without_fault():
    trace = tracks.follow(video([BOTH] * 5), [[here(), there()]] * 5)
    assert trace.found.all()
    assert trace.side_right.all()
    assert (tracks.id_switches(trace), tracks.side_flips(trace), trace.spurious) == (0, 0, 0)
    assert tracks.missed_share(trace) == 0
    assert tracks.wrist_errors(trace) == pytest.approx(np.zeros(10))
    assert tracks.absolute_errors(trace) == pytest.approx(np.zeros(10))
    assert tracks.still_jitter(trace) == 0
    assert tracks.bone_spread(trace) == pytest.approx(0)


def test_swapped_ids_are_two_switches_and_a_new_id_is_one():
    swapped = [[here(0), there(1)]] * 2 + [[here(1), there(0)]] * 2
    assert tracks.id_switches(tracks.follow(video([BOTH] * 4), swapped)) == 2
    renamed = [[here(0), there(1)]] * 2 + [[here(7), there(1)]] * 2
    assert tracks.id_switches(tracks.follow(video([BOTH] * 4), renamed)) == 1


def test_a_gap_in_the_answers_does_not_hide_a_switch():
    given = [[here(0)], [], [here(3)]]
    assert tracks.id_switches(tracks.follow(video([BOTH[:1]] * 3), given)) == 1


def test_a_hand_that_was_away_may_come_back_as_somebody_else():
    presence = [[Presence.THERE], [Presence.AWAY], [Presence.THERE]]
    trace = tracks.follow(video(presence), [[here(0)], [], [here(3)]])
    assert tracks.id_switches(trace) == 0
    assert tracks.missed_share(trace) == 0


def test_each_change_of_side_is_a_flip():
    sides = ["right", "right", "left", "right", "right"]
    trace = tracks.follow(video([BOTH[:1]] * 5), [[here(0, side)] for side in sides])
    assert tracks.side_flips(trace) == 2
    assert trace.side_right.sum() == 4


def test_two_hands_on_each_other_keep_their_ids_while_the_ids_hold():
    truth = video([BOTH] * 2)
    truth.joints_px[1, 1] = HAND_PX + 10.0  # the left hand has come to the right one
    given = [[here(0), there(1)], [here(0, "right", np.full(2, 9.0)), here(1, "left")]]
    trace = tracks.follow(truth, given)
    # By place alone 0 would be the left hand now; it still is where the right one may be.
    assert trace.track_id[1].tolist() == [0, 1]
    assert tracks.id_switches(trace) == 0


def test_answers_about_nothing_are_spurious_and_hidden_hands_ask_for_nothing():
    presence = [[Presence.THERE, Presence.AWAY], [Presence.PARTLY, Presence.AWAY]]
    trace = tracks.follow(video(presence), [[here(0), there(1)], []])
    assert trace.spurious == 1
    assert tracks.missed_share(trace) == 0
    assert len(tracks.wrist_errors(trace)) == 1


def test_a_missed_hand_costs_as_much_as_one_collapsed_to_a_point():
    trace = tracks.follow(video([BOTH[:1]] * 2), [[here(0)], []])
    size = np.linalg.norm(HAND_MM - HAND_MM[0], axis=1).mean()
    assert tracks.wrist_errors(trace) == pytest.approx([0, size])
    assert tracks.missed_share(trace) == 0.5
    assert tracks.absolute_errors(trace) == pytest.approx([0])


@pytest.mark.parametrize(
    ("answered", "wait"), [([1, 1, 1], 0), ([0, 0, 1], 2), ([0, 0, 0], 3), ([1, 0, 0], 0)]
)
def test_frames_to_find_a_returning_hand(answered: list[int], wait: int):
    there, away = [Presence.THERE], [Presence.AWAY]
    presence = [there, away, there, there, there, away]
    given = [[here(0)], [], *([here(0)] if a else [] for a in answered), []]
    assert tracks.frames_to_find(tracks.follow(video(presence), given)) == [wait]


def test_a_hand_found_before_it_had_to_be_waits_for_nothing():
    presence = [[Presence.AWAY], [Presence.PARTLY], [Presence.THERE]]
    trace = tracks.follow(video(presence), [[], [here(0)], [here(0)]])
    assert tracks.frames_to_find(trace) == [0]


def test_a_hand_that_was_hidden_has_to_be_found_again_as_the_same():
    presence = [[Presence.THERE], [Presence.HIDDEN], [Presence.THERE], [Presence.THERE]]
    trace = tracks.follow(video(presence), [[here(0)], [], [], [here(3)]])
    assert tracks.frames_to_find(trace) == [1]
    assert tracks.id_switches(trace) == 1


def test_jitter_is_the_second_difference_of_a_hand_at_rest():
    # To and fro by 1 mm: 0, 1, 0, 1 has second differences of 2 mm.
    moved = [Answer("right", HAND_PX, HAND_MM + np.array([k % 2, 0, 0]), 0) for k in range(6)]
    trace = tracks.follow(video([BOTH[:1]] * 6), [[answer] for answer in moved])
    assert tracks.still_jitter(trace) == pytest.approx(2.0)
    assert tracks.still_jitter(trace, root=Joint.WRIST) == pytest.approx(0, abs=1e-9)
    assert tracks.acceleration_errors(trace, root=None).shape == (4, 21)


def test_jitter_does_not_reach_over_gaps():
    moved = [[Answer("right", HAND_PX, HAND_MM + 5.0 * k, 0)] for k in (0, 0, 0, 9, 9, 9)]
    moved[3] = []
    trace = tracks.follow(video([BOTH[:1]] * 6), moved)
    assert tracks.still_jitter(trace) == 0


def test_bones_are_compared_within_a_track_only():
    small = Answer("right", HAND_PX, HAND_MM * 0.9, 0)
    large = Answer("right", HAND_PX, HAND_MM * 1.1, 1)
    one_each = tracks.follow(video([BOTH[:1]] * 4), [[small], [small], [large], [large]])
    assert tracks.bone_spread(one_each) == pytest.approx(0, abs=1e-12)
    same = Answer("right", HAND_PX, HAND_MM * 1.1, 0)
    mixed = tracks.follow(video([BOTH[:1]] * 4), [[small], [small], [same], [same]])
    assert tracks.bone_spread(mixed) == pytest.approx(0.1)


def test_step_lag_is_the_mean_delay_of_a_filter():
    step = np.concatenate([np.zeros(20), np.full(60, 8.0)])
    assert tracks.step_lag(step[:, None], 20, 15) == pytest.approx(0)
    late = np.concatenate([np.zeros(22), np.full(58, 8.0)])
    assert tracks.step_lag(late[:, None], 20, 15) == pytest.approx(2)
    share, value, smooth = 0.5, 0.0, []
    for target in step:
        value += share * (target - value)
        smooth.append(value)
    assert tracks.step_lag(np.array(smooth)[:, None], 20, 30) == pytest.approx(1.0, abs=1e-6)
    with pytest.raises(ValueError, match="frames of rest"):
        tracks.step_lag(step[:25], 20, 15)


def test_motion_lag_finds_a_delay_and_ignores_a_constant_error():
    time = np.arange(100)
    true = np.stack([np.sin(time / 9), np.cos(time / 7)], axis=1)
    late = np.stack([np.sin((time - 1.5) / 9), np.cos((time - 1.5) / 7)], axis=1)
    assert tracks.motion_lag(true + 3.0, true) == pytest.approx(0, abs=0.02)
    assert tracks.motion_lag(late + 3.0, true) == pytest.approx(1.5, abs=0.05)
    assert np.isnan(tracks.motion_lag(true[:10], true[:10]))


def test_shapes_and_lengths_are_checked():
    with pytest.raises(ValueError, match="joints_px must have shape"):
        TrueVideo(("right",), np.zeros((3, 1, 21, 3)), np.zeros((3, 1, 21, 3)), np.zeros((3, 1)))
    with pytest.raises(ValueError, match="answers for 2 frames"):
        tracks.follow(video([BOTH] * 2), [[]])
