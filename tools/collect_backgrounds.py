"""Fill a folder with photographs to render hands in front of.

    python tools/collect_backgrounds.py runs/backgrounds
    python tools/collect_backgrounds.py runs/backgrounds-train --photographs ../shared/data \
        --labels labels.json
    python tools/collect_backgrounds.py runs/backgrounds --hand-free ../shared/data/no_hands

The first command takes pictures from published packages (licences in ``docs/licences.md``):
wallpapers of Debian packages, environment maps of an npm package, test pictures of scikit-image. It
needs ``apt-get``, ``npm`` and ``pip install OpenEXR scikit-image``; a source whose program is
missing is reported and skipped.

The second crops regions without hands from labelled photographs: rooms, desks, faces and bodies as
cameras really see them. The third adds pictures without any hand, except for the held-back groups.
For training only; such pictures are never shipped.
"""

from __future__ import annotations

import argparse
import base64
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from knuckle.data.photograph_labels import read_labels
from knuckle.data.photographs import HAND_FREE_HELD_BACK

LONGEST_SIDE = 512
#: Debian packages, and which of their files are photographs of the world.
WALLPAPERS = {
    "lomiri-wallpapers-16.04": r"\.jpg$",
    "mate-backgrounds": r"/nature/.*\.jpg$",
    "plasma-workspace-wallpapers": r"(Autumn|BytheWater|ColdRipple|EveningGlow|FallenLeaf|Grey"
    r"|OneStandsOut|Path|summer_1am)/contents/images/1280x1024\.jpg$",
}
ENVIRONMENT_MAPS = "@pmndrs/assets@1.7.0"
PICTURES = (".jpg", ".jpeg", ".png", ".webp")
SCIKIT_IMAGE = ("brick", "grass", "gravel", "coffee", "rocket", "chelsea")

Picture = tuple[str, np.ndarray]  # name, BGR


def wallpapers(folder: Path) -> Iterator[Picture]:
    """Photographs of Debian's wallpaper packages."""
    for package, pattern in WALLPAPERS.items():
        subprocess.run(
            ["apt-get", "download", package], cwd=folder, check=True, capture_output=True
        )
        deb = next(folder.glob(f"{package}_*.deb"))
        unpacked = folder / package
        subprocess.run(["dpkg", "-x", deb, unpacked], check=True)
        for path in sorted(unpacked.rglob("*")):
            if path.is_file() and re.search(pattern, path.as_posix()):
                picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
                # Two windows of a wide picture show more at this size than the whole does.
                for k, part in enumerate((picture, *_halves(picture))):
                    place = path.relative_to(unpacked / "usr/share").with_suffix("").as_posix()
                    yield f"{place.replace('/', '-')}-{k}", part


