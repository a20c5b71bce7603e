"""A run ends well in every way in which it can end."""

from __future__ import annotations

import errno
import inspect
import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from clips import write_video
from fakes import INFO, FakeTracker, scene
from knuckle.cli.tracking import Convert
from knuckle.corpus import Track
from knuckle.job import Summary, convert, open_sinks, run
from knuckle.output import FRAME, HAND, SINKS, OutputError, Recording, open_recording
from knuckle.results import Frame
from knuckle.send import open_senders
from knuckle.video import Losses, open_source

REPOSITORY = Path(__file__).parents[1]


def test_to_the_end(tmp_path: Path) -> None:
    sinks = open_sinks(["npz", "csv"], tmp_path / "out", INFO)
    seen = []
    summary = run(
        open_source(write_video(tmp_path / "a.mp4", 20)),
        FakeTracker(),
        sinks,
        on_frame=lambda frame, hands: seen.append((frame.index, len(hands))),
    )
    assert seen == [(index, 1) for index in range(20)]
    assert (summary.n_frames, summary.n_with_hands, summary.track_ids) == (20, 20, {0})
    assert summary.error is None
    assert summary.signal_number is None
    assert "20 frames" in str(summary)
    assert all(str(path) in str(summary) for path in summary.files)
    for path in summary.files:
        assert len(open_recording(path).frames) == 20


