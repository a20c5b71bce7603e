"""What a Rerun recording says of frames and hands, in a file or in a viewer (needs rerun-sdk)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from knuckle.camera import Camera
from knuckle.draw import FINGER_COLOURS, SIDE_COLOURS, WRIST_COLOUR
from knuckle.hand import BONES, FINGERS, JOINT_NAMES, SIDES, Joint
from knuckle.output.errors import optional
from knuckle.results import Frame, HandPose, TrackedHand
from knuckle.up import OF_CAMERA

#: Class of a side's hands, and of their pixels; 0 is none.
_CLASSES = {side: number for number, side in enumerate(SIDES, start=1)}
_JPEG_QUALITY = 85
#: Rerun counts pixels from the corner of the first one, Knuckle from its centre.
_CORNER_PX = 0.5


class RerunLog:
    """Time lines ``frame`` and ``time``; each hand under its number and side.

    * ``world/camera``: the pinhole, and below it ``picture`` (JPEG), ``picture/masks`` and
      ``picture/hands/NUMBER-SIDE`` (21 keypoints with the bones between them)
    * ``world/hands/NUMBER-SIDE``: 21 joints, **metres** in the camera frame
    * ``angles/NUMBER-SIDE``: flexion of the 15 joints that bend, degrees

    Whoever makes the log says where its ``stream``, Rerun's recording stream, leads, and ends it.
    """

    def __init__(self) -> None:
        """Begin a recording that leads nowhere yet.

        Raises:
            OutputError: rerun-sdk is not installed.
        """
        self._rr = optional("rerun", "rerun", "this")
        self._shown: set[str] = set()
        self.stream = self._rr.RecordingStream("knuckle", send_properties=False)

    def begin(
        self, camera: Camera | None, size: tuple[int, int], about: str = "", *, up: str = OF_CAMERA
    ) -> None:
        """Say what holds for all frames: the camera if hands are in its frame, and (width, height).

        ``about`` is JSON of the run, if there is any; ``up`` the axis of the hands' frame that is.
        """
        rr = self._rr
        self.stream.log("/", _annotations(rr), static=True)
        if camera is None:
            self.stream.log("world", getattr(rr.ViewCoordinates, _hand_up(up)), static=True)
        else:
            self.stream.log("world", rr.ViewCoordinates.RDF, static=True)
            pinhole = rr.Pinhole(
                image_from_camera=camera.padded(_CORNER_PX, _CORNER_PX).matrix,
                resolution=size,
                camera_xyz=rr.ViewCoordinates.RDF,
                image_plane_distance=0.5,
            )
            self.stream.log("world/camera", pinhole, static=True)
        if about:
            self.stream.log("run", rr.TextDocument(about), static=True)

    def log(self, frame: Frame, hands: Sequence[HandPose]) -> None:
        """Say what is seen in a frame."""
        rr, log = self._rr, self.stream.log
        self.stream.set_time("frame", sequence=frame.index)
        self.stream.set_time("time", duration=frame.time_s)
        log("world/camera/picture", rr.EncodedImage(contents=_jpeg(frame), media_type="image/jpeg"))
        if any(hand.crop_mask is not None for hand in hands):
            log("world/camera/picture/masks", rr.SegmentationImage(_classes(frame, hands)))
        shown = {_name(hand, number): hand for number, hand in enumerate(hands)}
        for name in self._shown - set(shown):  # who has left is shown no more
            for place in _paths(name):
                log(place, rr.Clear(recursive=False))
        for name, hand in shown.items():
            in_picture, in_space, angles = _paths(name)
            skeleton = {"class_ids": _CLASSES[hand.side], "keypoint_ids": np.arange(len(Joint))}
            log(in_picture, rr.Points2D(hand.joints_px + _CORNER_PX, radii=-2.5, **skeleton))
            log(in_space, rr.Points3D(hand.joints_mm / 1000, radii=0.004, **skeleton))
            log(angles, rr.Scalars(hand.joint_angles[:, 0]))
        self._shown = set(shown)


def _name(hand: HandPose, number: int) -> str:
    return f"{hand.track_id if isinstance(hand, TrackedHand) else number}-{hand.side}"


def _paths(name: str) -> tuple[str, str, str]:
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


def _hand_up(up: str) -> str:
    """What Rerun calls right-handed axes of which this one points up."""
    return f"RIGHT_HAND_{up[-1].upper()}_{'DOWN' if up.startswith('-') else 'UP'}"
