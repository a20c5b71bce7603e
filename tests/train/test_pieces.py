"""Training in pieces: the parts come in any order, and each sitting goes on with everything."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knuckle.camera import Camera
from knuckle.data import rendered
from knuckle.data.photographs import PhotographStore
from knuckle.data.shown import fit_photographs
from knuckle.render.hand_model import HandModel, HandParameters
from knuckle.train.mattes import Mattes
from stores import store_of

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import pieces

SETS = (
    "photos_more", "photos_finger_count", "photos_sign_digits", "stereo_video",
    "photos_gesture_room", "photos_more/emrecan_hand",
)  # fmt: skip


@given(
    contents=st.lists(st.binary(min_size=1, max_size=400), min_size=1, max_size=4),
    most=st.integers(1, 100),
    order=st.randoms(use_true_random=False),
)
@settings(max_examples=30)
def test_files_are_whole_once_all_their_parts_came_and_not_before(contents, most, order):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        names = [f"{k}.npz" for k in range(len(contents))]
        for name in ("data", "sent", "came", "there"):
            (root / name).mkdir()
        for name, content in zip(names, contents, strict=True):
            (root / "data" / name).write_bytes(content)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pieces, "FILES", names)
            pieces.Pack(root / "data", root / "sent", most_mb=most / 1e6).run()
        parts = sorted(p for p in (root / "sent").iterdir() if p.name != "parts.json")
        assert max(part.stat().st_size for part in parts) <= most
        order.shuffle(parts)
        shutil.copy(root / "sent/parts.json", root / "came")
        for k, part in enumerate(parts):
            waits = {p.name.rpartition(".")[0] for p in parts[k:]}
            assert set(pieces.join(root / "came", root / "there")) == waits
            shutil.copy(part, root / "came")
        assert pieces.join(root / "came", root / "there") == []
        for name, content in zip(names, contents, strict=True):
            assert (root / "there" / name).read_bytes() == content


def test_parts_of_something_else_are_refused(tmp_path):
    said = {"a.npz": {"parts": 1, "sha256": "0" * 64}}
    (tmp_path / "parts.json").write_text(json.dumps(said))
    (tmp_path / "a.npz.000").write_bytes(b"other")
    with pytest.raises(ValueError, match=r"a\.npz.*send them again"):
        pieces.join(tmp_path, tmp_path)


def photographs() -> PhotographStore:
    """A hand of each data set, and one more of each that is held back."""
    model = HandModel.load()
    joints = model.joints(HandParameters.at_rest(1, model.n_shape))[0]
    joints = (joints - joints.mean(axis=0) + [0, 0, 500]).astype(float)
    px = Camera(7.0, 7.0, 4.0, 4.0).project(joints)
    n = len(SETS)
    several = np.repeat(px[None], 2 * n, 0), np.repeat(joints[None], 2 * n, 0)
    store, held_back = (store_of(*several, "right", part) for part in ("train", "validation"))
    groups = np.concatenate([store.groups[:n], held_back.groups[n:]])
    return replace(store, datasets=np.array(SETS * 2), groups=groups)


def without_hands(store: PhotographStore) -> PhotographStore:
    none = np.zeros(len(store) + 1, np.int64)
    fields = (
        "joints_px", "sigma_px", "second_px", "second_visible", "world_mm", "score", "is_left",
    )  # fmt: skip
    return replace(store, hand_offsets=none, **{name: getattr(store, name)[:0] for name in fields})


@pytest.fixture
def data(tmp_path) -> Path:
    """A folder of packed data, as small as can be, beside one picture of a place."""
    folder = tmp_path / "runs/data"
    folder.mkdir(parents=True)
    crops = photographs()
    for name in ("crops", "frames"):
        crops.save(folder / f"{name}.npz")
    for name in ("hand_free", "handless"):
        without_hands(crops).save(folder / f"{name}.npz")
    fit_photographs(crops).save(folder / "shown.npz")
    Mattes.of([None] * len(crops)).save(folder / "mattes.npz")
    (folder.parent / "backgrounds").mkdir()
    return folder


@pytest.mark.usefixtures("few_poses")
def test_two_sittings_render_train_and_leave_networks(data, tmp_path, monkeypatch):
    parts, came, out = tmp_path / "parts", tmp_path / "came", tmp_path / "out"
    pieces.Pack(data, parts).run()
    monkeypatch.setattr(rendered, "SHARD_SIZE", 2)
    monkeypatch.setattr(pieces, "RENDERED", {"crops": (7, 2), "plain": (8, 2), "touching": (9, 2)})
    monkeypatch.setattr(pieces, "RECIPES", {"continue": (0.002, 2)})
    monkeypatch.chdir(tmp_path)
    came.mkdir()
    sitting = pieces.Go(came, tmp_path / "work", out, minutes=3.0, hours=1.0, workers=1)
    for name in ("parts.json", "crops.npz.000", "shown.npz.000", "hand_free.npz.000"):
        shutil.copy(parts / name, came)
    sitting.run()
    first = json.loads((out / "continue.json").read_text())
    for part in parts.iterdir():
        shutil.copy(part, came)
    sitting.run()
    then = json.loads((out / "continue.json").read_text())
    assert (out / "keypoints.onnx").is_file()
    assert first["step"] < then["step"]
    assert len(list((tmp_path / "work/runs/data/crops").glob("*.tar"))) == 2
