"""Cuts and changes, from a thumbnail."""

import numpy as np
import pytest

from knuckle.track.scene import Scene

NONE = np.empty((0, 4))


def picture(seed: int, size: tuple[int, int] = (640, 360), blocks: int = 12) -> np.ndarray:
    """Random blocks with sensor noise."""
    rng = np.random.default_rng(seed)
    width, height = size
    coarse = rng.integers(20, 230, (blocks, blocks, 3)).astype(np.uint8)
    rows, columns = np.arange(height) * blocks // height, np.arange(width) * blocks // width
    image = coarse[rows][:, columns].astype(float) + rng.normal(0, 4, (height, width, 3))
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("size", [(640, 360), (360, 640), (1280, 720), (100, 80), (3, 2), (1, 1)])
def test_a_still_picture_has_no_cuts_and_no_changes(size: tuple[int, int]) -> None:
    scene, image = Scene(), picture(1, size)
    rng = np.random.default_rng(0)
    assert not scene.see(image)
    assert scene.has_news(NONE, 0.0)  # nobody has searched yet
    scene.searched(NONE)
    for _ in range(2):
        noise = rng.normal(0, 3, image.shape) if min(size) > 50 else 0
        assert not scene.see(np.clip(image + noise, 0, 255).astype(np.uint8))
        assert not scene.has_news(NONE, 0.0)


def test_another_picture_is_a_cut() -> None:
    scene = Scene()
    cuts = [scene.see(picture(seed)) for seed in (1, 1, 2, 2, 3, 1)]
    assert cuts == [False, False, True, False, True, True]


def test_another_size_is_a_cut() -> None:
    scene = Scene()
    scene.see(picture(1))
    assert scene.see(picture(1, (360, 640)))


def test_motion_and_light_are_no_cuts() -> None:
    scene, image = Scene(), picture(1)
    scene.see(image)
    assert not scene.see(np.roll(image, 8, axis=1))  # a moving camera
    brighter = np.clip(np.roll(image, 8, axis=1).astype(int) + 25, 0, 255).astype(np.uint8)
    assert not scene.see(brighter)
    covered = brighter.copy()
    covered[100:300, 100:400] = (200, 150, 120)  # a large hand comes in
    assert not scene.see(covered)


def test_what_comes_in_is_a_change_unless_it_is_a_known_hand() -> None:
    scene, image = Scene(), picture(1)
    scene.see(image)
    scene.searched(NONE)
    changed = image.copy()
    changed[200:260, 400:460] ^= 128
    scene.see(changed)
    assert scene.has_news(NONE, 0.0)
    there, elsewhere = np.array([[385.0, 185, 475, 275]]), np.array([[50.0, 50, 140, 140]])
    assert not scene.has_news(there, 0.0)
    assert scene.has_news(elsewhere, 0.0)
    outside = np.array([[-500.0, -400, -300, -200], [5000.0, 5000, 6000, 6000]])
    assert scene.has_news(outside, 0.0)
    # A slow change adds up since the search, not since the last frame.
    scene.see(changed)
    assert scene.has_news(NONE, 0.0)
    scene.searched(NONE)
    assert not scene.has_news(NONE, 0.0)


def test_the_background_that_a_known_hand_uncovers_is_no_change() -> None:
    scene, background = Scene(), picture(1)
    for step, x in enumerate((100, 160)):
        image, box = background.copy(), np.array([[x - 20.0, 80, x + 80, 180]])
        image[100:160, x : x + 60] = 250
        scene.see(image)
        if step == 0:
            scene.searched(box)
    assert not scene.has_news(box, 0.0)
    assert scene.has_news(NONE, 0.0)


def test_what_moves_on_and_was_no_hand_is_restless() -> None:
    scene, background = Scene(), picture(1)

    def is_news(x: int, grey: int, time_s: float = 0.1) -> bool:
        image = background.copy()
        image[100:160, x : x + 60] = grey
        scene.see(image)
        news = scene.has_news(NONE, time_s)
        scene.searched(NONE)
        return news

    is_news(100, 250)
    assert is_news(100, 10)
    scene.nothing_found(0.0)
    assert not is_news(110, 250)  # hardly farther
    assert not is_news(110, 250)
    assert is_news(400, 250)  # elsewhere
    assert is_news(110, 250)  # what it has left behind
    assert not is_news(110, 10, 0.9)
    assert is_news(110, 250, 1.1)  # long ago
    assert scene.see(picture(2))
    assert scene.has_news(NONE, 0.0)
