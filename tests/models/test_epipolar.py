"""The Epipolar Transformer: where it looks, what it adds, and its ONNX file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from knuckle.camera import Camera
from knuckle.models.epipolar import (
    EpipolarSettings,
    EpipolarTransformer,
    cells_of,
    pair_geometry,
    samples_near,
    samples_on_line,
)
from rigs import looking_at

#: Cameras of feature maps, cells for pixels: two views of the same place, 16 wide and 12 high.
REFERENCE, SOURCE = Camera(20.0, 20.0, 7.5, 5.5), Camera(18.0, 19.0, 7.0, 6.0)
SIZE = (12, 16)
T_REFERENCE, T_SOURCE = (
    looking_at((-250, 0, -500), (0, 0, 0)),
    looking_at((250, 40, -450), (0, 0, 0)),
)


def geometry() -> tuple[torch.Tensor, torch.Tensor]:
    turn, shift = pair_geometry(
        np.stack([np.linalg.inv(camera.matrix) for camera in (REFERENCE, SOURCE)]),
        np.stack([T.rotation for T in (T_REFERENCE, T_SOURCE)]),
        np.stack([T.translation_mm for T in (T_REFERENCE, T_SOURCE)]),
        np.array([[1], [0]]),
    )
    return torch.tensor(turn[0]).float(), torch.tensor(shift[0]).float()


def images_of_ray(cell: tuple[int, int], depths: np.ndarray) -> np.ndarray:
    """(K, 2) where points on the ray of a reference cell (x, y) fall in the source map."""
    points = REFERENCE.unproject(np.tile(np.array(cell, float), (len(depths), 1)), depths)
    return SOURCE.project(T_SOURCE(T_REFERENCE.inverse()(points)))


def fused(
    net: EpipolarTransformer, reference: torch.Tensor, source: torch.Tensor, *lines: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The reference (1, C, H, W) of two views with what the source adds, and its trust."""
    turn, shift, depth = lines
    level, trust = net(
        torch.stack([reference, source], dim=1),
        torch.tensor([[[1], [0]]]),
        turn.expand(1, 2, 1, 3, 3),
        shift.expand(1, 2, 1, 3),
        depth.expand(1, 2),
        torch.ones(1, 2, 1),
        torch.ones(1, 2, *SIZE),
    )
    return level[:, 0], trust[:, 0]


CELLS_OF_MAP = cells_of(SIZE, torch.zeros(1))
CELLS = [(0, 0), (7, 5), (12, 7), (3, 9)]


@pytest.mark.parametrize("cell", CELLS)
def test_samples_lie_on_the_line_that_the_cell_s_ray_draws(cell: tuple[int, int]) -> None:
    at, crosses = samples_on_line(*geometry(), CELLS_OF_MAP, SIZE, 64)
    index = cell[1] * SIZE[1] + cell[0]
    samples = at[0, index].numpy()
    near, far = images_of_ray(cell, np.array([350.0, 900.0]))
    normal = np.array([near[1] - far[1], far[0] - near[0]]) / np.linalg.norm(near - far)
    assert np.abs((samples - near) @ normal).max() < 0.01
    assert crosses[0, index] == 1
    # From border to border, in equal steps.
    steps = np.linalg.norm(np.diff(samples, axis=0), axis=1)
    np.testing.assert_allclose(steps, steps.mean(), rtol=1e-3)
    for end in samples[[0, -1]]:
        to_border = [end[0], end[1], SIZE[1] - 1 - end[0], SIZE[0] - 1 - end[1]]
        assert min(np.abs(to_border)) < 0.01 and min(to_border) > -0.01


@pytest.mark.parametrize("cell", CELLS)
def test_samples_near_a_depth_are_the_images_of_the_ray(cell: tuple[int, int]) -> None:
    at, before = samples_near(*geometry(), CELLS_OF_MAP, torch.tensor([550.0]), 150.0, 16)
    expected = images_of_ray(cell, np.linspace(400, 700, 16))
    found = at[0, cell[1] * SIZE[1] + cell[0]].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert before.min() == 1


