"""``lerobot/``: the run as an episode of a LeRobot data set, v3.0 (needs pyarrow).

A row for each frame and the frame's picture beside it. A hand that is not there has zeros and
``valid`` 0, because the format knows no gaps.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from knuckle.bones import quaternions
from knuckle.hand import ARTICULATIONS, JOINT_NAMES, N_JOINTS, SIDES, Side, wrist_axes
from knuckle.output.journal import Journal
from knuckle.output.mot import angle_names
from knuckle.output.overlay import OverlaySink
from knuckle.output.parquet import pyarrow_or_error
from knuckle.output.records import Recording
from knuckle.output.staged import ExportSink, stage_of
from knuckle.output.timeline import main_hands
from knuckle.results import Frame, HandPose

_VIDEO = "observation.images.camera"
_CHUNK = "chunk-000/file-000"
_DATA, _EPISODES = f"data/{_CHUNK}.parquet", f"meta/episodes/{_CHUNK}.parquet"
_DEFAULT_FPS = 30.0
_TASK = "hands in a video"


class LeRobotSink(ExportSink):
    """Joints (camera frame, metres), wrist pose and angles of both hands, and the video.

    Of several hands of a side, the one that is seen most often. The rate is the nominal one; the
    time of each frame in its source is ``observation.time_s``.
    """

    filename = "lerobot"
    needs_pictures = True

    def _open(self) -> None:
        pyarrow_or_error("lerobot")
        if self.path.is_dir():
            shutil.rmtree(self.path)
        super()._open()
        self._pictures = _Pictures(stage_of(self.path), self.info)
        self._looks, self._count = _PictureStats(), 0

    def _write(self, frame: Frame, hands: Sequence[HandPose]) -> None:
        self._pictures.encode(frame.image, self._count / self._fps)
        self._looks.add(frame.image)
        self._count += 1
        super()._write(frame, hands)

    @property
    def _fps(self) -> float:
        return float(self.info.fps or _DEFAULT_FPS)

    def _convert(self, frames: Journal, hands: Journal, whole: Path) -> None:
        self._pictures.close()
        super()._convert(frames, hands, whole)

    def _export(self, recording: Recording, whole: Path) -> None:
        for part in (_DATA, _EPISODES, f"videos/{_VIDEO}/{_CHUNK}.mp4"):
            (whole / part).parent.mkdir(parents=True)
        self._pictures.path.replace(whole / f"videos/{_VIDEO}/{_CHUNK}.mp4")
        features = _features(recording)
        rows = _rows(features, len(recording.frames), self._fps)
        _write_table(whole / _DATA, rows)
        stats = {name: _stats(values) for name, values in rows.items()}
        stats[_VIDEO] = self._looks.stats()
        _write_table(whole / _EPISODES, _episode(len(recording.frames), self._fps, stats))
        _write_tasks(whole / "meta/tasks.parquet")
        (whole / "meta/stats.json").write_text(json.dumps(_as_lists(stats), indent=1))
        (whole / "meta/info.json").write_text(json.dumps(self._info(features, rows), indent=1))

    def _info(self, features: Mapping[str, Any], rows: Mapping[str, Any]) -> dict[str, Any]:
        width, height = self.info.size
        video = {
            "dtype": "video",
            "shape": [height + height % 2, width + width % 2, 3],
            "names": ["height", "width", "channels"],
            "info": {
                "video.fps": self._fps,
                "video.codec": "h264",
                "video.pix_fmt": "yuv420p",
                "video.is_depth_map": False,
                "has_audio": False,
            },
        }
        described = {
            name: {
                "dtype": rows[name].dtype.name,
                "shape": list(rows[name].shape[1:]) or [1],
                "names": features[name][1] if name in features else None,
            }
            for name in rows
        }
        count = len(rows["index"])
        return {
            "codebase_version": "v3.0",
            "robot_type": "human_hands",
            "total_episodes": 1,
            "total_frames": count,
            "total_tasks": 1,
            "chunks_size": 1000,
            "data_files_size_in_mb": 100,
            "video_files_size_in_mb": 200,
            "fps": self._fps,
            "splits": {"train": "0:1"},
            "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
            "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
            "features": {_VIDEO: video, **described},
            "knuckle": json.loads(self.info.to_json()),
        }


class _Pictures(OverlaySink):
    """The video without anything drawn onto it."""

    filename = "pictures.mp4"


class _PictureStats:
    """What normalisation needs of the pictures, of every 16th row and column."""

    def __init__(self) -> None:
        self._sums = np.zeros((2, 3))
        self._low, self._high = np.ones(3), np.zeros(3)
        self._pixels = self._frames = 0

    def add(self, image: np.ndarray) -> None:
        """Another frame."""
        pixels = image[::16, ::16].reshape(-1, 3) / 255
        self._sums += pixels.sum(axis=0), (pixels**2).sum(axis=0)
        self._low = np.minimum(self._low, pixels.min(axis=0))
        self._high = np.maximum(self._high, pixels.max(axis=0))
        self._pixels, self._frames = self._pixels + len(pixels), self._frames + 1

    def stats(self) -> dict[str, np.ndarray]:
        """Per channel, (3, 1, 1)."""
        mean, square = self._sums / max(self._pixels, 1)
        std = np.sqrt(np.maximum(square - mean**2, 0))
        found = {"min": self._low, "max": self._high, "mean": mean, "std": std}
        shaped = {name: value.reshape(3, 1, 1) for name, value in found.items()}
        return shaped | {"count": np.array([self._frames])}


def _features(recording: Recording) -> dict[str, tuple[np.ndarray, list[str]]]:
    """Name -> (F, k) values and the names of their k places."""
    features = {"observation.time_s": (recording.frames["time_s"][:, None], ["time_s"])}
    for side in SIDES:
        hands = main_hands(recording, side)
        rows = np.searchsorted(recording.frames["frame"], hands["frame"])
        for name, (values, names) in _hand_features(hands, side).items():
            table = np.zeros((len(recording.frames), len(names)))
            table[rows] = values
            features[f"observation.hands.{side}_{name}"] = table, names
    return {name: (table.astype(np.float32), names) for name, (table, names) in features.items()}


def _hand_features(hands: np.ndarray, side: Side) -> dict[str, tuple[np.ndarray, list[str]]]:
    joints_mm = hands["joints_mm"].astype(np.float64)
    joint_axes = [f"{joint}.{axis}" for joint in JOINT_NAMES for axis in "xyz"]
    turn = quaternions(wrist_axes(joints_mm, side)).reshape(-1, 4)
    wrist = np.concatenate([joints_mm[:, 0] / 1000, turn], axis=1)
    angles = hands["joint_angles_deg"].reshape(len(hands), 2 * len(ARTICULATIONS))
    return {
        "valid": (hands["score"][:, None] > 0, ["valid"]),
        "joints": (joints_mm.reshape(len(hands), 3 * N_JOINTS) / 1000, joint_axes),
        "wrist": (wrist, ["x", "y", "z", "qx", "qy", "qz", "qw"]),
        "angles": (np.radians(angles), angle_names(side)),
    }


def _rows(
    features: Mapping[str, tuple[np.ndarray, list[str]]], count: int, fps: float
) -> dict[str, np.ndarray]:
    """Column -> (F,) or (F, k)."""
    index, zeros = np.arange(count), np.zeros(count, int)
    return {
        **{name: values for name, (values, _) in features.items()},
        "timestamp": (index / fps).astype(np.float32),
        "frame_index": index,
        "episode_index": zeros,
        "index": index,
        "task_index": zeros,
    }


def _episode(count: int, fps: float, stats: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The one row of the table of episodes."""
    row: dict[str, Any] = {
        "episode_index": 0,
        "tasks": [_TASK],
        "length": count,
        "dataset_from_index": 0,
        "dataset_to_index": count,
        "data/chunk_index": 0,
        "data/file_index": 0,
        "meta/episodes/chunk_index": 0,
        "meta/episodes/file_index": 0,
        f"videos/{_VIDEO}/chunk_index": 0,
        f"videos/{_VIDEO}/file_index": 0,
        f"videos/{_VIDEO}/from_timestamp": 0.0,
        f"videos/{_VIDEO}/to_timestamp": count / fps,
    }
    for name, values in _as_lists(stats).items():
        row |= {f"stats/{name}/{kind}": value for kind, value in values.items()}
    return {name: [value] for name, value in row.items()}


