"""``hands.rrd``: a recording for the Rerun viewer (needs rerun-sdk): picture, 2D, 3D, masks."""

from __future__ import annotations

from collections.abc import Sequence

from knuckle.output.rerun_log import RerunLog
from knuckle.output.sink import Sink
from knuckle.results import Frame, HandPose


class RrdSink(Sink):
    """Writes what ``RerunLog`` says, and the run's ``info`` as JSON under ``run``."""

    filename = "hands.rrd"
    needs_pictures = True

    def _open(self) -> None:
        self._log = RerunLog()
        self.path.open("wb").close()  # what cannot be written is told as by all sinks
        self._log.stream.save(self.path)
        before_camera = self.info.space == "camera"  # a rig's world is that of no camera
        camera = self.info.camera if before_camera else None
        self._log.begin(camera, self.info.size, self.info.to_json(), up=self.info.up)

    def _write(self, frame: Frame, hands: Sequence[HandPose]) -> None:
        self._log.log(frame, hands)
        self._log.stream.flush()  # a killed run keeps every frame that it had written

    def _close(self) -> None:
        self._log.stream.flush()
        self._log.stream.disconnect()