def test_a_line_that_misses_the_map_adds_nothing() -> None:
    turn = SOURCE.matrix @ np.linalg.inv(REFERENCE.matrix)
    shift = SOURCE.matrix @ np.array([100.0, 0.0, 0.0])  # lines run along x,
    turn[1] += 500 * turn[2]  # far below the map
    turns, shifts = torch.tensor(turn)[None].float(), torch.tensor(shift)[None].float()
    _, crosses = samples_on_line(turns, shifts, CELLS_OF_MAP, SIZE, 8)
    assert crosses.max() == 0
    net = EpipolarTransformer(EpipolarSettings(4, samples=8)).eval()
    maps = torch.randn(1, 4, *SIZE)
    other = torch.randn(1, 4, *SIZE)
    out, trust = fused(net, maps, other, turns, shifts, torch.tensor([500.0]))
    torch.testing.assert_close(out, maps)
    assert trust.max() == 0


@pytest.mark.parametrize("place", ["line", "depth"])
def test_what_both_views_show_is_found(place: str) -> None:
    """A mark that stands at one point of the world is what its cell finds on its line."""
    cell = (7, 5)
    target = images_of_ray(cell, np.array([540.0]))[0]
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    blob = np.exp(-((x - target[0]) ** 2 + (y - target[1]) ** 2) / 2)
    source = torch.zeros(1, 2, *SIZE)
    source[0, 0] = torch.tensor(blob)
    reference = torch.zeros(1, 2, *SIZE)
    reference[0, 0, cell[1], cell[0]] = 60.0
    net = EpipolarTransformer(EpipolarSettings(2, samples=32, place=place)).eval()  # type: ignore[arg-type]
    more = (source, *geometry(), torch.tensor([500.0]))
    added, trust = net.look_up(reference.flatten(2), CELLS_OF_MAP, *more)
    index = cell[1] * SIZE[1] + cell[0]
    assert added[0, 0, index] > 0.7
    assert trust[0, index] > 3 / 32


def test_it_begins_as_nothing_or_as_the_sum() -> None:
    maps = torch.randn(2, 1, 6, *SIZE)
    more = (*geometry(), torch.tensor([500.0]))
    plain = EpipolarTransformer(EpipolarSettings(6, keep_sum=False)).eval()
    torch.testing.assert_close(fused(plain, *maps, *more)[0], maps[0])
    paper = EpipolarTransformer(EpipolarSettings(6)).eval()
    added, _ = paper.look_up(maps[0].flatten(2), CELLS_OF_MAP, maps[1], *more)
    expected = maps[0] + added.reshape(maps[0].shape)
    torch.testing.assert_close(fused(paper, *maps, *more)[0], expected)


def test_gradients_flow_into_both_views() -> None:
    reference = torch.randn(1, 4, *SIZE, requires_grad=True)
    source = torch.randn(1, 4, *SIZE, requires_grad=True)
    net = EpipolarTransformer(EpipolarSettings(4, samples=16))
    fused(net, reference, source, *geometry(), torch.tensor([500.0]))[0].square().sum().backward()
    assert reference.grad is not None and source.grad is not None
    assert source.grad.abs().sum() > 0 and net.norm.weight.grad is not None


