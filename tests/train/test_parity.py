"""Training shows the lifter what inference shows it."""

from types import SimpleNamespace

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from knuckle.camera import Camera
from knuckle.codec import HeatmapCodec
from knuckle.crop import Crop, CropView
from knuckle.sample import HandLabel, Sample
from knuckle.stages.lifter import Lifter
from knuckle.train.examples import crop_example
from knuckle.train.kinds.keypoints import rays_of
from knuckle.train.losses import ray_sigma
from knuckle.train.recipe import AugmentSettings

STILL = AugmentSettings(0, 0, 0, turned=0, other_side=0, no_hand=0, faults=0, cutout=0)
CODEC = HeatmapCodec(64, 16)
FLAT = np.array([[0, 0]] + [[x * k, -20 - 9 * k] for x in (-12, -5, 0, 5, 9) for k in range(1, 5)])


def as_inference_sees(points, sigma, crop, camera):
    """The inputs of the lifter's network."""
    seen = {}

    def network(**inputs):
        seen.update(inputs)
        return {"joints_mm": np.zeros((1, 21, 3)), "sigma_mm": np.zeros((1, 21))}

    stage = object.__new__(Lifter)
    stage._network = network
    stage(
        SimpleNamespace(
            crops=(crop,), points_crop=points[None], sigma_crop=sigma[None], features=None
        ),
        camera,
    )
    return seen["rays"], seen["sigma"]


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10_000), st.sampled_from(["left", "right"]),
    st.floats(-3, 3), st.tuples(st.floats(0, 1), st.floats(0, 1)), st.floats(100, 900),
)  # fmt: skip
def test_the_lifter_sees_the_same_in_training_as_in_inference(seed, side, turn, place, focal):
    """Anywhere in the frame, through any lens: directions, and how sure they are."""
    rng = np.random.default_rng(seed)
    camera = Camera(focal, focal, 159.5, 119.5)
    cos, sin = np.cos(turn), np.sin(turn)
    joints = FLAT @ np.array([[cos, sin], [-sin, cos]]) + np.multiply(place, (320, 240))
    hand = HandLabel(side=side, joints_px=joints)
    sample = Sample(image=np.zeros((240, 320, 3), np.uint8), hands=(hand,), camera=camera, key="k")
    example = crop_example(sample, 0, rng, STILL, CODEC)
    batch = {name: torch.from_numpy(np.array(value))[None] for name, value in example.items()}
    points = rng.uniform(0, 63, (21, 2)).astype(np.float32)
    log_sigma = rng.normal(0, 1, 21).astype(np.float32)
    said = SimpleNamespace(
        keypoints_px=torch.from_numpy(points)[None], log_sigma_px=torch.from_numpy(log_sigma)[None]
    )
    crop = Crop.from_joints(joints, side, out_size=CODEC.input_size)
    expected = as_inference_sees(points, np.exp(log_sigma), crop, camera)
    for trained, inferred in zip(rays_of(said, batch), expected, strict=True):
        np.testing.assert_allclose(trained.numpy(), inferred, rtol=1e-3, atol=1e-5)


def test_sigma_of_two_hands_in_a_crop_is_that_of_one():
    view = CropView.of(Crop((20.0, 200.0), 90.0), Camera(200.0, 200.0, 159.5, 119.5))
    batch = {"rays_per_px": torch.tensor([view.rays_per_px])}
    sigma = ray_sigma(torch.zeros(1, 2, 21), batch)
    torch.testing.assert_close(sigma, torch.full((1, 2, 21), view.rays_per_px))
