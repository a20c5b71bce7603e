"""When frames are: as they say, or a nominal step on where their times stand still."""

from __future__ import annotations

from knuckle.errors import warn

#: Bare images have no time; they are taken to be so many per second.
NOMINAL_FPS = 30.0
#: A frame that is earlier than the one before by more than this, s, is of another video.
_NEW_VIDEO_S = 0.2
#: Between two frames of a video; more in other units than seconds.
_UNLIKELY_S = 1e4


class Clock:
    """Gives every frame a later time than the one before.

    Clocks that stand still or step back a little are common with webcams; only a large step back is
    another video.
    """

    def __init__(self) -> None:
        self._warned = False
        self.reset()

    def reset(self) -> None:
        """Forget all frames."""
        self._time_s: float | None = None
        self._given_s: float | None = None  # that of the last frame, which may not go on

    def is_new_video(self, given_s: float) -> bool:
        """Whether a frame of this time does not belong to those before."""
        return self._given_s is not None and given_s < self._given_s - _NEW_VIDEO_S

    def tick(self, given_s: float | None) -> float:
        """The time of the next frame, s, which says that it is at ``given_s``, or nothing."""
        before, step_s = self._time_s, 1 / NOMINAL_FPS
        if given_s is None:
            self._time_s = 0.0 if before is None else before + step_s
            return self._time_s
        if self._given_s is not None and given_s - self._given_s > _UNLIKELY_S:
            self._warn(
                f"expected frames less than {_UNLIKELY_S:g} s apart, got {given_s:g} s after "
                f"{self._given_s:g} s: no hand is followed so long; give time_s in seconds"
            )
        self._given_s = given_s
        if before is None or given_s > before:
            self._time_s = given_s
            return given_s
        self._warn(
            f"expected frames in the order of their times, got one at {given_s:g} s after one at "
            f"{before:g} s: it is taken to come 1/{NOMINAL_FPS:g} s later; give every frame its "
            "own time_s, and call reset() before another video"
        )
        self._time_s = before + step_s
        return self._time_s

    def _warn(self, sentence: str) -> None:
        """Say it, the first time that something is odd."""
        if not self._warned:
            self._warned = True
            warn(sentence)
