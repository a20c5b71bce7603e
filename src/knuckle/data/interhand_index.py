"""InterHand2.6M's label files turned into columns, once, and kept on disk.

The training labels are gigabytes of JSON. They are read in a stream (``json_stream``), row by row,
into numpy columns that later runs map into memory: opening takes milliseconds and next to no
memory, whatever the size of the release. The columns keep the file's own units, joint order and
validity; ``interhand26m`` interprets them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from array import array
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from knuckle.data.interhand_files import (
    N_BOTH,
    FaultSink,
    Images,
    LabelFiles,
    Rows,
    raise_fault,
    read_cameras,
    read_data,
    read_steps,
)
from knuckle.data.json_stream import BrokenDataError
from knuckle.errors import NotWrittenError

#: Raised when the columns change; an older index is made anew.
_VERSION = 1


@dataclass(frozen=True, eq=False)
class InterHandIndex:
    """Columns over the annotations of one split, and the tables they point into.

    Row columns, (N,): ``annotation``, ``image`` (ids), ``width``, ``height``, ``capture``,
    ``subject`` (-1 where not given), ``frame``, ``hand_type`` (index into ``HAND_TYPES``),
    ``hand_type_valid``, ``camera`` (row of the camera table, -1 where missing), ``sequence`` (index
    into ``sequences``), ``step`` (row of the step table, -1 where missing), ``n_inside`` (valid
    joints inside the picture); ``bbox`` (N, 4) x, y, w, h; ``joint_valid`` (N, 42).

    Camera table, (C, ...): ``campos`` mm, ``camrot``, ``focal``, ``princpt``; ``cameras`` are their
    names. Step table, (S, ...): ``world_coord`` (S, 42, 3) mm, ``step_valid`` (S, 42),
    ``step_capture``, ``step_frame``.
    """

    columns: dict[str, np.ndarray]
    sequences: list[str]
    cameras: list[str]

    def __len__(self) -> int:
        return len(self.columns["annotation"])

    def __getitem__(self, name: str) -> np.ndarray:
        """One column."""
        return self.columns[name]

    def file_name(self, row: int) -> str:
        """``file_name`` of a row, as it stands in the labels."""
        end = self.columns["name_end"]
        start = int(end[row - 1]) if row else 0
        return self.columns["names"][start : int(end[row])].tobytes().decode()


def open_index(files: LabelFiles, cache: Path | None = None) -> InterHandIndex:
    """The index of a split; made first if it is not there or its files have changed.

    Args:
        files: the JSON files.
        cache: folder for indices; ``$XDG_CACHE_HOME/knuckle`` by default.

    Raises:
        BrokenDataError: a file is missing, broken off, or holds a record that cannot be.
    """
    folder = (cache or default_cache()) / ("interhand-" + _fingerprint(files))
    if not (folder / "meta.json").exists():
        _save(build_index(files), folder)
    return _load(folder)


def default_cache() -> Path:
    """Where indices lie by default: label folders are often read-only."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "knuckle"


def build_index(files: LabelFiles, fault: FaultSink = raise_fault) -> InterHandIndex:
    """Read the JSON files into columns.

    Args:
        files: the JSON files.
        fault: receives every fault; if it returns, the record is left out and reading goes on.
    """
    cameras, camera_table = read_cameras(files.camera, fault)
    steps = read_steps(files.joint_3d, fault)
    images, rows, sequences = read_data(files.data, fault)
    columns = _join(images, rows, files.data, fault)
    columns["camera"] = _find_cameras(columns, images.cameras, cameras)
    columns["step"] = _find_rows(
        _pair(columns["capture"], columns["frame"]),
        _pair(steps["step_capture"], steps["step_frame"]),
    )
    del columns["camera_name"]
    columns |= camera_table | steps
    columns["n_inside"] = _count_inside(columns)
    return InterHandIndex(columns, sequences, [name for _, name in cameras])


def _join(images: Images, rows: Rows, path: Path, fault: FaultSink) -> dict[str, np.ndarray]:
    """One row per annotation, with the columns of its image."""
    image_of_row = np.array(rows.image, np.int64)
    found = _find_rows(image_of_row, np.array(images.numbers["id"], np.int64))
    annotations = np.array(rows.annotation, np.int64)
    for row in np.flatnonzero(found < 0):
        fault(
            f"{path}, annotation {annotations[row]}: its image_id {image_of_row[row]} is not in "
            "images[]"
        )
    keep = found >= 0
    at = found[keep]

    def of_image(values: array, kind: type = np.int32) -> np.ndarray:
        return np.array(values, kind)[at]

    names, name_end = _take_names(images, at)
    return {
        "annotation": annotations[keep],
        "image": image_of_row[keep],
        "bbox": np.frombuffer(rows.bbox, np.float32).reshape(-1, 4)[keep],
        "joint_valid": np.frombuffer(rows.joint_valid, bool).reshape(-1, N_BOTH)[keep],
        "hand_type": np.frombuffer(rows.hand_type, np.int8)[keep],
        "hand_type_valid": np.frombuffer(rows.hand_type_valid, np.int8)[keep].astype(bool),
        "width": of_image(images.numbers["width"], np.int16),
        "height": of_image(images.numbers["height"], np.int16),
        "capture": of_image(images.numbers["capture"]),
        "subject": of_image(images.numbers["subject"]),
        "frame": of_image(images.numbers["frame_idx"]),
        "sequence": of_image(images.numbers["sequence"]),
        "camera_name": of_image(images.camera_of),
        "names": names,
        "name_end": name_end,
    }


