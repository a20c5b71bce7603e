"""What claims to be huge is refused by its header, and names lead nowhere but into their folder."""

from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import INFO, scene
from knuckle.data.json_stream import BrokenDataError
from knuckle.data.labelled import inside, read_rgb
from knuckle.errors import InputError, KnuckleError, NotFoundError, reading
from knuckle.limits import check_picture, load_npy, open_npz, picture_size
from knuckle.output import SINKS, OutputError, open_recording
from knuckle.video import SourceError, open_source

KINDS = ("jpg", "png", "webp", "bmp", "tiff", "ppm", "jp2", "avif")


@given(st.integers(40, 90), st.integers(40, 90), st.sampled_from(KINDS))
def test_headers_say_the_size(width: int, height: int, kind: str) -> None:
    picture = np.zeros((height, width, 3), np.uint8)
    written, content = cv2.imencode(f".{kind}", picture)
    assert written
    assert picture_size(content.tobytes()) == (width, height)


def bomb() -> bytes:
    """A PNG of 10^10 pixels, by its header."""
    png = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    return png[:16] + struct.pack(">II", 100_000, 100_000) + png[24:]


def test_a_picture_that_claims_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb())
    for read in (read_rgb, lambda path: open_source(path)):
        with pytest.raises(KnuckleError, match=r"bomb\.png claims .* 100000 x 100000"):
            read(path)
    check_picture(cv2.imencode(".png", np.zeros((9, 9, 3), np.uint8))[1].tobytes(), "small")
    monkeypatch.setenv("KNUCKLE_MAX_MEGAPIXELS", "1e-5")
    with pytest.raises(InputError, match="KNUCKLE_MAX_MEGAPIXELS"):
        check_picture(cv2.imencode(".png", np.zeros((9, 9, 3), np.uint8))[1].tobytes(), "small")


def test_a_chunk_that_claims_too_much(tmp_path: Path) -> None:
    """The decoder would make room for gigabytes first."""
    png = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    for claimed in (0x8300011B, 0xFFFFFFFF):
        (tmp_path / "hand.png").write_bytes(png[:33] + struct.pack(">I", claimed) + png[37:])
        with pytest.raises(SourceError, match=r"hand\.png is damaged"):
            open_source(tmp_path / "hand.png")
    check_picture(png[:50], "cut off")


def claiming(shape: tuple[int, ...]) -> bytes:
    """The header of an array of float64 without its content."""
    import io

    file = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue()


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_npz_that_claims_terabytes(packing: int, tmp_path: Path) -> None:
    path = tmp_path / "hands.npz"
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr("info.npy", claiming((10**12,)))
    with pytest.raises(InputError, match=r"hands\.npz claims 8e\+03 GB"), open_npz(path, "a", "b"):
        pass
    with pytest.raises(OutputError, match=r"hands\.npz"):
        open_recording(path)
    (tmp_path / "a.npy").write_bytes(claiming((10**12,)))
    with pytest.raises(InputError, match="claims"):
        load_npy(tmp_path / "a.npy")


@pytest.mark.parametrize("kind", ["npz", "json", "csv"])
def test_a_damaged_result_is_named(kind: str, tmp_path: Path) -> None:
    with SINKS[kind](tmp_path, INFO) as sink:
        for frame, hands in scene(3):
            sink.write(frame, hands)
    whole = sink.path.read_bytes()
    sink.path.write_bytes(whole[: len(whole) // 2] + b"]}\xff\n" + whole[len(whole) // 2 :])
    with pytest.raises(OutputError, match=sink.path.name):
        open_recording(sink.path)


@pytest.mark.parametrize(
    "name", ["../a", "/etc/passwd", "a/../../b", "C:\\a", "..\\a", "", 7, None, "a\0b", "//h/a"]
)
def test_names_that_lead_outside(name: object) -> None:
    with pytest.raises(BrokenDataError, match=r"leads outside|expected the name of a file"):
        inside(Path("data"), name)


def test_names_inside() -> None:
    assert inside(Path("data"), "images/a..b/0.jpg") == Path("data/images/a..b/0.jpg")


def test_a_folder_of_labels_reads_nothing_outside(tmp_path: Path) -> None:
    from knuckle.data.folder import Folder
    from miniatures import write_folder

    write_folder(tmp_path)
    lines = (tmp_path / "labels.jsonl").read_text().splitlines()
    entry = json.loads(lines[1])
    for field in ("file", "hand_map"):
        changed = json.dumps({**entry, field: "../../secret.png"})
        (tmp_path / "labels.jsonl").write_text("\n".join([lines[0], changed]))
        with pytest.raises(BrokenDataError, match="leads outside"):
            Folder(tmp_path, "all")


@pytest.mark.parametrize("error", [KeyError("x"), RecursionError(), MemoryError(), ValueError("y")])
def test_whatever_a_library_says_the_file_is_named(error: Exception) -> None:
    with (
        pytest.raises(SourceError, match=r"^a\.mp4 is damaged or not a video: copy it again$"),
        reading("a.mp4", "a video", "copy it again", error=SourceError),
    ):
        raise error
    with pytest.raises(NotFoundError, match="does not exist"), reading("a", "b", "c"):
        Path("there/is/none").read_bytes()


def test_errors_are_what_callers_expect() -> None:
    assert issubclass(InputError, ValueError) and issubclass(NotFoundError, FileNotFoundError)
    for kind in (OutputError, SourceError, BrokenDataError):
        assert issubclass(kind, KnuckleError)
