"""Two hands in front of webcams, one view at a time: ``views_two_hands`` and its reference.

Cameras 1 to 3, undistorted, of 24 instants. The printed reference was triangulated from MediaPipe's
points and refined with bones of constant length: good for depth, scale and side, biased to
MediaPipe's joints in 2D. For evaluation only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from knuckle import open_source
from knuckle.camera import Camera
from knuckle.sample import HandLabel, Sample

#: Camera 0 bends what it shows by up to 55 px: it is left to ``views.py``, which honours lenses.
CAMERAS = (1, 2, 3)


def webcams(folder: Path) -> Iterator[Sample]:
    """A sample for each camera and instant, both hands labelled."""
    pictures = json.loads((folder / "reference.json").read_text(encoding="utf-8"))
    for number in CAMERAS:
        mine = {p["frame"]: p for p in pictures if p["cam"] == number}
        video = folder / f"charuco_calibration/calibration/extrinsic/cam_{number}.mp4"
        with open_source(video) as source:
            for index, frame in enumerate(source):
                if index in mine:
                    yield _undistorted(frame.image, mine[index])


def _undistorted(image: np.ndarray, picture: dict[str, Any]) -> Sample:
    """The picture as a lens without distortion shows it, with its labels."""
    fx, fy, cx, cy = picture["fx_fy_cx_cy"]
    matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    camera = Camera(fx, fy, cx, cy)
    hands = []
    for hand in picture["hands"]:
        joints_mm = np.array(hand["joints_mm"])
        hands.append(
            HandLabel(
                side=hand["side"],
                joints_px=camera.project(joints_mm),
                joints_mm=joints_mm,
                valid=np.array(hand["valid"], bool),
            )
        )
    return Sample(
        image=cv2.undistort(image, matrix, np.array(picture["dist_k1k2p1p2k3"])),
        hands=tuple(hands),
        camera=camera,
        key=Path(picture["file"]).stem,
    )
