"""Cameras found from hands: where they stand, when they began, how long a unit is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from knuckle.cli import main
from knuckle.errors import InputError
from knuckle.hand import KNUCKLES, MEAN_LENGTHS_MM
from knuckle.results import Instant, TrackedHand
from knuckle.views import adjustment, recordings
from knuckle.views.boards import BoardCalibration, Charuco
from knuckle.views.calibrate import RigCalibration, calibrate_rig
from knuckle.views.decisions import BY_HANDS
from knuckle.views.recordings import calibrate_from_boards, calibrate_from_videos, side_by_side
from knuckle.views.rig import Rig
from knuckle.views.scale import unit_of
from knuckle.views.sync import Followed, Motion, doubts, offsets
from rigs import SIZE, hand_mm, look, watched
from rigs import rig as make_rig

LENGTH_MM = float(MEAN_LENGTHS_MM[8:12].sum())


def recording(rig: Rig, count: int, noise: float = 0.004) -> list[list[list[TrackedHand]]]:
    """Two hands all over the place before a rig."""
    rng = np.random.default_rng(0)
    instants = []
    for _ in range(count):
        places = rng.uniform(-60, 60, (2, 3)) + np.array([[-90, 0, 0], [90, 0, 0]])
        hands = {"right": hand_mm(rng, places[0]), "left": hand_mm(rng, places[1], "left")}
        instants.append(
            [
                [
                    look(each, joints, side=side, track_id=i, rng=rng, noise=noise, scale=1.1)
                    for i, (side, joints) in enumerate(hands.items())
                ]
                for each in rig.cameras
            ]
        )
    return instants


def test_cameras_are_found_where_they_stand() -> None:
    rig = make_rig(3)
    lenses, sizes = [each.camera for each in rig.cameras], [SIZE] * 3
    instants = recording(rig, 9)
    instants[3][1] = instants[7][1]  # one camera shows another instant
    found = calibrate_rig(rig.names, lenses, sizes, instants, hand_length_mm=LENGTH_MM)
    first = rig.cameras[0].T_camera_from_world.inverse()
    for each, true in zip(found.rig.cameras, rig.cameras, strict=True):
        expected = true.T_camera_from_world @ first
        turned = each.T_camera_from_world.rotation @ expected.rotation.T
        assert np.degrees(np.arccos(np.clip((np.trace(turned) - 1) / 2, -1, 1))) < 1.0
        np.testing.assert_allclose(each.centre_mm, expected.inverse().translation_mm, atol=12)
    assert found.hand_length_mm == pytest.approx(LENGTH_MM, rel=0.02)
    assert "cam_1: 4" in str(found) and "against the others" in str(found)
    assert "--intrinsics" not in str(found)
    guessed = calibrate_rig(
        rig.names, [replace(lens, assumed=True) for lens in lenses], sizes, instants
    )
    assert "in none of these ±" in str(guessed) and "--intrinsics" in str(guessed)


def beside(hand: TrackedHand, shares: np.ndarray) -> TrackedHand:
    """The look, its keypoints beside the joints: (21, 2) shares of the hand, across and along."""
    px = hand.raw.joints_px
    palm = px[KNUCKLES].mean(axis=0) - px[0]
    along = palm / np.linalg.norm(palm)
    across = np.array([-along[1], along[0]]) * (-1 if hand.side == "left" else 1)
    moved = px + np.ptp(px, axis=0).max() * shares @ np.stack([across, along])
    return replace(hand, raw=replace(hand.raw, joints_px=moved))


def turn_of(rig: Rig, found: Rig) -> float:
    """Degrees by which the second camera is turned from where it should be."""
    true, own = (
        each.cameras[1].T_camera_from_world.rotation
        @ each.cameras[0].T_camera_from_world.rotation.T
        for each in (rig, found)
    )
    return float(np.degrees(np.arccos(np.clip((np.trace(own @ true.T) - 1) / 2, -1, 1))))


def move_of(rig: Rig, found: Rig) -> float:
    """Millimetres by which the second camera stands from where it should be."""
    true = rig.cameras[0].T_camera_from_world(rig.cameras[1].centre_mm)
    own = found.cameras[0].T_camera_from_world(found.cameras[1].centre_mm)
    return float(np.linalg.norm(own - true))


def test_what_keypoints_lie_beside_joints_is_allowed_for(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = replace(BY_HANDS, variance_factor=1.0)  # these looks err by themselves
    monkeypatch.setattr(adjustment, "BY_HANDS", alone)
    rig, rng = make_rig(2), np.random.default_rng(1)
    lenses, sizes = [each.camera for each in rig.cameras], [SIZE] * 2
    shares = rng.normal(0, 0.02, (2, 21, 2))
    instants = [
        [[beside(hand, each) for hand in view] for view, each in zip(views, shares, strict=True)]
        for views in recording(rig, 7)
    ]

    def found() -> RigCalibration:
        return calibrate_rig(rig.names, lenses, sizes, instants, hand_length_mm=LENGTH_MM)

    allowed = found()
    turned, moved = turn_of(rig, allowed.rig), move_of(rig, allowed.rig)
    assert 0.2 < turned / allowed.turn_deg[1] < 1.7
    assert 0.2 < moved / allowed.shift_mm[1] < 1.7
    monkeypatch.setattr(adjustment, "BY_HANDS", replace(alone, bias=1e-5))
    assert turned < 0.8 * turn_of(rig, found().rig)


@pytest.mark.parametrize(("speed", "told"), [(0.1, True), (1.0, False)])
def test_hands_that_hardly_move_make_large_errors_which_are_told(speed: float, told: bool) -> None:
    """As many looks at one pose were told to be as sure as looks at many."""
    rig, times = make_rig(2), np.arange(75 if told else 360) / 30
    lenses, misses = [each.camera for each in rig.cameras], []
    for seed in range(3 if told else 1):
        seen = watched(
            rig, [times] * 2, [0.0] * 2, speed=speed, wander=0.015, noise=0.004, seed=seed
        )
        instants = side_by_side(seen, [0.0, 0.0])
        found = calibrate_rig(rig.names, lenses, [SIZE] * 2, instants, hand_length_mm=LENGTH_MM)
        misses.append(turn_of(rig, found.rig) / found.turn_deg[1])
        assert ("looks differ" in str(found)) is told
    assert np.sqrt(np.mean(np.square(misses))) < 1.5


def test_what_shutters_see_between_each_other_is_taken_between_frames() -> None:
    rig, still = make_rig(2), hand_mm(np.random.default_rng(0))

    def followed(number: int, times_s: np.ndarray, ids: list[int]) -> Followed:
        each = rig.cameras[number]
        seen = [look(each, still, track_id=i, noise=0.0) for i in ids]
        drift = [np.array([90.0, -30.0]) * time for time in times_s]  # px
        hands = [
            [replace(h, raw=replace(h.raw, joints_px=h.raw.joints_px + d))]
            for h, d in zip(seen, drift, strict=True)
        ]
        return Followed(each.name, SIZE, each.camera, times_s, hands)

    times = np.arange(6) / 30
    first = followed(0, times, [0] * 6)
    later = followed(1, times + 0.4 / 30, [0, 0, 0, 0, 7, 7])  # another hand from there on
    views = side_by_side([first, later], [0.0, 0.0])
    at_rest = look(rig.cameras[1], still, noise=0.0).raw.joints_px
    for now, (_, (hand,)) in list(zip(times, views, strict=True))[1:4]:
        np.testing.assert_allclose(hand.raw.joints_px, at_rest + np.array([90.0, -30.0]) * now)
    for row in (0, 4):  # nothing before it, another hand before it: as it is
        np.testing.assert_array_equal(
            views[row][1][0].raw.joints_px, later.hands[row][0].raw.joints_px
        )
    assert views[2][0][0] is first.hands[2][0]
    assert side_by_side([first, later], [0.0, 0.4 / 30])[2][1][0] is later.hands[2][0]


def test_cameras_that_see_other_hands_are_told() -> None:
    rig = make_rig(2)
    lenses, sizes = [each.camera for each in rig.cameras], [SIZE] * 2
    here, there = recording(rig, 12), recording(rig, 12)[::-1]
    instants = [[views[0], others[1]] for views, others in zip(here, there, strict=True)]
    with pytest.raises(ValueError, match=r"same hands|contradict each other"):
        calibrate_rig(rig.names, lenses, sizes, instants, hand_length_mm=LENGTH_MM)


def test_too_few_hands_are_told() -> None:
    rig = make_rig(2)
    lenses, sizes = [each.camera for each in rig.cameras], [SIZE] * 2
    with pytest.raises(ValueError, match=r"in 12 instants or more, found 2: move both hands"):
        calibrate_rig(rig.names, lenses, sizes, recording(rig, 1))
    alone = [[views[0], []] for views in recording(rig, 20)]
    with pytest.raises(ValueError, match="found 0"):
        calibrate_rig(rig.names, lenses, sizes, alone)
    three = make_rig(3)
    lonely = [[*views[:2], []] for views in recording(three, 10)]
    with pytest.raises(ValueError, match="cam_2 and the other cameras see too few hands"):
        calibrate_rig(three.names, [c.camera for c in three.cameras], [SIZE] * 3, lonely)


@pytest.mark.parametrize("unit", [0.001, 25.4])
def test_the_unit_is_told_by_the_hands(unit: float) -> None:
    rig = make_rig(2)
    instants = recording(rig, 8)
    true = [[list(view) for view in views] for views in instants]
    found = unit_of(rig.scaled(1 / unit), true)
    assert found.mm == pytest.approx(1.1 * unit, rel=0.03)  # each camera takes hands for larger
    assert 0.05 < found.doubt < 0.2
    # Looks at one pose agree, whatever they are off by.
    alike = unit_of(rig.scaled(1 / unit), [true[0]] * 100)
    assert alike.unlike == 2 < found.unlike and alike.doubt > found.doubt > 0.08
    with pytest.raises(ValueError, match="found 0: give --unit"):
        unit_of(rig, [[[], []]] * 20)


def bends(times: np.ndarray, start_s: float) -> np.ndarray:
    """(T, 30) of a left hand that is not seen and a right one that opens and closes."""
    out = np.full((len(times), 30), np.nan)
    now = times + start_s
    for joint in range(15):
        wave = np.sin(4.3 * now + 0.3 * joint) + np.sin(2.1 * now * (1 + 0.1 * np.sin(now)))
        out[:, 15 + joint] = 30 + 20 * wave
    return out


@pytest.mark.parametrize("later", [0.0, 0.41, -1.23])
def test_offsets_are_found_from_bending_fingers(later: float) -> None:
    rng = np.random.default_rng(0)
    first, second = np.arange(0, 8, 1 / 30), np.arange(0, 7, 1 / 25)
    a = Motion("a", first, bends(first, 5.0) + rng.normal(0, 4, (len(first), 30)))
    b = Motion("b", second, bends(second, 5.0 + later) + rng.normal(0, 4, (len(second), 30)))
    # The clock of b shows less by what it began later.
    assert offsets([a, b]) == pytest.approx([0.0, -later], abs=0.02)


@pytest.mark.parametrize("fps", [30.0, 10.0])
def test_the_doubt_of_bending_fingers_is_as_large_as_their_errors(fps: float) -> None:
    """Clocks that fingers told had no ±, where those of rays had one."""
    misses, times = [], np.arange(0, 12, 1 / fps)
    for seed, later in enumerate(np.linspace(-0.3, 0.31, 8)):
        rng = np.random.default_rng(seed)
        pair = [
            Motion(name, times, bends(times, 5.0 + start) + rng.normal(0, 6, (len(times), 30)))
            for name, start in (("a", 0.0), ("b", later))
        ]
        clocks = offsets(pair)
        first, doubt_s = doubts(pair, clocks)
        assert first == 0 and doubt_s < 0.05
        misses.append((clocks[1] + later) / doubt_s)
    assert np.sqrt(np.mean(np.square(misses))) < 1.3


def test_the_doubt_of_one_moment_is_not_known() -> None:
    """As of a fist at the beginning: nothing else says how far off it may be."""
    times, rng = np.arange(0, 6, 1 / 30), np.random.default_rng(0)
    fist = np.where((times > 1.1) & (times < 1.6), 60.0, 0.0)[:, None]
    pair = [
        Motion(name, times, 20 + fist + rng.normal(0, 3, (len(times), 30))) for name in ("a", "b")
    ]
    clocks = offsets(pair)
    assert clocks == pytest.approx([0, 0], abs=0.02)
    assert doubts(pair, clocks).tolist() == [0, np.inf]


def test_hands_that_tell_nothing_are_no_offset() -> None:
    times = np.arange(0, 6, 1 / 30)
    still = Motion("still", times, np.full((len(times), 30), 20.0))
    moving = Motion("moving", times, bends(times, 0.0))
    with pytest.raises(ValueError, match="do not tell when the videos began"):
        offsets([still, moving])


def test_the_video_that_shows_no_hands_is_named() -> None:
    times = np.arange(0, 6, 1 / 30)
    dark = Motion("dark.mp4", times, np.full((len(times), 30), np.nan))
    others = [Motion(name, times, bends(times, 0.0)) for name in ("take/a.mp4", "take/b.mp4")]
    with pytest.raises(ValueError, match=r"tell when dark\.mp4 began: .* or leave it out$"):
        offsets([others[0], dark, others[1]])
    with pytest.raises(ValueError, match=r"tell when the videos began: .* to one instant$"):
        offsets([others[0], dark])


def test_a_calibrated_rig_says_by_how_much_the_clocks_differed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rig, instants = make_rig(2), recording(make_rig(2), 12)
    times = np.arange(len(instants)) / 30

    def follow(source: str, *_: object, **__: object) -> Followed:
        number = int(source == "b.mp4")
        each, hands = rig.cameras[number], [views[number] for views in instants]
        return Followed(source, SIZE, each.camera, times + 0.21 * number, hands)

    monkeypatch.setattr(recordings, "follow", follow)
    monkeypatch.setattr(recordings, "offsets", lambda _: [0.0, 0.21])
    out = str(tmp_path / "rig.toml")
    assert main(["camera", "rig", "a.mp4", "b.mp4", "--hand-length-mm", "196", "-o", out]) == 0
    assert "+0 ms, +210 ms; stored in the rig" in capsys.readouterr().out
    np.testing.assert_allclose(Rig.load(out).late_s, [0.0, 0.21])


def test_clocks_that_bends_do_not_tell_are_told_by_rays(monkeypatch: pytest.MonkeyPatch) -> None:
    rig, times, late = make_rig(2), np.arange(150) / 30, [0.0, 0.06]
    seen = dict(zip("ab", watched(rig, [times, times], late, beside=0.0), strict=True))
    monkeypatch.setattr(recordings, "follow", lambda source, *_, **__: seen[source])

    def found(**how: bool) -> Rig:
        lenses = [each.camera for each in rig.cameras]
        return calibrate_from_videos("ab", lenses, hand_length_mm=LENGTH_MM, **how).rig

    with pytest.raises(ValueError, match="do not tell when the videos began"):
        offsets([each.motion for each in seen.values()])
    in_step, as_given = found(), found(together=True)
    np.testing.assert_allclose(in_step.late_s, late, atol=0.01)
    assert move_of(rig, in_step) < 0.7 * move_of(rig, as_given)
    monkeypatch.setattr(recordings, "lateness", lambda *_: raise_(InputError("still")))
    with pytest.raises(ValueError, match="do not tell when the videos began"):
        found()


def raise_(error: Exception) -> None:
    raise error


def test_hands_that_carry_a_board_need_not_bend(monkeypatch: pytest.MonkeyPatch) -> None:
    """They hold it; but they move, and where cameras stand is known from the board."""
    rig, times, late = make_rig(2), np.arange(150) / 30, [0.0, 0.06]
    seen = dict(zip("ab", watched(rig, [times, times], late, beside=0.0), strict=True))
    monkeypatch.setattr(recordings, "follow", lambda source, *_, **__: seen[source])
    monkeypatch.setattr(recordings, "open_sources", lambda *_, **__: _Opened())
    by_board = BoardCalibration(rig, 9, 0.1, np.zeros(2), np.zeros(2))
    monkeypatch.setattr(recordings, "calibrate_rig_by_board", lambda *_: by_board)
    lenses, board = [each.camera for each in rig.cameras], Charuco(4, 5, 60.0, 45.0)
    found = calibrate_from_boards("ab", lenses, board).rig
    np.testing.assert_allclose(found.late_s, late, atol=0.01)
    assert not calibrate_from_boards("ab", lenses, board, together=True).rig.late_s.any()


def test_videos_whose_clocks_nothing_tells_are_told_about_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig, times = make_rig(2), np.arange(60) / 30
    dark = {name: Followed(name, SIZE, rig.cameras[0].camera, times, [[]] * 60) for name in "ab"}
    monkeypatch.setattr(recordings, "follow", lambda source, *_, **__: dark[source])
    with pytest.raises(InputError, match=r"where they did begin together, say --together$"):
        calibrate_from_videos("ab", [each.camera for each in rig.cameras])


class _Opened:
    """Sources of which nothing but sizes is asked."""

    sources, info = (), SimpleNamespace(fps=30.0)

    def __enter__(self) -> _Opened:
        return self

    def __exit__(self, *_: object) -> None: ...

    def __iter__(self) -> Iterator[Instant]:
        return iter(())
