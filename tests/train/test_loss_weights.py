"""What each term of a loss counts is the recipe's; the defaults are those of the shipped weights.

The numbers below were computed before the weights moved from the code into recipes.
"""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from knuckle.models.detector import DetectorOutput
from knuckle.models.keypoints import KeypointOutput, KeypointSettings
from knuckle.models.lifter import LifterOutput
from knuckle.models.pair import PairOutput
from knuckle.train.kinds.detector import DetectorLosses, detector_losses
from knuckle.train.kinds.keypoints import KeypointLosses, keypoint_losses
from knuckle.train.kinds.lifter import LifterLosses, lifter_losses
from knuckle.train.kinds.pair import PairLosses, pair_losses
from knuckle.train.recipe import Recipe

N, MAP = 3, 8
CODEC = KeypointSettings("imagenet", 32).codec
BEFORE = {
    "keypoints": {
        "point": 2.648906,
        "map": 1.16971,
        "spread": 3.275788,
        "visible": 0.157325,
        "present": 0.269242,
        "side": 0.31853,
        "mask": 0.615263,
        "has_neighbour": 0.358497,
        "neighbour": 3.807744,
        "depth": 1.132385,
        "depth_spread": 0.111137,
    },
    "lifter": {
        "joint": 2.625596,
        "bone": 1.426068,
        "direction": 0.835206,
        "joint_spread": 6.152807,
        "bone_depth": 0.298433,
    },
    "pair": {
        "apart": 1.878473,
        "apart_spread": 14.534012,
    },
    "detector": {
        "peak": 31.923325,
        "geometry": 8.649775,
        "mask": 1.218481,
        "side": 0.351639,
    },
}


class Draws:
    """Numbers that are the same on every machine."""

    def __init__(self):
        self.rng = np.random.default_rng(17)

    def normal(self, *shape):
        return torch.from_numpy(self.rng.normal(size=shape).astype(np.float32))

    def share(self, *shape):
        return torch.from_numpy(self.rng.random(shape).astype(np.float32))

    def yes(self, *shape):
        return torch.from_numpy((self.rng.random(shape) < 0.6).astype(np.float32))


def keypoint_case(draw):
    maps = draw.normal(N, 21, MAP * MAP).log_softmax(dim=-1).unflatten(-1, (MAP, MAP))
    out = KeypointOutput(
        draw.share(N, 21, 2) * 32, draw.normal(N, 21), draw.normal(N, 21), draw.normal(N),
        draw.normal(N), draw.normal(N, 16, 16), draw.normal(N, 21, 4), draw.normal(N),
        draw.normal(N, 5), maps,
    )  # fmt: skip
    batch = {
        "points_px": draw.share(N, 21, 2) * 32,
        "point_weight": draw.share(N, 21),
        "inside": draw.yes(N, 21),
        "visible": draw.yes(N, 21),
        "visible_weight": draw.share(N, 21),
        "present": draw.yes(N),
        "right": draw.yes(N),
        "side_weight": draw.share(N),
        "mask": draw.yes(N, 16, 16),
        "mask_weight": draw.share(N, 16, 16),
        "has_neighbour": torch.tensor([1.0, 0.0, 1.0]),
        "neighbour": draw.normal(N, 5),
        "neighbour_weight": draw.share(N),
        "joints_mm": draw.normal(N, 21, 3) * 40,
        "joint_weight": draw.share(N, 21),
    }
    return out, batch


def lifter_case(draw):
    batch = {
        "joints_mm": draw.normal(N, 21, 3) * 40,
        "joint_weight": draw.share(N, 21),
        "bone_depth": draw.share(N, 20) * 2 - 1,
        "bone_depth_weight": draw.share(N, 20),
    }
    return LifterOutput(draw.normal(N, 21, 3) * 40, draw.normal(N, 21)), batch


def pair_case(draw):
    return PairOutput(draw.normal(N, 3) * 80, draw.normal(N, 3)), {"apart_mm": draw.normal(N, 3)}


def detector_case(draw):
    out = DetectorOutput(
        draw.normal(N, 2, 6, 6), draw.normal(N, 10, 6, 6), draw.normal(N, 2, 12, 12)
    )
    peaks = torch.zeros(N, 2, 6, 6)
    peaks[0, 0, 3, 4] = peaks[1, 1, 2, 2] = 1.0
    batch = {
        "peaks": peaks,
        "peak_weight": draw.share(N, 2, 6, 6),
        "geometry": draw.normal(N, 10, 6, 6),
        "geometry_weight": peaks,
        "mask": draw.yes(N, 2, 12, 12),
        "mask_weight": draw.share(N, 2, 12, 12),
    }
    return out, batch


CASES = {
    "keypoints": (keypoint_case, lambda out, batch, w: keypoint_losses(out, batch, CODEC, w)),
    "lifter": (lifter_case, lifter_losses),
    "pair": (pair_case, pair_losses),
    "detector": (detector_case, detector_losses),
}
WEIGHTS = {
    "keypoints": KeypointLosses(),
    "lifter": LifterLosses(),
    "pair": PairLosses(),
    "detector": DetectorLosses(),
}


def terms_of(name, weights):
    make, losses = CASES[name]
    return {key: float(value) for key, value in losses(*make(Draws()), weights).items()}


@pytest.mark.parametrize("name", CASES)
def test_the_defaults_give_the_losses_of_the_shipped_weights(name):
    assert terms_of(name, WEIGHTS[name]) == pytest.approx(BEFORE[name], rel=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_a_weight_scales_its_own_term_and_no_other(name):
    before = terms_of(name, WEIGHTS[name])
    for item in fields(WEIGHTS[name]):
        if item.name in before:
            twice = replace(WEIGHTS[name], **{item.name: 2 * getattr(WEIGHTS[name], item.name)})
            expected = before | {item.name: 2 * before[item.name]}
            assert terms_of(name, twice) == pytest.approx(expected, rel=1e-5)


def test_a_recipe_sets_weights(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text(
        "kind = 'keypoints'\nname = 'r'\n[losses]\nmask = 1.5\n[losses.lifter]\nbone = 2.0\n"
    )
    losses = Recipe.load(path).losses
    assert losses == KeypointLosses(mask=1.5, lifter=LifterLosses(bone=2.0))
