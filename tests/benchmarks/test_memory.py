"""Long videos are as long as they should be, and flat is flat."""

import sys
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import memory
from knuckle.video import open_source


def test_a_long_video_is_the_clip_over_and_over(tmp_path: Path) -> None:
    clip = Path(str(resources.files("knuckle") / "demo" / "hands.mp4"))
    with open_source(clip) as source:
        short = [(frame.time_s, frame.image[::16, ::16].astype(int)) for frame in source]
    memory.write_long(clip, tmp_path / "long.mp4", len(short) + 1)
    with open_source(tmp_path / "long.mp4") as source:
        long = [(frame.time_s, frame.image[::16, ::16].astype(int)) for frame in source]
    assert len(long) == 2 * len(short)
    np.testing.assert_allclose(np.diff([time_s for time_s, _ in long]), 1 / 30, atol=1e-3)
    for k, (_, image) in enumerate(long):
        np.testing.assert_array_equal(image, short[k % len(short)][1])


def test_flatness_of_readings() -> None:
    warm = memory.WARM_FRAMES
    hour = 3600 * memory.FPS
    readings = [(100, 20.0), *((warm + k * hour, held) for k, held in enumerate((200, 204, 208)))]
    flat = memory.Flatness.of(readings)
    assert flat.median_mb == 204
    assert (flat.above_mb, flat.below_mb) == (4, 4)
    assert flat.growth_mb_per_hour == pytest.approx(4)
    with pytest.raises(ValueError, match="2 readings"):
        memory.Flatness.of(readings[:2])


def test_the_table_shows_first_and_last() -> None:
    lines = memory.table([(1800 * k, 100.0 + k) for k in range(40)], lines=5).splitlines()
    assert len(lines) == 2 + 5
    assert lines[2] == "| 0.0 | 100.0 |"
    assert lines[-1] == "| 39.0 | 139.0 |"