def test_a_source_that_breaks_off(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mp4", 300)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    (sink,) = open_sinks(["npz"], tmp_path / "out", INFO)
    summary = run(open_source(cut), FakeTracker(), [sink])
    assert "breaks off" in str(summary.error)
    assert len(open_recording(sink.path).frames) == summary.n_frames > 100


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_after_the_frame(number: int, tmp_path: Path) -> None:
    def interrupt(frame: Frame) -> None:
        if frame.index == 7:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    sinks = open_sinks(["npz", "json", "overlay"], tmp_path / "out", INFO)
    source = open_source(write_video(tmp_path / "a.mp4", 60))
    summary = run(source, FakeTracker(interrupt), sinks)
    assert summary.n_frames == 8
    assert summary.signal_number == number
    assert signal.getsignal(number) is before
    for sink in sinks[:2]:
        assert len(open_recording(sink.path).frames) == 8
    with open_source(sinks[2].path) as overlay:
        assert len(list(overlay)) == 8


def test_a_tracker_that_fails_leaves_valid_files(tmp_path: Path) -> None:
    def fail(frame: Frame) -> None:
        if frame.index == 5:
            raise RuntimeError("bug")

    (sink,) = open_sinks(["npz"], tmp_path / "out", INFO)
    with pytest.raises(RuntimeError, match="bug"):
        run(open_source(write_video(tmp_path / "a.mp4", 20)), FakeTracker(fail), [sink])
    assert len(open_recording(sink.path).frames) == 5


def test_an_unknown_format(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"no format 'xml'.*npz"):
        open_sinks(["npz", "xml"], tmp_path, INFO)


@pytest.mark.parametrize(
    ("ask", "what"),
    [
        (lambda folder: open_sinks("npz", folder, INFO), "formats"),
        (
            lambda folder: convert(
                Recording(INFO, np.zeros(0, FRAME), np.zeros(0, HAND)), "glb", folder
            ),
            "formats",
        ),
        (lambda folder: Track(folder, formats="json"), "formats"),
        (lambda _: open_senders("udp://127.0.0.1:9"), "addresses"),
    ],
    ids=["sinks", "convert", "corpus", "senders"],
)
def test_one_name_is_not_taken_for_its_letters(
    ask: Callable[[Path], object], what: str, tmp_path: Path
) -> None:
    with pytest.raises(TypeError, match=f"expected a list of {what}, got '.*' alone"):
        ask(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_format_that_is_none_is_told_before_videos_are_tracked(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no format 'xml'"):
        Track(tmp_path, formats=["xml"])


def test_folders_may_be_text(tmp_path: Path) -> None:
    (sink,) = open_sinks(["npz"], str(tmp_path), INFO)
    sink.close()
    (path,) = convert(open_recording(tmp_path), ["csv"], str(tmp_path / "again"))
    assert path == tmp_path / "again/hands.csv"
    with SINKS["json"](str(tmp_path), INFO) as alone:
        assert alone.path == tmp_path / "hands.jsonl"


def test_one_sink_that_cannot_open_closes_the_others(tmp_path: Path) -> None:
    (tmp_path / "hands.csv").mkdir()
    with pytest.raises(OutputError, match=r"cannot write .*hands\.csv"):
        open_sinks(["npz", "csv"], tmp_path, INFO)
    assert len(open_recording(tmp_path / "hands.npz").frames) == 0


class TestConvert:
    def recording(self, folder: Path) -> Recording:
        (sink,) = open_sinks(["npz"], folder, INFO)
        with sink:
            for each in scene(9):
                sink.write(*each)
        return open_recording(folder)

    def test_every_table_says_the_same_again(self, tmp_path: Path) -> None:
        before = self.recording(tmp_path / "before")
        names = [name for name, sink in SINKS.items() if not sink.needs_pictures]
        files = convert(before, names, tmp_path / "after")
        assert [path.name for path in files] == [SINKS[name].filename for name in names]
        for path in files[:4]:
            after = open_recording(path)
            assert after.info == before.info
            np.testing.assert_array_equal(after.frames["n_hands"], before.frames["n_hands"])
            np.testing.assert_array_equal(after.hands["track_id"], before.hands["track_id"])
            for name in ("joints_mm", "joint_angles_deg", "visible"):
                np.testing.assert_allclose(after.hands[name], before.hands[name], atol=1e-3)

    def test_over_itself_it_is_whole_before_or_after(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The disk may be full, and it was the only copy."""
        before = self.recording(tmp_path)
        with monkeypatch.context() as patch:

            def fail(*_: object) -> None:
                raise OSError(errno.ENOSPC, "No space left on device")

            patch.setattr(SINKS["csv"], "_write", fail)
            told = re.escape(f"cannot write {tmp_path / 'hands.csv'} (no space left on device)")
            with pytest.raises(OutputError, match=told):
                convert(before, ["npz", "csv"], tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["hands.npz"]
        assert len(open_recording(tmp_path).frames) == len(before.frames)
        convert(before, ["npz", "csv"], tmp_path)
        names = {path.name for path in tmp_path.iterdir()}
        assert names == {"hands.npz", "hands.csv", "hands.csv.json"}

    def test_a_folder_where_a_file_should_go_is_named(self, tmp_path: Path) -> None:
        before = self.recording(tmp_path / "before")
        (tmp_path / "hands.csv").mkdir()
        told = re.escape(f"cannot write {tmp_path / 'hands.csv'} (")
        with pytest.raises(OutputError, match=told):
            convert(before, ["csv"], tmp_path)

    def test_what_a_killed_run_left_is_completed_in_its_place(self, tmp_path: Path) -> None:
        left = tmp_path / "left"
        (sink,) = open_sinks(["npz"], tmp_path / "running", INFO)
        with sink:
            for each in scene(9):
                sink.write(*each)
            shutil.copytree(tmp_path / "running", left)
        killed = open_recording(left)
        convert(killed, ["npz"], left)
        assert [path.name for path in left.iterdir()] == ["hands.npz"]
        assert len(open_recording(left).hands) == len(killed.hands)

    def test_what_needs_the_video_says_how(self, tmp_path: Path) -> None:
        recording = self.recording(tmp_path)
        with pytest.raises(OutputError, match=r"run knuckle track hands\.mp4 --format overlay"):
            convert(recording, ["npz", "overlay"], tmp_path)


def test_help_and_document_name_what_needs_the_video() -> None:
    needing = {name for name, sink in SINKS.items() if sink.needs_pictures}
    document = (REPOSITORY / "docs/formats.md").read_text()
    for text, sentence in (
        (inspect.getsource(Convert), "except (.*?), which need the video"),
        (document, r"\((`.*?) need the video\)"),
    ):
        named = re.search(sentence, text)
        assert named and set(re.findall(r"\w+", named[1])) - {"and"} == needing


def test_one_frame_is_no_frames() -> None:
    texts = [str(Summary(n_frames=n)) for n in (0, 1, 2)]
    assert [text.split(" in ")[0] for text in texts] == ["0 frames", "1 frame", "2 frames"]


def test_damaged_pictures_are_named_if_they_have_names_and_are_few() -> None:
    def said(damaged: int, where: list[str]) -> str:
        return str(Summary(losses=Losses(damaged, where=where))).splitlines()[1]

    assert said(1, ["7.jpg"]) == "1 damaged picture was passed over: 7.jpg"
    assert said(6, []) == "6 damaged pictures were passed over"
    named = said(200, [f"{i}.jpg" for i in range(200)])
    assert named.endswith("passed over: 0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg and 195 more")
