"""What holds for every kind of output in ``SINKS``."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
from rerun.chunk import RrdReader

from fakes import INFO, frame, pose, scene
from files_of_others import COUNTS
from knuckle.formats import RESULTS
from knuckle.output import SINKS, OutputError, TableSink, open_recording
from knuckle.output.csv_rows import CsvSink
from knuckle.output.json_lines import JsonLinesSink
from knuckle.output.npz import NpzSink
from knuckle.output.parquet import ParquetSink
from knuckle.output.records import FRAME, HAND, RunInfo, hand_records
from knuckle.output.staged import stage_of

TESTS = Path(__file__).resolve().parent.parent
TABLES = {name: sink for name, sink in SINKS.items() if issubclass(sink, TableSink)}


@pytest.fixture(params=SINKS)
def sink_type(request: pytest.FixtureRequest):
    return SINKS[request.param]


@pytest.fixture(params=TABLES)
def table_type(request: pytest.FixtureRequest):
    return TABLES[request.param]


def frames_in(path: Path) -> int:
    """How many frames a file of any kind holds."""
    if path.suffix == ".rrd":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a killed run leaves no index, and needs none
            chunks = RrdReader(path).stream().to_chunks()
        return sum(c.num_rows for c in chunks if c.entity_path == "/world/camera/picture")
    if stage_of(path).is_dir():
        return len(open_recording(path).frames)
    count = COUNTS.get(path.name)
    return len(open_recording(path).frames) if count is None else count(path)


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    """Equal but for the rounding of text, which keeps three decimals."""
    assert found.dtype == expected.dtype
    assert len(found) == len(expected)
    for name in expected.dtype.names:
        if expected[name].dtype.kind == "f":
            np.testing.assert_allclose(found[name], expected[name], atol=6e-4, err_msg=name)
        else:
            np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def expected_of(frames) -> tuple[np.ndarray, np.ndarray]:
    rows = np.array([(f.index, f.time_s, len(hands)) for f, hands in frames], FRAME)
    hands = np.concatenate([hand_records(f, hands) for f, hands in frames] or [np.zeros(0, HAND)])
    return rows, hands


def test_what_is_written_is_read_back(table_type, tmp_path: Path) -> None:
    written = scene(20)
    with table_type(tmp_path, INFO) as sink:
        for each in written:
            sink.write(*each)
    recording = open_recording(sink.path)
    frames, hands = expected_of(written)
    assert recording.info == INFO
    assert_same(recording.frames, frames)
    assert_same(recording.hands, hands)


def test_a_folder_is_read_back_whichever_format_it_holds(table_type, tmp_path: Path) -> None:
    with table_type(tmp_path, INFO) as sink:
        for each in scene(6):
            sink.write(*each)
    assert len(open_recording(tmp_path).frames) == 6


def test_nothing_else_is_left_behind(sink_type, tmp_path: Path) -> None:
    with sink_type(tmp_path, INFO) as sink:
        sink.write(*scene(3)[2])
    beside = {"hands.csv.json"} if sink_type is CsvSink else set()
    assert {path.name for path in tmp_path.iterdir()} == {sink_type.filename} | beside


def test_zero_frames_are_valid(sink_type, tmp_path: Path) -> None:
    with sink_type(tmp_path, INFO) as sink:
        pass
    assert frames_in(sink.path) == (1 if sink.path.suffix in {".mp4", ".c3d"} else 0)


def test_frames_without_hands_are_kept(table_type, tmp_path: Path) -> None:
    with table_type(tmp_path, INFO) as sink:
        for index in range(5):
            sink.write(frame(index), [])
    recording = open_recording(sink.path)
    assert recording.frames["frame"].tolist() == [0, 1, 2, 3, 4]
    assert len(recording.hands) == 0


def test_an_interrupt_keeps_everything(sink_type, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), sink_type(tmp_path, INFO) as sink:
        for each in scene(7):
            sink.write(*each)
        raise KeyboardInterrupt
    assert frames_in(sink.path) == 7


def test_an_older_result_is_replaced(sink_type, tmp_path: Path) -> None:
    for n_frames in (9, 4):
        with sink_type(tmp_path, INFO) as sink:
            for each in scene(n_frames):
                sink.write(*each)
    assert frames_in(sink.path) == 4


#: Sinks that put down frames in the same way are killed once.
WAYS_OF_WRITING = {
    **{sink._write: name for name, sink in reversed(SINKS.items())},
    ParquetSink: "parquet",
}.values()

KILLED = """
import os, sys
from pathlib import Path
from fakes import INFO, scene
from knuckle.output import SINKS
frames = scene(300)
sink = SINKS[sys.argv[1]](Path(sys.argv[2]), INFO)
for frame, hands in frames:
    sink.write(frame, hands)
    os.write(1, f"{frame.index}\\n".encode())
