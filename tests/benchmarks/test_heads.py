"""Heads that are compared must mean the same thing by the same point."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import heads
from knuckle.models.keypoints import KeypointNetwork, KeypointSettings


@pytest.fixture(scope="module")
def points() -> torch.Tensor:
    torch.manual_seed(0)
    return 20 + 88 * torch.rand(3, 21, 2)


@pytest.mark.parametrize("head", heads.HEADS)
@pytest.mark.parametrize("size", [96, 128])
def test_every_head_answers_with_points_of_its_crop(head: str, size: int):
    contender = heads.Contender(head, size, imagenet=False).eval()
    answer = contender(torch.randint(0, 256, (2, size, size, 3), dtype=torch.uint8))
    assert answer.points_px.shape == (2, 21, 2)
    assert torch.isfinite(answer.points_px).all()
    if answer.log_maps is not None and answer.spread_px is not None:
        total = answer.log_maps.exp().flatten(2).sum(-1) / (2 if head == "SimCC" else 1)
        torch.testing.assert_close(total, torch.ones(2, 21))
        assert answer.spread_px.shape == (2, 21)


@pytest.mark.parametrize("head", ["integral", "SimCC"])
def test_what_is_encoded_decodes_to_the_same_point(head: str, points: torch.Tensor):
    kind = heads.HEADS[head](heads.Trunk(128), 128)
    weights = kind.encode(points)
    if head == "SimCC":
        found, variance = heads._moments(weights, kind.bins)
        spread = variance.mean(-1).sqrt()
    else:
        found = torch.stack([heads._moments(weights.sum(d), kind.cells)[0] for d in (2, 3)], dim=-1)
        spread = (sum(heads._moments(weights.sum(d), kind.cells)[1] for d in (2, 3)) / 2).sqrt()
    torch.testing.assert_close(found, points, atol=0.05, rtol=0)
    torch.testing.assert_close(spread, torch.full((3, 21), 3.0), atol=0.3, rtol=0)


def test_the_integral_head_is_the_shipped_one():
    shipped = KeypointNetwork(KeypointSettings("imagenet", 128, (64, 96, 128))).eval()
    contender = heads.Contender(imagenet=False).eval()
    missing, _ = contender.trunk.network.load_state_dict(shipped.state_dict(), strict=False)
    assert not missing
    contender.head.maps.load_state_dict(shipped.maps.state_dict())
    crops = torch.randint(0, 256, (2, 128, 128, 3), dtype=torch.uint8)
    torch.testing.assert_close(contender(crops).points_px, shipped(crops).keypoints_px)


@pytest.mark.parametrize("head", heads.HEADS)
def test_the_right_answer_costs_least(head: str, points: torch.Tensor):
    contender = heads.Contender(head, imagenet=False)
    ones = torch.ones(3, 21)
    batch = {"points_px": points, "point_weight": ones, "inside": ones}

    def cost(at: torch.Tensor) -> float:
        maps = None if head == "regression" else contender.head.encode(at).clamp(1e-9).log()
        return float(contender.loss(heads.Answer(at, maps, None), batch))

    assert cost(points) < cost(points + 1.0) < cost(points + 4.0)


def test_seven_stages_begin_at_stride_32_and_the_shipped_five_at_16():
    crops = torch.randint(0, 256, (1, 128, 128, 3), dtype=torch.uint8)
    shipped, longer = heads.Trunk(128).eval(), heads.Trunk(128, stages=7, coarse_blocks=0).eval()
    assert (shipped.coarsest, longer.coarsest) == (16, 32)
    assert longer(crops, 32).shape == (1, 160, 4, 4)
    with pytest.raises(ValueError, match=r"no level of stride 32; there are \[4, 8, 16\]"):
        shipped(crops, 32)
    before = longer(crops, 4)
    torch.nn.init.zeros_(longer.network.down32.weight)
    assert not torch.equal(longer(crops, 4), before), "the coarsest level must reach the finest"


def test_a_longer_backbone_and_further_blocks_cost_parameters():
    def count(**kind: int) -> int:
        return heads.parameters(heads.Contender(imagenet=False, **kind))

    bare = count(coarse_blocks=0)
    assert bare < count() < 2 * bare < count(stages=7, coarse_blocks=0)


@pytest.mark.parametrize("stages", [5, 7])
def test_only_what_a_head_uses_is_counted(stages: int):
    for head in heads.HEADS:
        contender = heads.Contender(head, stages=stages, imagenet=False)
        answer = contender(torch.zeros(1, 128, 128, 3))
        total = answer.points_px.sum() + (0 if answer.log_maps is None else answer.log_maps.sum())
        total.backward()
        unused = [n for n, p in contender.named_parameters() if p.grad is None]
        assert not unused


def test_ranks_correlate_whatever_the_scale():
    a = torch.rand(50)
    assert heads.rank_correlation(a, a.exp()) == pytest.approx(1)
    assert heads.rank_correlation(a, -a) == pytest.approx(-1)
