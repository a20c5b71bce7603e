import json
import lzma
from pathlib import Path

import cv2
import numpy as np
import pytest

from knuckle.data import photograph_labels, photograph_packing, photographs
from knuckle.data.convention import own_joints
from knuckle.data.photograph_packing import Packing
from knuckle.data.photographs import PhotographStore
from knuckle.hand import in_picture

#: What the teacher says of the photographs.
LABELS = Path(__file__).resolve().parents[2] / "recipes" / "labels.json.xz"

#: Places of 21 dots, apart enough to be found again after JPEG.
DOTS = np.array([[x, y] for y in (0, 30, 60) for x in range(0, 210, 30)], dtype=float)


def draw(path, width: int, height: int, hands: list[np.ndarray]) -> None:
    image = np.full((height, width, 3), 40, np.uint8)
    for joints in hands:
        for x, y in joints:
            cv2.circle(image, (round(x), round(y)), 4, (255, 255, 255), -1)
    path.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(path), image)


def record(dataset: str, file: str, hands: list[np.ndarray], **more) -> dict:
    return {
        "dataset": dataset,
        "file": file,
        "frame": None,
        "width": 640,
        "height": 480,
        "hands": [
            {
                "side": side,
                "joints_px": joints.tolist(),
                "spread_px": [2.0] * 21,
                "world_mm": np.arange(63).reshape(21, 3).tolist(),
                "score": 0.9,
            }
            for joints, side in zip(hands, ("left", "right"), strict=False)
        ],
        "uncertain": [],
        "faces": [],
        "complete": True,
    } | more


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> dict[str, PhotographStore]:
    """The stores made from a picture with two hands and a face, and one with none."""
    root = tmp_path_factory.mktemp("photos")
    two = [DOTS + np.array([30, 60]), DOTS * 0.9 + np.array([380, 300])]
    draw(root / "photos_finger_count" / "x_pic00007.jpg", 640, 480, two)
    draw(root / "photos_gesture_room" / "none.jpg", 640, 480, [])
    records = [
        record(
            "photos_finger_count",
            "x_pic00007.jpg",
            two,
            uncertain=[[20, 200, 120, 300]],
            faces=[[420, 20, 500, 110], [100, 210, 180, 290]],
        ),
        record("photos_gesture_room", "none.jpg", [], complete=False),
    ]
    (root / "labels.json").write_text(json.dumps({"records": records}))
    photograph_packing.pack(root / "labels.json", root, root / "out")
    return {
        name: PhotographStore.load(root / "out" / f"{name}.npz")
        for name in ("crops", "frames", "handless")
    }


def assert_dots_at(image: np.ndarray, joints: np.ndarray, spacing: float) -> None:
    """The blob around every labelled joint that lies inside has its centroid there."""
    bright = np.clip(image.astype(float).mean(axis=2) - 120, 0, None)
    reach = int(spacing / 2)
    inside = [
        (x, y)
        for x, y in joints
        if reach <= x < image.shape[1] - reach and reach <= y < image.shape[0] - reach
    ]
    assert len(inside) >= 15
    for x, y in inside:
        left, top = int(x) - reach, int(y) - reach
        patch = bright[top : top + 2 * reach + 1, left : left + 2 * reach + 1]
        rows, columns = np.mgrid[: patch.shape[0], : patch.shape[1]]
        found = (patch * columns).sum() / patch.sum(), (patch * rows).sum() / patch.sum()
        np.testing.assert_allclose((left + found[0], top + found[1]), (x, y), atol=0.5)


def test_labels_lie_on_what_they_label_in_crops_and_frames(packed):
    crops, frames = packed["crops"], packed["frames"]
    for k in range(2):
        image, joints = crops.decode(k).image, crops.joints_px[crops.hands_of(k)][0]
        assert max(image.shape) == Packing().crop_px
        size = np.ptp(joints, axis=0).max()
        assert size == pytest.approx(Packing().crop_px / Packing().crop_margin, rel=0.01)
        assert_dots_at(image, joints, spacing=size / 6)
    image = frames.decode(0).image
    assert image.shape == (240, 320, 3)
    for joints in frames.joints_px[frames.hands_of(0)]:
        assert_dots_at(image, joints, spacing=13)


def test_a_part_of_a_picture_is_seen_as_the_camera_of_the_whole_one_sees_it(packed):
    crops, frames = packed["crops"], packed["frames"]
    whole = {str(key): frames.decode(i) for i, key in enumerate(frames.keys)}
    compared = 0
    for i, key in enumerate(crops.keys):
        picture, _, hand = str(key).rpartition("-")
        if picture not in whole:
            continue
        crop, frame = crops.decode(i), whole[picture]
        rays = crop.camera.rays(crop.hands[0].joints_px)
        expected = frame.camera.rays(frame.hands[int(hand)].joints_px)
        assert np.allclose(rays, expected, atol=2e-3)
        compared += 1
    assert compared


def test_labels_are_handed_out_in_the_projects_own_convention(packed):
    frames = packed["frames"]
    for hand, joints in zip(
        frames.decode(0).hands, frames.joints_px[frames.hands_of(0)], strict=True
    ):
        np.testing.assert_array_equal(hand.joints_px, own_joints(joints))


