"""Rendered clips carry their truth, and the tables say what was measured."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import tracks
import video
import video_scenes
from tracks import Answer, Presence
from video_scenes import CAMERA, CROSSING, RETURNING, STILL, STORIES, Clip, Rest, Story, load


def jump() -> Story:
    stops = ((-30.0, 80.0, 480.0, 0.0, 0.0, 0.0, 0), (30.0, 80.0, 480.0, 0.0, 0.0, 0.0, 0))
    return Story((Rest("right", 1, stops, 2),), 4, 3, jumps=(2,))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    folder = tmp_path_factory.mktemp("clips")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(STORIES, "a jump", jump())
        load("a jump", folder)
        patch.setattr(video_scenes, "film", lambda story: pytest.fail("it was filmed already"))
        return load("a jump", folder)


def test_a_clip_shows_its_truth(clip: Clip) -> None:
    assert len(clip.frames) == 4
    assert clip.frames[0].camera == CAMERA
    assert clip.truth.side == ("right",)
    np.testing.assert_allclose(CAMERA.project(clip.truth.joints_mm), clip.truth.joints_px)
    np.testing.assert_array_equal(clip.truth.joints_mm[0], clip.truth.joints_mm[1])
    moved = clip.truth.joints_mm[2] - clip.truth.joints_mm[1]
    np.testing.assert_allclose(moved, np.broadcast_to([60.0, 0, 0], moved.shape), atol=1e-3)
    assert (clip.truth.presence == Presence.THERE).all()
    # The picture changes where the hand was and where it has come to, and hardly elsewhere.
    images = [frame.image.astype(int) for frame in clip.frames]
    x, y = clip.truth.joints_px[0, 0, 9].astype(int)
    assert np.abs(images[2] - images[1])[y - 5 : y + 5, x - 5 : x + 5].mean() > 10
    assert np.abs(images[1] - images[0]).mean() < 4
    assert np.abs(images[2] - images[1])[:40].mean() < 4


def test_every_named_story_exists_and_has_a_skin_for_each_hand() -> None:
    assert {*CROSSING, *STILL, *RETURNING, *video.MOVING, "steps"} <= set(STORIES)
    for story in STORIES.values():
        hands = sum(2 if isinstance(hand, video_scenes.Pair) else 1 for hand in story.hands)
        assert len(story.tones) == hands
    assert len({video_scenes._digest(story) for story in STORIES.values()}) == len(STORIES)
    assert len(STORIES["steps"].jumps) == len(video.STEPS)


def test_presence_asks_for_what_can_be_seen() -> None:
    joints_px = np.full((5, 1, 21, 2), 100.0)
    visible = np.ones((5, 1, 21), bool)
    joints_px[1, 0, :10, 0] = -50.0  # half outside
    joints_px[2, 0, :18, 0] = -50.0  # all but gone
    visible[3] = False  # hidden
    visible[4, 0, 12:] = False  # half of it shows
    asked = video_scenes.presence(joints_px, visible)[:, 0].tolist()
    assert asked == [
        Presence.THERE, Presence.PARTLY, Presence.AWAY, Presence.HIDDEN, Presence.PARTLY,
    ]  # fmt: skip


def follow(clip: Clip, track_ids: list[int], *, late: int = 0) -> video.Results:
    """An exact system, late by some frames, with the given id in each frame."""
    truth = clip.truth
    answers = [
        [Answer("right", truth.joints_px[k, 0], truth.joints_mm[max(k - late, 0), 0], number)]
        for k, number in enumerate(track_ids)
    ]
    return video.Results({"crossing": tracks.follow(truth, answers)})


def test_results_count_per_thousand_frames(clip: Clip) -> None:
    results = follow(clip, [0, 0, 1, 1])
    assert results.identified
    assert results.per_thousand(tracks.id_switches, CROSSING) == 250
    assert results.per_thousand(tracks.side_flips, CROSSING) == 0
    assert results.mean(tracks.absolute_errors, CROSSING) == pytest.approx(0)
    assert follow(clip, [0] * 4, late=1).mean(tracks.absolute_errors, CROSSING) == pytest.approx(15)
    assert not follow(clip, [tracks.NO_ID] * 4).identified
    assert np.isnan(results.mean(tracks.absolute_errors, STILL))


def test_what_is_not_known_is_a_dash(clip: Clip) -> None:
    named = {"ours": follow(clip, [0, 0, 1, 1]), "theirs": follow(clip, [tracks.NO_ID] * 4)}
    identity = video.identity_table(named).splitlines()
    assert identity[2] == "| ours | crossing set | 250.0 | 0.0 | 0.0% | 0.0% | 0.0 |"
    assert identity[4] == "| theirs | crossing set | – | 0.0 | 0.0% | 0.0% | 0.0 |"
    assert video.step_table(named).splitlines()[2] == "| ours | – | – | – | – | – |"
    assert len(video.story_table(named).splitlines()) == 4
    assert len(video.accuracy_table(named).splitlines()) == 4
    assert "| ours | 50 fps | 40 fps |" in video.speed_table({"ours": [40.0, 50.0, 60.0]})


def test_gaps_show_the_last_answer() -> None:
    joints = np.arange(4.0)[:, None, None] * np.ones((4, 21, 3))
    joints[[0, 2]] = np.nan
    held = video._held(joints)
    assert held[:, 0, 0].tolist() == [1, 1, 1, 3]
