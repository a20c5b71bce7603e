"""What every reader in ``DATASETS`` must get right, tried on a miniature of its format."""

import codecs
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from captures import write_capture_with_dots
from knuckle.data.datasets import DATASETS, open_dataset, recognise
from knuckle.data.json_stream import BrokenDataError
from knuckle.data.labelled import LabelledSet
from knuckle.hand import Joint, bone_lengths, joint_angles
from miniatures import COLOURS, MINIATURES, Truth

#: Every data set, and the project's own capture in InterHand2.6M's format.
WRITERS = {**MINIATURES, "capture": (write_capture_with_dots, "test")}


@pytest.fixture(params=[*DATASETS, "capture"], scope="module")
def miniature(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, LabelledSet, list[list[Truth]]]]:
    """Folder, reader and truth; a test that breaks a file mends it again."""
    write, split = WRITERS[request.param]
    root = tmp_path_factory.mktemp(request.param)
    truth = write(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield root, open_dataset(root, split), truth


def test_it_is_recognised_by_its_files(miniature) -> None:
    root, dataset, _ = miniature
    assert DATASETS[recognise(root)] is type(dataset)
    assert dataset.name == recognise(root)
    assert dataset.split in type(dataset).splits


def test_the_folder_around_it_says_where_it_is(miniature, tmp_path: Path) -> None:
    root, dataset, _ = miniature
    (tmp_path / "unpacked").symlink_to(root, target_is_directory=True)
    with pytest.raises(BrokenDataError, match=rf"unpacked is {dataset.name}: give that folder"):
        recognise(tmp_path)


def test_a_folder_in_it_says_where_it_is(miniature) -> None:
    root, dataset, _ = miniature
    for inner in root.glob("**/"):
        if type(dataset).is_at(inner):  # its own, and where labels may lie alone
            continue
        with pytest.raises(BrokenDataError, match="none of their label files") as told:
            recognise(inner)
        near = len(inner.relative_to(root).parts) <= 2  # as far as labels lie
        advice = f"it lies in {root.resolve()}, which is {dataset.name}: give that folder"
        assert str(told.value).endswith(advice) == near


def test_what_editors_do_to_text_is_read(miniature) -> None:
    """A mark before it, and carriage returns."""
    root, dataset, _ = miniature
    texts = {p: p.read_bytes() for p in root.rglob("*") if p.suffix in (".json", ".jsonl", ".txt")}
    try:
        for path, content in texts.items():
            path.write_bytes(codecs.BOM_UTF8 + content.replace(b"\n", b"\r\n"))
        assert recognise(root) == dataset.name
        saved = open_dataset(root, dataset.split)
    finally:
        for path, content in texts.items():
            path.write_bytes(content)
    assert len(saved) == len(dataset)
    for index in range(len(saved)):
        for one, other in zip(saved.record(index).hands, dataset.record(index).hands, strict=True):
            np.testing.assert_array_equal(one.joints_px, other.joints_px)


def test_every_picture_has_its_hands(miniature) -> None:
    _, dataset, truth = miniature
    assert len(dataset) == len(truth) == dataset.report.kept
    for index, hands in enumerate(truth):
        assert [hand.side for hand in dataset.record(index).hands] == [h.side for h in hands]


def test_order_units_and_validity(miniature) -> None:
    _, dataset, truth = miniature
    for index, hands in enumerate(truth):
        for label, hand in zip(dataset.record(index).hands, hands, strict=True):
            assert np.array_equal(label.valid, hand.valid)
            assert np.allclose(label.joints_px[hand.valid], hand.joints_px[hand.valid], atol=0.01)
            if hand.joints_mm is None:
                assert label.joints_mm is None
                continue
            assert np.allclose(label.joints_mm[hand.valid], hand.joints_mm[hand.valid], atol=0.01)


def test_bones_are_those_of_a_hand_and_fingers_bend_towards_the_palm(miniature) -> None:
    _, dataset, _ = miniature
    for index in range(len(dataset)):
        for hand in dataset.record(index).hands:
            if hand.joints_mm is None or not hand.valid.all():
                continue
            assert bone_lengths(hand.joints_mm).min() > 10
            assert bone_lengths(hand.joints_mm).max() < 120
            flexion = joint_angles(hand.joints_mm, hand.side)[3:, 0]
            assert flexion.mean() > 5


def test_3d_projects_onto_2d(miniature) -> None:
    _, dataset, _ = miniature
    for index in range(len(dataset)):
        record = dataset.record(index)
        for hand in record.hands:
            if hand.joints_mm is None:
                continue
            assert record.camera is not None
            projected = record.camera.project(hand.joints_mm[hand.valid])
            assert np.allclose(projected, hand.joints_px[hand.valid], atol=0.01)


def test_labels_lie_on_the_dots_in_the_picture(miniature) -> None:
    _, dataset, _ = miniature
    checked = 0
    for sample in dataset:
        height, width = sample.image.shape[:2]
        for hand in sample.hands:
            for joint in np.flatnonzero(hand.valid):
                x, y = np.round(hand.joints_px[joint]).astype(int)
                others = np.delete(hand.joints_px, joint, axis=0)
                others = np.concatenate(
                    [others, *(o.joints_px for o in sample.hands if o is not hand)]
                )
                alone = np.linalg.norm(others - hand.joints_px[joint], axis=1).min() > 6
                if alone and 0 <= x < width and 0 <= y < height:
                    colour = sample.image[y, x].astype(float)
                    assert np.abs(colour - COLOURS[hand.side][joint]).max() < 60
                    checked += 1
    assert checked > 40


def test_masks_show_the_hands_they_say(miniature) -> None:
    _, dataset, _ = miniature
    for sample in dataset:
        if sample.hand_map is None:
            continue
        assert set(np.unique(sample.hand_map)) <= {*range(len(sample.hands) + 1), 255}
        for number, hand in enumerate(sample.hands, start=1):
            shown = hand.valid if hand.visible is None else hand.valid & hand.visible
            shown[Joint.WRIST] &= hand.visible is None  # it lies where the forearm begins
            x, y = np.round(hand.joints_px[shown]).astype(int).T
            inside = (x >= 0) & (y >= 0) & (x < sample.image.shape[1]) & (y < sample.image.shape[0])
            values = sample.hand_map[y[inside], x[inside]]
            assert np.isin(values, list(range(1, len(sample.hands) + 1))).all()
            assert (values == number).mean() > 0.4  # the hands of a figure may overlap


def test_keys_are_unique_and_fit_for_file_names(miniature) -> None:
    _, dataset, _ = miniature
    keys = [dataset.record(index).key for index in range(len(dataset))]
    assert len(set(keys)) == len(keys)
    assert not any(set("./\\ ") & set(key) for key in keys)


def test_groups_have_a_row_for_every_record(miniature) -> None:
    _, dataset, _ = miniature
    groups = dataset.groups()
    for level in (groups.subject, groups.capture, groups.sequence, groups.step):
        assert level.shape == (len(dataset),)


def test_an_unknown_split_is_refused_with_the_known_ones(miniature) -> None:
    root, dataset, _ = miniature
    with pytest.raises(ValueError, match=dataset.split):
        open_dataset(root, "nonsense")
    with pytest.raises(IndexError, match="asked for number"):
        dataset[len(dataset)]


def test_missing_labels_are_one_clear_sentence(miniature) -> None:
    root, dataset, _ = miniature
    reader = type(dataset)
    for path in [*root.rglob("*.json"), *root.rglob("*.jsonl"), *root.rglob("*.pickle")]:
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises(ValueError, match=path.name.replace(".", r"\.")):
            reader(root, dataset.split)
        path.write_bytes(content)


def test_a_missing_picture_is_named(miniature) -> None:
    _, dataset, _ = miniature
    path = dataset.record(0).path
    picture = path.read_bytes()
    path.write_bytes(b"not a picture")
    with pytest.raises(ValueError, match="not an image that can be decoded"):
        dataset[0]
    path.unlink()
    with pytest.raises(ValueError, match=rf"{path.name} does not exist"):
        dataset[0]
    path.write_bytes(picture)
