"""Other systems, each in an interpreter of its own, exchanging data through npz files."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from knuckle.hand import Side


@dataclass(frozen=True, eq=False)
class PeerHand:
    """A hand as another system gives it: no camera, so its 3D has no place in the scene.

    Attributes:
        side: in the picture as it is, unmirrored.
        joints_px: (21, 2).
        joints_mm: (21, 3), axes of the camera, origin where the system puts it.
    """

    side: Side
    joints_px: np.ndarray
    joints_mm: np.ndarray


@dataclass(frozen=True)
class PeerTimes:
    """Seconds that another system takes.

    Attributes:
        detect_s: (N,) a frame when every frame is detected anew.
        track_s: (N,) a frame of a video.
        tracked: (N,) bool, whether the hand was tracked into that frame.
        first_s: from before the import to the first result.
        rss_mb: peak resident memory, without the frames it was given.
    """

    detect_s: np.ndarray
    track_s: np.ndarray
    tracked: np.ndarray
    first_s: float
    rss_mb: float


@dataclass(frozen=True)
class MediaPipeSettings:
    """How MediaPipe is asked."""

    model: str = "full"
    max_hands: int = 1
    confidence: float = 0.3
    threads: int = 2


@dataclass(frozen=True)
class MediaPipe:
    """MediaPipe 0.10.21 in the environment of ``python``."""

    python: Path
    settings: MediaPipeSettings = MediaPipeSettings()

    def predict(self, images: Sequence[np.ndarray]) -> list[list[PeerHand]]:
        """The hands of each (H, W, 3) RGB picture, each picture on its own."""
        return self._hands("predict", images)

    def track(self, frames: Sequence[np.ndarray]) -> list[list[PeerHand]]:
        """The hands of each (H, W, 3) RGB frame of a video."""
        return self._hands("track", frames)

    def _hands(self, task: str, images: Sequence[np.ndarray]) -> list[list[PeerHand]]:
        result = self._run(task, images)
        hands: list[list[PeerHand]] = [[] for _ in images]
        for k, i in enumerate(result["image"]):
            side: Side = "left" if result["is_left"][k] else "right"
            hands[i].append(PeerHand(side, result["joints_px"][k], result["joints_mm"][k]))
        return hands

    def measure_times(self, frames: Sequence[np.ndarray]) -> PeerTimes:
        """Seconds a frame over the frames of a video."""
        result = self._run("time", frames)
        return PeerTimes(
            result["detect_s"],
            result["track_s"],
            result["tracked"],
            float(result["first_s"]),
            float(result["rss_mb"]),
        )

    def _run(self, task: str, images: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        script = Path(__file__).with_name("mediapipe_hands.py")
        with tempfile.TemporaryDirectory() as folder:
            job, result = Path(folder, "job.npz"), Path(folder, "result.npz")
            named = {f"image_{i:06d}": image for i, image in enumerate(images)}
            np.savez(job, settings=json.dumps(asdict(self.settings)), **named)
            command = [str(self.python), str(script), task, str(job), str(result)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0 or not result.exists():
                raise RuntimeError(
                    f"MediaPipe did not answer (exit code {done.returncode}): "
                    f"{done.stderr.strip()[-500:]}\n"
                    f"{self.python} must be the Python of an environment with mediapipe==0.10.21"
                )
            with np.load(result) as arrays:
                return {name: arrays[name] for name in arrays.files}
