"""The one-euro filter: steady at rest, quick in motion, at any frame rate."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knuckle.track.one_euro import OneEuro, OneEuroSettings

SETTINGS = OneEuroSettings()
ERROR = 0.03


def filtered(values: np.ndarray, dt_s: float | np.ndarray, **options: object) -> np.ndarray:
    one_euro = OneEuro(SETTINGS)
    steps = np.broadcast_to(dt_s, len(values))
    return np.stack(
        [
            one_euro(value, float(dt), **{"error": ERROR} | options)
            for value, dt in zip(values, steps, strict=True)
        ]
    )


@given(st.floats(-1e4, 1e4), st.floats(0.001, 1))
def test_what_stays_stays(value: float, dt_s: float) -> None:
    values = np.full((5, 2, 3), value)
    np.testing.assert_array_equal(filtered(values, dt_s), values)


@given(st.integers(0, 1000), st.floats(0.1, 10))
def test_unit_only_sets_the_scale(seed: int, unit: float) -> None:
    values = np.cumsum(np.random.default_rng(seed).normal(0, 0.1, (20, 3, 2)), axis=0)
    np.testing.assert_allclose(
        filtered(values * unit, 1 / 30, unit=unit, error=ERROR * unit),
        filtered(values, 1 / 30) * unit,
        atol=1e-9,
    )


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_points_do_not_disturb_each_other(seed: int, other: int) -> None:
    values = np.random.default_rng(seed).normal(0, 1, (9, 3, 2))
    changed = values.copy()
    changed[:, 1] += np.random.default_rng(other).normal(0, 9, (9, 2))
    np.testing.assert_array_equal(
        filtered(values, 0.03)[:, [0, 2]], filtered(changed, 0.03)[:, [0, 2]]
    )


@given(st.integers(0, 1000))
def test_a_number_is_steadied_as_a_point_on_a_line_is(seed: int) -> None:
    values = np.cumsum(np.random.default_rng(seed).normal(0, 0.1, 20))
    one_euro = OneEuro(SETTINGS)
    alone = [one_euro(value, 1 / 30, error=ERROR) for value in values.tolist()]
    assert all(isinstance(value, float) for value in alone)
    points = filtered(values[:, None, None], 1 / 30)
    np.testing.assert_allclose(alone, points[:, 0, 0], atol=1e-12)


def test_noise_at_rest_is_calmed() -> None:
    noise = np.random.default_rng(0).normal(0, 0.005, (300, 21, 2))
    calm = filtered(noise, 1 / 30)[30:]
    assert np.diff(calm, 2, axis=0).std() < 0.3 * np.diff(noise[30:], 2, axis=0).std()
    assert calm.std() < 0.6 * noise[30:].std()


def test_a_step_is_followed_at_once() -> None:
    step = np.zeros((20, 1, 2))
    step[10:] = 0.5
    followed = filtered(step, 1 / 30)[:, 0, 0]
    assert followed[10] > 0.4 and followed[11] > 0.47


@pytest.mark.parametrize("fps", [15, 30, 60, 120])
def test_motion_does_not_lag_by_a_frame(fps: int) -> None:
    times = np.arange(3 * fps) / fps
    way = np.stack([2 * times, 0 * times], axis=1)[:, None]
    lag_s = (way - filtered(way, 1 / fps))[-1, 0, 0] / 2
    assert lag_s < 1 / fps / 2


def test_irregular_times_are_taken_into_account() -> None:
    rng = np.random.default_rng(0)
    dt = rng.uniform(0.005, 0.1, 200)
    way = np.cumsum(dt)[:, None, None] * np.array([1.5, 0.0])
    lag = np.abs(filtered(way, dt) - way)[20:, 0, 0]
    assert lag.max() < 0.05


def test_the_doubtful_move_less() -> None:
    step = np.zeros((2, 2, 2))
    step[1] = 0.05
    sure, doubtful = filtered(step, 1 / 30, error=np.array([0.01, 0.2]))[1, :, 0]
    assert 0 < doubtful < sure


def test_a_bad_look_moves_the_filter_less() -> None:
    step = np.zeros((2, 1, 2))
    step[1] = 1.0
    sure, bad = (filtered(step, 1 / 30, sureness=s)[1, 0, 0] for s in (1.0, 0.05))
    assert 0 < bad < 0.7 * sure
