"""``knuckle live``: a camera with its hands in the browser, in the picture and in 3D."""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from knuckle.camera import Camera
from knuckle.job import Summary, Tracker, run
from knuckle.output import Sink
from knuckle.results import Frame, HandPose
from knuckle.video import Source
from knuckle.viewer.stage import Stage, StageSettings

#: How often a page that shows a picture looks at the clock.
_STILL_S = 0.5


def live(
    source: Source,
    tracker: Tracker,
    sinks: Sequence[Sink],
    settings: StageSettings,
    *,
    camera: Camera | None = None,
    max_hands: int = 2,
) -> Summary:
    """Track a source and show it until it ends or is interrupted.

    The source is best a live one, whose newest frame is always the next. Sinks record at the same
    time; all are closed at the end. The page can show ``max_hands`` hands.
    """
    camera = camera or Camera.assume(*source.size)
    title = source.info.name.split("/")[-1]
    pace = Pace()
    with Stage(settings, title, size=source.size, max_hands=max_hands) as stage:
        print(f"{stage.url}  (Ctrl-C ends)", flush=True)
        recorded = f"\\\nrecorded into `{sinks[0].path.parent}`" if sinks else ""

        def track(frame: Frame) -> Sequence[HandPose]:
            with pace.timed():
                return tracker(frame)

        def show(frame: Frame, hands: Sequence[HandPose]) -> None:
            dropped = f", {source.losses.dropped} dropped" if source.losses.dropped else ""
            stage.show(frame.image, hands, camera, f"{pace}{dropped}{recorded}")

        summary = run(source, track, sinks, on_frame=show)
        if source.info.n_frames == 1 and not (summary.signal_number or summary.error):
            summary.signal_number = _shown_until_interrupted()
        stage.say_last(
            f"**{_why_it_ended(summary)}** after {summary.n_frames} frames. "
            "`knuckle live` again, and this page goes on."
        )
        return summary


def _shown_until_interrupted() -> int:
    """A picture has ended as soon as it is there: it stays on the page. Returns the signal."""
    with suppress(KeyboardInterrupt):
        while True:
            time.sleep(_STILL_S)
    return signal.SIGINT


def _why_it_ended(summary: Summary) -> str:
    """For people, who may not see the terminal."""
    if summary.signal_number:
        return "Stopped"
    return "The source broke off" if summary.error else "The source has ended"


class Pace:
    """How fast frames come, and how long each takes to track, over the last second or so."""

    def __init__(self, window: int = 30) -> None:
        self._ended_s: deque[float] = deque(maxlen=window)
        self._took_s: deque[float] = deque(maxlen=window)

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Around the tracking of one frame."""
        began_s = time.perf_counter()
        yield
        self._ended_s.append(time.perf_counter())
        self._took_s.append(self._ended_s[-1] - began_s)

    def __str__(self) -> str:
        """Frames a second, and the median time of one."""
        took_ms = 1000 * sorted(self._took_s)[len(self._took_s) // 2]
        if len(self._ended_s) < 2:
            return f"tracked in {took_ms:.1f} ms"
        fps = (len(self._ended_s) - 1) / (self._ended_s[-1] - self._ended_s[0])
        return f"**{fps:.0f} frames/s**, each tracked in {took_ms:.1f} ms"