def test_every_field_of_the_record_arrives(packed):
    frame = packed["frames"].decode(0)
    assert [hand.side for hand in frame.hands] == ["left", "right"]
    np.testing.assert_allclose(frame.hands[0].sigma_px, 1.0)  # 2 px at half the size
    np.testing.assert_allclose(frame.ignore_xyxy, [[9.75, 99.75, 59.75, 149.75]], atol=0.01)
    hands = packed["frames"].hands_of(0)
    np.testing.assert_array_equal(packed["frames"].world_mm[hands][1], np.arange(63).reshape(21, 3))
    assert frame.complete
    empty = packed["frames"].decode(1)
    assert empty.hands == ()
    assert not empty.complete


def test_a_hand_that_reaches_into_a_crop_stays_labelled(tmp_path):
    """What is not labelled in a complete picture is taught to be no hand."""
    reach = (np.ptp(DOTS, axis=0).max() * Packing().crop_margin) / 2  # of the first hand's crop
    middle = (DOTS.min(axis=0) + DOTS.max(axis=0)) / 2
    two = [DOTS + 60, DOTS + 60 + middle + (reach - 70, 0) - DOTS.min(axis=0)]
    draw(tmp_path / "photos_finger_count" / "x_pic00001.jpg", 640, 480, two)
    records = [record("photos_finger_count", "x_pic00001.jpg", two)]
    (tmp_path / "labels.json").write_text(json.dumps({"records": records}))
    photograph_packing.pack(tmp_path / "labels.json", tmp_path, tmp_path)
    crop = PhotographStore.load(tmp_path / "crops.npz").decode(0)
    assert [hand.side for hand in crop.hands] == ["left", "right"]
    inside = in_picture(crop.hands[1].joints_px, crop.image.shape[1::-1])
    assert 0 < inside.mean() < 0.5


def test_crops_without_hands_show_none_and_no_doubt(packed):
    keys = [str(key) for key in packed["handless"].keys]
    assert any("x_pic00007-none0" in key for key in keys)  # the free face
    assert not any("x_pic00007-none1" in key for key in keys)  # the one on a doubtful place
    for i in range(len(packed["handless"])):
        sample = packed["handless"].decode(i)
        assert sample.hands == ()
        assert sample.image.max() < 120  # none of the white dots


def test_a_group_is_never_split_and_the_share_is_kept():
    groups = np.array([f"set/{i // 3}" for i in range(6000)])
    held_back = np.array([photographs.is_validation(g) for g in groups])
    assert 0.03 < held_back.mean() < 0.07
    by_group = held_back.reshape(-1, 3)
    assert (by_group.all(axis=1) | ~by_group.any(axis=1)).all()


def test_people_who_signed_ten_digits_in_a_row_stay_together():
    shots = [(0, 1118), (1, 1119), (9, 1127), (0, 1128), (3, 1130), (2, 1140)]
    records = [
        {"dataset": "photos_sign_digits", "file": f"{digit}__IMG_{number}.jpg"}
        for digit, number in shots
    ]
    people = photograph_labels._people_of_sign_digits(records)
    assert [people[r["file"]] for r in records] == [0, 0, 0, 1, 1, 2]


def test_neighbours_in_a_burst_and_both_cameras_share_a_group():
    def group(file: str, frame: int | None = None) -> str:
        return photograph_labels._group({"dataset": "d", "file": file, "frame": frame}, {})

    assert group("a_pic00001.jpg") == group("a_pic00019.jpg") != group("a_pic00020.jpg")
    assert group("cam0.mp4", 12) == group("cam1.mp4", 12) != group("cam0.mp4", 120)


def test_a_file_that_is_no_store_is_refused_with_the_way_out(tmp_path):
    np.savez(tmp_path / "x.npz", jpeg=np.zeros(3))
    with pytest.raises(ValueError, match=r"not a store of photographs.*pack it again"):
        PhotographStore.load(tmp_path / "x.npz")


def test_packed_labels_are_read_as_plain_ones(tmp_path):
    labels = {"records": [record("photos_finger_count", "a.jpg", [DOTS])]}
    plain, packed = tmp_path / "labels.json", tmp_path / "labels.json.xz"
    plain.write_text(json.dumps(labels))
    packed.write_bytes(lzma.compress(plain.read_bytes()))
    assert photograph_labels.read_labels(packed) == photograph_labels.read_labels(plain) == labels


def test_the_labels_of_the_project_fit_the_photographs(shared_data):
    """Every labelled file is there once, and a picture of each set as large as was labelled."""
    records = photograph_labels.read_labels(LABELS)["records"]
    assert len({(f"{r['dataset']}/{r['file']}", r["frame"]) for r in records}) == len(records)
    assert sum(len(record["hands"]) for record in records) > 9000
    first = {record["dataset"]: record for record in reversed(records) if record["frame"] is None}
    for record in records:
        assert (shared_data / record["dataset"] / record["file"]).exists()
    for record in first.values():
        image = cv2.imread(str(shared_data / record["dataset"] / record["file"]))
        assert image.shape == (record["height"], record["width"], 3)
