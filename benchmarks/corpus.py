"""The speed-up from a second worker of ``knuckle.corpus`` on Ray Data.

    python benchmarks/corpus.py --videos 12

A folder of videos (the demo clip under many names) is tracked by one worker, then again by two.
Needs a processor for each worker and ``pip install 'knuckle[dist]'``. Starting Ray does not count.
The processor time per frame shows whether the workers get in each other's way.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa

try:
    import ray
except ModuleNotFoundError:
    sys.exit("expected Ray: pip install 'knuckle[dist]'")

import knuckle
from knuckle.corpus import Track


class Timed(Track):
    """Says when each video began and ended, and what processor time it took."""

    def __call__(self, paths: Any) -> pa.Table:
        began_s, spent_s = time.time(), time.process_time()
        rows = super().__call__(paths)
        for name, value in (
            ("began_s", began_s),
            ("ended_s", time.time()),
            ("spent_s", time.process_time() - spent_s),
        ):
            rows = rows.append_column(name, pa.array([value] * len(rows)))
        return rows


def tracked(videos: list[Path], out: Path, workers: int) -> tuple[float, float]:
    """Frames a second of all workers together, and milliseconds of processor time a frame."""
    paths = [{"path": str(path)} for path in videos]
    rows = ray.data.from_items(paths, override_num_blocks=len(paths)).map_batches(
        Timed,
        fn_constructor_args=(str(out),),
        batch_size=1,
        batch_format="pyarrow",
        num_cpus=1,
        compute=ray.data.ActorPoolStrategy(min_size=workers, max_size=workers),
    )
    table = rows.to_pandas()
    if table["error"].notna().any():
        raise RuntimeError(table["error"].dropna().iloc[0])
    # The first video of a worker also opens its networks.
    frames = table["frames"].sum()
    took_s = table["ended_s"].max() - table["began_s"].min()
    return frames / took_s, 1000 * table["spent_s"].sum() / frames


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--videos", type=int, default=12)
    options = parser.parse_args()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        videos = [folder / f"{number:03}.mp4" for number in range(options.videos)]
        for path in videos:
            shutil.copy(knuckle.demo_clip(), path)
        print("| workers | frames/s | processor time a frame, ms |")
        print("|---|---|---|")
        for workers in (1, 2):
            rate, spent_ms = tracked(videos, folder / f"by-{workers}", workers)
            print(f"| {workers} | {rate:.1f} | {spent_ms:.1f} |", flush=True)


if __name__ == "__main__":
    main()
