"""Convolutions in bfloat16 are for machines that compute in it."""

from __future__ import annotations

import pytest
import torch

from knuckle.train.modules import TrainedModule
from knuckle.train.recipe import OptimiserSettings, Recipe


@pytest.mark.parametrize(
    ("asked", "processor", "gpu", "is_half"),
    [
        (True, {"amx_bf16": True}, False, True),
        (True, {"amx_bf16": False, "avx512_bf16": True}, False, True),
        (True, {"amx_bf16": False, "avx512_bf16": False}, False, False),
        (False, {"amx_bf16": True}, False, False),
        (False, {}, True, True),
    ],
)
def test_half_is_where_it_is_computed(
    asked: bool,
    processor: dict[str, bool],
    gpu: bool,
    is_half: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: processor)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    recipe = Recipe(kind="keypoints", name="k", optimiser=OptimiserSettings(half=asked))
    assert TrainedModule(recipe).half_convolutions == is_half
