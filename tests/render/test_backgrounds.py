from importlib import resources
from pathlib import Path

import cv2
import numpy as np
import pytest

from knuckle.render.backgrounds import Backgrounds, procedural, window
from knuckle.render.textures import texture_bank


def test_shipped_photographs_are_few_and_small():
    folder = Path(str(resources.files("knuckle.render").joinpath("assets")))
    photographs = list(folder.glob("*.jpg"))
    assert len(Backgrounds.load().photographs) == len(photographs) >= 10
    assert sum(path.stat().st_size for path in photographs) < 600_000


def test_a_folder_of_photographs_is_used(tmp_path):
    cv2.imwrite(str(tmp_path / "red.png"), np.full((50, 80, 3), (0, 0, 255), np.uint8))
    source = Backgrounds(Backgrounds.load(tmp_path).photographs[-1:], procedural_share=0.0)
    assert (source.sample(np.random.default_rng(0), 40, 60) == (255, 0, 0)).all()


def test_a_missing_folder_and_a_broken_picture_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Backgrounds.load(tmp_path / "nowhere")
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"broken\.jpg"):
        Backgrounds.load(tmp_path)


@pytest.mark.parametrize("shape", [(160, 160), (240, 320), (31, 57)])
def test_procedural_pictures_have_the_size_asked_for(shape):
    rng = np.random.default_rng(0)
    for _ in range(20):
        picture = procedural(rng, *shape)
        assert picture.shape == (*shape, 3) and picture.dtype == np.uint8


def test_a_window_shows_a_part_of_the_picture():
    picture = np.arange(256, dtype=np.uint8).reshape(1, -1, 1).repeat(100, 0).repeat(3, 2)
    rng = np.random.default_rng(0)
    for _ in range(20):
        part = window(picture, rng, 40, 50).astype(int)
        steps = np.diff(part[:, :, 0], axis=1)
        assert (steps >= 0).all() or (steps <= 0).all()  # mirrored or not, never torn


def test_the_texture_bank_is_the_same_in_every_process():
    pictures = Backgrounds.load().photographs
    assert (texture_bank(pictures) == texture_bank(pictures)).all()
