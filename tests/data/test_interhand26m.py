"""InterHand2.6M: layouts, selections, flaws, and the four real frames."""

import json
from pathlib import Path

import numpy as np
import pytest

from knuckle.data import interhand_index
from knuckle.data.datasets import open_dataset
from knuckle.data.interhand26m import InterHand26M, Selection, is_black
from knuckle.data.json_stream import BrokenDataError, MissingDataError
from miniatures import InterHandScene, draw, interhand_files, save, write_interhand

SCENE = InterHandScene({3: 3, 4: 0})


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    return tmp_path / "cache"


def open_one(root: Path, cache: Path, split: str = "train", **selection) -> InterHand26M:
    return InterHand26M(root, split, Selection(**selection), cache=cache)


@pytest.mark.parametrize("layout", ["v1.0", "v0.0", "re-packed"])
@pytest.mark.parametrize("nested", [True, False])
def test_every_layout_reads_the_same(
    tmp_path: Path, cache: Path, layout: str, nested: bool
) -> None:
    truth = write_interhand(tmp_path, SCENE, layout=layout, nested=nested)
    dataset = open_one(tmp_path, cache)
    assert dataset.release.layout == layout
    assert len(dataset) == len(truth) == 2 * 2 * 3 * 2
    for index in range(len(dataset)):
        record = dataset.record(index)
        hands = truth[int(record.key.removeprefix("train_"))]
        for label, hand in zip(record.hands, hands, strict=True):
            assert label.side == hand.side
            assert np.array_equal(label.valid, hand.valid)
            assert np.allclose(label.joints_mm[label.valid], hand.joints_mm[hand.valid], atol=1e-3)
            assert np.allclose(label.joints_px[label.valid], hand.joints_px[hand.valid], atol=1e-3)


def test_a_repacked_copy_is_one_split(tmp_path: Path, cache: Path) -> None:
    write_interhand(tmp_path, SCENE, layout="re-packed", split="test")
    assert len(open_one(tmp_path, cache, "test")) == 24
    with pytest.raises(MissingDataError, match="test_interhand"):
        open_one(tmp_path, cache, "train")
    assert len(open_dataset(tmp_path)) == 24
    for path in tmp_path.glob("*.json"):  # a name that tells no split
        path.rename(tmp_path / path.name.replace("test_", ""))
    assert len(open_one(tmp_path, cache, "train")) == 24


def test_unlabelled_joints_hold_no_coordinates(tmp_path: Path, cache: Path) -> None:
    write_interhand(tmp_path, SCENE)
    dataset = open_one(tmp_path, cache)
    for index in range(len(dataset)):
        for hand in dataset.record(index).hands:
            assert not hand.valid.all()  # the miniature loses one joint of every hand
            assert (hand.joints_mm[~hand.valid] == 0).all()
            assert (hand.joints_px[~hand.valid] == 0).all()


def test_the_archives_folder_is_found(tmp_path: Path, cache: Path) -> None:
    write_interhand(tmp_path, SCENE)
    inner = tmp_path / "InterHand2.6M_30fps_batch1"
    inner.mkdir()
    (tmp_path / "images").rename(inner / "images")
    dataset = open_one(tmp_path, cache)
    assert dataset[0].image.shape == (512, 334, 3)


def test_selections_by_hands_and_annotator(tmp_path: Path, cache: Path) -> None:
    truth = write_interhand(tmp_path, SCENE)
    assert len(open_one(tmp_path, cache, hands="single")) == 16
    assert len(open_one(tmp_path, cache, hands="two")) == 8
    human = list(truth)[:5]
    with pytest.raises(BrokenDataError, match=r"aid_human_annot_train\.txt"):
        open_one(tmp_path, cache, annotation="human")
    listed = tmp_path / "annotations" / "train" / "aid_human_annot_train.txt"
    listed.write_text("".join(f"{identity}\n" for identity in human))
    dataset = open_one(tmp_path, cache, annotation="human")
    assert {dataset.record(i).key for i in range(5)} == {f"train_{i}" for i in human}
    assert len(open_one(tmp_path, cache, annotation="machine")) == 24 - 5


