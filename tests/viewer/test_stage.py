"""The page: what it is made of, and that it follows the frames."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from clips import number_of, write_images, write_video
from fakes import CAMERA, INFO, SIZE, FakeTracker, frame, pose
from knuckle.camera import Camera
from knuckle.hand import BONES
from knuckle.output import SINKS, Recording, RunInfo, hands_of, open_recording
from knuckle.video import SourceNotFoundError, open_source
from knuckle.video.errors import SourceUnreadableError
from knuckle.viewer.live import Pace, live
from knuckle.viewer.play import Player, _where_it_was, pictures_of, view
from knuckle.viewer.stage import Stage, StageSettings, wrist_table

ANYWHERE = StageSettings(port=18080)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Stage(ANYWHERE, "test", size=SIZE, max_hands=2) as stage:
        yield stage


def rotate(quaternions: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Turn one vector by each quaternion (n, 4), w first."""
    w, xyz = quaternions[:, :1], quaternions[:, 1:]
    return vector + 2 * np.cross(xyz, np.cross(xyz, vector) + w * vector)


def test_the_page_is_served_to_this_machine(stage: Stage) -> None:
    assert stage.url.startswith("http://127.0.0.1:")
    assert b"<html" in urllib.request.urlopen(stage.url, timeout=10).read().lower()


def test_hands_stand_where_they_were_found(stage: Stage) -> None:
    hand = pose(track_id=4)
    stage.show(frame(0).image, [hand], CAMERA)
    model, absent = stage._hands
    np.testing.assert_allclose(model._joints.batched_positions, hand.joints_mm / 1000, atol=1e-6)
    np.testing.assert_allclose(
        model._bones.batched_scales[:, 1], hand.bone_lengths_mm / 1000, atol=1e-6
    )
    starts = np.asarray(model._bones.batched_positions)
    along = rotate(np.asarray(model._bones.batched_wxyzs), np.array([0.0, 1.0, 0.0]))
    ends = starts + along * np.asarray(model._bones.batched_scales)[:, 1:2]
    np.testing.assert_allclose(ends, hand.joints_mm[BONES[:, 1]] / 1000, atol=1e-5)
    assert model._label.text == "right 4"
    assert model._joints.visible
    assert not absent._joints.visible
    stage.show(frame(1).image, [], CAMERA)
    assert not model._joints.visible


def test_hands_have_skin_when_asked(stage: Stage) -> None:
    hand = pose(side="left")
    stage.show(frame(0).image, [hand], CAMERA)
    (model, _) = stage._hands
    assert (model._joints.visible, model._skin.visible) == (True, False)
    stage._skin.value = True
    stage.show(frame(1).image, [hand], CAMERA)
    assert (model._joints.visible, model._skin.visible) == (False, True)
    np.testing.assert_allclose(model._skin.vertices, hand.mesh().vertices_mm / 1000, atol=1e-6)
    np.testing.assert_array_equal(model._skin.faces, hand.mesh().faces)
    stage.show(frame(2).image, [], CAMERA)
    assert not model._skin.visible


def test_the_view_begins_at_the_first_hands_and_follows_calmly(stage: Stage) -> None:
    first = pose()
    stage.show(frame(0).image, [], CAMERA)
    stage.show(frame(1).image, [first], CAMERA)
    middle_m = np.median(first.joints_mm, axis=0) / 1000
    np.testing.assert_allclose(stage._middle_m, middle_m)
    moved = replace(first, joints_mm=first.joints_mm + np.array([100.0, 0.0, 0.0]))
    stage.show(frame(2).image, [moved], CAMERA)
    np.testing.assert_allclose(stage._middle_m, middle_m + np.array([0.01, 0.0, 0.0]))


def test_the_picture_stands_where_the_camera_saw_it(stage: Stage) -> None:
    """Its corners, projected, are the corners of the picture."""
    stage.show(frame(0).image, [pose()], CAMERA)
    screen = stage._picture._screen
    middle, (width, height) = np.array(screen.position), SIZE
    half = np.array([screen.render_width, screen.render_height, 0.0]) / 2
    corners = CAMERA.project(np.stack([middle - half, middle + half]) * 1000)
    np.testing.assert_allclose(corners, [(-0.5, -0.5), (width - 0.5, height - 0.5)], atol=1e-3)
    assert middle[2] * 1000 > pose().joints_mm[:, 2].max()


