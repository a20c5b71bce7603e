"""``hands.rrd``: a recording for the Rerun viewer (needs rerun-sdk): picture, 2D, 3D, masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from knuckle.draw import FINGER_COLOURS, SIDE_COLOURS, WRIST_COLOUR
from knuckle.hand import BONES, FINGERS, JOINT_NAMES, SIDES, Joint
from knuckle.output.errors import OutputError
from knuckle.output.sink import Sink
from knuckle.results import Frame, HandPose, TrackedHand

#: Class of a side's hands, and of their pixels; 0 is none.
_CLASSES = {side: number for number, side in enumerate(SIDES, start=1)}
_JPEG_QUALITY = 85


class RrdSink(Sink):
    """Time lines ``frame`` and ``time``; each hand under its number and side.

    * ``world/camera``: the pinhole, and below it ``picture`` (JPEG), ``picture/masks`` and
      ``picture/hands/NUMBER-SIDE`` (21 keypoints with the bones between them)
    * ``world/hands/NUMBER-SIDE``: 21 joints, **metres** in the camera frame
    * ``angles/NUMBER-SIDE``: flexion of the 15 joints that bend, degrees
    """

    filename = "hands.rrd"
    needs_pictures = True

    def _open(self) -> None:
        self._rr = rr = _rerun()
        self._shown: set[str] = set()
        self._log = rr.RecordingStream("knuckle", send_properties=False)
        self.path.open("wb").close()  # what cannot be written is told as by all sinks
        self._log.save(self.path)
        self._log.log("/", _annotations(rr), static=True)
        self._log.log("world", rr.ViewCoordinates.RDF, static=True)
        camera = self.info.camera
        pinhole = rr.Pinhole(
            image_from_camera=camera.matrix,
            resolution=self.info.size,
            camera_xyz=rr.ViewCoordinates.RDF,
            image_plane_distance=0.5,
        )
        self._log.log("world/camera", pinhole, static=True)
        self._log.log("run", rr.TextDocument(self.info.to_json()), static=True)

    def _write(self, frame: Frame, hands: Sequence[HandPose]) -> None:
        rr, log = self._rr, self._log.log
        self._log.set_time("frame", sequence=frame.index)
        self._log.set_time("time", duration=frame.time_s)
        log("world/camera/picture", rr.EncodedImage(contents=_jpeg(frame), media_type="image/jpeg"))
        if any(hand.crop_mask is not None for hand in hands):
            log("world/camera/picture/masks", rr.SegmentationImage(_classes(frame, hands)))
        shown = {_name(hand, number): hand for number, hand in enumerate(hands)}
        for name in self._shown - set(shown):  # who has left is shown no more
            for place in _places(name):
                log(place, rr.Clear(recursive=False))
        for name, hand in shown.items():
            in_picture, in_space, angles = _places(name)
            skeleton = {"class_ids": _CLASSES[hand.side], "keypoint_ids": np.arange(len(Joint))}
            # Rerun counts pixels from the corner of the first one, Knuckle from its centre.
            log(in_picture, rr.Points2D(hand.joints_px + 0.5, radii=-2.5, **skeleton))
            log(in_space, rr.Points3D(hand.joints_mm / 1000, radii=0.004, **skeleton))
            log(angles, rr.Scalars(hand.joint_angles[:, 0]))
        self._shown = set(shown)
        self._log.flush()  # a killed run keeps every frame that it had written

    def _close(self) -> None:
        self._log.flush()
        self._log.disconnect()


def _rerun() -> Any:
    try:
        import rerun
    except ImportError:
        raise OutputError(
            "rrd needs rerun-sdk: pip install 'knuckle[rerun]', or choose another format"
        ) from None
    return rerun


def _name(hand: HandPose, number: int) -> str:
    return f"{hand.track_id if isinstance(hand, TrackedHand) else number}-{hand.side}"


def _places(name: str) -> tuple[str, str, str]:
    """Where a hand is logged: in the picture, in space, and its angles."""
    return f"world/camera/picture/hands/{name}", f"world/hands/{name}", f"angles/{name}"


def _annotations(rr: Any) -> Any:
    """Names and colours of sides and joints, and which joints bones join."""
    colours = np.array([WRIST_COLOUR] * len(Joint))
    colours[FINGERS] = np.array(FINGER_COLOURS)[:, None]
    joints = [
        rr.AnnotationInfo(id=joint, label=name, color=colour)
        for joint, (name, colour) in enumerate(zip(JOINT_NAMES, colours.tolist(), strict=True))
    ]
    sides = [
        rr.ClassDescription(
            info=rr.AnnotationInfo(id=number, label=side, color=SIDE_COLOURS[side]),
            keypoint_annotations=joints,
            keypoint_connections=[tuple(bone) for bone in BONES.tolist()],
        )
        for side, number in _CLASSES.items()
    ]
    return rr.AnnotationContext(sides)


def _jpeg(frame: Frame) -> bytes:
    bgr = cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()


def _classes(frame: Frame, hands: Sequence[HandPose]) -> np.ndarray:
    """(H, W) uint8: whose pixels these are."""
    classes = np.zeros(frame.image.shape[:2], np.uint8)
    for hand in hands:
        if hand.crop_mask is not None and hand.mask.shape == classes.shape:
            classes[hand.mask] = _CLASSES[hand.side]
    return classes