def _take_names(images: Images, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """File names of the images ``at``, one after the other, and where each ends."""
    blob = np.frombuffer(images.names, np.uint8)
    end = np.array(images.name_end, np.int64)
    if np.array_equal(at, np.arange(len(end))):  # the usual case: one annotation an image, in order
        return blob, end
    start = np.concatenate([[0], end[:-1]]).astype(np.int64)
    taken = b"".join(blob[start[i] : end[i]].tobytes() for i in at)
    return np.frombuffer(taken, np.uint8), np.cumsum((end - start)[at])


def _find_cameras(
    columns: dict[str, np.ndarray], names: dict[str, int], cameras: list[tuple[int, str]]
) -> np.ndarray:
    """Row of the camera table for every annotation, -1 where the camera is unknown."""
    known = [(capture, names.get(name, -1)) for capture, name in cameras]
    table = np.array(known, np.int64).reshape(-1, 2)
    return _find_rows(
        _pair(columns["capture"], columns["camera_name"]), _pair(table[:, 0], table[:, 1])
    )


def _pair(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Two small whole numbers as one, to look pairs up."""
    return first.astype(np.int64) * (1 << 32) + second


def _find_rows(wanted: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Where each wanted number stands among the keys, -1 where it does not."""
    if len(keys) == 0:
        return np.full(len(wanted), -1, np.int32)
    order = np.argsort(keys, kind="stable")
    at = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
    return np.where(keys[order][at] == wanted, order[at], -1).astype(np.int32)


def _count_inside(columns: dict[str, np.ndarray], chunk: int = 20000) -> np.ndarray:
    """(N,) valid joints that project into the picture; 0 where camera or 3D are missing."""
    inside = np.zeros(len(columns["annotation"]), np.uint8)
    both = np.flatnonzero((columns["camera"] >= 0) & (columns["step"] >= 0))
    for rows in (both[i : i + chunk] for i in range(0, len(both), chunk)):
        camera, step = columns["camera"][rows], columns["step"][rows]
        centred = columns["world_coord"][step] - columns["campos"][camera][:, None]  # (n, 42, 3)
        xyz = np.einsum("nij,nkj->nki", columns["camrot"][camera], centred)
        ahead = xyz[..., 2] > 0
        xy = xyz[..., :2] / np.where(ahead, xyz[..., 2], 1.0)[..., None]
        uv = xy * columns["focal"][camera][:, None] + columns["princpt"][camera][:, None]
        size = np.stack([columns["width"][rows], columns["height"][rows]], axis=-1)[:, None]
        within = ahead & (uv > -0.5).all(axis=-1) & (uv < size - 0.5).all(axis=-1)
        within &= columns["joint_valid"][rows] & columns["step_valid"][step]
        inside[rows] = within.sum(axis=-1)
    return inside


# --------------------------------------------------------------------------------------------
# The index on disk
# --------------------------------------------------------------------------------------------
def _fingerprint(files: LabelFiles) -> str:
    """Changes with the place, the size and the date of any of the files, and with the format."""
    parts = [str(_VERSION)]
    for path in (files.data, files.camera, files.joint_3d):
        try:
            stat = path.stat()
        except FileNotFoundError:
            raise BrokenDataError(f"{path} does not exist; unpack the annotations again") from None
        parts += [str(path.resolve()), str(stat.st_size), str(stat.st_mtime_ns)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _save(index: InterHandIndex, folder: Path) -> None:
    """Write beside the place and move there, so that an index that exists is whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=folder.name, dir=folder.parent))
    try:
        for name, column in index.columns.items():
            np.save(partial / f"{name}.npy", column)
        names = {"sequences": index.sequences, "cameras": index.cameras}
        (partial / "meta.json").write_text(json.dumps(names))
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise NotWrittenError(
            f"the index of the annotations cannot be written to {folder.parent} "
            f"({error.strerror or error}); free some space or choose another folder with cache="
        ) from None


def _load(folder: Path) -> InterHandIndex:
    meta = json.loads((folder / "meta.json").read_text())
    columns = {
        path.stem: np.load(path, mmap_mode="r" if path.stat().st_size > 4096 else None)
        for path in sorted(folder.glob("*.npy"))
    }
    return InterHandIndex(columns, meta["sequences"], meta["cameras"])