def _halves(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    height, width = picture.shape[:2]
    return picture[height // 3 :, : width // 2], picture[height // 4 :, width // 2 :]


def environment_maps(folder: Path, views: int = 20) -> Iterator[Picture]:
    """Views into the rooms and streets of CC0 environment maps, exposed as a camera would."""
    import OpenEXR

    subprocess.run(["npm", "pack", ENVIRONMENT_MAPS], cwd=folder, check=True, capture_output=True)
    with tarfile.open(next(folder.glob("pmndrs-assets-*.tgz"))) as archive:
        archive.extractall(folder, filter="data")
    rng = np.random.default_rng(0)
    for path in sorted((folder / "package/hdri").glob("*.exr.js")):
        found = re.search(r"base64,([A-Za-z0-9+/=]+)", path.read_text())
        if found is None:
            raise ValueError(f"{path} holds no base64 picture; the package's layout has changed")
        exr = folder / "map.exr"
        exr.write_bytes(base64.b64decode(found[1]))
        with OpenEXR.File(str(exr)) as file:
            radiance = file.channels()["RGB"].pixels.astype(np.float32)
        for k in range(views):
            view = _look_into(radiance, rng)
            yield f"environment-{path.name.split('.')[0]}-{k}", view[..., ::-1]


def _look_into(radiance: np.ndarray, rng: np.random.Generator, size: int = 256) -> np.ndarray:
    """A perspective view (RGB) of an equirectangular map, (H, 2H, 3) linear."""
    height, width = radiance.shape[:2]
    yaw, pitch, half = rng.uniform(0, 2 * np.pi), rng.normal(-0.15, 0.3), rng.uniform(0.5, 1.0)
    x, y = np.meshgrid(np.linspace(-half, half, size), np.linspace(-half, half, size))
    up = -y * np.cos(pitch) + np.sin(pitch)
    forward = np.cos(pitch) + y * np.sin(pitch)
    longitude = np.arctan2(x, forward) + yaw
    latitude = np.arctan2(up, np.hypot(x, forward))
    columns = (longitude / (2 * np.pi)) % 1 * (width - 1)
    rows = (0.5 - latitude / np.pi) * (height - 1)
    # The sun may be infinite, and lossy compression makes the dark beside a lamp negative.
    finite = np.clip(np.nan_to_num(radiance, nan=1e4, posinf=1e4), 0, 1e4)
    exposed = finite * 0.35 / (np.median(finite) + 1e-4)
    picture = _without_rings(np.clip(exposed / (1 + 0.35 * exposed), 0, 1) ** (1 / 2.2))
    view = cv2.remap(picture, columns.astype(np.float32), rows.astype(np.float32), cv2.INTER_CUBIC)
    return np.clip(255 * view, 0, 255).astype(np.uint8)


def _without_rings(picture: np.ndarray) -> np.ndarray:
    """Close the black rings that the maps' own resampling left around lamps."""
    closed = cv2.morphologyEx(picture, cv2.MORPH_CLOSE, np.ones((5, 5)))
    beside_lamp = cv2.dilate(picture.max(axis=-1), np.ones((5, 5)))[..., None] > 0.97
    return np.where(beside_lamp, closed, picture)


def scikit_image(folder: Path) -> Iterator[Picture]:
    """Textures and things that come inside scikit-image's package."""
    import skimage

    data = Path(skimage.__file__).parent / "data"
    for name in SCIKIT_IMAGE:
        for path in data.glob(f"{name}.*"):
            yield f"skimage-{name}", cv2.imread(str(path), cv2.IMREAD_COLOR)


def without_hands(root: Path, labels: Path, tries: int = 12) -> Iterator[Picture]:
    """Windows of labelled photographs that keep clear of every hand and every doubtful place."""
    rng = np.random.default_rng(0)
    for record in read_labels(labels)["records"]:
        if record["dataset"] not in ("photos_finger_count", "photos_gesture_room"):
            continue
        boxes = [_around(np.array(hand["joints_px"])) for hand in record["hands"]]
        boxes += [np.array(box, float) for box in record["uncertain"]]
        width, height = record["width"], record["height"]
        best: tuple[int, int, int, int] | None = None
        for _ in range(tries):
            w, h = (int(v) for v in rng.uniform(0.35, 1.0, 2) * (width, height))
            x, y = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
            clear = all(b[2] < x or b[0] > x + w or b[3] < y or b[1] > y + h for b in boxes)
            if clear and (best is None or w * h > best[2] * best[3]):
                best = x, y, w, h
        # A short burst is nearly one picture: leave some out.
        if best is None or rng.random() > 0.7:
            continue
        x, y, w, h = best
        photograph = cv2.imread(str(_find(root / record["dataset"], record["file"])))
        yield f"{record['dataset']}-{Path(record['file']).stem}", photograph[y : y + h, x : x + w]


def hand_free(root: Path) -> Iterator[Picture]:
    """Pictures without a hand that networks may learn from; their first folder is their group."""
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        if path.suffix.lower() in PICTURES and name.parts[0] not in HAND_FREE_HELD_BACK:
            yield "-".join(name.with_suffix("").parts), cv2.imread(str(path), cv2.IMREAD_COLOR)


def _around(joints_px: np.ndarray) -> np.ndarray:
    """Box around a hand with fingertips, skin and the wrist."""
    low, high = joints_px.min(axis=0), joints_px.max(axis=0)
    margin = 0.35 * (high - low).max()
    return np.concatenate([low - margin, high + margin])


def _find(folder: Path, file: str) -> Path:
    path = folder / file
    return path if path.exists() else next(folder.rglob(Path(file).name))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for the pictures")
    parser.add_argument("--photographs", type=Path, help="folder with the labelled data sets")
    parser.add_argument("--labels", type=Path, help="their labels, as tools/teacher.py writes them")
    parser.add_argument("--hand-free", type=Path, help="folder of pictures without hands")
    arguments = parser.parse_args()
    if (arguments.photographs is None) != (arguments.labels is None):
        parser.error("--photographs and --labels belong together: give both or neither")
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        if arguments.hand_free is not None:
            sources = {"pictures without hands": lambda: hand_free(arguments.hand_free)}
        elif arguments.labels is not None:
            sources = {
                "photographs": lambda: without_hands(arguments.photographs, arguments.labels)
            }
        else:
            sources = {
                "wallpapers": lambda: wallpapers(scratch),
                "environment maps": lambda: environment_maps(scratch),
                "scikit-image": lambda: scikit_image(scratch),
            }
        for source, pictures in sources.items():
            count = 0
            try:
                for key, picture in pictures():
                    scale = min(1.0, LONGEST_SIDE / max(picture.shape[:2]))
                    small = cv2.resize(picture, None, None, scale, scale, cv2.INTER_AREA)
                    cv2.imwrite(
                        str(arguments.out / f"{key}.jpg"), small, [cv2.IMWRITE_JPEG_QUALITY, 90]
                    )
                    count += 1
            except (FileNotFoundError, ImportError, subprocess.CalledProcessError) as error:
                print(f"{source}: left out ({error})")
            print(f"{source}: {count} pictures")


if __name__ == "__main__":
    main()
