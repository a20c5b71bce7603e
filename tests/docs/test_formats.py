"""The readers printed in ``docs/formats.md`` read what the sinks write."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from fakes import INFO, scene
from knuckle.hand import Joint
from knuckle.output import HAND, SINKS, TableSink
from knuckle.output.records import hand_records

PAGE = Path(__file__).resolve().parents[2] / "docs" / "formats.md"
BLOCKS = re.findall(r"```python\n# (\w+)\n(.*?)```", PAGE.read_text(), re.DOTALL)
READERS = dict(BLOCKS)
FRAMES = scene(12)


def truth(frames) -> np.ndarray:
    hands = np.concatenate([hand_records(frame, hands) for frame, hands in frames])
    return hands[hands["side"] == "right"]


def read(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple:
    monkeypatch.chdir(folder)
    found: dict = {}
    exec(READERS[name], found)
    assert found["info"]["source"] == INFO.source
    return np.array(found["times_s"]), np.array(found["tips_mm"])


def assert_tips(found: tuple, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found[0], expected["time_s"], atol=1e-6)
    np.testing.assert_allclose(found[1], expected["joints_mm"][:, Joint.INDEX_TIP], atol=6e-4)


def test_there_is_a_reader_for_every_format() -> None:
    assert set(READERS) == (set(SINKS) - {"overlay"}) | {"part"}


@pytest.mark.parametrize("name", [name for name in SINKS if issubclass(SINKS[name], TableSink)])
def test_a_finished_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SINKS[name](tmp_path, INFO) as sink:
        for each in FRAMES:
            sink.write(*each)
    assert_tips(read(name, tmp_path, monkeypatch), truth(FRAMES))


def test_a_stage_that_a_killed_run_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = SINKS["npz"](tmp_path, INFO)
    for each in FRAMES:
        sink.write(*each)
    found = read("part", tmp_path, monkeypatch)  # the sink is still open
    sink.close()
    assert_tips(found, truth(FRAMES))


@pytest.mark.parametrize("name", ["json", "csv"])
def test_text_that_was_cut_off(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SINKS[name](tmp_path, INFO) as sink:
        for each in FRAMES:
            sink.write(*each)
    data = sink.path.read_bytes()
    sink.path.write_bytes(data[:-40])  # within the last hand, which is a left one
    # A line of JSON holds a whole frame, a line of CSV a single joint.
    complete = FRAMES[:-1] if name == "json" else FRAMES
    assert_tips(read(name, tmp_path, monkeypatch), truth(complete))


def test_every_reader_has_ten_lines_at_most() -> None:
    for name, code in READERS.items():
        lines = [line for line in code.splitlines() if line.strip()]
        assert len(lines) <= 10, name


def test_every_field_is_explained() -> None:
    explained = set(re.findall(r"`(\w+)`", PAGE.read_text()))
    assert set(HAND.names) <= explained


def test_daft_reads_the_hands_as_its_own(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with SINKS["parquet"](tmp_path, INFO) as sink:
        for each in FRAMES:
            sink.write(*each)
    points = pa.list_(pa.list_(pa.float32()))
    daft = pa.struct(
        [
            ("handedness", pa.string()),
            ("confidence", pa.float32()),
            ("kp2d", points),
            ("kp3d", points),
        ]
    )
    table = pq.read_table(sink.path)
    assert table.schema.field("hands").type.value_type.equals(daft)
    frame, (hand, *_) = table["hands"].to_pylist(), FRAMES[2][1]
    np.testing.assert_allclose(frame[2][0]["kp3d"][0], 0, atol=1e-9)
    np.testing.assert_allclose(frame[2][0]["kp3d"], hand.joints_root_mm / 1000, atol=1e-5)
    assert frame[0] == []