def test_two_equal_sources_are_one_and_an_absent_one_is_none() -> None:
    maps, (turn, shift) = torch.randn(2, 1, 4, *SIZE), geometry()
    net = EpipolarTransformer(EpipolarSettings(4, samples=16)).eval()
    torch.nn.init.normal_(net.norm.weight)
    one, _ = fused(net, *maps, turn, shift, torch.tensor([500.0]))
    level = torch.stack([maps[0], maps[1], maps[1]], dim=1)  # (1, 3, 4, H, W)
    source = torch.tensor([[[1, 2], [0, 2], [0, 1]]])
    turns, shifts = turn.expand(1, 3, 2, 3, 3), shift.expand(1, 3, 2, 3)
    depth = torch.full((1, 3), 500.0)
    for there in ([1.0, 1.0], [1.0, 0.0], [0.0, 0.0]):
        seen = torch.tensor(there).expand(1, 3, 2)
        both, trust = net(level, source, turns, shifts, depth, seen, torch.ones(1, 3, *SIZE))
        expected = one if sum(there) else maps[0]
        torch.testing.assert_close(both[:, 0], expected)
        assert (trust[:, 0].max() > 0) == (sum(there) > 0)


def test_a_learnt_match_begins_as_the_dot_product() -> None:
    maps = torch.randn(2, 1, 6, *SIZE)
    more = (*geometry(), torch.tensor([500.0]))
    plain = EpipolarTransformer(EpipolarSettings(6)).eval()
    learnt = EpipolarTransformer(EpipolarSettings(6, learn_match=True)).eval()
    torch.testing.assert_close(fused(learnt, *maps, *more), fused(plain, *maps, *more))


def test_only_the_likely_cells_look() -> None:
    level = torch.randn(1, 2, 4, *SIZE)
    likely = torch.rand(1, 2, *SIZE)
    turn, shift = geometry()
    lines = (
        torch.tensor([[[1], [0]]]), turn.expand(1, 2, 1, 3, 3), shift.expand(1, 2, 1, 3),
        torch.full((1, 2), 500.0), torch.ones(1, 2, 1),
    )  # fmt: skip
    every = EpipolarTransformer(EpipolarSettings(4, samples=8)).eval()
    some = EpipolarTransformer(EpipolarSettings(4, samples=8, cells=50)).eval()
    some.load_state_dict(every.state_dict())
    (everywhere, _), (there, _) = (net(level, *lines, likely) for net in (every, some))
    looked = likely >= likely.flatten(2).topk(50).values[..., -1][..., None, None]
    for expected, cells in ((everywhere, looked), (level, ~looked)):
        mask = cells[:, :, None].expand_as(level)
        torch.testing.assert_close(there[mask], expected[mask])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("place", ["line", "depth"])
def test_the_onnx_file_says_the_same(place: str, tmp_path: Path) -> None:
    import onnx
    import onnxruntime

    net = EpipolarTransformer(
        EpipolarSettings(4, samples=16, place=place)  # type: ignore[arg-type]
    ).eval()
    torch.nn.init.normal_(net.norm.weight)
    turn, shift = geometry()
    inputs = (
        torch.randn(1, 2, 4, *SIZE), torch.tensor([[[1], [0]]]), turn.expand(1, 2, 1, 3, 3),
        shift.expand(1, 2, 1, 3), torch.full((1, 2), 500.0), torch.ones(1, 2, 1),
        torch.rand(1, 2, *SIZE),
    )  # fmt: skip
    names = ["level", "source", "turn", "shift", "depth", "there", "likely"]
    path = tmp_path / "epipolar.onnx"
    torch.onnx.export(
        net, inputs, str(path), input_names=names, output_names=["fused", "trust"],
        opset_version=17, dynamo=False,
    )  # fmt: skip
    assert "GridSample" in {node.op_type for node in onnx.load(path).graph.node}
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    wanted = {each.name for each in session.get_inputs()}
    given = {n: t.numpy() for n, t in zip(names, inputs, strict=True) if n in wanted}
    both, trust = session.run(None, given)
    expected = net(*inputs)
    np.testing.assert_allclose(both, expected[0].detach().numpy(), atol=1e-3)
    np.testing.assert_allclose(trust, expected[1].detach().numpy(), atol=1e-3)


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="2 or more samples"):
        EpipolarSettings(4, samples=1)
    with pytest.raises(ValueError, match='"depth" or "none"'):
        EpipolarSettings(4, place="ray")  # type: ignore[arg-type]
