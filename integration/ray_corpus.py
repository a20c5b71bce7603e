"""Every video of a folder, a worker a core: python integration/ray_corpus.py VIDEOS OUT [WORKERS].

Needs pip install 'knuckle[dist]'. Stop it and start it again: it goes on where it was.
"""

import shutil
import sys
from pathlib import Path

import ray

from knuckle.corpus import Track, videos_in

videos, out = Path(sys.argv[1]), Path(sys.argv[2]).absolute()
workers = int(sys.argv[3]) if len(sys.argv) > 3 else 2
paths = [{"path": str(path)} for path in videos_in(videos, without=out)]

ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False)
rows = ray.data.from_items(paths, override_num_blocks=len(paths)).map_batches(
    Track,
    fn_constructor_args=(str(out),),
    batch_size=1,  # a whole video a task
    batch_format="pyarrow",
    num_cpus=1,
    compute=ray.data.ActorPoolStrategy(min_size=1, max_size=workers),
)
shutil.rmtree(out / "videos", ignore_errors=True)  # the rows of a run before
rows.write_parquet(str(out / "videos"))

table = ray.data.read_parquet(str(out / "videos")).to_pandas()
print(table[["path", "frames", "tracks", "error"]].to_string(index=False))
