import numpy as np
import pytest

from knuckle.render import skin
from knuckle.render.hand_model import PART_NAMES
from knuckle.render.looks import sample_skin


def lightness(linear_rgb: np.ndarray) -> np.ndarray:
    y = linear_rgb @ np.array([0.2126, 0.7152, 0.0722])
    return 116 * np.cbrt(y) - 16


def test_tones_get_darker_along_the_scale():
    levels = lightness(skin.albedo(np.array([skin.melanin_of_tone(t) for t in range(10)])))
    assert (np.diff(levels) < 0).all()
    assert levels[0] > 70 and levels[-1] < 30


def test_sampled_tones_are_even_over_the_scale():
    rng = np.random.default_rng(0)
    melanin = np.array([sample_skin(rng).melanin for _ in range(3000)])
    tones = np.interp(melanin, [skin.melanin_of_tone(t) for t in range(10)], np.arange(10))
    counts = np.histogram(tones, bins=9, range=(0, 9))[0]
    assert counts.min() > 0.7 * 3000 / 9


def test_skin_is_redder_than_blue_at_every_tone():
    for tone in range(10):
        red, green, blue = skin.albedo(skin.melanin_of_tone(tone))
        assert red > green > blue > 0


def test_the_atlas_has_every_part_and_ten_islands_of_palm_and_back():
    ground = skin.atlas()
    assert set(np.unique(ground.part[ground.inside])) == set(range(len(PART_NAMES)))
    assert ground.inside.mean() > 0.15
    palm = ground.palmar[ground.inside]
    assert 0.2 < palm.mean() < 0.8
    nails = ground.nail[ground.inside] > 0.5
    assert 0.001 < nails.mean() < 0.05


@pytest.mark.parametrize("seed", [0, 1])
def test_patterns_differ_between_people_and_keep_to_their_place(seed):
    ground = skin.atlas()
    pattern = skin.paint_pattern(np.random.default_rng(seed))
    again = skin.paint_pattern(np.random.default_rng(seed))
    other = skin.paint_pattern(np.random.default_rng(seed + 10))
    assert (pattern == again).all() and (pattern != other).any()
    fold, nail = pattern[..., skin.FOLD], pattern[..., skin.NAIL]
    assert fold[nail > 250].max() < 8  # nails do not crease
    palm = ground.inside & (ground.palmar > 0.9) & (ground.part == 0)
    back = ground.inside & (ground.palmar < 0.1) & (ground.part == 0)
    assert (fold[palm] > 100).mean() > (fold[back] > 100).mean()  # lines of the palm


def test_folds_lie_deep_tendons_stand_out_and_nails_are_flat():
    ground = skin.atlas()
    for seed in range(4):
        pattern = skin.paint_pattern(np.random.default_rng(seed))
        fold, relief = pattern[..., skin.FOLD], pattern[..., skin.RELIEF].astype(int) - 128
        skin_only = ground.inside & (ground.nail < 0.01)
        palm = skin_only & (ground.palmar > 0.99) & (ground.part == 0)
        back = skin_only & (ground.palmar < 0.01) & (ground.part == 0)
        assert relief[palm & (fold > 110)].max() < -5
        assert relief[back].max() * skin.RELIEF_STEP_MM > 0.15
        assert np.abs(relief[ground.inside & (ground.nail > 0.99)]).max() <= 1
