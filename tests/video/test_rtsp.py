"""Streams over RTSP, from a small server on loopback."""

from __future__ import annotations

import itertools
import json
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from rtsp_server import N_PICTURES, RtspServer

from clips import is_upright, number_of
from knuckle.cli import main
from knuckle.results import Frame
from knuckle.video import (
    Source,
    SourceBrokenError,
    SourceEmptyError,
    SourceNotFoundError,
    SourceOptions,
    stream,
)
from knuckle.video.stream import Patience, open_source

#: Enough for loopback, also on a busy machine; the tests do not wait for a patient user.
HASTY = Patience(connect_s=5.0, read_s=0.5, reconnect_s=4.0)


@pytest.fixture
def camera() -> Iterator[RtspServer]:
    with RtspServer() as server:
        yield server


def dial(url: str, patience: Patience = HASTY) -> Source:
    return open_source(url, SourceOptions(), patience)


def frames_until(source: Source, enough: Callable[[Frame], bool]) -> list[Frame]:
    with source:
        taken = []
        for frame in source:
            taken.append(frame)
            if enough(frame):
                break
    return taken


def test_plays(camera: RtspServer) -> None:
    source = dial(camera.url())
    assert source.info.live
    assert source.info.n_frames is None
    assert source.size == (64, 48)
    assert source.fps == pytest.approx(camera.fps)
    frames = frames_until(source, lambda frame: frame.index >= 60)
    assert all(is_upright(frame.image) for frame in frames)
    assert [number_of(frame.image) for frame in frames] == [
        frame.index % N_PICTURES for frame in frames
    ]
    # The sender's clock, whatever the network does in between.
    times_s = np.array([frame.time_s for frame in frames])
    np.testing.assert_allclose(times_s, [frame.index / camera.fps for frame in frames], atol=2e-3)


def test_the_newest_frame_is_preferred(camera: RtspServer) -> None:
    with dial(camera.url()) as source:
        next(source)
        target = camera.sent + 40  # a slow tracker
        while camera.sent < target:
            time.sleep(0.01)
        assert next(source).index >= 30
        assert source.losses.dropped >= 25


def test_no_frame_is_held_back(camera: RtspServer) -> None:
    """A decoder with a thread for each frame holds back as many frames as there are processors."""
    with dial(camera.url()) as source:
        behind = []
        for frame in itertools.islice(source, 80):
            behind.append(camera.sent - 1 - frame.index)
    # One for the parser, which waits for the next picture to know where this one ends.
    assert min(behind[40:]) <= 1


def test_reconnects(camera: RtspServer) -> None:
    source, calls = dial(camera.url()), []

    def hang_up_twice(frame: Frame) -> bool:
        if (frame.index >= 30 and not calls) or (camera.calls == 2 and len(calls) == 1):
            calls.append(camera.hang_up())
        return camera.calls == 3

    frames = frames_until(source, hang_up_twice)
    assert all(is_upright(frame.image) for frame in frames)
    assert np.all(np.diff([frame.time_s for frame in frames]) > 0)
    assert frames[-1].index + 1 == len(frames) + source.losses.dropped


def test_a_connection_that_falls_silent_is_opened_again(camera: RtspServer) -> None:
    source, frozen = dial(camera.url()), []

    def freeze_once(frame: Frame) -> bool:
        if frame.index >= 30 and not frozen:  # on a busy machine some frames are passed over
            frozen.append(camera.freeze())
        return camera.calls == 2

    frames = frames_until(source, freeze_once)
    times_s = [frame.time_s for frame in frames]
    assert max(np.diff(times_s)) > HASTY.read_s  # the gap is there, in time as in the world


@pytest.mark.parametrize("how", ["vanishes", "has no more pictures"])
def test_ends_when_the_sender_is_gone(camera: RtspServer, how: str) -> None:
    patience = Patience(connect_s=5.0, read_s=0.3, reconnect_s=1.0)
    frames: list[Frame] = []
    with (
        pytest.raises(SourceBrokenError, match=r"after \d+ frames and did not come back"),
        dial(camera.url(), patience) as source,
    ):
        for frame in source:
            frames.append(frame)
            if len(frames) == 20 and how == "vanishes":
                camera.vanish()
            elif len(frames) == 20:
                camera.silent = True
    assert len(frames) >= 20


def test_never_sends_a_picture(camera: RtspServer) -> None:
    camera.silent = True
    patience = Patience(connect_s=0.5, read_s=0.2, reconnect_s=0.5)
    with pytest.raises(SourceEmptyError, match="sends no frame"):
        dial(camera.url(), patience)


def test_wrong_path(camera: RtspServer) -> None:
    with pytest.raises(SourceNotFoundError, match=r"404.*check what comes after it"):
        dial(camera.url("feet"))


def test_nobody_there() -> None:
    with pytest.raises(SourceNotFoundError, match="refused"):
        dial("rtsp://127.0.0.1:9/hands")


def test_says_nothing() -> None:
    patience = Patience(connect_s=0.3)
    with (
        socket.create_server(("127.0.0.1", 0)) as mute,
        pytest.raises(SourceNotFoundError, match=r"silence for 0\.3 s"),
    ):
        dial(f"rtsp://127.0.0.1:{mute.getsockname()[1]}/hands", patience)


class TestPassword:
    @pytest.fixture
    def locked(self) -> Iterator[RtspServer]:
        with RtspServer(password="o:pen") as server:
            yield server

    @pytest.mark.parametrize("credentials", ["", "knuckle:guess@"])
    def test_wrong(self, locked: RtspServer, credentials: str) -> None:
        with pytest.raises(SourceNotFoundError, match=r"401.*USER:PASSWORD@host") as caught:
            dial(locked.url(credentials=credentials))
        assert "guess" not in str(caught.value)

    def test_right_and_never_shown(
        self, locked: RtspServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        url = locked.url(credentials="knuckle:o:pen@")
        with dial(url) as source:
            assert is_upright(next(source).image)
            assert source.info.name == locked.url()


def test_what_was_tracked_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stream, "Patience", partial(Patience, reconnect_s=0.5))
    with RtspServer(password="open") as camera:
        leave = iter([False] * 10 + [True])

        def work(frame: Frame) -> list:
            if next(leave, False):
                camera.vanish()
            return []

        monkeypatch.setattr("knuckle.cli.tracking._tracker", lambda *_, **__: FakeTracker(work))
        out, url = tmp_path / "out", camera.url(credentials="knuckle:open@")
        code = main(["track", url, "-o", str(out), "--format", "json"])
    assert code == 2
    said = capsys.readouterr()
    assert "did not come back within 0.5 s" in said.err
    (path,) = out.iterdir()
    head, *lines = path.read_text().splitlines()
    assert json.loads(head)["source"] == camera.url()
    assert len(lines) >= 11
    assert "open@" not in said.err + said.out + path.read_text()


class FakeTracker:
    """Finds nothing, quickly."""

    def __init__(self, work: Callable[[Frame], list]) -> None:
        self.versions: dict[str, str] = {}
        self._work = work

    def __call__(self, frame: Frame) -> list:
        return self._work(frame)
