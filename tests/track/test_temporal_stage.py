"""The temporal stage at work: the numbers of training, whatever the camera, side and frame rate."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from knuckle.camera import Camera
from knuckle.crop import Crop, CropView
from knuckle.export import export
from knuckle.hand import N_JOINTS
from knuckle.models.temporal import TemporalSettings, TemporalState
from knuckle.pose import Keypoints, LiftedJoints
from knuckle.runtime import Network
from knuckle.track.temporal import TemporalStage
from knuckle.train.modules import TemporalModule, turned
from knuckle.train.recipe import Recipe

CAMERA = Camera.from_fov(640, 480, 65.0)
FRAMES = 4


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(torch's stage, the exported file)."""
    torch.manual_seed(0)
    recipe = Recipe("temporal", "t", version="1", temporal=TemporalSettings(32))
    module = TemporalModule(recipe)
    torch.nn.init.normal_(module.temporal.out.weight, std=0.05)
    run = tmp_path_factory.mktemp("run")
    half = {name: value.half() for name, value in module.state_dict().items()}
    module.load_state_dict({name: value.float() for name, value in half.items()})
    torch.save(half, run / "weights.pt")
    (run / "recipe.json").write_text(json.dumps(asdict(recipe)))
    (path,) = export(run, run / "out")
    return module.temporal, Network(path, "temporal", threads=1)


def looks(seed, mirror=False):
    """One hand over FRAMES frames: keypoints and lifted joints, each from another crop."""
    rng = np.random.default_rng(seed)
    hands = []
    for t in range(FRAMES):
        crop = Crop((300.0 + 9 * t, 250.0 - 5 * t), 150.0 + t, 0.2 * t, mirror, 128)
        keypoints = replace(
            Keypoints.nothing(),
            crops=(crop,),
            points_crop=rng.uniform(20, 108, (1, N_JOINTS, 2)).astype(np.float32),
            sigma_crop=np.full((1, N_JOINTS), 2.0, np.float32),
        )
        joints = rng.normal(0, 40, (1, N_JOINTS, 3))
        joints -= joints[:, :1]
        hands.append((keypoints, LiftedJoints(joints, np.full((1, N_JOINTS), 8.0, np.float32))))
    return hands


def follow(network, hands, dt_s=1 / 30):
    stage, past, refined = TemporalStage(network), None, []
    for t, (keypoints, lifted) in enumerate(hands):
        said, (past,) = stage(keypoints, lifted, CAMERA, [past], t * dt_s)
        refined.append(said.joints_root_mm[0])
    return np.array(refined)


@pytest.mark.parametrize("mirror", [False, True])
def test_it_says_what_it_said_in_training(trained, mirror):
    module, network = trained
    hands = looks(1, mirror)
    state, last, expected = None, None, []
    for keypoints, lifted in hands:
        view = CropView.of(keypoints.crops[0], CAMERA)

        def tensor(values):
            return torch.as_tensor(np.asarray(values, np.float32))[None]

        joints = tensor(view.to_view(lifted.joints_root_mm[0]))
        if state is None:
            state = module.begin(joints)
        else:
            relative = view.camera_from_view.T @ last.camera_from_view
            state = turned(TemporalState(*state), tensor(relative))
        with torch.no_grad():
            state = module(
                joints,
                tensor(lifted.sigma_mm[0]),
                tensor(view.rays(keypoints.points_crop[0])),
                tensor(keypoints.sigma_crop[0] * view.rays_per_px),
                torch.full((1, 1), 1 / 30),
                state,
            ).state
        last = view
        expected.append(view.to_camera(state.joints_mm[0].numpy().astype(np.float64)))
    np.testing.assert_allclose(follow(network, hands), expected, atol=0.05)


def test_hands_of_a_frame_do_not_mix(trained):
    _, network = trained
    one, other = looks(1), looks(2, mirror=True)
    together = [
        (
            replace(
                a,
                crops=a.crops + b.crops,
                points_crop=np.concatenate([a.points_crop, b.points_crop]),
                sigma_crop=np.concatenate([a.sigma_crop, b.sigma_crop]),
            ),
            LiftedJoints(
                np.concatenate([la.joints_root_mm, lb.joints_root_mm]),
                np.concatenate([la.sigma_mm, lb.sigma_mm]),
            ),
        )
        for (a, la), (b, lb) in zip(one, other, strict=True)
    ]
    stage, pasts, both = TemporalStage(network), [None, None], []
    for t, (keypoints, lifted) in enumerate(together):
        said, pasts = stage(keypoints, lifted, CAMERA, pasts, t / 30)
        both.append(said.joints_root_mm)
    both = np.array(both)
    np.testing.assert_allclose(both[:, 0], follow(network, one), atol=1e-2)
    np.testing.assert_allclose(both[:, 1], follow(network, other), atol=1e-2)


def test_a_stale_past_is_none(trained):
    _, network = trained
    hands = looks(3)
    late = follow(network, hands, dt_s=2.0)
    alone = [follow(network, [hand])[0] for hand in hands]
    np.testing.assert_allclose(late, alone, atol=1e-3)
    assert np.abs(follow(network, hands)[1:] - alone[1:]).max() > 1.0
