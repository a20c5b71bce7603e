"""Posed hands and looks: what the lifter learns from is what it will meet."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_training_examples import make_sample

from knuckle.data.shards import write_shard
from knuckle.data.shown import ShownHands
from knuckle.hand import BONES, N_JOINTS, Joint
from knuckle.models.keypoints import KeypointNetwork, KeypointSettings
from knuckle.models.lifter import LifterSettings
from knuckle.render.hand_model import HandModel
from knuckle.render.poses import RANGES_DEG, sample_poses
from knuckle.train import poses
from knuckle.train.kind import module_of, training_batches, validation_batches
from knuckle.train.kinds.keypoints import KeypointRecipe
from knuckle.train.kinds.lifter import LifterRecipe
from knuckle.train.recipe import AugmentSettings, OptimiserSettings, SourceSettings

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from looks import KEYS, gather

RECIPE = LifterRecipe(
    name="posed",
    lifter=LifterSettings(feature_size=8, width=16, whole_width=64),
    optimiser=OptimiserSettings(minutes=0.01, batch=16),
    workers=0,
)


@pytest.fixture(scope="module")
def hands():
    """(noise of keypoints, 2,000 upright hands as directions)."""
    rng = np.random.default_rng(0)
    rays, _ = poses.posed_hands(rng, 2000, poses.PoseBank(rng, 2000), HandModel.load())
    return poses.KeypointNoise.of(rays), rays


def test_what_is_seen_perfectly_is_said_exactly(hands):
    noise, rays = hands
    said, _ = noise(np.random.default_rng(1), rays, np.full(rays.shape[:2], 1e-5))
    np.testing.assert_allclose(said, rays, atol=2e-2 * np.ptp(rays, axis=1).max())


def test_keypoints_are_right_on_average_and_their_sigmas_too(hands):
    noise, rays = hands
    rng = np.random.default_rng(2)
    said, sigma = noise(rng, rays, poses.sample_scatter(rng, rays, 0.2))
    middle, size = poses._square(rays)
    truth, said, sigma = (rays - middle) / size, (said - middle) / size, sigma / size[..., 0]
    error = said - truth
    # The slope of the truth over what is said is 1: knowing no more, one would say the same.
    moved = said - said.mean(axis=0)
    assert (moved * (truth - truth.mean(axis=0))).sum() / (moved**2).sum() == pytest.approx(
        1, abs=0.03
    )
    assert (np.abs(error).mean(axis=-1) / sigma).mean() == pytest.approx(1, abs=0.1)


def test_errors_run_along_fingers(hands):
    noise, rays = hands
    rng = np.random.default_rng(3)
    said, sigma = noise(rng, rays, poses.sample_scatter(rng, rays, 0.15))
    error = ((said - rays) / sigma[..., None])[..., 0]
    along = np.corrcoef(error[:, Joint.RING_PIP], error[:, Joint.RING_DIP])[0, 1]
    apart = np.corrcoef(error[:, Joint.THUMB_TIP], error[:, Joint.RING_DIP])[0, 1]
    assert along > 0.3 > abs(apart)


def test_hidden_joints_are_known_to_be_unsure(hands):
    noise, rays = hands
    scatter = np.full(rays.shape[:2], 0.02)
    scatter[:, Joint.INDEX_TIP] = 1.0
    _, sigma = noise(np.random.default_rng(4), rays, scatter)
    assert sigma[:, Joint.INDEX_TIP].mean() > 2 * sigma[:, Joint.LITTLE_TIP].mean()


def test_scatter_hides_at_most_half_beyond_a_line_a_finger_and_a_few(hands):
    _, rays = hands
    hidden = poses.sample_scatter(np.random.default_rng(5), rays, 0.01) >= 0.5
    assert 0.05 < hidden.mean() < 0.3
    assert np.median(hidden.sum(axis=1)) <= 4


def looks_of(folder, counts=(64, 8)):
    path = folder / "looks.npz"
    arrays = {}
    for part, n in zip(("train", "validation"), counts, strict=True):
        shapes = {"rays": (2,), "sigma": (), "features": (8,), "joints_mm": (3,)}
        for key in KEYS:
            rows = len(BONES) if key.startswith("bone") else N_JOINTS
            arrays[f"{part}/{key}"] = np.ones((n, rows, *shapes.get(key, ())), np.float16)
    np.savez(path, **arrays)
    return path


@pytest.mark.usefixtures("few_poses")
def test_a_batch_holds_posed_hands_and_looks_by_their_shares(tmp_path):
    source = SourceSettings(looks=str(looks_of(tmp_path)), share=0.25)
    recipe = replace(RECIPE, sources=(source,))
    batch = next(iter(training_batches(recipe)))
    assert {key: len(value) for key, value in batch.items()} == dict.fromkeys(KEYS, 16)
    seeing = batch["features"].abs().sum((1, 2)) > 0
    assert not seeing[:12].any()
    true_mm = batch["joints_mm"][12:]  # all ones in store: turned, but not stretched
    torch.testing.assert_close(true_mm.norm(dim=-1), torch.full((4, 21), 3**0.5))
    torch.testing.assert_close(true_mm[..., 2], torch.ones(4, 21))
    loaders = validation_batches(recipe)
    assert set(loaders) == {"posed", "looks"}
    assert len(next(iter(loaders["looks"]))["rays"]) == 8


def test_looks_that_were_not_gathered_are_asked_for(tmp_path):
    recipe = replace(RECIPE, sources=(SourceSettings(looks=str(tmp_path / "no.npz")),))
    with pytest.raises(FileNotFoundError, match=r"tools/looks\.py"):
        next(iter(training_batches(recipe)))


def test_gathered_looks_are_what_the_network_says(tmp_path):
    from knuckle.data.shards import write_shard

    torch.manual_seed(0)
    # One in twenty is held back.
    samples = [replace(make_sample(seed=i), key=f"k{i}", group=f"k{i}") for i in range(60)]
    write_shard(tmp_path / "crops-000-00001.tar", samples)
    settings = KeypointSettings("imagenet", 64, (16, 16, 16), feature_size=8)
    recipe = KeypointRecipe(
        name="small",
        keypoints=settings,
        sources=(SourceSettings(shards=str(tmp_path)),),
        augment=AugmentSettings(other_side=0, no_hand=0),
        optimiser=OptimiserSettings(batch=4),
        workers=0,
    )
    state = KeypointNetwork(settings).state_dict()
    weights = tmp_path / "weights.pt"
    torch.save({f"keypoints.{k}": v for k, v in state.items()}, weights)
    out = tmp_path / "looks.npz"
    assert gather(recipe, weights, 8, out) == 8
    with np.load(out) as looks:
        assert looks["train/features"].shape == (8, N_JOINTS, 8)
        assert np.all(looks["train/joints_mm"][:, 0] == 0)
        assert np.all(looks["train/sigma"] > 0)
    with pytest.raises(ValueError, match="keypoint recipe"):
        gather(RECIPE, weights, 8, out)


def test_hands_are_drawn_as_people_show_them_with_the_view_they_were_seen_from():
    fist = sample_poses(np.random.default_rng(1), 1, {"fist": 1.0})
    view = np.array([[[1.0, 0, 0], [0, -1, 0], [0, 0, -1]]])
    bank = poses.PoseBank(np.random.default_rng(0), 400, shown=ShownHands(fist, view))
    drawn, views = bank.draw_seen(400)
    near = np.abs(drawn - fist).max(axis=(1, 2)) < 30
    facing = np.abs(views - view).max(axis=(1, 2)) < 0.6
    both = (near & facing).mean()
    assert both == pytest.approx(poses._SHOWN, abs=0.08)
    assert np.all(drawn >= RANGES_DEG[..., 0] - 1e-4) and np.all(drawn <= RANGES_DEG[..., 1] + 1e-4)
    shown = drawn[near & facing]
    assert len({pose.tobytes() for pose in shown}) > 0.9 * len(shown)  # varied


@pytest.mark.usefixtures("few_poses")
def test_hands_without_pictures_come_along_with_crops_and_teach_the_lifter(tmp_path):
    write_shard(tmp_path / "few-00000.tar", [make_sample() for _ in range(4)])
    recipe = KeypointRecipe(
        name="posed",
        lifter=RECIPE.lifter,
        workers=0,
        posed=3,
        sources=(SourceSettings(shards=str(tmp_path)),),
        keypoints=KeypointSettings("imagenet", 64, (16, 16, 16), coarse_blocks=1, feature_size=8),
        optimiser=OptimiserSettings(batch=4),
    )
    batch = next(iter(training_batches(recipe)))
    assert batch["posed_rays"].shape == (4, 3, N_JOINTS, 2)
    assert len({rays.numpy().tobytes() for rays in batch["posed_rays"].flatten(0, 1)}) == 12
    module = module_of(recipe).train()
    terms = module.losses(batch)
    sum(value for name, value in terms.items() if name.startswith("posed_")).backward()
    assert module.lifter.whole_in.weight.grad.abs().max() > 0
    assert all(p.grad is None for p in module.keypoints.parameters())
    without = module.losses({k: v for k, v in batch.items() if not k.startswith("posed_")})
    assert set(without) == {name for name in terms if not name.startswith("posed_")}
