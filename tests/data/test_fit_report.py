"""What ``knuckle data fit`` says and writes is what was fitted."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.console import Console

from knuckle.cli import main
from knuckle.data.datasets import open_dataset
from knuckle.data.fit_report import drawing, measure, print_table, write_pictures, write_table
from knuckle.data.fitted import FittedSet
from knuckle.data.shards import read_shard
from knuckle.hand import JOINT_NAMES, bone_lengths
from knuckle.render.hand_model import HandModel, HandParameters
from miniatures import InterHandScene, write_interhand


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_interhand(tmp_path / "ih", InterHandScene({0: 1}, sequences=("0390_dh_touchROM",)))
    return tmp_path / "ih"


@pytest.fixture
def fitted(root: Path) -> FittedSet:
    return FittedSet(open_dataset(root, "train"))


def test_the_table_is_the_mean_over_the_labels(fitted: FittedSet) -> None:
    table = measure(fitted)
    rows = {name: values for name, *values in table.rows()}
    assert list(rows) == [*JOINT_NAMES, "all"]
    labels, fits = [], []
    for index in range(len(fitted)):
        record = fitted.record(index)
        fit = fitted.fit_of(index, record.hands)
        for hand, joints in zip(record.hands, fit.joints_mm, strict=True):
            labels.append(np.where(hand.valid[:, None], hand.joints_mm, np.nan))
            fits.append(joints)
    off = np.linalg.norm(np.array(labels) - fits, axis=-1)
    assert table.believed.all()
    assert rows["all"][0] == np.isfinite(off).sum()
    assert rows["all"][1] == pytest.approx(np.nanmean(off))
    assert rows["index_tip"][2] == pytest.approx(np.nanmedian(off[:, 8]))


def test_hands_that_are_not_believed_are_counted_and_left_out(fitted: FittedSet) -> None:
    table = measure(fitted)
    table.believed[0] = False
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    print_table(table, console)
    console.file.close()
    text = console.export_text()
    assert "1 too far from their" in text
    count = {name: values for name, *values in table.rows()}["all"][0]
    assert count == np.isfinite(table.fit.residual[1:]).sum()


def test_the_files_hold_the_hands(fitted: FittedSet, tmp_path: Path) -> None:
    table = measure(fitted)
    fits, residuals = write_table(table, tmp_path / "out")
    with np.load(fits) as saved:
        hands = HandParameters(
            saved["pose_deg"], saved["shape"], saved["R_camera_from_hand"], saved["root_mm"],
            tuple(saved["side"].tolist()),
        )  # fmt: skip
        assert np.allclose(HandModel.load().joints(hands), saved["joints_mm"], atol=0.05)
        assert np.allclose(saved["bone_lengths_mm"], bone_lengths(saved["joints_mm"]), atol=1e-3)
        assert saved["joint_angles_deg"].shape == (len(table), 15, 2)
        assert len(saved["bone_names"]) == 20 and saved["bone_names"][-1].endswith("little_tip")
        keys = {fitted.record(index).key for index in range(len(fitted))}
        assert set(saved["picture"].tolist()) == keys
    with residuals.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["joint"] for row in rows] == [*JOINT_NAMES, "all"]
    assert float(rows[-1]["mean mm"]) == pytest.approx(table.fit.residual[
        np.isfinite(table.fit.residual)].mean(), abs=1e-3)  # fmt: skip


def test_drawings_show_the_hands_and_nothing_of_the_picture(fitted: FittedSet) -> None:
    sample = fitted[0]
    fit = fitted.fit_of(0, sample.hands)
    image = drawing(sample, fit)
    assert image.shape[1] % 3 == 0
    assert (image[0] == image[0, 0]).all() and image[0, 0].min() > 230  # paper
    sample.image[:] = np.random.default_rng(0).integers(256, size=sample.image.shape)
    assert (drawing(sample, fit) == image).all()


def test_pictures_are_written(fitted: FittedSet, tmp_path: Path) -> None:
    paths = write_pictures(fitted, tmp_path / "new" / "folder", count=2)
    assert [path.name for path in paths] == ["over.jpg", "drawn.jpg"]
    assert all(cv2.imread(str(path)).std() > 5 for path in paths)


def test_the_verb(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "fit", str(root), str(tmp_path / "out"), "--pictures", "1"]) == 0
    said = capsys.readouterr().out
    assert "index_tip" in said and "fits.npz" in said
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "fits.npz", "residuals.csv", "over.jpg", "drawn.jpg",
    }  # fmt: skip


def test_packing_with_fitted_masks(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "shards"
    assert main(["data", "pack", str(root), str(out), "--fit-masks", "--size-px", "64"]) == 0
    samples = [sample for path in sorted(out.glob("*.tar")) for sample in read_shard(path)]
    assert samples and all("hand_map" in sample.derived for sample in samples)