def test_nothing_left_is_an_error_that_says_why(tmp_path: Path, cache: Path) -> None:
    write_interhand(tmp_path, InterHandScene({3: 3}, cameras=("400412",)))
    with pytest.raises(BrokenDataError, match="6 left out: its camera is turned or distorted"):
        open_one(tmp_path, cache)


def edit(path: Path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_flaws_are_dropped_and_reported(tmp_path: Path, cache: Path) -> None:
    write_interhand(tmp_path, InterHandScene({3: 3}, steps=tuple(range(0, 180, 18))))
    files = interhand_files(tmp_path, "train", "v1.0")

    def break_annotations(data: dict) -> None:
        kinds = [a["hand_type"] for a in data["annotations"]]
        data["annotations"][kinds.index("right")]["joint_valid"] = [[0]] * 42
        data["annotations"][kinds.index("interacting")]["joint_valid"][21:] = [[0]] * 21
        data["images"][10]["camera"] = "400999"

    def break_steps(joints: dict) -> None:
        steps = list(joints["3"])
        del joints["3"][steps[-1]]  # of the second sequence, seen by two cameras
        joints["3"][steps[-2]]["world_coord"][5] = [500.0, 0, 1000]
        joints["3"][steps[-2]]["world_coord"][26] = [500.0, 0, 1000]

    edit(files["data"], break_annotations)
    edit(files["joint_3d"], break_steps)
    dataset = open_one(tmp_path, cache)
    assert dataset.report.dropped == {
        "its camera is not in the camera file": 1,
        "its time step is not in the joint file": 2,
        "two hands of which one or both have no label": 1,
        "no valid joint": 1,
        "impossible bones in 3D": 2,
    }
    assert dataset.report.total - sum(dataset.report.dropped.values()) == len(dataset)
    official = InterHand26M(tmp_path, "train", Selection.official(), cache=cache)
    assert sum(official.report.dropped.values()) == 3  # only what cannot be read at all
    unlabelled = [
        official.record(i) for i in range(len(official)) if not official.record(i).complete
    ]
    assert len(unlabelled) == 2


def test_the_turned_camera_is_left_out(tmp_path: Path, cache: Path) -> None:
    write_interhand(tmp_path, InterHandScene({3: 3}, cameras=("400026", "400412")))
    assert len(open_one(tmp_path, cache)) == 6
    assert len(InterHand26M(tmp_path, "train", Selection.official(), cache=cache)) == 12


def test_black_pictures_are_passed_over_and_counted(tmp_path: Path, cache: Path) -> None:
    write_interhand(tmp_path, SCENE)
    dataset = open_one(tmp_path, cache)
    noise = np.random.default_rng(0).integers(0, 9, (512, 334, 3)).astype(np.uint8)
    save(dataset.record(4).path, noise)
    assert is_black(noise)
    assert not is_black(draw((512, 334), []))
    assert len(list(dataset)) == 23
    assert dataset.report.dropped == {"black picture": 1}
    assert dataset.report.kept == 23


def test_the_index_is_made_once_and_again_when_a_file_changes(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_interhand(tmp_path, SCENE)
    assert len(open_one(tmp_path, cache)) == 24
    made = []
    build = interhand_index.build_index
    monkeypatch.setattr(
        interhand_index, "build_index", lambda files: made.append(1) or build(files)
    )
    assert len(open_one(tmp_path, cache)) == 24
    assert made == []
    files = interhand_files(tmp_path, "train", "v1.0")
    edit(files["data"], lambda data: data["annotations"].pop())
    assert len(open_one(tmp_path, cache)) == 23
    assert made == [1]


def test_an_index_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    write_interhand(tmp_path / "set", SCENE)
    blocked = tmp_path / "a_file"
    blocked.write_text("")
    with pytest.raises(OSError, match="a_file"):
        open_one(tmp_path / "set", blocked / "cache")


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("data", lambda d: d["annotations"][3].update(joint_valid=[[1]] * 41), "41 entries"),
        ("data", lambda d: d["annotations"][3].update(hand_type="both"), "hand_type is 'both'"),
        ("data", lambda d: d["annotations"][3].update(bbox=[1, 2, 3]), r"shape \(4,\)"),
        ("data", lambda d: d["annotations"][3].pop("image_id"), "'image_id' is missing"),
        ("data", lambda d: d["annotations"][3].update(image_id=-5), "image_id -5 is not in images"),
        ("data", lambda d: d["images"][3].update(file_name=""), "file_name is ''"),
        ("data", lambda d: d["annotations"].clear(), "holds no annotation"),
        ("camera", lambda c: c["3"]["focal"].pop("400026"), "camera 400026: '400026' is missing"),
        (
            "joint_3d",
            lambda j: next(iter(j["3"].values()))["world_coord"].pop(),
            r"frame 8032: expected shape \(42, 3\)",
        ),
        (
            "joint_3d",
            lambda j: next(iter(j["3"].values()))["world_coord"].__setitem__(20, [0, 0, np.nan]),
            "frame 8032: a valid joint's world_coord is not finite",
        ),
    ],
)
def test_a_broken_record_is_named(
    tmp_path: Path, cache: Path, part: str, change, message: str
) -> None:
    write_interhand(tmp_path, SCENE)
    files = interhand_files(tmp_path, "train", "v1.0")
    edit(files[part], change)
    with pytest.raises(BrokenDataError, match=message) as error:
        open_one(tmp_path, cache)
    assert files[part].name in str(error.value)


