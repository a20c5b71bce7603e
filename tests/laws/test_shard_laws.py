"""What is packed comes back: every field of a sample and of a label, to the digits kept."""

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from knuckle.camera import Camera
from knuckle.data import shards
from knuckle.hand import BONES, N_JOINTS, SIDES
from knuckle.sample import HandLabel, Sample

SIZE = (48, 64)
numbers = st.floats(-900, 900, width=32)
shares = st.floats(-1, 1, width=32) | st.just(np.nan)


def maybe(dtype, shape, elements):
    return st.none() | arrays(dtype, shape, elements=elements)


labels = st.builds(
    HandLabel,
    side=st.sampled_from(SIDES),
    joints_px=arrays(np.float64, (N_JOINTS, 2), elements=numbers),
    valid=arrays(bool, N_JOINTS),
    joints_mm=maybe(np.float64, (N_JOINTS, 3), numbers),
    visible=st.none() | arrays(bool, N_JOINTS),
    sigma_px=maybe(np.float64, N_JOINTS, st.floats(0, 50)),
    bone_depth=maybe(np.float64, len(BONES), shares),
)
boxes = st.integers(0, 2).flatmap(lambda n: arrays(np.float64, (n, 4), elements=numbers))
samples = st.builds(
    Sample,
    image=st.just(np.full((*SIZE, 3), 128, np.uint8)),  # JPEG keeps a flat picture
    hands=st.lists(labels, max_size=2).map(tuple),
    camera=st.none() | st.just(Camera(300.0, 310.0, 31.0, 23.0, distortion=(0.1, 0.0, 0.0, 0.0))),
    hand_map=st.none() | arrays(np.uint8, SIZE, elements=st.sampled_from([0, 1, 255])),
    ignore_xyxy=boxes,
    decoys_xyxy=boxes,
    complete=st.booleans(),
    key=st.text("ab./%_", min_size=1, max_size=8),
    group=st.text(max_size=5),
    license=st.sampled_from(["", "CC-BY-NC-4.0"]),
    derived=st.lists(st.sampled_from(["visible", "joints_mm"]), unique=True).map(tuple),
)


def members(sample):
    return {name.partition(".")[2]: content for name, content in shards._members(sample, 95)}


def assert_same(found, expected):
    for item in fields(expected):
        one, other = getattr(found, item.name), getattr(expected, item.name)
        if isinstance(other, np.ndarray):
            assert one.dtype == other.dtype, item.name
            np.testing.assert_allclose(one, other, atol=0.006, rtol=0, err_msg=item.name)
        elif item.name == "hands":
            for hand, true in zip(one, other, strict=True):
                assert_same(hand, true)
        else:
            assert one == other, item.name


@given(samples)
@settings(max_examples=40)
def test_every_field_comes_back(sample: Sample) -> None:
    assert_same(shards.decode(sample.key, members(sample)), sample)


@given(samples)
@settings(max_examples=20)
def test_what_came_back_is_packed_the_same(sample: Sample) -> None:
    packed = members(shards.decode(sample.key, members(sample)))
    assert packed == members(shards.decode(sample.key, packed))


@given(samples)
@settings(max_examples=10)
def test_shards_of_earlier_versions_are_read(sample: Sample) -> None:
    packed = members(sample)
    labels = json.loads(packed["json"])
    for name in ("decoys_xyxy", "derived"):
        del labels[name]
    for hand in labels["hands"]:
        del hand["bone_depth"]
    packed["json"] = json.dumps(labels).encode()
    found = shards.decode(sample.key, packed)
    assert len(found.decoys_xyxy) == 0 and found.derived == ()
    assert all(hand.bone_depth is None for hand in found.hands)


def test_keys_come_back_from_a_file(tmp_path: Path) -> None:
    sample = Sample(image=np.zeros((*SIZE, 3), np.uint8), hands=(), key="a/b.c%d")
    shards.write_shard(tmp_path / "one.tar", [sample])
    assert [each.key for each in shards.read_shard(tmp_path / "one.tar")] == ["a/b.c%d"]