sys.stdin.read()  # never closes the file
"""


@pytest.mark.parametrize("after", [1, 40, 111])
@pytest.mark.parametrize("name", WAYS_OF_WRITING)
def test_kill_9_loses_at_most_the_frame_that_was_being_written(
    name: str, after: int, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", KILLED, name, str(tmp_path)]
    with subprocess.Popen(
        command, cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        reported = [child.stdout.readline() for _ in range(after)]
        child.send_signal(signal.SIGKILL)
        reported += child.stdout.readlines()
    written = len(reported)
    path = tmp_path / SINKS[name].filename
    # An encoder and a muxer each hold one frame back.
    held_back = 2 if name == "overlay" else 0
    if written > held_back:
        assert written - held_back <= frames_in(path) <= written + 1
    if name in TABLES:
        recording = open_recording(path)
        assert_same(recording.hands, expected_of(scene(300)[: len(recording.frames)])[1])


def test_a_folder_that_cannot_be_written(sink_type, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write .* \(not a directory\)"):
        sink_type(tmp_path / "file", INFO)


def test_a_disk_that_is_full(sink_type, tmp_path: Path, monkeypatch) -> None:
    sink = sink_type(tmp_path, INFO)

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sink, "_write", full)
    with sink, pytest.raises(OutputError, match="no space left"):
        sink.write(*scene(1)[0])


def test_a_file_of_another_program(table_type, tmp_path: Path) -> None:
    path = tmp_path / table_type.filename
    path.write_text("a,b\n1,2\n")
    with pytest.raises(OutputError):
        open_recording(path)
    path.unlink()
    with pytest.raises(OutputError, match="does not exist"):
        open_recording(path)


def test_no_result_in_a_folder(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="holds no result"):
        open_recording(tmp_path)


def saying(monkeypatch: pytest.MonkeyPatch, **changes: object) -> None:
    """What is written from here on describes itself otherwise."""
    plain = json.loads(INFO.to_json())
    text = json.dumps({**plain, **changes})
    monkeypatch.setattr(RunInfo, "to_json", lambda info: text)


def written_by(table_type, folder: Path) -> Path:
    with table_type(folder, INFO) as sink:
        for each in scene(4):
            sink.write(*each)
    return sink.path


def test_what_a_newer_version_adds_is_left_out(table_type, tmp_path: Path, monkeypatch) -> None:
    """As long as the format is the same, what is there means the same."""
    camera = {**json.loads(INFO.to_json())["camera"], "shutter": "rolling"}
    saying(monkeypatch, knuckle="7.1", mood="fine", camera=camera)
    recording = open_recording(written_by(table_type, tmp_path))
    assert recording.info == dataclasses.replace(INFO, knuckle="7.1")
    assert len(recording.frames) == 4


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"format": 2, "knuckle": "7.1"}, "format 2 of Knuckle 7.1, .* install a newer one"),
        ({"joints": list(INFO.joints)[::-1]}, "expected the joints wrist, "),
        ({"size": [640]}, "expected the width and height"),
        ({"fps": "30"}, "expected frames a second"),
        ({"space": "moon"}, "expected the space camera or world"),
    ],
)
def test_what_means_something_else_is_refused(
    table_type, changes: dict, told: str, tmp_path: Path, monkeypatch
) -> None:
    saying(monkeypatch, **changes)
    with pytest.raises(OutputError, match=told):
        open_recording(written_by(table_type, tmp_path))


def test_a_file_that_was_cut_off_anywhere(table_type, tmp_path: Path) -> None:
    """What is read of it was written; else it is named."""
    path = written_by(table_type, tmp_path)
    content, whole = path.read_bytes(), open_recording(path)
    for length in range(0, len(content), len(content) // 40):
        path.write_bytes(content[:length])
        try:
            found = open_recording(path)
        except OutputError as error:
            assert str(path) in str(error)
            continue
        assert_same(found.hands, whole.hands[: len(found.hands)])
        assert set(found.frames["frame"]) <= set(whole.frames["frame"])


def test_a_hand_behind_a_camera_of_a_rig_has_no_pixels(sink_type, tmp_path: Path) -> None:
    behind = dataclasses.replace(pose(), joints_px=np.full((21, 2), np.nan))
    with sink_type(tmp_path, INFO) as sink:
        sink.write(frame(0), [behind])
    if issubclass(sink_type, TableSink):
        assert_same(open_recording(sink.path).hands, hand_records(frame(0), [behind]))
    if "json" in sink.path.suffix:  # NaN is no JSON: browsers, jq and data bases refuse it
        for line in sink.path.read_text().splitlines():
            json.loads(line, parse_constant=pytest.fail)


def test_rerun_has_no_camera_at_the_origin_of_a_rigs_world(tmp_path: Path) -> None:
    for space, stands in (("camera", True), ("world", False)):
        with SINKS["rrd"](tmp_path, dataclasses.replace(INFO, space=space)) as sink:
            sink.write(frame(0), [pose()])
        chunks = RrdReader(sink.path).stream().to_chunks()
        columns = {name for each in chunks for name in each.to_record_batch().schema.names}
        assert any("Pinhole" in name for name in columns) == stands
        assert "Points3D:positions" in columns


def test_rerun_sees_joints_through_its_camera_where_they_are_in_its_picture(tmp_path: Path) -> None:
    hand = pose()
    hand = dataclasses.replace(hand, joints_px=hand.camera.project(hand.joints_mm))
    with SINKS["rrd"](tmp_path, dataclasses.replace(INFO, camera=hand.camera)) as sink:
        sink.write(frame(0), [hand])
    found: dict[str, np.ndarray] = {}
    for chunk in RrdReader(sink.path).stream().to_chunks():
        batch = chunk.to_record_batch()
        for name in batch.schema.names:
            if name in ("Pinhole:image_from_camera", "Points2D:positions", "Points3D:positions"):
                found[name] = np.array(batch.column(name)[0].as_py(), float)
    matrix = found["Pinhole:image_from_camera"].reshape(3, 3).T  # by columns
    seen = found["Points3D:positions"] @ matrix.T
    np.testing.assert_allclose(seen[:, :2] / seen[:, 2:], found["Points2D:positions"], atol=0.01)


def test_text_that_an_editor_saved_again(tmp_path: Path) -> None:
    for table_type in (JsonLinesSink, CsvSink):
        path = written_by(table_type, tmp_path)
        saved = b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n"
        path.write_bytes(saved)
        assert len(open_recording(path).frames) == 4


@pytest.mark.parametrize("table_type", [JsonLinesSink, CsvSink])
def test_long_texts_are_read_in_little_memory(table_type, tmp_path: Path) -> None:
    """Lists of all their lines took twenty times the room of the records, and most of the time."""
    with table_type(tmp_path, INFO) as sink:
        for index in range(3000):
            sink.write(frame(index), [pose()])
    tracemalloc.start()
    try:
        recording = open_recording(sink.path)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(recording.hands) == len(recording.frames) == 3000
    assert most < 10 * recording.hands.nbytes


def test_a_csv_may_have_its_values_in_quotes(tmp_path: Path) -> None:
    path = written_by(CsvSink, tmp_path)
    before = open_recording(path)
    rows = [line.split(",") for line in path.read_text().splitlines()]
    path.write_text("".join(",".join(f'"{value}"' for value in row) + "\n" for row in rows))
    assert_same(open_recording(path).hands, before.hands)


def test_rows_of_a_csv_that_were_sorted_or_left_out_are_told(tmp_path: Path) -> None:
    """They were passed over, or taken for other joints."""
    path = written_by(CsvSink, tmp_path)
    header, *rows = path.read_text().splitlines(keepends=True)
    hand = next(k for k, row in enumerate(rows) if ",wrist," in row)
    for changed in (
        rows[:hand] + rows[hand + 1 :],
        [*rows[:hand], rows[hand + 1], rows[hand], *rows[hand + 2 :]],
    ):
        path.write_text("".join([header, *changed]))
        with pytest.raises(OutputError, match="expected 21 rows of each hand, wrist to"):
            open_recording(path)


def test_results_are_known_by_their_names() -> None:
    assert [sink.filename for sink in TABLES.values()] == list(RESULTS)
    with pytest.raises(OutputError, match="the result has no name: expected a file"):
        open_recording("")


def test_a_csv_begins_with_its_header_and_says_what_it_lacks(tmp_path: Path) -> None:
    path = written_by(CsvSink, tmp_path)
    assert path.read_text().startswith("frame,time_s,track_id,side,")
    (tmp_path / "hands.csv.json").unlink()
    with pytest.raises(OutputError, match=r"hands\.csv stands alone: expected hands\.csv\.json"):
        open_recording(path)


@pytest.mark.parametrize(("mark", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_a_csv_of_a_spreadsheet_is_told_as_such(tmp_path: Path, mark: str, name: str) -> None:
    path = written_by(CsvSink, tmp_path)
    path.write_text(path.read_text().replace(",", mark).replace(".", ","))
    with pytest.raises(OutputError, match=f"is separated by {name}.*expected commas"):
        open_recording(path)


def test_hands_of_other_frames_are_not_believed(tmp_path: Path) -> None:
    path = written_by(NpzSink, tmp_path)
    fields = dict(np.load(path))
    fields["frames_n_hands"] = fields["frames_n_hands"] + 1
    np.savez(path, **fields)
    with pytest.raises(OutputError, match="its hands are not those of its frames"):
        open_recording(path)


def test_frames_that_do_not_follow_are_refused(sink_type, tmp_path: Path) -> None:
    """Of two videos in one sink nobody could tell whose frame 0 is meant."""
    with sink_type(tmp_path, INFO) as sink:
        sink.write(frame(3), [pose()])
        for other in (3, 0):
            with pytest.raises(ValueError, match=f"one after frame 3, got frame {other};"):
                sink.write(frame(other), [pose()])
        sink.write(frame(4), [])
    assert frames_in(sink.path) == 2


@pytest.mark.parametrize(
    ("table", "field", "value", "told"),
    [
        ("frames", "frame", 5, "the numbers of its frames do not grow"),
        ("frames", "time_s", np.nan, "no seconds of a video"),
        ("frames", "time_s", 1e18, "no seconds of a video"),
        ("hands", "frame", 3, "not those of its frames"),
        ("hands", "side", "both", "neither left nor right"),
    ],
)
def test_a_result_that_no_sink_wrote_is_told(
    table: str, field: str, value: object, told: str, tmp_path: Path
) -> None:
    """Such as one that somebody has worked on: it was shown with other hands, or not at all."""
    with NpzSink(tmp_path, INFO) as sink:
        for index in range(4):
            sink.write(frame(index), [pose()] * (index > 1))
    with np.load(sink.path) as kept:
        arrays = dict(kept)
    arrays[f"frames_{field}" if table == "frames" else field][1] = value
    if field == "frame":
        arrays["frame"] = np.array([2, 1 if table == "hands" else 3])
    np.savez(sink.path, **arrays)
    with pytest.raises(OutputError, match=f"damaged or was changed, .*{told}"):
        open_recording(tmp_path)
