"""Records what MediaPipe 0.10.21 answers: the shape that ``knuckle.mediapipe`` must match.

Run by path in an environment with ``mediapipe==0.10.21``; imports nothing of knuckle:

    .venv-peers/bin/python benchmarks/peers/mediapipe_shape.py FRAMES.npz RECORDED.json

``tests/mediapipe_shape/recorded.json`` was made this way, from frames 30, 100 and 115 of the
shipped clip and a black picture. FRAMES holds (H, W, 3) uint8 RGB pictures. The JSON has, for
``solutions`` and for the Tasks API, the names, arguments and defaults that programs use, and the
answers on each picture. The bundle that the Tasks API needs is assembled from the networks in the
wheel.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import mediapipe as mp
import numpy as np
from mediapipe.tasks.python import vision


def arguments(function: Any) -> dict[str, str]:
    """Argument -> its default, as written."""
    parameters = inspect.signature(function).parameters.values()
    return {
        p.name: "" if p.default is p.empty else repr(p.default)
        for p in parameters
        if p.name != "self"
    }


def names() -> dict[str, Any]:
    """What the two APIs are called and take."""
    hands = mp.solutions.hands
    containers = mp.tasks.components.containers
    connections = vision.HandLandmarksConnections.HAND_CONNECTIONS
    return {
        "HandLandmark": {each.name: each.value for each in hands.HandLandmark},
        "HAND_CONNECTIONS": sorted(hands.HAND_CONNECTIONS),
        "HandLandmarksConnections": [[each.start, each.end] for each in connections],
        "Hands": arguments(hands.Hands.__init__),
        "process": arguments(hands.Hands.process),
        "draw_landmarks": list(arguments(mp.solutions.drawing_utils.draw_landmarks)),
        "DrawingSpec": [f.name for f in dataclasses.fields(mp.solutions.drawing_utils.DrawingSpec)],
        "HandLandmarkerOptions": [f.name for f in dataclasses.fields(vision.HandLandmarkerOptions)],
        "HandLandmarkerResult": [f.name for f in dataclasses.fields(vision.HandLandmarkerResult)],
        "Category": [f.name for f in dataclasses.fields(containers.Category)],
        "NormalizedLandmark": [f.name for f in dataclasses.fields(containers.NormalizedLandmark)],
        "Landmark": [f.name for f in dataclasses.fields(containers.Landmark)],
        "detect": list(arguments(vision.HandLandmarker.detect)),
        "detect_for_video": list(arguments(vision.HandLandmarker.detect_for_video)),
        "detect_async": list(arguments(vision.HandLandmarker.detect_async)),
        "RunningMode": [each.name for each in vision.RunningMode],
    }


def points(landmarks: Any) -> list[list[float]]:
    return [[round(p.x, 4), round(p.y, 4), round(p.z, 4)] for p in landmarks]


def of_solutions(images: list[np.ndarray]) -> list[Any]:
    """``process`` on each picture."""
    answers = []
    with mp.solutions.hands.Hands(static_image_mode=True, max_num_hands=2) as hands:
        for image in images:
            found = hands.process(image)
            if found.multi_handedness is None:
                answers.append({"fields": list(found._fields), "hands": None})
                continue
            each = zip(
                found.multi_handedness,
                found.multi_hand_landmarks,
                found.multi_hand_world_landmarks,
                strict=True,
            )
            answers.append({"fields": list(found._fields), "hands": [as_message(*h) for h in each]})
    return answers


def as_message(handedness: Any, landmarks: Any, world: Any) -> dict[str, Any]:
    side = handedness.ListFields()[0][1][0]
    return {
        "index": side.index,
        "label": side.label,
        "display_name": side.display_name,
        "landmarks": points(landmarks.landmark),
        "world": points(world.landmark),
        "has_visibility": landmarks.landmark[0].HasField("visibility"),
        "has_x": landmarks.landmark[0].HasField("x"),
    }


def of_tasks(images: list[np.ndarray]) -> list[Any]:
    """``detect`` on each picture."""
    modules = Path(mp.__file__).parent / "modules"
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "hand_landmarker.task"
        with zipfile.ZipFile(bundle, "w", zipfile.ZIP_STORED) as archive:
            for network, name in (
                ("palm_detection/palm_detection_full", "hand_detector"),
                ("hand_landmark/hand_landmark_full", "hand_landmarks_detector"),
            ):
                archive.write(modules / f"{network}.tflite", f"{name}.tflite")
        options = vision.HandLandmarkerOptions(
            base_options=mp.tasks.BaseOptions(model_asset_path=str(bundle)), num_hands=2
        )
        with vision.HandLandmarker.create_from_options(options) as task:
            found = [
                task.detect(mp.Image(image_format=mp.ImageFormat.SRGB, data=image))
                for image in images
            ]
    return [
        [
            {
                "category": dataclasses.asdict(handedness[0]),
                "landmarks": points(landmarks),
                "world": points(world),
                "visibility": landmarks[0].visibility,
                "presence": landmarks[0].presence,
            }
            for handedness, landmarks, world in zip(
                each.handedness, each.hand_landmarks, each.hand_world_landmarks, strict=True
            )
        ]
        for each in found
    ]


def main() -> None:
    """Ask and write."""
    frames_path, out = sys.argv[1:]
    with np.load(frames_path) as data:
        images = [np.ascontiguousarray(data[name]) for name in data.files]
    told = {"names": names(), "solutions": of_solutions(images), "tasks": of_tasks(images)}
    Path(out).write_text(json.dumps(told, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
