"""``knuckle view RESULT``: plays a result in 3D beside its video."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from knuckle.address import without_secrets
from knuckle.errors import InputError, reason_of
from knuckle.output import Recording, RunInfo, hands_of
from knuckle.video.animation import is_stack
from knuckle.video.decode import DECODE_ERRORS
from knuckle.video.errors import SourceError, SourceNotFoundError, SourceUnreadableError
from knuckle.video.file import scaled_into
from knuckle.video.folder import images_in
from knuckle.video.image import accepts, read_image
from knuckle.video.seek import PicturesByTime, PicturesInOrder
from knuckle.viewer.stage import Stage, StageSettings

#: By how much sizes of copies of a video may differ in width over height, as they are rounded.
_SAME_PROPORTIONS = 0.02
#: Most hands of a frame that are shown: each takes the page some time.
_MOST_HANDS = 32
#: Gives the picture (H, W, 3) of a frame, by its row in ``Recording.frames``; None for none.
Pictures = Callable[[int], "np.ndarray | None"]


class Player:
    """A page with a result, a slider and a play button."""

    def __init__(self, recording: Recording, pictures: Pictures, stage: Stage) -> None:
        self.recording, self._pictures, self._stage = recording, pictures, stage
        last = len(recording.frames) - 1
        gui = stage.server.gui
        with stage.controls:
            self._playing = gui.add_checkbox("Play", initial_value=True)
            self._slider = gui.add_slider("Frame", 0, max(last, 1), 1, 0, disabled=last < 1)
            self._speed = gui.add_slider("Speed, times real", 0.1, 2.0, 0.1, 1.0)
        self._row, self._shown = 0, -1

    def play(self, keep_on: Callable[[], bool] = lambda: True) -> None:
        """Show the result, again and again, until ``keep_on`` says no."""
        while keep_on():
            started_s = time.perf_counter()
            self._show(self._row)
            if not self._playing.value:
                time.sleep(0.03)
                self._row = int(self._slider.value)
                continue
            following = (self._row + 1) % len(self.recording.frames)
            wait_s = self._seconds_between(self._row, following)
            time.sleep(max(wait_s - (time.perf_counter() - started_s), 0.0))
            # Someone may have pulled the slider meanwhile.
            moved = int(self._slider.value) != self._row
            self._row = int(self._slider.value) if moved else following
            self._slider.value = self._row  # type: ignore[misc]

    def _seconds_between(self, row: int, following: int) -> float:
        times_s = self.recording.frames["time_s"]
        step_s = float(times_s[following] - times_s[row]) if following > row else 0.5
        return min(step_s, 1.0) / float(self._speed.value)

    def _show(self, row: int) -> None:
        if row == self._shown:
            return
        self._shown = row
        frame = self.recording.frames[row]
        hands = hands_of(self.recording, int(frame["frame"]))
        last_s = self.recording.frames["time_s"][-1]
        status = f"**frame {frame['frame']}**, {frame['time_s']:.2f} of {last_s:.2f} s"
        self._stage.show(self._pictures(row), hands, self.recording.info.camera, status)


def pictures_of(recording: Recording, source: Path) -> Pictures:
    """Pictures of a recording's frames from its source.

    Raises:
        SourceError: it is not there, or cannot be read.
    """
    if source.is_dir():
        paths = images_in(source)
        return lambda row: read_image(paths[int(recording.frames["frame"][row])])
    if is_stack(source):
        pages = PicturesInOrder(str(source))
        return lambda row: pages.at(int(recording.frames["frame"][row]))
    if accepts(str(source)):
        image = read_image(source)
        return lambda row: image
    try:
        video = PicturesByTime(str(source))
    except DECODE_ERRORS as error:
        raise SourceNotFoundError(
            f"there is no video in {source} ({reason_of(error)}): expected the one that was tracked"
        ) from None

    def at(row: int) -> np.ndarray | None:
        image = video.at(float(recording.frames["time_s"][row]))
        # As when it was tracked, if it changes size; and a smaller copy does as well.
        return None if image is None else scaled_into(image, recording.info.size)

    _check_proportions(video.at(float(recording.frames["time_s"][0])), recording.info, source)
    return at


def _check_proportions(first: np.ndarray | None, info: RunInfo, source: Path) -> None:
    """Refuse a video on whose pictures the hands would lie beside those that are seen."""
    if first is None:
        return
    (height, width), (tracked_width, tracked_height) = first.shape[:2], info.size
    if abs(width * tracked_height / (height * tracked_width) - 1) > _SAME_PROPORTIONS:
        raise SourceUnreadableError(
            f"{source} has pictures of {width} x {height} pixels: expected the video that was "
            f"tracked, {info.source} of {tracked_width} x {tracked_height}, or a copy of it"
        )


def _where_it_was(recording: Recording, result: Path | None) -> Path:
    """The file or the folder that was tracked.

    A result may be somebody else's: an address, a device or a pipe that it names is not touched.

    ``result`` is the folder that the recording lies in, or its file. Where nobody said otherwise it
    was made in the folder from which the name leads to the video; that is asked before the current
    one.

    Raises:
        SourceNotFoundError: it is no file and no folder of this machine.
    """
    named = recording.info.source
    on_a_server = named.startswith(("//", "\\\\"))
    for start in (*_made_in(result), Path()):
        if named and not on_a_server and _is_there(start / named):
            return (start / named).resolve()  # whole: a decoder takes "http:name" for an address
    raise SourceNotFoundError(
        f"{without_secrets(named)} is no file or folder here: expected the video that was tracked"
    )


def _is_there(path: Path) -> bool:
    try:
        return path.is_file() or path.is_dir()
    except OSError:  # its name is longer than any, or nobody may look there
        return False


def _made_in(result: Path | None) -> list[Path]:
    """The folder that holds the folder of a result."""
    if result is None:
        return []
    return [(result if result.is_dir() else result.parent).resolve().parent]


def nothing(row: int) -> None:
    """No picture, for any frame."""


def view(
    recording: Recording,
    video: Path | None,
    settings: StageSettings,
    *,
    result: Path | None = None,
    keep_on: Callable[[], bool] = lambda: True,
) -> None:
    """Serve a page that plays a recording, until interrupted.

    ``video`` is where it is now; by default where it was, if that is a file or a folder: an address
    is opened only if it is given here. ``result`` is where the recording lies. ``keep_on`` is asked
    before every frame.

    Raises:
        ValueError: the recording has no frames.
        SourceError: the video that was given cannot be read. Without the one that was tracked,
            the hands are shown alone.
    """
    if not len(recording.frames):
        raise InputError(
            f"there is nothing to play: no frame of {recording.info.source} was tracked to the end"
        )
    per_frame = np.unique(recording.hands["frame"], return_counts=True)[1]
    most = int(per_frame.max(initial=1))
    if most > _MOST_HANDS:
        print(f"a frame has up to {most} hands: at most {_MOST_HANDS} of each frame are shown")
        most = _MOST_HANDS
    try:
        pictures = pictures_of(recording, video or _where_it_was(recording, result))
    except SourceError as error:
        if video is not None:
            raise
        print(f"{error}; the hands are shown alone, --video FILE says where it is now")
        pictures = nothing
    if recording.info.space == "world":
        print(
            "these hands stand in the world of a rig, not before the camera of the picture: the "
            "folder of a camera, in the one of the result, shows them as it saw them"
        )
    title, size = Path(without_secrets(recording.info.source)).name, recording.info.size
    up = recording.info.up if recording.info.space == "world" else None
    with Stage(settings, title, size=size, max_hands=most, up=up) as stage:
        print(f"{stage.url}  (Ctrl-C ends)", flush=True)
        try:
            Player(recording, pictures, stage).play(keep_on)
        finally:
            stage.say_last("**Stopped.** `knuckle view` again, and this page goes on.")
