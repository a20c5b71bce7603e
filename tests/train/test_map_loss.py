"""The maps that keypoints are learnt as: their means are the points."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from knuckle.codec import HeatmapCodec
from knuckle.train.losses import map_loss

inside = st.floats(20, 107)


def target_of(point: tuple[float, float], codec: HeatmapCodec) -> np.ndarray:
    """(M, M) what a map is drawn to: the loss falls fastest along it."""
    log_map = torch.zeros(codec.map_size, codec.map_size, dtype=torch.float64, requires_grad=True)
    map_loss(log_map, torch.tensor(point, dtype=torch.float64), codec).backward()
    assert log_map.grad is not None
    return -log_map.grad.numpy()


def mean_of(target: np.ndarray, codec: HeatmapCodec) -> np.ndarray:
    """(2,) crop px, as networks read their maps."""
    cells = codec.cell_centres_px
    return np.array([target.sum(axis=0) @ cells, target.sum(axis=1) @ cells])


@given(inside, inside, st.sampled_from([(128, 32, 3.0), (128, 64, 2.0), (160, 40, 3.0)]))
def test_keypoints_come_back(x: float, y: float, sizes: tuple[int, int, float]) -> None:
    codec = HeatmapCodec(*sizes)
    target = target_of((x, y), codec)
    np.testing.assert_allclose(target.sum(), 1)
    np.testing.assert_allclose(mean_of(target, codec), [x, y], atol=0.02)
    off = codec.cell_centres_px - x
    np.testing.assert_allclose(target.sum(axis=0) @ off**2, codec.sigma_px**2, rtol=0.1)


@given(st.floats(-500, 600), st.floats(-500, 600))
def test_points_outside_go_to_the_border(x: float, y: float) -> None:
    codec = HeatmapCodec()
    point = mean_of(target_of((x, y), codec), codec)
    assert (point >= 0).all() and (point <= codec.input_size - 1).all()
