"""What looks like a hand and is none: packed, marked, and shown to the networks."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from knuckle.codec import DetectionCodec, HeatmapCodec
from knuckle.data.hand_free import pack_hand_free
from knuckle.data.photographs import HAND_FREE_HELD_BACK, PhotographStore
from knuckle.hand import N_JOINTS
from knuckle.sample import HandLabel, Sample
from knuckle.train.examples import empty_crop_example
from knuckle.train.frame_examples import frame_example
from knuckle.train.recipe import AugmentSettings
from knuckle.train.weights import finished_detector

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from decoys import decoys_of

WEIGHTS = Path(__file__).parents[2] / "src/knuckle/weights"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures of a folder that is held back, one of another."""
    rng = np.random.default_rng(0)
    for name in (f"{HAND_FREE_HELD_BACK[0]}/a.jpg", f"{HAND_FREE_HELD_BACK[0]}/b/c.png", "x/d.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), rng.integers(0, 256, (60, 80, 3), dtype=np.uint8))
    return tmp_path


def test_folders_of_hand_free_pictures_are_held_back_whole(folder: Path) -> None:
    store = pack_hand_free(folder)
    held_back = {str(store.keys[i]) for i in store.part("validation")}
    assert held_back == {f"{HAND_FREE_HELD_BACK[0]}-a", f"{HAND_FREE_HELD_BACK[0]}-b-c"}
    assert [str(store.keys[i]) for i in store.part("train")] == ["x-d"]
    sample = store.decode(0)
    assert sample.complete and not sample.hands and sample.image.shape == (60, 80, 3)


def test_a_folder_without_pictures_and_a_broken_picture_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no pictures"):
        pack_hand_free(tmp_path)
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"broken\.jpg cannot be read"):
        pack_hand_free(tmp_path)


def test_decoys_come_back_from_the_store(folder: Path, tmp_path: Path) -> None:
    boxes = [np.array([[1, 2, 30, 40.0]]), np.zeros((0, 4)), np.array([[5, 5, 9, 9], [0, 0, 4, 4]])]
    pack_hand_free(folder).with_decoys(boxes).save(tmp_path / "store.npz")
    store = PhotographStore.load(tmp_path / "store.npz")
    for i, expected in enumerate(boxes):
        np.testing.assert_array_equal(store.decode(i).decoys_xyxy, expected)


def test_only_some_data_sets_of_a_store(folder: Path) -> None:
    store = pack_hand_free(folder)
    assert len(store.part("validation", ("no_hands",))) == 2
    with pytest.raises(ValueError, match="no pictures of"):
        store.part("train", ("elsewhere",))


def decoy_sample(box: tuple[float, ...], hands: tuple[HandLabel, ...] = ()) -> Sample:
    """A black picture with a white square where the decoy is."""
    image = np.zeros((200, 300, 3), np.uint8)
    x0, y0, x1, y1 = map(int, box)
    image[y0:y1, x0:x1] = 255
    return Sample(image=image, hands=hands, decoys_xyxy=np.array([box]), key="decoy")


def test_crops_without_a_hand_show_mostly_what_fools() -> None:
    sample, rng = decoy_sample((200, 100, 240, 140)), np.random.default_rng(0)
    shown = []
    for _ in range(40):
        example = empty_crop_example(sample, rng, HeatmapCodec(64, 16))
        assert example is not None and example["present"] == 0 and example["mask"].max() == 0
        shown.append(example["image"][24:40, 24:40].mean() > 200)
    assert 0.5 < np.mean(shown) < 1


def test_the_detector_is_shown_decoys_from_close_by_and_told_that_nothing_is_there() -> None:
    sample, rng = decoy_sample((200, 100, 220, 120)), np.random.default_rng(0)
    still, codec = AugmentSettings(), DetectionCodec(128, 16)
    examples = [frame_example(sample, rng, still, codec) for _ in range(40)]
    assert all(e["peaks"].max() == 0 and e["peak_weight"].min() == 1 for e in examples)
    large = [(e["image"] > 200).all(axis=-1).mean() > 0.03 for e in examples]  # 0.4 % of the frame
    assert 0.2 < np.mean(large) < 0.8


def test_no_decoy_near_a_labelled_hand_or_where_hands_may_be() -> None:
    detector = finished_detector(WEIGHTS / "detector.onnx")
    path = Path(__file__).parents[2] / "src/knuckle/demo/hands.mp4"
    image = cv2.cvtColor(cv2.VideoCapture(str(path)).read()[1], cv2.COLOR_BGR2RGB)
    found = decoys_of(detector, Sample(image=image, hands=(), key="unlabelled"))
    assert len(found)  # the demo clip does show hands: unlabelled, they are what fools
    hands = tuple(
        HandLabel(side="left", joints_px=np.linspace(box[:2], box[2:], N_JOINTS)) for box in found
    )
    assert not len(decoys_of(detector, Sample(image=image, hands=hands, key="labelled")))
    ignored = Sample(image=image, hands=(), ignore_xyxy=found, key="ignored")
    assert not len(decoys_of(detector, ignored))
    incomplete = Sample(image=image, hands=(), complete=False, key="incomplete")
    assert not len(decoys_of(detector, incomplete))
