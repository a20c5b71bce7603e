"""``knuckle corpus``: a folder of videos on the cores of this machine."""

from __future__ import annotations

import csv
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest
from PIL import Image

import knuckle
from knuckle.cli import corpora, main
from knuckle.corpus import Track, VideoRow, folder_name, pool, track_all, videos_in
from knuckle.errors import InputError, NotFoundError
from knuckle.output import OutputError, open_recording
from knuckle.video import open_source

FRAMES = 4


def write_video(path: Path, frames: int = FRAMES) -> None:
    path.parent.mkdir(exist_ok=True, parents=True)
    with open_source(knuckle.demo_clip()) as source, av.open(str(path), "w") as written:
        stream = written.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        for frame in source:
            written.mux(stream.encode(av.VideoFrame.from_ndarray(frame.image)))
            if frame.index == frames - 1:
                break
        written.mux(stream.encode())


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As people keep them: kinds mixed, folders in folders, what is no video beside them."""
    folder = tmp_path_factory.mktemp("videos")
    for name in ("a b.mp4", "deeper/a b.mp4", "c.MOV"):
        write_video(folder / name)
    (folder / "broken.mkv").write_text("no video")
    (folder / "._c.MOV").write_text("what another system leaves")
    (folder / "notes.txt").write_text("no video either")
    return folder


def table(path: Path) -> list[dict[str, str]]:
    with (path / "videos.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_an_impatient_interrupt_leaves_no_worker(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A third Ctrl-C ended in a traceback of multiprocessing's, which then ended the workers."""
    end = pool._Worker.end

    def interrupted(worker: pool._Worker) -> str:
        signal.raise_signal(signal.SIGINT)
        return end(worker)

    monkeypatch.setattr(pool._Worker, "end", interrupted)
    tracking = track_all(sorted(videos.glob("*.MOV")), tmp_path, workers=1)
    next(tracking)
    tracking.close()
    assert multiprocessing.active_children() == []


def test_one_path_and_no_workers_are_refused(tmp_path: Path) -> None:
    """Its letters were tracked, and without workers it waited for ever."""
    with pytest.raises(TypeError, match="put it into a list"):
        next(track_all("a.mp4", tmp_path))
    with pytest.raises(TypeError, match="put it into a list"):
        Track(tmp_path)(Path("a.mp4"))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="workers must be 1 or more, got 0"):
        next(track_all(["a.mp4"], tmp_path, workers=0))


class TestVideosOfAFolder:
    def test_all_kinds_in_all_folders_and_nothing_else(self, videos: Path) -> None:
        names = [str(path.relative_to(videos)) for path in videos_in(videos)]
        assert names == ["a b.mp4", "broken.mkv", "c.MOV", "deeper/a b.mp4"]

    def test_results_are_no_videos(self, videos: Path) -> None:
        assert len(videos_in(videos, without=videos / "deeper")) == 3

    def test_nor_are_those_of_an_earlier_run_there(self, tmp_path: Path) -> None:
        """``knuckle track hands.mp4 --overlay --format npz,lerobot``, in the folder of videos."""
        for name in ("hands.mp4", "hands-hands/hands.npz", "hands-hands/overlay.mp4",
                     "hands-hands/lerobot/videos/file-000.mp4", "own/hands.mp4",
                     "own/overlay.mp4", "own/lerobot/take.mp4"):  # fmt: skip
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        names = [str(path.relative_to(tmp_path)) for path in videos_in(tmp_path)]
        assert names == ["hands.mp4", "own/hands.mp4", "own/lerobot/take.mp4", "own/overlay.mp4"]

    def test_a_gif_that_moves_is_a_video(self, tmp_path: Path) -> None:
        """They were passed over without a word, though ``knuckle track`` reads them."""
        pictures = [Image.new("L", (64, 48), level) for level in (20, 200)]
        pictures[0].save(tmp_path / "still.gif")
        pictures[0].save(tmp_path / "wave.GIF", save_all=True, append_images=pictures[1:])
        (tmp_path / "cut.gif").write_bytes(b"GIF89a")  # is told in its row
        assert [path.name for path in videos_in(tmp_path)] == ["cut.gif", "wave.GIF"]

    def test_none(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"no video in .* \.mp4"):
            videos_in(tmp_path)
        with pytest.raises(NotFoundError, match="there is no folder"):
            videos_in(tmp_path / "nowhere")


def test_names_of_any_length_and_alphabet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a" * 251, "caf\udce9"):
        write_video(Path("videos/plain.mp4"))
        Path("videos/plain.mp4").rename(f"videos/{name}.mp4")
    assert main(["corpus", "videos", "--workers", "1", "-o", "hands"]) == 0
    rows = table(Path("hands"))
    assert [Path(row["path"]).name for row in rows] == [f"{'a' * 251}.mp4", "caf\\udce9.mp4"]
    assert [len(open_recording(row["result"]).frames) for row in rows] == [FRAMES, FRAMES]
    again = Track("hands")([str(path) for path in videos_in("videos")])
    assert again["path"].to_pylist() == [row["path"] for row in rows]


