"""Pictures as phones write them: a grid of tiles, turned and mirrored by properties."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heic_files import SIZE, TILE, box, heic, imir, irot, whole
from knuckle.video import SourceUnreadableError, open_source
from knuckle.video.heif import HeifError, read_heif


@pytest.mark.parametrize("wide", [False, True])
def test_the_whole_picture_is_put_together(wide: bool, tmp_path: Path) -> None:
    path = tmp_path / "phone.HEIC"
    path.write_bytes(heic(wide=wide))
    with open_source(path) as source:
        assert source.size == SIZE
        (frame,) = source
    assert np.abs(frame.image.astype(int) - whole()).max() < 12


@given(st.lists(st.one_of(st.builds(irot, st.integers(0, 3)), st.builds(imir, st.integers(0, 1)))))
def test_turns_and_mirrors_are_followed_in_their_order(properties: list[bytes]) -> None:
    expected = whole()
    for each in properties:
        if each[4:8] == b"irot":
            expected = np.rot90(expected, each[8])
        else:
            expected = np.flip(expected, axis=each[8])
    found = read_heif(heic(properties), "turned.heic")
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() < 12


def test_a_part_is_cut_out() -> None:
    clap = box(b"clap", struct.pack(">IIIIiIiI", 100, 1, 60, 1, 5, 1, -10, 1))
    found = read_heif(heic([clap]), "cut.heic")
    assert np.abs(found.astype(int) - whole()[10:70, 40:140]).max() < 12


def test_a_folder_of_a_phone_is_a_folder_of_images(tmp_path: Path) -> None:
    for name in ("IMG_2.HEIC", "IMG_10.HEIC"):
        (tmp_path / name).write_bytes(heic())
    with open_source(tmp_path) as source:
        assert len(list(source)) == 2


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
def test_one_that_breaks_off_is_told(share: float, tmp_path: Path) -> None:
    path = tmp_path / "cut.heic"
    content = heic()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(SourceUnreadableError, match=r"cut\.heic"):
        open_source(path)


def test_a_grid_without_all_its_tiles_and_one_too_large_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "grid.heic"
    path.write_bytes(heic(missing=1))
    with pytest.raises(SourceUnreadableError, match="HEIC"):
        open_source(path)
    path.write_bytes(heic())
    monkeypatch.setenv("KNUCKLE_MAX_MEGAPIXELS", "0.01")
    with pytest.raises(SourceUnreadableError, match="claims to be a picture of 170 x 100"):
        open_source(path)


def test_what_would_take_for_ever_is_refused() -> None:
    content = heic()
    tile = struct.pack(">II", TILE, TILE)
    assert content.count(tile) == 1
    with pytest.raises(HeifError, match="tiles of 9 x 64 pixels"):
        read_heif(content.replace(tile, struct.pack(">II", 9, TILE)), "small.heic")
    places = content.index(b"iloc") + 8
    with pytest.raises(HeifError, match=r"pieces without places|ends too early"):
        read_heif(content[:places] + b"\0" + content[places + 1 :], "places.heic")