def _stats(values: np.ndarray) -> dict[str, np.ndarray]:
    """What normalisation needs, per place."""
    table = (values[:, None] if values.ndim == 1 else values).astype(np.float64)
    if not len(table):
        table = np.zeros((1, table.shape[1]))
    return {
        "min": table.min(axis=0),
        "max": table.max(axis=0),
        "mean": table.mean(axis=0),
        "std": table.std(axis=0),
        "count": np.array([len(values)]),
    }


def _as_lists(stats: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        name: {kind: value.tolist() for kind, value in values.items()}
        for name, values in stats.items()
    }


def _write_table(path: Path, columns: Mapping[str, Any]) -> None:
    """A parquet file; columns of rows are lists of a fixed length."""
    pa = pyarrow_or_error("lerobot")
    import pyarrow.parquet as pq

    arrays = {}
    for name, values in columns.items():
        if isinstance(values, np.ndarray) and values.ndim == 2 and values.shape[1] > 1:
            flat = pa.array(np.ascontiguousarray(values).reshape(-1))
            arrays[name] = pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
        else:
            arrays[name] = pa.array(np.ravel(values) if isinstance(values, np.ndarray) else values)
    pq.write_table(pa.table(arrays), path)


def _write_tasks(path: Path) -> None:
    """The one task, as pandas writes a table whose index is text."""
    pa = pyarrow_or_error("lerobot")
    import pyarrow.parquet as pq

    index, column = "__index_level_0__", "task_index"
    types = {column: ("int64", "int64"), index: ("unicode", "object")}
    described = {
        "index_columns": [index],
        "column_indexes": [],
        "columns": [
            {
                "name": None if name == index else name,
                "field_name": name,
                "pandas_type": kind,
                "numpy_type": stored,
                "metadata": None,
            }
            for name, (kind, stored) in types.items()
        ],
    }
    table = pa.table({column: pa.array([0]), index: pa.array([_TASK])})
    pq.write_table(table.replace_schema_metadata({b"pandas": json.dumps(described)}), path)
