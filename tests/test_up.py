"""Which way is up."""

from __future__ import annotations

import numpy as np
import pytest

from knuckle.up import AXES, OF_CAMERA, nearest_axis, to_y_up


@pytest.mark.parametrize("up", AXES)
def test_every_axis_is_turned_to_y_and_nothing_mirrored(up: str) -> None:
    turn = to_y_up(up)
    direction = np.eye(3)["xyz".index(up[-1])] * (-1 if up[0] == "-" else 1)
    np.testing.assert_array_equal(turn @ direction, [0, 1, 0])
    assert np.linalg.det(turn) == pytest.approx(1) and np.allclose(turn @ turn.T, np.eye(3))
    assert nearest_axis(direction + np.array([0.3, -0.2, 0.4])) == up


def test_a_camera_is_turned_as_it_always_was() -> None:
    np.testing.assert_array_equal(to_y_up(OF_CAMERA), np.diag([1, -1, -1]))
    np.testing.assert_array_equal(to_y_up("z") @ [1, 2, 3], [1, 3, -2])
