"""``hands.npz``: one array per field, for NumPy."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from knuckle.limits import open_npz
from knuckle.output.journal import Journal
from knuckle.output.records import FRAME, HAND, Recording, RunInfo
from knuckle.output.staged import StagedTableSink

#: Records held in memory while the file is put together: 6 MB of hands.
_CHUNK = 4096
#: Fields of the frames get this before their name; those of the hands are called as they are.
_FRAMES = "frames_"


class NpzSink(StagedTableSink):
    """An uncompressed npz: ``info`` (JSON), ``frames_…`` (F, …) and the fields of hands (N, …)."""

    filename = "hands.npz"

    def _convert(self, frames: Journal, hands: Journal, whole: Path) -> None:
        with zipfile.ZipFile(whole, "w", allowZip64=True) as archive:
            with archive.open("info.npy", "w") as file:
                np.lib.format.write_array(file, np.array(self.info.to_json()))
            for journal, prefix in ((frames, _FRAMES), (hands, "")):
                for name in journal.dtype.names or ():
                    _copy_field(archive, prefix + name, journal, name)

    @classmethod
    def _read_whole(cls, path: Path) -> Recording:
        with open_npz(path, "a result", "track the video again") as data:
            info = RunInfo.from_json(str(data["info"]), path)
            return Recording(info, _records(data, FRAME, _FRAMES), _records(data, HAND))


def _copy_field(archive: zipfile.ZipFile, key: str, journal: Journal, name: str) -> None:
    """One field of all records as a ``.npy`` member, chunk by chunk."""
    empty = np.zeros(0, journal.dtype)[name]
    header = {
        "descr": np.lib.format.dtype_to_descr(empty.dtype),
        "fortran_order": False,
        "shape": (journal.count, *empty.shape[1:]),
    }
    with archive.open(f"{key}.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array_header_2_0(file, header)
        for chunk in journal.chunks(_CHUNK):
            file.write(np.ascontiguousarray(chunk[name]).tobytes())


def _records(data: np.lib.npyio.NpzFile, dtype: np.dtype, prefix: str = "") -> np.ndarray:
    """(N,) records from one array per field."""
    names = dtype.names or ()
    records = np.zeros(len(data[prefix + names[0]]), dtype)
    for name in names:
        records[name] = data[prefix + name]
    return records
