"""Plots show what is in a result, and gaps where a hand was lost."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from fakes import CAMERA, INFO, frame, pose
from knuckle.cli import main
from knuckle.output import SINKS, OutputError, Recording, open_recording
from knuckle.viewer.plot import plot, save_plot


def recording(folder: Path) -> Recording:
    """A left hand all the time, a right one that is away from frame 20 to 40."""
    rng = np.random.default_rng(0)
    with SINKS["npz"](folder, INFO) as sink:
        for index in range(60):
            hands = [pose(rng, side="left", centre_mm=(2.0 * index, 0, 600), track_id=0)]
            if not 20 <= index < 40:
                hands.append(pose(rng, side="right", centre_mm=(-90, 0, 700), track_id=1))
            sink.write(frame(index), hands)
    return open_recording(folder)


def test_a_column_per_track_with_its_lines(tmp_path: Path) -> None:
    found = recording(tmp_path)
    axes = plot(found).axes
    assert [axis.get_title() for axis in axes[:2]] == ["left hand, track 0", "right hand, track 1"]
    x_mm = axes[0].lines[0].get_ydata()
    np.testing.assert_allclose(x_mm, found.track(0)["joints_mm"][:, 0, 0])


def test_flexion_reads_like_that_of_a_joint(tmp_path: Path) -> None:
    found = recording(tmp_path)
    axis = plot(found).axes[2]
    assert axis.get_ylabel() == "flexion per joint, °"
    flexion = np.unwrap(found.track(0)["joint_angles_deg"], axis=0, period=360)[..., 0]
    for finger, line in enumerate(axis.lines):
        joints = flexion[:, 3 * finger : 3 * finger + 3]  # a sum would leave their range
        drawn = np.asarray(line.get_ydata())
        np.testing.assert_allclose(drawn, joints.mean(axis=1), atol=1e-3)


def test_a_lost_hand_leaves_a_gap_in_every_line(tmp_path: Path) -> None:
    axes = plot(recording(tmp_path)).axes
    for axis in axes[1::2]:
        for line in axis.lines:
            values = np.asarray(line.get_ydata())
            assert len(values) == 41
            assert np.flatnonzero(np.isnan(values)).tolist() == [20]


def test_a_rigs_world_has_other_axes_than_a_camera(tmp_path: Path) -> None:
    found = recording(tmp_path)
    of_world = replace(found, info=replace(found.info, space="world"))
    for each, labels, title in (
        (found, ["x, right", "y, down", "z, forward"], f"camera (assumed) f = {CAMERA.fx:.0f} px"),
        (of_world, ["x", "y", "z"], "several cameras, in the world of their rig"),
    ):
        figure = plot(each)
        assert [line.get_label() for line in figure.axes[0].lines] == labels
        assert figure.get_suptitle() == f"hands.mp4: {title}"


def test_the_verb_writes_a_picture(tmp_path: Path) -> None:
    recording(tmp_path)
    assert main(["plot", str(tmp_path)]) == 0
    image = cv2.imread(str(tmp_path / "plot.png"))
    assert image.shape[0] > 500
    assert image.std() > 10


def test_any_name_of_a_file_is_a_title(tmp_path: Path) -> None:
    name = "5 $x^$ 手.mp4"
    found = recording(tmp_path)
    found = replace(found, info=replace(found.info, source=name))
    assert plot(found).get_suptitle().startswith(name)
    save_plot(found, tmp_path / "plot.png")
    assert cv2.imread(str(tmp_path / "plot.png")) is not None


def test_a_full_disk_leaves_the_picture_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(figure: Figure, path: Path, **options: object) -> None:
        path.write_bytes(b"")
        raise OSError(errno.ENOSPC, "No space left on device")

    found, path = recording(tmp_path), tmp_path / "plot.png"
    path.write_bytes(b"of before")
    monkeypatch.setattr(Figure, "savefig", fill)
    with pytest.raises(OutputError, match=r"\(no space left on device\): free some space"):
        save_plot(found, path)
    assert path.read_bytes() == b"of before"
    assert not list(tmp_path.glob("unfinished-*"))


def test_nothing_to_plot(tmp_path: Path) -> None:
    with SINKS["npz"](tmp_path, INFO) as sink:
        sink.write(frame(0), [])
    with pytest.raises(OutputError, match="nothing to plot"):
        plot(open_recording(tmp_path))
    assert main(["plot", str(tmp_path)]) == 2


def test_a_name_that_is_no_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording(tmp_path)
    assert main(["plot", str(tmp_path), "-o", str(tmp_path / "plot.xyz")]) == 2
    assert "cannot write the plot" in capsys.readouterr().err
