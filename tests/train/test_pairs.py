"""Pairs to learn from: whose hands they are, what hides what, and one truth from either hand."""

import numpy as np
import pytest
import torch

from knuckle.hand import KNUCKLES, Joint, bone_lengths
from knuckle.models.lifter import Lifter, LifterSettings
from knuckle.models.pair import PairSettings
from knuckle.render.hand_model import HandModel
from knuckle.train import pairs, poses
from knuckle.train.kind import training_batches
from knuckle.train.kinds.pair import PairModule, PairRecipe
from knuckle.train.recipe import OptimiserSettings

N = 48
MIRROR = np.array([-1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def bank():
    return pairs.PairBank(np.random.default_rng(0), 24)


@pytest.fixture(scope="module")
def noise():
    rng = np.random.default_rng(1)
    return poses.upright_noise(rng, poses.PoseBank(rng, 300), HandModel.load(), 300)


@pytest.fixture(scope="module")
def drawn(bank, noise):
    return pairs.sample_pairs(np.random.default_rng(2), N, bank, noise)


@pytest.fixture(scope="module")
def rows(drawn):
    torch.manual_seed(0)
    lifter = Lifter(LifterSettings(feature_size=4, width=16, whole_width=64))
    return pairs.lifted_pairs(lifter, drawn)


def test_both_hands_are_of_one_person(drawn):
    lengths = bone_lengths(drawn.joints_mm).sum(axis=-1)  # (N, 2)
    np.testing.assert_allclose(lengths[:, 0], lengths[:, 1], rtol=0.08)


def test_views_hold_both_hands_upright_as_right_hands(drawn):
    turns = drawn.R_camera_from_view
    assert np.all(np.linalg.det(turns[:, 0]) > 0)
    assert np.all(np.linalg.det(turns[:, 1]) < 0)
    seen = drawn.joints_mm @ turns
    rays = seen[..., :2] / seen[..., 2:]
    up = rays[:, :, KNUCKLES].mean(axis=2) - rays[:, :, Joint.WRIST]
    assert np.abs(np.arctan2(up[..., 0], -up[..., 1])).max() < 0.1
    assert np.median(np.abs(drawn.rays - rays)) < 0.1  # noisy, but of the same hand


def test_hands_drawn_apart_do_not_touch(bank):
    rng = np.random.default_rng(3)
    apart = pairs.drawn_apart(rng, bank.draw(N), bank.draw(N))
    gaps = np.linalg.norm(apart[:, 0, :, None] - apart[:, 1, None], axis=-1).min(axis=(1, 2))
    assert gaps.min() > 8.0
    assert np.median(gaps) < 150.0


def test_what_is_behind_the_other_hand_is_hidden(bank):
    right = bank.draw(1)[0, 0]
    right = right - right.mean(axis=0) + (0, 0, 400)
    behind = 1.5 * right  # on the same rays, half as far again
    hidden = pairs.hidden_by_other(np.stack([right, behind])[None])[0]
    assert not hidden[0].any()
    assert hidden[1].all()
    aside = right + np.array([400, 0, 0])
    assert not pairs.hidden_by_other(np.stack([right, aside])[None]).any()


def test_either_hand_tells_the_same_truth(drawn, rows):
    turns = drawn.R_camera_from_view
    apart = np.einsum("nhij,nhj->nhi", turns, rows["apart_mm"].reshape(N, 2, 3))
    true = drawn.joints_mm[:, 1, 0] - drawn.joints_mm[:, 0, 0]
    np.testing.assert_allclose(apart[:, 0], true, atol=0.1)
    np.testing.assert_allclose(apart[:, 1], -true, atol=0.1)


def test_the_other_hand_is_seen_in_the_axes_of_the_own_one(drawn, rows):
    ahead = np.concatenate([drawn.rays, np.ones_like(drawn.rays[..., :1])], axis=-1)
    turns = drawn.R_camera_from_view
    left = ahead[:, 1] @ turns[:, 1].swapaxes(-1, -2) @ turns[:, 0]
    of_right = rows["rays"].reshape(N, 2, 2, 21, 2)[:, 0, 1]
    np.testing.assert_allclose(of_right, left[..., :2] / left[..., 2:], rtol=1e-3, atol=1e-4)


def test_the_mirrored_pair_asks_the_same_questions(drawn):
    lifter = Lifter(LifterSettings(feature_size=4, width=16, whole_width=64))
    flip = np.diag(MIRROR).astype(np.float32)
    mirrored = pairs.HandPairs(
        rays=drawn.rays[:, ::-1].copy(),
        sigma=drawn.sigma[:, ::-1].copy(),
        joints_mm=(drawn.joints_mm * MIRROR.astype(np.float32))[:, ::-1].copy(),
        R_camera_from_view=(flip @ drawn.R_camera_from_view)[:, ::-1].copy(),
    )
    one, other = (pairs.lifted_pairs(lifter, each) for each in (drawn, mirrored))
    for key, values in one.items():
        swapped = other[key].reshape(N, 2, *values.shape[1:])[:, ::-1].reshape(values.shape)
        np.testing.assert_allclose(values, swapped, rtol=1e-3, atol=1e-2, err_msg=key)


def test_a_few_steps_bring_hands_nearer_to_their_place(rows):
    torch.manual_seed(0)
    batch = {key: torch.from_numpy(np.ascontiguousarray(v)).float() for key, v in rows.items()}
    module = PairModule(PairRecipe(name="t", pair=PairSettings(64)))
    before = {key: float(value.detach()) for key, value in module.scores(batch).items()}
    assert before["mm"] == pytest.approx(before["alone_mm"], rel=1e-4)
    optimiser = torch.optim.AdamW(module.parameters(), lr=3e-3)
    for _ in range(60):
        loss = torch.stack(list(module.losses(batch).values())).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    after = {key: float(value.detach()) for key, value in module.scores(batch).items()}
    assert after["mm"] < 0.9 * before["mm"]


def test_the_stream_yields_new_pairs(monkeypatch):
    monkeypatch.setattr("knuckle.train.kinds.pair.poses.PoseBank", lambda rng: _small_bank(rng))
    recipe = PairRecipe(
        name="t",
        workers=0,
        start_lifter="src/knuckle/weights/lifter.onnx",
        pair=PairSettings(stock=16),
        optimiser=OptimiserSettings(batch=32),
    )
    stream = iter(training_batches(recipe))
    first, second = next(stream), next(stream)
    assert first["lifted_mm"].shape == (32, 2, 21, 3)
    assert not np.allclose(first["apart_mm"], second["apart_mm"])


def test_without_a_lifter_there_is_nothing_to_follow():
    with pytest.raises(ValueError, match="the pair stage follows a lifter"):
        next(iter(training_batches(PairRecipe(name="t", workers=0))))


_small = poses.PoseBank


def _small_bank(rng):
    return _small(rng, 300)
