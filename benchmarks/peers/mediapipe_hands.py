"""MediaPipe Hands as a peer: predictions and times, in a separate environment.

MediaPipe 0.10.21 needs numpy < 2. This file is therefore run by path with another interpreter
(``peers.process`` does it) and imports nothing of knuckle. Arrays go in and come out as npz:

    python mediapipe_hands.py predict JOB.npz RESULT.npz
    python mediapipe_hands.py track   JOB.npz RESULT.npz
    python mediapipe_hands.py time    JOB.npz RESULT.npz

JOB holds ``image_0000``, ``image_0001``, … (H, W, 3) uint8 RGB and ``settings``, a JSON string:
``model`` ("full" or "lite"), ``max_hands``, ``confidence``, ``threads``.

RESULT of ``predict``, and of ``track``, for which the pictures are the frames of a video: ``image``
(K,) index of the picture of each hand, ``is_left`` (K,), ``side_score`` (K,), ``joints_px``
(K, 21, 2), ``joints_mm`` (K, 21, 3) hand-centred.
RESULT of ``time``: ``detect_s`` (N,) seconds of each frame when every frame is detected anew,
``track_s`` (N,) when the hand is tracked, ``tracked`` (N,) whether it was there before and after,
``first_s`` from before the import to the first result, ``rss_mb`` without the frames.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np


class MediaPipeHands:
    """``mp.solutions.hands`` with its answers as arrays in our conventions."""

    def __init__(self, settings: dict[str, Any], *, static: bool) -> None:
        import mediapipe as mp

        self._hands = mp.solutions.hands.Hands(
            static_image_mode=static,
            max_num_hands=settings["max_hands"],
            model_complexity=1 if settings["model"] == "full" else 0,
            min_detection_confidence=settings["confidence"],
        )

    def __call__(self, image: np.ndarray) -> list[dict[str, Any]]:
        """The hands in an (H, W, 3) RGB picture that is not mirrored."""
        found = self._hands.process(image)
        size = np.array([image.shape[1], image.shape[0]])
        hands = zip(
            found.multi_hand_landmarks or [],
            found.multi_hand_world_landmarks or [],
            found.multi_handedness or [],
            strict=True,
        )
        return [self._as_arrays(*hand, size) for hand in hands]

    @staticmethod
    def _as_arrays(landmarks: Any, world: Any, handedness: Any, size: np.ndarray) -> dict[str, Any]:
        side = handedness.classification[0]
        return {
            # It takes pictures for mirrored ones: its "Right" is a left hand.
            "is_left": side.label == "Right",
            "side_score": side.score,
            "joints_px": np.array([[p.x, p.y] for p in landmarks.landmark]) * size,
            "joints_mm": np.array([[p.x, p.y, p.z] for p in world.landmark]) * 1000,
        }


def predict(
    images: list[np.ndarray], settings: dict[str, Any], *, static: bool = True
) -> dict[str, np.ndarray]:
    """Every hand of every picture: each picture on its own, or as the frames of a video."""
    network = MediaPipeHands(settings, static=static)
    hands = [(i, hand) for i, image in enumerate(images) for hand in network(image)]
    return {
        "image": np.array([i for i, _ in hands], dtype=int),
        "is_left": np.array([hand["is_left"] for _, hand in hands], dtype=bool),
        "side_score": np.array([hand["side_score"] for _, hand in hands], dtype=float),
        "joints_px": np.array([hand["joints_px"] for _, hand in hands]).reshape(-1, 21, 2),
        "joints_mm": np.array([hand["joints_mm"] for _, hand in hands]).reshape(-1, 21, 3),
    }


def track(images: list[np.ndarray], settings: dict[str, Any]) -> dict[str, np.ndarray]:
    """Every hand of every frame of a video."""
    return predict(images, settings, static=False)


def measure_times(images: list[np.ndarray], settings: dict[str, Any]) -> dict[str, np.ndarray]:
    """Seconds a frame with detection on every frame, then with tracking."""
    started = time.perf_counter()
    detector = MediaPipeHands(settings, static=True)
    detector(images[0])
    first_s = time.perf_counter() - started
    detect_s, _ = _time_each(detector, images)
    tracker = MediaPipeHands(settings, static=False)
    tracker(images[0])
    track_s, found = _time_each(tracker, images)
    # Without a hand in the frame before, it detects as well: such frames are not tracking.
    before = np.concatenate([[False], found[:-1]])
    return {
        "detect_s": detect_s,
        "track_s": track_s,
        "tracked": found & before,
        "first_s": np.array(first_s),
        "rss_mb": np.array(_peak_mb() - sum(image.nbytes for image in images) / 2**20),
    }


def _peak_mb() -> float:
    """Peak memory of this process; ``ru_maxrss`` would keep that of the process that began it."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+)", status)[1]) / 1024


def _time_each(network: MediaPipeHands, images: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    seconds, found = [], []
    for image in images:
        started = time.perf_counter()
        hands = network(image)
        seconds.append(time.perf_counter() - started)
        found.append(bool(hands))
    return np.array(seconds), np.array(found)


def main() -> None:
    """Read the job, do it, write the result."""
    task, job_path, result_path = sys.argv[1:]
    with np.load(job_path) as job:
        settings = json.loads(str(job["settings"]))
        images = [job[name] for name in sorted(job.files) if name.startswith("image_")]
    # TensorFlow Lite takes as many threads as it is given processors.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: settings["threads"]])
    result = {"predict": predict, "track": track, "time": measure_times}[task](images, settings)
    np.savez(result_path, **result)


if __name__ == "__main__":
    main()
