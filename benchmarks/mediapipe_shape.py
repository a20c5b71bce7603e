"""``knuckle.mediapipe`` and MediaPipe on the same pictures: how similar the answers are.

    python benchmarks/mediapipe_shape.py --folder FOLDER --mediapipe-python .venv-peers/bin/python

FOLDER holds photographs; every ``every``-th is used, up to ``count``.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

import cv2
import numpy as np
import tyro

import knuckle.mediapipe as mp

SHAPE = Path(__file__).parent / "peers" / "mediapipe_shape.py"


def as_array(points) -> np.ndarray:
    return np.array([[p.x, p.y, p.z] for p in points])


def recorded(images: list[np.ndarray], python: Path) -> dict:
    """What MediaPipe answers."""
    with tempfile.TemporaryDirectory() as folder:
        frames, out = Path(folder) / "frames.npz", Path(folder) / "recorded.json"
        np.savez(frames, **{f"{i:05d}": image for i, image in enumerate(images)})
        command = [str(python), str(SHAPE), str(frames), str(out)]
        subprocess.run(command, check=True, capture_output=True)
        return json.loads(out.read_text())


def main(folder: Path, mediapipe_python: Path, every: int = 26, count: int = 60) -> None:
    """Compare and print."""
    paths = sorted(folder.glob("*.jpg"))[::every][:count]
    images = [cv2.imread(str(path))[..., ::-1].copy() for path in paths]
    theirs = recorded(images, mediapipe_python)
    solutions = mp.solutions.hands.Hands(static_image_mode=True)
    tasks = mp.HandLandmarker(mp.HandLandmarkerOptions(num_hands=2))
    n_ours = n_theirs = 0
    same_side, off, world_mm, depth = [], [], [], []
    for image, old, new in zip(images, theirs["solutions"], theirs["tasks"], strict=True):
        found, result = solutions.process(image), tasks.detect(mp.Image(mp.ImageFormat.SRGB, image))
        hands = found.multi_hand_landmarks or []
        n_ours, n_theirs = n_ours + len(hands), n_theirs + len(old["hands"] or [])
        for hand in old["hands"] or []:
            points = np.array(hand["landmarks"])
            ours = [as_array(each.landmark) for each in hands]
            gaps = [np.abs(each - points)[:, :2].mean() for each in ours]
            if not gaps or min(gaps) > 0.1:
                continue
            k = int(np.argmin(gaps))
            side = found.multi_handedness[k].classification[0]
            same_side.append((side.label, side.index) == (hand["label"], hand["index"]))
            off.append(gaps[k])
            world = as_array(found.multi_hand_world_landmarks[k].landmark)
            world_mm.append(1000 * np.linalg.norm(world - hand["world"], axis=1).mean())
            depth.append(np.std(points[:, 2]) / np.std(ours[k][:, 2]))
        for hand in new:
            gaps = [
                np.abs(as_array(each) - hand["landmarks"])[:, :2].mean()
                for each in result.hand_landmarks
            ]
            if gaps and min(gaps) <= 0.1:
                category = result.handedness[int(np.argmin(gaps))][0]
                expected = hand["category"]
                same_side.append(
                    (category.category_name, category.index)
                    == (expected["category_name"], expected["index"])
                )
    print(f"{len(images)} pictures; hands: MediaPipe {n_theirs}, here {n_ours}")
    print(f"side, label and index the same, both APIs: {sum(same_side)} of {len(same_side)}")
    print(f"points differ by {100 * np.mean(off):.1f} % of the picture (mean)")
    print(f"world points differ by {np.median(world_mm):.0f} mm (median)")
    print(f"MediaPipe's z is {np.median(depth):.2f} of ours (median)")


if __name__ == "__main__":
    tyro.cli(main)
