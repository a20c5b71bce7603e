"""A growing ``.npy`` file of records that is complete after every append.

The header is written with room for the count to grow, which NumPy itself provides for. An append
adds the records first and then raises the count in place, so that a process that is killed at any
moment leaves a file that ``np.load`` reads, without the last frame at worst.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np

from knuckle.output.durable import open_unbuffered, write_whole


class Journal:
    """Appends records of one type to a file."""

    def __init__(self, path: Path, dtype: np.dtype) -> None:
        self.path, self.dtype, self.count = path, dtype, 0
        self._file = open_unbuffered(path)
        write_whole(self._file, header(dtype, 0))

    def append(self, records: np.ndarray) -> None:
        """Add records (N,) or ()."""
        records = np.ascontiguousarray(records, dtype=self.dtype)
        if not records.size:
            return
        self._file.seek(0, 2)
        write_whole(self._file, records.tobytes())
        self.count += records.size
        self._file.seek(0)
        write_whole(self._file, header(self.dtype, self.count))

    def close(self) -> None:
        """Close the file; it stays."""
        self._file.close()

    def mapped(self) -> np.ndarray:
        """All records as one array that is read from the file where it is looked at."""
        if not self.count:
            return np.zeros(0, self.dtype)
        return np.load(self.path, mmap_mode="r")

    def chunks(self, size: int) -> Iterator[np.ndarray]:
        """All records again, at most ``size`` at a time, so that memory stays flat."""
        with self.path.open("rb") as file:
            file.seek(len(header(self.dtype, self.count)))
            for start in range(0, self.count, size):
                yield np.fromfile(file, self.dtype, min(size, self.count - start))


def header(dtype: np.dtype, count: int) -> bytes:
    """Header of a ``.npy`` file of ``count`` records; its length does not depend on the count."""
    file = BytesIO()
    descr = np.lib.format.dtype_to_descr(dtype)
    np.lib.format.write_array_header_2_0(
        file, {"descr": descr, "fortran_order": False, "shape": (count,)}
    )
    return file.getvalue()
