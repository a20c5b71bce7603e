"""The pair stage at work: whose hands it is for, and what its answer must not depend on."""

import json
from dataclasses import asdict, fields, replace

import numpy as np
import pytest
import torch

from fakes import open_hand
from knuckle.camera import Camera
from knuckle.crop import Crop, CropView
from knuckle.export import export
from knuckle.hand import N_JOINTS
from knuckle.models.pair import PairSettings
from knuckle.pose import Keypoints
from knuckle.pose.pair import find_pairs, place_pairs
from knuckle.pose.placement import Evidence, fuse, place
from knuckle.stages import Network
from knuckle.stages.pair import PairStage
from knuckle.train.kinds.pair import PairModule, PairRecipe

CAMERA = Camera(700.0, 700.0, 319.5, 239.5)
MIRROR = np.array([-1.0, 1.0, 1.0])


def network_of(module, folder):
    folder.mkdir(parents=True)
    half = {name: value.half() for name, value in module.state_dict().items()}
    module.load_state_dict({name: value.float() for name, value in half.items()})
    torch.save(half, folder / "weights.pt")
    (folder / "recipe.json").write_text(json.dumps(asdict(module.recipe)))
    (path,) = export(folder, folder / "out")
    return Network(path, "pair", threads=1)


def new_module():
    torch.manual_seed(0)
    return PairModule(PairRecipe(name="t", version="1", pair=PairSettings(32)))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(torch's module, the exported file) as if trained."""
    module = new_module()
    torch.nn.init.normal_(module.pair.out.weight, std=0.2)
    return module, network_of(module, tmp_path_factory.mktemp("trained") / "run")


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    return network_of(new_module(), tmp_path_factory.mktemp("untrained") / "run")


def two_hands(apart_mm=60.0, behind_mm=30.0, seed=0):
    """Keypoints, evidence and the truth (2, 21, 3) of a right and a left hand; not exact."""
    rng = np.random.default_rng(seed)
    true = np.stack(
        [
            open_hand("right", (-apart_mm / 2, 10, 500)),
            open_hand("left", (apart_mm / 2, 0, 500 + behind_mm)),
        ]
    )
    crops = tuple(
        Crop.from_joints(CAMERA.project(hand), side, out_size=128)
        for hand, side in zip(true, ("right", "left"), strict=True)
    )
    points = [crop.to_crop(CAMERA.project(hand)) for crop, hand in zip(crops, true, strict=True)]
    keypoints = replace(
        Keypoints.nothing(),
        crops=crops,
        points_crop=np.stack(points) + rng.normal(0, 1, (2, N_JOINTS, 2)),
        sigma_crop=rng.uniform(0.5, 2.0, (2, N_JOINTS)),
    )
    lifted = (true - true[:, :1]) * rng.normal(1, 0.08, (2, 1, 1))
    return keypoints, _evidence(keypoints, lifted, CAMERA), true


def _evidence(keypoints, lifted, camera):
    sigma_mm = np.linspace(3, 12, 2 * N_JOINTS).reshape(2, N_JOINTS)
    rays = camera.rays(keypoints.points_px)
    return Evidence(lifted, sigma_mm, rays, keypoints.sigma_px / camera.fx)


def _of(evidence, order):
    """The evidence of hands in another order."""
    return Evidence(*(getattr(evidence, field.name)[order] for field in fields(Evidence)))


def _take(keypoints, order):
    """What lifting asks of a look, in another order."""
    return replace(
        keypoints,
        crops=tuple(keypoints.crops[i] for i in order),
        points_crop=keypoints.points_crop[order],
        sigma_crop=keypoints.sigma_crop[order],
    )


def joints_of(network, keypoints, evidence, camera=CAMERA):
    """(N, 21, 3) as the pipeline makes them."""
    pairs = find_pairs(keypoints, evidence)
    offsets = PairStage(network)(keypoints, evidence, camera, pairs)
    return fuse(evidence, place_pairs(evidence, pairs, offsets))


def test_hands_near_each_other_are_a_pair():
    (pair,) = find_pairs(*two_hands()[:2])
    assert (pair.right, pair.left, pair.nearness) == (0, 1, 1.0)


def test_the_further_apart_the_less_is_changed():
    gaps = np.linspace(150, 600, 16)
    found = [find_pairs(*two_hands(gap)[:2]) for gap in gaps]
    nearness = [pairs[0].nearness if pairs else 0.0 for pairs in found]
    assert nearness[0] == 1.0
    assert nearness[-1] == 0.0
    assert np.all(np.diff(nearness) <= 0)
    assert np.any((np.array(nearness) > 0) & (np.array(nearness) < 1))


@pytest.mark.parametrize("which", ["far apart", "one far behind", "two right hands"])
def test_other_hands_are_no_pair(which):
    keypoints, evidence, _ = two_hands(
        apart_mm=600 if which == "far apart" else 60,
        behind_mm=800 if which == "one far behind" else 30,
    )
    if which == "two right hands":
        crops = tuple(replace(crop, mirror=False) for crop in keypoints.crops)
        keypoints = replace(keypoints, crops=crops)
    assert find_pairs(keypoints, evidence) == []


def test_a_hand_belongs_to_one_pair():
    keypoints, evidence, _ = two_hands()
    (pair,) = find_pairs(_take(keypoints, [0, 1, 1]), _of(evidence, [0, 1, 1]))
    assert pair.right == 0


def test_it_says_what_it_said_in_training(trained):
    module, network = trained
    keypoints, evidence, _ = two_hands()
    views = [CropView.of(crop, CAMERA) for crop in keypoints.crops]
    offsets = []
    for own, other in ((0, 1), (1, 0)):
        both, view = [own, other], views[own]
        rays = np.concatenate([evidence.rays[both], np.ones((2, N_JOINTS, 1))], axis=-1)
        rays = view.to_view(rays)
        per_px = np.array([views[i].rays_per_px for i in both])[:, None]
        values = (
            view.to_view(evidence.joints_root_mm[both]),
            evidence.sigma_mm[both],
            rays[..., :2] / rays[..., 2:],
            keypoints.sigma_crop[both] * per_px,
        )
        with torch.no_grad():
            said = module.pair(*(torch.from_numpy(v[None]).float() for v in values))
        turn = view.camera_from_view
        certainty = turn @ np.diag(np.exp(-2 * said.log_sigma_mm[0].numpy())) @ turn.T
        sign = 1 if own == 0 else -1
        offsets.append((certainty, sign * view.to_camera(said.apart_mm[0].numpy())))
    total = sum(certainty for certainty, _ in offsets)
    offset = np.linalg.solve(total, sum(certainty @ apart for certainty, apart in offsets))
    pairs = find_pairs(keypoints, evidence)
    (found,) = PairStage(network)(keypoints, evidence, CAMERA, pairs)
    np.testing.assert_allclose(found, offset, atol=0.1)
    alone = place(evidence)
    assert np.abs(found - (alone[1] - alone[0])).max() > 1.0


def test_the_order_of_the_hands_does_not_matter(trained):
    _, network = trained
    keypoints, evidence, _ = two_hands()
    one = joints_of(network, keypoints, evidence)
    other = joints_of(network, _take(keypoints, [1, 0]), _of(evidence, [1, 0]))
    np.testing.assert_allclose(one, other[::-1], atol=1e-2)


def test_the_mirrored_world_has_the_mirrored_answer(trained):
    _, network = trained
    keypoints, evidence, _ = two_hands()
    mirrored = tuple(
        replace(
            crop,
            centre_px=(2 * CAMERA.cx - crop.centre_px[0], crop.centre_px[1]),
            angle=-crop.angle,
            mirror=not crop.mirror,
        )
        for crop in keypoints.crops
    )
    seen = replace(keypoints, crops=mirrored)
    told = replace(
        evidence,
        joints_root_mm=evidence.joints_root_mm * MIRROR,
        rays=evidence.rays * MIRROR[:2],
    )
    np.testing.assert_allclose(seen.points_px[..., 1], keypoints.points_px[..., 1], atol=1e-9)
    one, other = joints_of(network, keypoints, evidence), joints_of(network, seen, told)
    np.testing.assert_allclose(one, other * MIRROR, atol=1e-2)


def test_before_training_it_says_what_each_hand_alone_says(untrained):
    keypoints, evidence, _ = two_hands()
    pairs = find_pairs(keypoints, evidence)
    (offset,) = PairStage(untrained)(keypoints, evidence, CAMERA, pairs)
    alone = place(evidence)
    np.testing.assert_allclose(offset, alone[1] - alone[0], atol=5.0)


def test_no_hand_changes_its_shape(trained):
    _, network = trained
    keypoints, evidence, _ = two_hands()
    alone = fuse(evidence, place(evidence))
    together = joints_of(network, keypoints, evidence)
    moved = together - alone
    assert np.abs(moved).max() > 1.0
    assert np.ptp(moved[..., 2], axis=1).max() < 1e-6  # in depth all joints of a hand go together


def test_the_offset_in_depth_is_kept_and_both_hands_stay_on_their_rays():
    keypoints, _, true = two_hands()
    exact = _evidence(keypoints, true - true[:, :1], CAMERA)
    offset = true[1, 0] - true[0, 0]
    pairs = find_pairs(keypoints, exact)
    roots = place_pairs(exact, pairs, offset[None])
    assert roots[1, 2] - roots[0, 2] == pytest.approx(offset[2])
    assert np.abs(CAMERA.project(roots) - CAMERA.project(true[:, 0])).max() < 3.0
    assert np.abs(roots - true[:, 0]).max() < 15.0


def test_hands_that_are_hardly_near_are_hardly_moved():
    keypoints, evidence, _ = two_hands()
    (pair,) = find_pairs(keypoints, evidence)
    alone = place(evidence)
    wanted = np.array([[60.0, 0.0, 150.0]])
    moved = [
        np.abs(place_pairs(evidence, [replace(pair, nearness=share)], wanted) - alone).max()
        for share in (0.01, 0.1, 1.0)
    ]
    assert moved[0] < moved[1] < moved[2]
    assert moved[0] < 2.0
