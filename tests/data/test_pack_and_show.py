"""Packed shards say what the data set says; overlays draw it."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from knuckle.data import shards
from knuckle.data.datasets import open_dataset
from knuckle.data.labelled import LabelledSet
from knuckle.data.pack import PackSettings, crops_of, pack
from knuckle.data.rhd import Rhd
from knuckle.data.show import contact_sheet, overlay, write_contact_sheet
from knuckle.draw import SIDE_COLOURS
from knuckle.sample import UNKNOWN, HandLabel, Sample
from miniatures import COLOURS, InterHandScene, write_folder, write_interhand, write_rhd


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def own(tmp_path: Path) -> LabelledSet:
    write_folder(tmp_path / "own")
    return open_dataset(tmp_path / "own", "train")


def test_crops_carry_labels_camera_and_masks_along(own: LabelledSet) -> None:
    settings = PackSettings(size_px=160)
    for sample in own:
        crops = list(crops_of(sample, settings))
        assert [crop.key for crop in crops] == [f"{sample.key}_left0", f"{sample.key}_right1"]
        for number, crop in enumerate(crops):
            hand, original = crop.hands[0], sample.hands[number]
            assert hand.side == original.side
            assert crop.image.shape == (160, 160, 3)
            valid = hand.valid
            assert np.allclose(
                crop.camera.project(hand.joints_mm[valid]), hand.joints_px[valid], atol=0.01
            )
            box = hand.joints_px[valid].max(axis=0) - hand.joints_px[valid].min(axis=0)
            assert box.max() == pytest.approx(160 / settings.margin)
            x, y = np.round(hand.joints_px[valid]).astype(int).T
            assert (crop.hand_map[y, x] == 1).mean() > 0.4  # its own hand comes first
            assert len(crop.hands) == 2
            colours = np.array(COLOURS[hand.side])[valid]
            near = np.abs(crop.image[y, x].astype(int) - colours).max(axis=1) < 70
            assert near.mean() > 0.5  # the dots went where the labels went (some are covered)


def test_splits_go_into_one_folder(tmp_path: Path) -> None:
    write_interhand(tmp_path / "set", InterHandScene({c: c for c in range(4)}, steps=(0, 18)))
    out = tmp_path / "out"
    parts = [open_dataset(tmp_path / "set", f"70/15/15:{name}") for name in ("train", "test")]
    names = [path.name for part in parts for path in pack(part, out)]
    assert names == [f"interhand26m-70-15-15-{name}-000000.tar" for name in ("train", "test")]
    keys = {record.key for part in parts for record in map(part.record, range(len(part)))}
    packed = {sample.key.rpartition("_")[0] for sample in shards.read(sorted(out.glob("*")))}
    assert packed <= keys and len(packed) > len(parts[0])


def test_shards_read_back_and_are_kept(own: LabelledSet, tmp_path: Path) -> None:
    seen = []
    settings = PackSettings(per_shard=3)
    paths = pack(own, tmp_path / "out", settings, on_progress=lambda *done: seen.append(done))
    assert seen == [(1, 2), (2, 2)]
    samples = list(shards.read(paths))
    assert len(samples) == 2 * len(own)
    assert len({sample.key for sample in samples}) == len(samples)
    assert samples[0].group == own.record(0).group
    assert samples[0].hands[0].joints_mm is not None
    paths[1].unlink()
    before = paths[0].stat().st_mtime_ns
    pack(own, tmp_path / "out", settings)
    assert paths[0].stat().st_mtime_ns == before
    assert len(list(shards.read(paths))) == len(samples)


def test_two_processes_pack_the_same(own: LabelledSet, tmp_path: Path) -> None:
    one = pack(own, tmp_path / "one", PackSettings(per_shard=2))
    two = pack(own, tmp_path / "two", PackSettings(per_shard=2, processes=2))
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in two]


def test_whole_frames_leave_out_hands_without_labels(tmp_path: Path) -> None:
    root = tmp_path / "set"
    write_interhand(root, InterHandScene({3: 3}, sequences=("a",), steps=(0, 18, 36)), split="test")
    dataset = open_dataset(root, "test")
    dataset.index.columns["joint_valid"] = dataset.index["joint_valid"].copy()
    row = int(np.flatnonzero(dataset.index["hand_type"] == 2)[0])
    dataset.index.columns["joint_valid"][row, 21:] = False  # as if the left hand had no label
    paths = pack(dataset, tmp_path / "out", PackSettings(what="frames"))
    samples = list(shards.read(paths))
    assert len(samples) == len(dataset)
    lost = samples[row]
    assert [hand.side for hand in lost.hands] == ["right"]
    assert not lost.complete
    assert [sample.complete for sample in samples].count(False) == 1
    crops = list(shards.read(pack(dataset, tmp_path / "crops", PackSettings())))
    assert len(crops) == sum(len(sample.hands) for sample in samples)


def test_a_disk_that_fills_is_one_sentence(
    own: LabelledSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, samples, *, quality: int) -> int:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".partial").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("knuckle.data.pack.write_shard", full)
    with pytest.raises(OSError, match=r"folder-train-000000\.tar cannot be written \(No space"):
        pack(own, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_bad_settings() -> None:
    with pytest.raises(ValueError, match="'crops' or 'frames'"):
        PackSettings(what="videos")
    with pytest.raises(ValueError, match="per_shard must be at least 1"):
        PackSettings(per_shard=0)


def test_an_overlay_draws_bones_in_the_colour_of_the_side(own: LabelledSet) -> None:
    sample = own[0]
    drawn = overlay(sample, scale=3)
    assert drawn.shape == (720, 960, 3)
    for hand in sample.hands:
        x, y = np.round((hand.joints_px[hand.valid] + 0.5) * 3 - 0.5).astype(int).T
        colour = SIDE_COLOURS[hand.side]
        assert (np.abs(drawn[y, x].astype(int) - colour).max(axis=1) < 20).mean() > 0.6
    assert (sample.image == own[0].image).all()  # the sample's own pixels are untouched


def test_contact_sheets(own: LabelledSet, tmp_path: Path) -> None:
    assert contact_sheet(own, [0, 1, 2], columns=2, tile=100).shape == (200, 200, 3)
    path = write_contact_sheet(own, tmp_path / "sheets" / "sheet.png", count=3)
    assert path.stat().st_size > 1000


def test_beyond_the_border_a_packed_hand_goes_on_in_picture_and_mask() -> None:
    joints = np.column_stack([np.linspace(2.0, 40, 21), np.linspace(5.0, 60, 21)])
    whole = Sample(
        image=np.full((64, 48, 3), 200, np.uint8),
        hands=(HandLabel(side="right", joints_px=joints),),
        hand_map=np.ones((64, 48), np.uint8),
        key="k",
    )
    (crop,) = crops_of(whole, PackSettings(size_px=64, margin=2.0))
    assert (crop.image > 190).all() and (crop.hand_map == 1).all()


def test_of_a_hand_of_rhd_that_is_hardly_there_the_mask_is_unknown(tmp_path: Path) -> None:
    write_rhd(tmp_path)
    path = tmp_path / "training" / "anno_training.pickle"
    labels = pickle.loads(path.read_bytes())
    labels[0]["uv_vis"][:21, 0] -= 900  # all joints of the left hand, not what is seen of it
    before = Rhd(tmp_path)[0]
    path.write_bytes(pickle.dumps(labels, protocol=2))
    after = Rhd(tmp_path)[0]
    assert [hand.side for hand in after.hands] == ["right"]
    assert (after.hand_map[before.hand_map == 1] == UNKNOWN).all()
    assert ((after.hand_map == 1) == (before.hand_map == 2)).all()