def test_a_folder_that_is_not_interhand(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(BrokenDataError, match=r"is not InterHand2\.6M.*holiday\.jpg"):
        InterHand26M(tmp_path, "train")
    with pytest.raises(ValueError, match="train, val, test"):
        InterHand26M(tmp_path, "training")


def test_a_split_that_is_missing_is_told_beside_those_that_are_there(
    tmp_path: Path, cache: Path
) -> None:
    """Annotations are unpacked a split at a time: the folder was said to be no InterHand2.6M."""
    write_interhand(tmp_path, SCENE)
    with pytest.raises(MissingDataError, match=r"has train of Inter.* no val: .* --split train"):
        open_one(tmp_path, cache, "val")


# --------------------------------------------------------------------------------------------
# The four real frames
# --------------------------------------------------------------------------------------------
@pytest.fixture
def real(shared_data: Path, cache: Path) -> InterHand26M:
    return InterHand26M(shared_data / "interhand26m_sample", "test", cache=cache)


def test_the_real_frames_load(real: InterHand26M) -> None:
    assert [[hand.side for hand in real.record(i).hands] for i in range(len(real))] == [
        ["right", "left"],
        ["right", "left"],
        ["left"],
        ["right"],
    ]
    assert [sample.image.shape for sample in real] == [(512, 334, 3)] * 3 + [(334, 512, 3)]
    assert all(hand.valid.all() for i in range(4) for hand in real.record(i).hands)


def test_real_joints_lie_on_skin(real: InterHand26M) -> None:
    # The studio is dark and the hands are lit: joints fall on bright pixels, shifted ones do not.
    on, off = [], []
    for sample in real:
        grey = sample.image.mean(axis=2)
        for hand in sample.hands:
            x, y = np.round(hand.joints_px).astype(int).T
            on.append(grey[y, x])
            off.append(grey[np.clip(y + 130, 0, grey.shape[0] - 1), x])
    assert (np.concatenate(on) > 40).mean() > 0.95
    assert np.median(np.concatenate(on)) > 2 * np.median(np.concatenate(off))


def test_real_depth_is_that_of_the_studio(real: InterHand26M) -> None:
    depth = [hand.joints_mm[0, 2] for i in range(4) for hand in real.record(i).hands]
    assert min(depth) > 800
    assert max(depth) < 1300
