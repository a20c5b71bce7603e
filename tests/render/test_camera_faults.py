import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knuckle.render.camera_faults import _IN_ORDER, CameraFaults


def picture(height: int = 96, width: int = 120) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 2, y * 2, 255 - x - y], axis=-1).clip(0, 255).astype(np.uint8)


@given(
    seed=st.integers(0, 10_000),
    strength=st.floats(0.1, 3.0),
    size=st.sampled_from([(33, 70), (160, 160), (300, 420)]),
)
@settings(deadline=None, max_examples=40)
def test_faults_keep_shape_and_type_and_repeat(seed, strength, size):
    image = picture(*size)
    worse = CameraFaults(strength)(image, np.random.default_rng(seed))
    again = CameraFaults(strength)(image, np.random.default_rng(seed))
    assert worse.shape == image.shape and worse.dtype == np.uint8
    assert (worse == again).all()


def test_strength_zero_changes_nothing_and_more_changes_more():
    image = picture()
    assert CameraFaults(0.0)(image, np.random.default_rng(0)) is image

    def change(strength: float) -> float:
        rng = np.random.default_rng(0)
        faults = CameraFaults(strength)
        return float(
            np.mean([np.abs(faults(image, rng).astype(float) - image).mean() for _ in range(60)])
        )

    assert 0 < change(0.3) < change(1.0) < change(2.0)


#: Dirt spreads light on purpose.
_STILL = [fault for fault, _ in _IN_ORDER if fault is not CameraFaults._dirt]


@pytest.mark.parametrize("fault", _STILL, ids=lambda f: f.__name__)
def test_no_fault_moves_the_picture(fault):
    """A bright dot stays where it is, to a fraction of a pixel, on average over many draws."""
    image = np.full((81, 81, 3), 40, np.uint8)
    image[37:44, 37:44] = 220
    xs = np.arange(81)
    shifts = []
    for seed in range(30):
        worse = (
            fault(CameraFaults(1.0), image, np.random.default_rng(seed)).astype(float).mean(axis=-1)
        )
        light = (worse - np.median(worse)).clip(25) - 25
        if light.sum() > 100:
            shifts.append(
                [
                    light.sum(axis=0) @ xs / light.sum() - 40,
                    light.sum(axis=1) @ xs / light.sum() - 40,
                ]
            )
    assert np.abs(np.mean(shifts, axis=0)).max() < 0.25


def test_a_strength_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"0\.\.4"):
        CameraFaults(9.0)