def recording(folder: Path, source: str) -> Recording:
    info = RunInfo.of(source, (64, 48))
    with SINKS["npz"](folder, info) as sink:
        for index in range(12):
            hands = [pose(track_id=0)] if index % 2 else []
            sink.write(frame(index), hands)
    return open_recording(folder)


@pytest.mark.parametrize("kind", ["video", "folder"])
def test_a_player_shows_each_frame_with_its_picture(kind: str, tmp_path: Path) -> None:
    source = (
        write_video(tmp_path / "a.mp4", 12, times=[index * 1000 // 30 for index in range(12)])
        if kind == "video"
        else write_images(tmp_path / "images", 12)
    )
    found = recording(tmp_path, str(source))
    pictures = pictures_of(found, source)
    for row in (0, 5, 6, 2, 11):
        assert number_of(pictures(row)) == row
    with Stage(ANYWHERE, "test", size=SIZE, max_hands=1) as stage:
        player = Player(found, pictures, stage)
        turns = iter(range(6))
        player.play(lambda: next(turns, None) is not None)
        assert player._shown == 5
        assert "**frame 5**, 0.17 of 0.37 s" in stage._text.content
        assert "| right | " in stage._text.content


def test_a_result_whose_video_is_gone_is_still_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = recording(tmp_path, "moved/away.mp4")
    turns = iter(range(2))
    view(found, None, ANYWHERE, keep_on=lambda: next(turns, None) is not None)
    said = capsys.readouterr().out
    assert "http://127.0.0.1:" in said
    assert "moved/away.mp4" in said
    assert "--video FILE says where it is now" in said
    with pytest.raises(SourceNotFoundError, match=r"no video in elsewhere\.mp4"):
        view(found, Path("elsewhere.mp4"), ANYWHERE)


@pytest.mark.parametrize("of", ["hands", "hands/hands.npz"])
def test_a_video_is_found_from_another_folder(
    of: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where one of the same name lies in the folder from which the result is looked at."""
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    for folder in (here, elsewhere):
        folder.mkdir()
        write_video(folder / "a.mp4", 3)
    (here / "hands").mkdir()
    found = recording(here / "hands", "a.mp4")
    monkeypatch.chdir(elsewhere)
    assert _where_it_was(found, here / of) == (here / "a.mp4").resolve()
    assert _where_it_was(found, None) == (elsewhere / "a.mp4").resolve()
    (here / "a.mp4").unlink()  # tracked with -o
    assert _where_it_was(found, here / of) == (elsewhere / "a.mp4").resolve()
    (elsewhere / "a.mp4").unlink()
    with pytest.raises(SourceNotFoundError, match="no file or folder here"):
        _where_it_was(found, here / of)


def test_the_hands_of_a_rig_are_said_not_to_stand_before_the_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = recording(tmp_path, "a.mp4")
    for space, told in (("camera", False), ("world", True)):
        turns = iter(range(2))
        each = replace(found, info=replace(found.info, space=space))
        view(each, None, ANYWHERE, keep_on=lambda turns=turns: next(turns, None) is not None)
        assert ("stand in the world of a rig" in capsys.readouterr().out) == told


def test_a_result_without_frames(tmp_path: Path) -> None:
    with SINKS["npz"](tmp_path, INFO):
        pass
    with pytest.raises(ValueError, match="nothing to play"):
        view(open_recording(tmp_path), None, ANYWHERE)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_does_not_exist(port: int) -> None:
    with pytest.raises(ValueError, match=r"a number from 0 \(any\) to 65535"):
        StageSettings(port=port)


def test_hands_come_back_with_their_ids(tmp_path: Path) -> None:
    found = recording(tmp_path, "a.mp4")
    assert hands_of(found, 0) == []
    (hand,) = hands_of(found, 1)
    assert hand.track_id == 0
    np.testing.assert_allclose(hand.joints_mm, pose().joints_mm, atol=1e-3)


def test_live_shows_and_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str | None] = []
    show = Stage.show
    monkeypatch.setattr(Stage, "show", lambda *given: (said.append(given[-1]), show(*given))[-1])
    monkeypatch.setattr(Stage, "say_last", lambda _, text: said.append(text))
    sink = SINKS["npz"](tmp_path, INFO)
    source = open_source(write_video(tmp_path / "a.mp4", 10))
    summary = live(source, FakeTracker(), [sink], ANYWHERE)
    assert summary.n_frames == 10
    assert said[0] is not None and said[0].startswith("tracked in ")
    assert all("frames/s" in str(line) and tmp_path.name in str(line) for line in said[1:-1])
    assert str(said[-1]).startswith("**The source has ended** after 10 frames.")
    assert len(open_recording(tmp_path).frames) == 10


def test_the_pace_is_of_the_newest_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow start is forgotten; tracking takes a part of the time between frames."""
    clock_s = iter([0.0, 9.0, *(10.0 + t for k in range(4) for t in (0.05 * k, 0.05 * k + 0.02))])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock_s))
    pace = Pace(window=4)
    for _ in range(5):
        with pace.timed():
            pass
    assert str(pace) == "**20 frames/s**, each tracked in 20.0 ms"


def test_the_numbers_say_where_each_wrist_is_and_that_a_lens_is_assumed() -> None:
    hand = pose()
    moved = replace(hand, joints_mm=hand.joints_mm - hand.root_mm + (12.4, -30.2, 499.6))
    table = wrist_table([moved], replace(CAMERA, assumed=False))
    assert "| right | 12 | -30 | 500 |" in table and "assumed" not in table
    assert "Lens assumed" in wrist_table([pose()], Camera.assume(*SIZE))
    assert wrist_table([], CAMERA) == "no hand"


def test_an_address_with_colons_stands_in_brackets() -> None:
    with Stage(StageSettings("::1", 18080), "test", size=SIZE, max_hands=1) as stage:
        assert stage.url.startswith("http://[::1]:")
        assert b"<html" in urllib.request.urlopen(stage.url, timeout=10).read().lower()


def test_a_hand_without_3d_is_shown_in_the_picture_alone(stage: Stage) -> None:
    flat = replace(pose(track_id=1), joints_mm=np.full((21, 3), np.nan))
    stage.show(frame(0).image, [flat, pose(track_id=2)], CAMERA, "status")
    shown, absent = stage._hands
    assert (shown._label.text, absent._joints.visible) == ("right 2", False)
    assert "| right | - | - | - |" in stage._text.content
    stage.show(frame(1).image, [flat], CAMERA)
    assert not shown._joints.visible


def test_what_a_result_claims_of_its_pictures_takes_no_memory(tmp_path: Path) -> None:
    found = recording(tmp_path, "a.mp4")
    huge = replace(found, info=replace(found.info, size=(2_000_000, 1_000_000)))
    turns = iter(range(2))
    view(huge, None, ANYWHERE, keep_on=lambda: next(turns, None) is not None)


def test_so_many_hands_as_a_page_can_show(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with SINKS["npz"](tmp_path, INFO) as sink:
        sink.write(frame(0), [pose(track_id=index) for index in range(40)])
    turns = iter(range(1))
    found = open_recording(tmp_path)
    view(found, None, ANYWHERE, keep_on=lambda: next(turns, None) is not None)
    assert "up to 40 hands: at most 32 of each frame are shown" in capsys.readouterr().out


def test_a_name_that_no_file_can_have_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match="no file or folder here"):
        _where_it_was(recording(tmp_path, "x" * 5000), tmp_path)


def test_pictures_are_of_the_size_that_was_tracked(tmp_path: Path) -> None:
    """Of a video that changes size, and of a smaller copy; else hands lie beside themselves."""
    small = write_video(tmp_path / "small.mp4", 12, size=(32, 24))
    image = pictures_of(recording(tmp_path, "a.mp4"), small)(0)
    assert image is not None
    assert image.shape == (48, 64, 3)


def test_another_video_than_the_tracked_one_is_refused(tmp_path: Path) -> None:
    upright = write_video(tmp_path / "upright.mp4", 12, size=(48, 64))
    found = recording(tmp_path, "a.mp4")
    with pytest.raises(
        SourceUnreadableError, match=r"48 x 64 pixels: expected .* a\.mp4 of 64 x 48"
    ):
        view(found, upright, ANYWHERE)


def test_a_world_is_looked_at_with_its_own_up() -> None:
    """And from a distance of its own: its origin, where no lens is, may lie in the hand."""
    with Stage(ANYWHERE, "test", size=SIZE, max_hands=1, up="z") as stage:
        stage._middle_m = np.zeros(3)
        seen = SimpleNamespace(camera=SimpleNamespace(), atomic=nullcontext)
        stage._look_from_beside(seen)
        np.testing.assert_allclose(seen.camera.up_direction, (0, 0, 1))
        away = np.subtract(seen.camera.position, seen.camera.look_at)
        assert away[2] > 0.05 and np.linalg.norm(away) > 0.3
