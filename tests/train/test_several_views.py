"""Hands in several views: what is gathered, where views look at each other, a run, its file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from captures import TINY
from knuckle.data.capture import write_capture
from knuckle.export import export
from knuckle.models.epipolar import EpipolarSettings
from knuckle.models.keypoints import KeypointNetwork, KeypointSettings
from knuckle.models.several_views import Lines, SeveralViews
from knuckle.stages import read_card
from knuckle.train.hand_views import HandViews
from knuckle.train.kinds.epipolar import EpipolarRecipe, _Stock, batch_of
from knuckle.train.recipe import OptimiserSettings, SourceSettings
from knuckle.train.run import train

SMALL = KeypointSettings("imagenet", 64, (16, 16, 16), feature_size=4)


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "capture"
    write_capture(root, replace(TINY, depth=False))
    return root


@pytest.fixture(scope="module")
def views(capture: Path) -> HandViews:
    return HandViews.gather(capture, "train", KeypointNetwork(SMALL).eval())


def test_looks_know_where_the_true_joints_are(views: HandViews) -> None:
    assert views.known.all() and len(views.looks_of_hands(2)) > 1
    seen = (views.R[:, None] @ views.joints_mm[..., None])[..., 0] + views.t_mm[:, None]
    there = np.concatenate([views.points_px, np.ones((*views.valid.shape, 1))], axis=-1)
    rays = there @ np.swapaxes(views.camera_from_crop, 1, 2)
    np.testing.assert_allclose(rays[..., 2], 1, atol=1e-9)
    off = np.linalg.norm(rays[..., :2] - seen[..., :2] / seen[..., 2:], axis=-1)
    assert off[views.valid].max() < 1e-5


def test_views_look_at_each_other_where_the_hand_is(views: HandViews) -> None:
    looks = views.looks_of_hands(2)[0]
    batch = batch_of(views, looks[None], SMALL.codec, np.zeros((1, 2)))
    cells = (batch["points_px"][0] + 0.5) / SMALL.codec.stride - 0.5  # (V, 21, 2)
    some = views.take(looks)
    depth = (some.joints_mm @ np.swapaxes(some.R, 1, 2))[..., 2] + some.t_mm[:, None, 2]
    for view, other in ((0, 1), (1, 0)):
        assert batch["source"][0, view, 0] == other
        here = torch.cat([cells[view], torch.ones(21, 1)], dim=1)
        at = torch.tensor(depth[view], dtype=torch.float32)[:, None] * (
            here @ batch["turn"][0, view, 0].T
        )
        there = at + batch["shift"][0, view, 0]
        torch.testing.assert_close(there[:, :2] / there[:, 2:], cells[other], atol=0.02, rtol=0)
        assert batch["depth"][0, view] == pytest.approx(depth[view].mean(), abs=0.01)


def test_captures_of_other_people_stay_apart(views: HandViews) -> None:
    both = HandViews.joined([views, views])
    assert len(both) == 2 * len(views)
    assert len(both.looks_of_hands(1)) == 2 * len(views.looks_of_hands(1))


def test_a_run_ends_in_a_file_for_any_number_of_views(capture: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    start = KeypointNetwork(SMALL)
    path = tmp_path / "weights.pt"
    torch.save({f"keypoints.{k}": v for k, v in start.state_dict().items()}, path)
    recipe = EpipolarRecipe(
        name="small",
        keypoints=SMALL,
        epipolar=EpipolarSettings(16, samples=4, place="depth", learn_match=True, keep_sum=False),
        sources=(SourceSettings(capture=str(capture)),),
        start_keypoints=str(path),
        optimiser=OptimiserSettings("adamw", minutes=0.02, batch=2),
        workers=0,
        threads=1,
    )
    train(recipe, tmp_path / "runs")
    (onnx,) = export(tmp_path / "runs/small", tmp_path / "out", half=False)
    assert onnx.name == "epipolar.onnx" and read_card(onnx).extra["stride"] == 4
    state = torch.load(tmp_path / "runs/small/weights.pt", weights_only=True)
    network = SeveralViews(recipe.epipolar, SMALL)
    network.load_state_dict({k.removeprefix("epipolar."): v.float() for k, v in state.items()})
    network.eval()
    kept = network.keypoints.state_dict()
    assert all(torch.equal(kept[k], v.half().float()) for k, v in start.state_dict().items()
               if v.is_floating_point())  # fmt: skip
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    for count in (2, 4):
        others = [[k for k in range(count) if k != i] for i in range(count)]
        given = {
            "crop": torch.randint(0, 256, (1, count, 64, 64, 3), dtype=torch.uint8),
            "source": torch.tensor([others]),
            "turn": torch.eye(3).expand(1, count, count - 1, 3, 3),
            "shift": torch.randn(1, count, count - 1, 3),
            "depth": torch.full((1, count), 500.0),
            "there": torch.ones(1, count, count - 1),
        }
        with torch.no_grad():
            crop, *lines = given.values()
            expected = network(crop, Lines(*lines))
        points, sigma = session.run(None, {name: value.numpy() for name, value in given.items()})
        np.testing.assert_allclose(points, expected.keypoints_px.numpy(), atol=0.02)
        np.testing.assert_allclose(sigma, expected.log_sigma_px.exp().numpy(), rtol=0.01)


def test_a_recipe_without_what_it_needs_is_refused(capture: Path, tmp_path: Path) -> None:
    recipe = EpipolarRecipe(name="none", keypoints=SMALL)
    with pytest.raises(ValueError, match="name it as start_keypoints"):
        train(recipe, tmp_path)
    with pytest.raises(ValueError, match="learns from synthetic captures"):
        train(replace(recipe, start_keypoints="knuckle", keypoints=KeypointSettings()), tmp_path)


def test_each_sitting_shows_other_hands(capture: Path, views: HandViews) -> None:
    recipe = EpipolarRecipe(
        name="s", keypoints=SMALL, optimiser=OptimiserSettings(batch=4), start_keypoints="x"
    )

    def first(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)  # as a sitting does by its steps
        return next(iter(_Stock(views, recipe)))["depth"]

    assert torch.equal(first(0), first(0)) and not torch.equal(first(0), first(7))
