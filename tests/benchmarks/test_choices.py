"""Variants are compared on the same crops, and what is left out is really left out."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import choices
import ingredients
from choices_runs import measure
from choices_sets import CropSet, Cutter, batch_of
from heads import Answer
from knuckle.render.props import FOREARM_BONE
from knuckle.sample import HandLabel, Sample


@pytest.fixture(scope="module")
def dotted() -> CropSet:
    """A hand's joints, each a white dot, in pictures of two sizes."""
    rng = np.random.default_rng(0)
    samples = []
    for side in ("left", "right"):
        joints = 40 + 50 * rng.random((21, 2))
        image = np.zeros((130, 130 if side == "left" else 120, 3), np.uint8)
        columns, rows = joints.round().astype(int).T
        image[rows, columns] = 255
        hand = HandLabel(side=side, joints_px=np.stack([columns, rows], axis=-1).astype(float))
        samples.append(Sample(image=image, hands=(hand,), key=side))
    return CropSet.of(samples, 2, 160)


def test_a_set_survives_the_disk(dotted: CropSet, tmp_path: Path):
    dotted.save(tmp_path, "dots")
    read = CropSet.load(tmp_path, "dots")
    assert read.images.shape == (2, 160, 160, 3) and list(read.is_left) == [True, False]
    np.testing.assert_array_equal(read.joints_px, dotted.joints_px)
    with pytest.raises(FileNotFoundError, match="--prepare"):
        CropSet.load(tmp_path, "none")


@pytest.mark.parametrize("upright", [True, False])
@pytest.mark.parametrize("size", [96, 160])
def test_points_follow_their_pixels(dotted: CropSet, size: int, upright: bool):
    cutter, rng = Cutter(size, upright=upright), np.random.default_rng(3)
    for i in (0, 1):
        example = cutter(dotted, i, rng)
        inside = example["inside"] > 0
        columns, rows = example["points_px"][inside].round().astype(int).T
        around = [
            example["image"][max(r - 1, 0) : r + 2, max(c - 1, 0) : c + 2].max()
            for c, r in zip(columns, rows, strict=True)
        ]
        assert inside.sum() > 10 and min(around) > 30


def test_validation_is_the_same_for_everybody_and_right_points_have_no_error(dotted: CropSet):
    still = Cutter(128).still()
    rng = np.random.default_rng(7)
    truth = batch_of(still(dotted, i, rng) for i in range(2))["points_px"]

    class Knowing:
        def __call__(self, crops):
            return Answer(torch.from_numpy(truth + 1), None, None)

    shares, foretold = measure(Knowing(), dotted, still)
    extent = (truth.max(axis=1) - truth.min(axis=1)).max(axis=-1)
    np.testing.assert_allclose(shares, np.sqrt(2) / extent, rtol=1e-4)
    assert foretold is None


def test_a_difference_is_that_of_the_same_pictures():
    base = np.random.default_rng(0).uniform(0, 1, 300)
    more, half = choices.difference(base + 0.01, base)
    assert more == pytest.approx(0.01) and half == pytest.approx(0, abs=1e-9)
    more, half = choices.difference(base + np.tile([0.0, 0.02], 150), base)
    assert more == pytest.approx(0.01) and 0.0005 < half < 0.002


def test_the_tables_have_a_row_for_what_is_done():
    def result(variant: choices.Variant) -> dict:
        return {
            "crops": 1000, "step_ms": 200.0, "parameters": 3_000_000, "onnx_ms": 3.0,
            "errors": {test: [0.04, 0.06] for test in variant.tests},
            "foretold": dict.fromkeys(variant.tests, 0.5),
        }  # fmt: skip

    networks = dict(list(choices.NETWORKS.items())[:3])
    table = choices.network_table({name: result(v) for name, v in networks.items()})
    assert table.count("\n") == 4 and "5.0% (+0.0 ± 0.0)" in table
    left_out = choices.TABLES["ingredients"]
    table = choices.ingredient_table({name: result(v) for name, v in left_out.items()})
    assert table.count("\n") == 1 + len(ingredients.INGREDIENTS) + 2
    assert len({line.count("|") for line in table.splitlines()}) == 1


def test_every_variant_of_ingredients_has_its_sets():
    sets = set(ingredients.sets()) | set(choices.PHOTOGRAPHS)
    for variant in choices.TABLES["ingredients"].values():
        assert {*variant.sources, *variant.tests} <= sets


def test_what_is_left_out_is_not_there():
    rng = np.random.default_rng(0)
    bare = [ingredients._bare(rng) for _ in range(40)]
    assert not any(look.worn or look.glove or look.skin.ink_texture >= 0 for look in bare)
    for look in (ingredients._adorned(rng) for _ in range(10)):
        ringed = any(band.bone != FOREARM_BONE for band, _ in look.worn)
        assert look.glove or ringed or look.skin.ink_texture >= 0
    light, dark = (ingredients._toned(*tones)(rng) for tones in ((1.0, 2.0), (7.0, 9.0)))
    assert dark.melanin > light.melanin


def test_the_renderer_is_left_as_it_was():
    places = ingredients.Backgrounds()
    mixture = ingredients.INGREDIENTS["all skin tones"].without
    assert mixture.replaced
    before = ingredients.looks.sample_skin
    rng = np.random.default_rng(0)
    few = replace(mixture, settings=replace(mixture.settings, contact=0.0, second_hand=0.0))
    (sample,) = few.render(rng, 1, places)
    assert len(sample.hands) == 1
    assert ingredients.looks.sample_skin is before
