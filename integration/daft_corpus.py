"""Whole videos on Daft: python integration/daft_corpus.py VIDEOS OUT (docs/corpus.md explains)."""

import sys
from pathlib import Path

import daft
import pyarrow as pa

from knuckle.corpus import Track, schema, videos_in

ROW = daft.DataType.from_arrow_type(pa.struct(list(schema())))


@daft.cls(max_concurrency=2)
class Hands:
    """A worker: its networks are opened with its first video."""

    def __init__(self, output: str) -> None:
        self.track = Track(output)

    @daft.method.batch(return_dtype=ROW, batch_size=1)
    def __call__(self, paths: daft.Series) -> list[dict]:
        """A row for each path."""
        return self.track(paths.to_pylist()).to_pylist()


if __name__ == "__main__":
    videos, out = Path(sys.argv[1]), str(Path(sys.argv[2]).absolute())
    paths = [str(path) for path in videos_in(videos, without=out)]
    rows = daft.from_pydict({"path": paths}).select(Hands(out)(daft.col("path")).alias("row"))
    for row in rows.to_pydict()["row"]:
        print(row["path"], row["frames"], row["tracks"], row["error"], sep="\t")