def test_a_folder_by_command(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["corpus", str(videos), "--workers", "2", "-o", "hands"]) == 2  # one is broken
    said = capsys.readouterr()
    assert said.out.splitlines()[0] == f"4 videos, {3 * FRAMES} frames, 3 tracks"
    assert said.err.count("\n") == 1 and "broken.mkv is not a video" in said.err
    rows = table(tmp_path / "hands")
    assert [row["path"] for row in rows] == [str(path) for path in videos_in(videos)]
    for row in rows:
        if not row["error"]:
            assert len(open_recording(row["result"]).frames) == int(row["frames"]) == FRAMES
    # Started again, nothing is tracked: the same table, with files as old as they were.
    before = {row["result"]: Path(row["result"]).stat().st_mtime_ns for row in rows[:1]}
    assert main(["corpus", str(videos), "--workers", "1", "-o", "hands"]) == 2
    assert table(tmp_path / "hands") == rows
    assert {path: Path(path).stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--format", "nothing"], "there is no format 'nothing'"),
        (["--format", "npz,jsonl"], "there is no format 'jsonl', did you mean json?"),
        (["--workers", "-1"], "--workers must be 0 or more"),
        (["--max-hands", "0"], "max_hands"),
    ],
)
def test_what_is_wrong_is_told_once_and_before_the_work(
    arguments: list[str], sentence: str, videos: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:  # fmt: skip
    assert main(["corpus", str(videos), "-o", str(tmp_path / "hands"), *arguments]) == 2
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1
    assert not (tmp_path / "hands").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full")
def test_a_full_disk_is_told_with_the_table_that_has_no_room(tmp_path: Path) -> None:
    """The sentence was about "a file, or what is printed here"."""
    (tmp_path / "videos.csv.part").symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"cannot write .*videos\.csv \(no space left"):
        corpora._write_table([VideoRow("a.mp4")], tmp_path)


def dies_over_b(connection, output, settings) -> None:
    """In the place of a worker: one that a video kills."""
    connection.send(pool._BEGUN)
    while True:
        path = connection.recv()
        if path == "b":
            os.kill(os.getpid(), signal.SIGKILL)
        connection.send(VideoRow(path, frames=1))


def test_a_video_that_kills_its_worker_costs_its_own_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_work", dies_over_b)
    rows = {row.path: row for row in track_all(list("abcd"), tmp_path, workers=1)}
    assert set(rows) == set("abcd")
    assert rows["b"].error is not None and "SIGKILL" in rows["b"].error
    assert all(rows[name].error is None for name in "acd")


def test_a_program_that_workers_cannot_read_is_told_once(tmp_path: Path) -> None:
    """Without the guard every video had a row that blamed its decoder and the memory."""
    program = tmp_path / "program.py"
    program.write_text("import sys\nfrom knuckle.corpus import track_all\n"
                       "print(*track_all(sys.argv[2:], sys.argv[1]))\n")  # fmt: skip
    done = subprocess.run(
        [sys.executable, program, tmp_path / "out", "a.mp4", "b.mp4"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and done.stdout == ""
    told = done.stderr.strip().splitlines()[-1]
    assert told.startswith("knuckle.errors.InputError: the process that is to track a.mp4 ended")
    assert "called below if __name__ == '__main__':" in told


def test_where_no_process_may_be_started_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multiprocessing.current_process(), "daemon", True)
    with pytest.raises(InputError, match=r"call knuckle\.corpus\.Track in it"):
        next(track_all(["a.mp4"], tmp_path))


def test_what_is_written_is_asked_for(videos: Path, tmp_path: Path) -> None:
    path = str(videos / "c.MOV")
    row = Track(tmp_path, formats=["json", "npz"]).track(path)
    names = {each.name for each in (tmp_path / folder_name(path)).iterdir()}
    assert {"hands.jsonl", "hands.npz", "video.json"} <= names
    assert row.result is not None and row.result.endswith("hands.jsonl")


def test_interrupted_it_says_so_and_goes_on(tmp_path: Path) -> None:
    """Ctrl-C goes to every process of the terminal's group."""
    videos, out = tmp_path / "videos", tmp_path / "hands"
    for name in ("a", "b", "c"):
        write_video(videos / f"{name}.mp4")
    write_video(videos / "d.mp4", 60)
    command = [sys.executable, "-m", "knuckle", "corpus", videos, "-o", out, "--workers", "1"]
    running = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # What a shell runs in the background ignores interrupts, and its children do.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    for _ in range(1200):  # until it is at the last
        if len(list(out.glob("*/video.json"))) == 3 and list(out.glob("d-*")):
            break
        time.sleep(0.1)
    os.killpg(running.pid, signal.SIGINT)
    said, complained = running.communicate(timeout=120)
    assert (running.returncode, said) == (130, "")
    assert complained == (
        "knuckle: stopped after 3 of 4 videos: run the same command again to resume\n"
    )
    assert [Path(row["path"]).name for row in table(out)] == ["a.mp4", "b.mp4", "c.mp4"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [row["frames"] for row in table(out)] == ["4", "4", "4", "60"]
