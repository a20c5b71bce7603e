"""``knuckle live``: a camera with its hands in the browser, in the picture and in 3D."""

from __future__ import annotations

from collections.abc import Sequence

from knuckle.camera import Camera
from knuckle.job import Summary, Tracker, run
from knuckle.output import Sink
from knuckle.results import Frame, HandPose
from knuckle.video import Source
from knuckle.viewer.stage import Stage, StageSettings


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

    Args:
        source: best a live one, whose newest frame is always the next; closed at the end.
        tracker: frames to hands.
        sinks: record at the same time; closed at the end.
        settings: where to serve the page.
        camera: of the source; by default the one that is assumed.
        max_hands: hands that the page can show.
    """
    camera = camera or Camera.assume(*source.size)
    title = source.info.name.split("/")[-1]
    with Stage(settings, title, size=source.size, max_hands=max_hands) as stage:
        print(f"{stage.url}  (Ctrl-C ends)", flush=True)

        def show(frame: Frame, hands: Sequence[HandPose]) -> None:
            stage.show(frame.image, hands, camera)

        return run(source, tracker, sinks, on_frame=show)
