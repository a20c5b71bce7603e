"""``hands.parquet``: one row per frame, for data frames and data lakes (needs pyarrow)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from knuckle.hand import Joint
from knuckle.output.errors import OutputError, optional
from knuckle.output.journal import Journal
from knuckle.output.records import FRAME, HAND, Recording, RunInfo
from knuckle.output.staged import StagedTableSink

if TYPE_CHECKING:
    import pyarrow as pa

#: Frames in a row group: what is in memory at a time while the file is put together.
_FRAMES_PER_GROUP = 1024
_METADATA_KEY = b"knuckle"
#: Fields of a hand that its row says already.
_FRAME_FIELDS = ("frame", "time_s")


class ParquetSink(StagedTableSink):
    """Columns frame, time_s, ``hands`` and ``tracks``, two lists with an entry per hand.

    ``hands`` has exactly the type that daft-physical-ai gives hands,
    ``list<struct{handedness, confidence, kp2d, kp3d}>``: kp3d is relative to the wrist, in metres.
    ``tracks`` holds the fields of ``records.HAND``, same order. ``RunInfo`` is in the metadata.
    """

    filename = "hands.parquet"

    def _open(self) -> None:
        pyarrow_or_error()  # say at once, not at the end, that it is missing
        super()._open()

    def _convert(self, frames: Journal, hands: Journal, whole: Path) -> None:
        import pyarrow.parquet as pq

        schema = _schema(self.info)
        with pq.ParquetWriter(whole, schema, compression="zstd") as writer:
            for of_frames, of_hands in _groups(frames, hands):
                writer.write_table(_table(of_frames, of_hands, schema))

    @classmethod
    def _read_whole(cls, path: Path) -> Recording:
        pa = pyarrow_or_error()
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(path)
        except pa.ArrowInvalid:
            raise OutputError(
                f"{path} is not a parquet file or is damaged: track the video again"
            ) from None
        metadata = (table.schema.metadata or {}).get(_METADATA_KEY, b"")
        info = RunInfo.from_json(metadata.decode(), path)
        tracks = table["tracks"].combine_chunks()
        frames = np.zeros(len(table), FRAME)
        frames["frame"], frames["time_s"] = table["frame"].to_numpy(), table["time_s"].to_numpy()
        frames["n_hands"] = tracks.value_lengths().to_numpy(zero_copy_only=False)
        return Recording(info, frames, _hands_from(frames, tracks.flatten()))


def pyarrow_or_error(what: str = "parquet") -> Any:
    """The library, or what to do without it."""
    pyarrow = optional("pyarrow", "parquet", what)
    optional("pyarrow.parquet", "parquet", what)
    return pyarrow


def _schema(info: RunInfo) -> pa.Schema:
    pa = pyarrow_or_error()
    points = pa.list_(pa.list_(pa.float32()))
    of_network = [("handedness", pa.string()), ("confidence", pa.float32())]
    hand = pa.struct([*of_network, ("kp2d", points), ("kp3d", points)])
    track = pa.struct([(name, _type(HAND[name])) for name in _track_fields()])
    columns = [
        ("frame", pa.int64()),
        ("time_s", pa.float64()),
        ("hands", pa.list_(hand)),
        ("tracks", pa.list_(track)),
    ]
    return pa.schema(columns, metadata={_METADATA_KEY: info.to_json()})


def _track_fields() -> tuple[str, ...]:
    return tuple(name for name in HAND.names or () if name not in _FRAME_FIELDS)


def _type(dtype: np.dtype) -> pa.DataType:
    """A field's type: lists of lists for arrays."""
    pa = pyarrow_or_error()
    if dtype.base.kind == "U":
        return pa.string()
    arrow = pa.from_numpy_dtype(dtype.base)
    for _ in dtype.shape:
        arrow = pa.list_(arrow)
    return arrow


def _groups(frames: Journal, hands: Journal) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(F,) frames and the (N,) hands in them, a row group at a time."""
    waiting = np.zeros(0, HAND)
    chunks = hands.chunks(_FRAMES_PER_GROUP)
    for of_frames in frames.chunks(_FRAMES_PER_GROUP):
        n_hands = int(of_frames["n_hands"].sum())
        while len(waiting) < n_hands:
            waiting = np.concatenate([waiting, next(chunks)])
        yield of_frames, waiting[:n_hands]
        waiting = waiting[n_hands:]


def _table(frames: np.ndarray, hands: np.ndarray, schema: pa.Schema) -> pa.Table:
    pa = pyarrow_or_error()
    offsets = pa.array(np.concatenate([[0], np.cumsum(frames["n_hands"])]), pa.int32())
    root_m = (hands["joints_mm"] - hands["joints_mm"][:, [Joint.WRIST]]) / 1000  # (N, 21, 3)
    daft = [hands["side"], hands["score"], hands["joints_px"], root_m.astype(np.float32)]
    tracks = [hands[name] for name in _track_fields()]
    columns = [pa.array(frames["frame"]), pa.array(frames["time_s"])]
    for name, fields in (("hands", daft), ("tracks", tracks)):
        struct = schema.field(name).type.value_type
        arrays = [_array(values) for values in fields]
        columns.append(
            pa.ListArray.from_arrays(offsets, pa.StructArray.from_arrays(arrays, fields=struct))
        )
    return pa.Table.from_arrays(columns, schema=schema)


def _array(values: np.ndarray) -> pa.Array:
    """(N, …) -> N nested lists, without a detour over Python objects."""
    pa = pyarrow_or_error()
    if values.dtype.kind == "U":
        return pa.array(values.tolist(), pa.string())
    array = pa.array(np.ascontiguousarray(values).reshape(-1))
    for axis in range(values.ndim - 1, 0, -1):
        n_lists = int(np.prod(values.shape[:axis]))
        ends = np.arange(n_lists + 1, dtype=np.int32) * values.shape[axis]
        array = pa.ListArray.from_arrays(pa.array(ends), array)
    return array


def _hands_from(frames: np.ndarray, tracks: pa.StructArray) -> np.ndarray:
    """(N,) ``HAND`` of (F,) frames and the N tracks in them, a column at a time."""
    hands = np.zeros(len(tracks), HAND)
    for name in _FRAME_FIELDS:
        hands[name] = np.repeat(frames[name], frames["n_hands"])
    for name in _track_fields():
        values = tracks.field(name)
        for _ in HAND[name].shape:
            values = values.flatten()
        hands[name] = values.to_numpy(zero_copy_only=False).reshape(hands[name].shape)
    return hands
