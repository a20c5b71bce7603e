import errno
import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest

from knuckle.data import rendered
from knuckle.data.capture import write_capture
from knuckle.data.capture_plan import CaptureSettings
from knuckle.data.processes import in_processes
from knuckle.data.rendered import SETS, Job, write_crops, write_frames
from knuckle.data.shards import count_samples, read_shard
from knuckle.errors import InputError, NotWrittenError


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(rendered, "SHARD_SIZE", 3)


def test_crops_are_written_read_back_and_not_written_twice(tmp_path):
    paths = write_crops(Job(tmp_path, 7))
    assert [len(list(read_shard(path))) for path in paths] == [3, 3, 1]
    keys = [sample.key for path in paths for sample in read_shard(path)]
    assert len(set(keys)) == 7
    times = [path.stat().st_mtime_ns for path in paths]
    paths[1].unlink()
    write_crops(Job(tmp_path, 7))
    again = [path.stat().st_mtime_ns for path in paths]
    assert again[0] == times[0] and again[2] == times[2] and paths[1].exists()


def test_two_workers_write_what_one_writes(tmp_path):
    one = write_crops(Job(tmp_path / "one", 6))
    two = write_crops(Job(tmp_path / "two", 6, workers=2))
    for a, b in zip(one, two, strict=True):
        for left, right in zip(read_shard(a), read_shard(b), strict=True):
            assert left.key == right.key
            assert (left.image == right.image).all()
            np.testing.assert_array_equal(left.hands[0].joints_px, right.hands[0].joints_px)


def test_sets_of_one_seed_differ_from_each_other(tmp_path):
    shards = [write(Job(tmp_path, 1))[0] for write in SETS.values()]
    assert len({path.name for path in shards}) == len(SETS)
    first = [next(iter(read_shard(path))).image for path in shards]
    assert all(a.shape != b.shape or (a != b).any() for a, b in itertools.combinations(first, 2))


def test_frames_keep_their_size(tmp_path):
    (path,) = write_frames(Job(tmp_path, 2, seed=5), size=(96, 64))
    assert all(sample.image.shape == (64, 96, 3) for sample in read_shard(path))


@pytest.mark.parametrize(
    "wrong", [{"count": 0}, {"count": 3, "workers": 0}, {"count": 3, "first": 1}]
)
def test_a_job_that_makes_no_sense_is_refused(tmp_path, wrong):
    with pytest.raises(ValueError, match="expected count"):
        write_crops(Job(tmp_path, **wrong))


def _threads(_: int) -> int:
    """How many threads OpenCV has in a worker."""
    return cv2.getNumThreads()


def test_workers_have_none_of_the_threads_that_stayed_in_the_parent():
    """A fork inherits OpenCV's pool without its threads; the parent has them back afterwards."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(2)
    try:
        assert list(in_processes(2, _threads, [0, 1, 2])) == [1, 1, 1]
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(threads)


def test_numbers_below_0_are_told(tmp_path: Path) -> None:
    for wrong in ({"seed": -1}, {"first": -rendered.SHARD_SIZE}):
        with pytest.raises(InputError, match="of 0 or more"):
            write_crops(Job(tmp_path, 1, **wrong))
    with pytest.raises(InputError, match="a seed of 0 or more"):
        CaptureSettings(frames=1, seed=-1)


def test_a_larger_count_fills_the_last_shard(tmp_path):
    """It was kept as short as it was, and fewer pictures lay there than were asked for."""
    first, _ = write_crops(Job(tmp_path, 4))
    written_ns = first.stat().st_mtime_ns
    paths = write_crops(Job(tmp_path, 8))
    assert [count_samples(path) for path in paths] == [3, 3, 2]
    assert first.stat().st_mtime_ns == written_ns
    assert [count_samples(path) for path in write_crops(Job(tmp_path, 4))] == [3, 3]


def test_settings_of_a_capture_that_are_damaged_are_told(tmp_path):
    (tmp_path / "capture_5fps.json").write_text("{")
    with pytest.raises(InputError, match=r"capture_5fps\.json is damaged"):
        write_capture(tmp_path, CaptureSettings(frames=2, cameras=1, subjects=3))


def test_a_full_disk_names_the_shard_and_leaves_no_part_of_it(tmp_path, monkeypatch):
    first, second = write_crops(Job(tmp_path, 4))
    second.unlink()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tarfile.TarFile.addfile", full)
    with pytest.raises(NotWrittenError, match=rf"{second.name} \(no space left on device\): free"):
        write_crops(Job(tmp_path, 4))
    assert list(tmp_path.iterdir()) == [first]
