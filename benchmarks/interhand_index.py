"""Memory and time to open InterHand2.6M's training split, on generated labels of the real size.

    python benchmarks/interhand_index.py [--folder FOLDER] [--images 1361062]

Writes labels with as many records as the real training split (about 0.9 GB), opens them twice, each
time in a process of its own, and prints peak memory and seconds: first from JSON, then from the
index.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from board import Table

#: Of the real training split (Moon et al. 2020).
IMAGES = 1_361_062
CAPTURES, CAMERAS, SEQUENCES, STEPS_PER_SEQUENCE = 27, 110, 60, 9

_OPEN = """
import json, resource, sys, time
from pathlib import Path
started = time.perf_counter()
from knuckle.data.interhand26m import InterHand26M
imported = time.perf_counter()
dataset = InterHand26M(Path(sys.argv[1]), "train", cache=Path(sys.argv[2]))
opened = time.perf_counter()
dataset.record(len(dataset) // 2)
print(json.dumps({
    "records": len(dataset),
    "open_s": opened - imported,
    "import_s": imported - started,
    "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
}))
"""


def write_labels(root: Path, images: int) -> float:
    """Labels in the layout of release v1.0; returns their size in GB."""
    folder = root / "annotations" / "train"
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / "InterHand2.6M_train"
    rng = np.random.default_rng(0)
    names = [str(400000 + 10000 * (k % 2) + k) for k in range(CAMERAS)]
    _write_cameras(Path(f"{stem}_camera.json"), names, rng)
    steps = _write_steps(Path(f"{stem}_joint_3d.json"), rng)
    _write_data(Path(f"{stem}_data.json"), images, steps, names)
    return sum(path.stat().st_size for path in folder.iterdir()) / 1e9


def _write_cameras(path: Path, names: list[str], rng: np.random.Generator) -> None:
    entry = {
        "campos": {name: rng.normal(0, 50, 3).tolist() for name in names},
        "camrot": {name: np.eye(3).tolist() for name in names},
        "focal": {name: [1270.0, 1270.0] for name in names},
        "princpt": {name: [167.0, 256.0] for name in names},
    }
    path.write_text(json.dumps({str(capture): entry for capture in range(CAPTURES)}))


def _write_steps(path: Path, rng: np.random.Generator) -> list[tuple[int, int, int]]:
    """(capture, sequence, frame) of every time step; each with its own 3D."""
    hand = rng.normal(0, 30, (42, 3)) + np.array([0, 0, 1000.0])
    steps = []
    with path.open("w") as file:
        file.write("{")
        for capture in range(CAPTURES):
            file.write(f'{", " if capture else ""}"{capture}": {{')
            for sequence in range(SEQUENCES):
                for k in range(STEPS_PER_SEQUENCE):
                    frame = 18 * (sequence * STEPS_PER_SEQUENCE + k)
                    steps.append((capture, sequence, frame))
                    entry = {
                        "world_coord": (hand + rng.normal(0, 1)).astype(np.float32).tolist(),
                        "joint_valid": [[True]] * 42,
                        "hand_type": "interacting",
                        "hand_type_valid": True,
                    }
                    comma = ", " if sequence or k else ""
                    file.write(f'{comma}"{frame}": {json.dumps(entry)}')
            file.write("}")
        file.write("}")
    return steps


def _write_data(
    path: Path, images: int, steps: list[tuple[int, int, int]], names: list[str]
) -> None:
    views = -(-images // len(steps))
    valid = json.dumps([[1]] * 42)
    with path.open("w") as file:
        file.write('{"images": [')
        for k in range(images):
            capture, sequence, frame = steps[k // views]
            camera = names[k % views % len(names)]
            name = f"Capture{capture}/{sequence:04d}_some_pose/cam{camera}/image{frame}.jpg"
            file.write(
                f'{", " if k else ""}{{"id": {k}, "file_name": "{name}", "width": 334, '
                f'"height": 512, "capture": {capture}, "subject": {capture}, "seq_name": '
                f'"{sequence:04d}_some_pose", "camera": "{camera}", "frame_idx": {frame}}}'
            )
        file.write('], "annotations": [')
        for k in range(images):
            file.write(
                f'{", " if k else ""}{{"id": {k}, "image_id": {k}, "bbox": [60.123456789, '
                f'150.123456789, 200.123456789, 200.123456789], "joint_valid": {valid}, '
                '"hand_type": "interacting", "hand_type_valid": 1}'
            )
        file.write("]}")


def measure(root: Path, cache: Path) -> dict[str, float]:
    """Open the labels in a process of its own."""
    command = [sys.executable, "-c", _OPEN, str(root), str(cache)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="for the labels; a temporary one by default")
    parser.add_argument("--images", type=int, default=IMAGES)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        root, cache = Path(folder) / "set", Path(folder) / "cache"
        size = write_labels(root, options.images)
        of = f"opening {options.images:,} records ({size:.2f} GB of JSON)"
        table = Table({of: "", "seconds": "{:.2f}", "peak GB": "{:.2f}"})
        print(table.head)
        for what in ("first time, from JSON", "again, from the index"):
            got = measure(root, cache)
            assert got["records"] == options.images, got
            print(table.row(what, got["open_s"], got["peak_gb"]))


if __name__ == "__main__":
    main()
