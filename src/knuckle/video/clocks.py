"""One clock for cameras that each have their own."""

from __future__ import annotations

from collections.abc import Sequence

from knuckle.results import Frame


class JointClock:
    """Reads the time of an instant from frames whose clocks differ, and of which some may lack.

    An instant has the time of the first camera that has a frame. By how much the clock of another
    one is ahead is known from the last instant that both saw: where the first has no frame, time
    goes on as if it had.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget how far the clocks are apart."""
        self._ahead_s: dict[int, float] = {}

    def read(self, frames: Sequence[object]) -> float | None:
        """The time, s, of what each camera shows; None where no frame says any."""
        own = {camera: f.time_s for camera, f in enumerate(frames) if isinstance(f, Frame)}
        if not own:
            return None
        known = (
            at - self._ahead_s[camera] for camera, at in own.items() if camera in self._ahead_s
        )
        now_s = next(known, next(iter(own.values())))
        self._ahead_s |= {camera: at - now_s for camera, at in own.items()}
        return now_s
