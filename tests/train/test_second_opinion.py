"""What two opinions on a label become, and that the second one is asked in the picture's pixels."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knuckle.crop import Crop
from knuckle.data.convention import TEACHERS_OWN, own_joints
from knuckle.data.photographs import PhotographStore
from knuckle.hand import Side
from knuckle.sample import HandLabel, Sample
from stores import store_of

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from second_opinion import second_opinion, with_second_opinion, without_habits

SEEDS = st.integers(0, 2**32 - 1)


class Seer:
    """Networks that find the joints where a picture is brightest, a little off."""

    def __init__(self, errors_px: float = 0.0) -> None:
        self.errors_px = errors_px

    def crop_around(self, joints_px: np.ndarray, side: Side) -> Crop:
        """As the finished networks do it."""
        return Crop.from_joints(joints_px, side, out_size=96)

    def look(self, image: np.ndarray, crops: list[Crop]) -> SimpleNamespace:
        """Every joint lies where a crop is the brightest; the first look is the surest."""
        flat = [int(crop.cut(image)[..., 0].argmax()) for crop in crops]
        seen = [
            crop.to_frame(np.tile((k % 96, k // 96), (21, 1)))
            for crop, k in zip(crops, flat, strict=True)
        ]
        look = np.arange(len(crops))[:, None]
        return SimpleNamespace(
            points_px=np.array(seen) + self.errors_px * look[..., None],
            sigma_px=np.broadcast_to(np.exp(3.0 * look), (len(crops), 21)),
            visible=np.broadcast_to(0.1 * look, (len(crops), 21)),
        )


def _picture(seed: int) -> tuple[Sample, np.ndarray]:
    """A hand anywhere, and a bright dot near its middle."""
    rng = np.random.default_rng(seed)
    joints = rng.uniform(60, 140, (21, 2)).astype(np.float32)
    dot = np.round(joints.mean(axis=0))
    far = np.square(np.mgrid[:200, :200][::-1] - dot[:, None, None]).sum(axis=0)
    image = (250 * np.exp(-far / 200)).astype(np.uint8)[..., None].repeat(3, axis=2)
    side = "left" if seed % 2 else "right"
    hand = HandLabel(side=side, joints_px=joints)
    return Sample(image=image, hands=(hand,), key="made", group="made"), dot


@given(seed=SEEDS)
def test_the_second_opinion_is_in_the_pixels_of_the_picture(seed):
    sample, dot = _picture(seed)
    found, visible = second_opinion(Seer(), sample)
    assert np.linalg.norm(found - dot, axis=-1).max() < 2.5  # pixels of a crop half as fine
    np.testing.assert_allclose(visible, 0.15)  # of four looks


def test_the_surest_look_counts_most():
    sample, dot = _picture(3)
    found, _ = second_opinion(Seer(errors_px=20.0), sample)
    assert np.linalg.norm(found - dot, axis=-1).max() < 3.0


def _store(rng: np.random.Generator, n: int = 3) -> PhotographStore:
    points = rng.uniform(0, 8, (n, 21, 2))
    return store_of(points, np.zeros((n, 21, 3)), "right", "train")


@given(seed=SEEDS)
def test_a_label_lies_half_way_and_may_be_off_by_half_the_gap(seed):
    rng = np.random.default_rng(seed)
    store = _store(rng)
    store.second_px[1] = rng.uniform(0, 8, (21, 2))
    alone, agreed = store.decode(0).hands[0], store.decode(1).hands[0]
    np.testing.assert_array_equal(alone.joints_px, own_joints(store.joints_px[0]))
    np.testing.assert_array_equal(alone.sigma_px, store.sigma_px[0])
    first, second = own_joints(store.joints_px[1]), store.second_px[1]
    second[TEACHERS_OWN] = first[TEACHERS_OWN]  # of these only the teacher is heard
    np.testing.assert_allclose(agreed.joints_px - first, second - agreed.joints_px, atol=1e-4)
    gap = np.linalg.norm(second - first, axis=-1)
    assert (agreed.sigma_px >= np.maximum(store.sigma_px[1], 0.5 * gap) - 1e-5).all()


def test_what_is_seen_is_known_where_it_was_asked():
    store = _store(np.random.default_rng(0))
    store.second_visible[1] = np.linspace(0, 1, 21)
    assert store.decode(0).hands[0].visible is None
    assert store.decode(1).hands[0].visible.tolist() == [False] * 11 + [True] * 10


def test_asked_again_the_network_sees_the_labels_of_the_teacher_not_its_own(monkeypatch):
    store = _store(np.random.default_rng(0))
    store.second_px[:] = 1e6  # what an earlier network said; crops around that would show nothing
    shown: list[np.ndarray] = []

    def note(networks: Seer, sample: Sample) -> tuple[np.ndarray, np.ndarray]:
        shown.append(sample.hands[0].joints_px)
        return np.full((21, 2), 7.0), np.full(21, 0.5)

    monkeypatch.setattr("second_opinion.second_opinion", note)
    monkeypatch.setattr("second_opinion.without_habits", lambda second_px, own_px: second_px)
    again = with_second_opinion(store, Seer())
    np.testing.assert_array_equal(np.array(shown), own_joints(store.joints_px))
    assert (again.second_px == 7.0).all()
    assert (again.second_visible == 0.5).all()
    assert (store.second_px == 1e6).all()


def _hands(rng: np.random.Generator, n: int) -> np.ndarray:
    """Flat hands, turned, mirrored, moved and scaled as one likes: (n, 21, 2) px."""
    fan = np.linspace(-0.5, 0.5, 5).repeat(4)
    reach = np.tile([1.0, 1.4, 1.7, 1.9], 5)
    flat = np.vstack([np.zeros(2), np.stack([reach * np.sin(fan), reach * np.cos(fan)], axis=1)])
    turn = rng.uniform(-np.pi, np.pi, n)
    cos, sin = np.cos(turn), np.sin(turn)
    axes = np.array([[cos, -sin], [sin, cos]]).transpose(2, 0, 1)
    axes[..., 0] *= rng.choice([-1.0, 1.0], (n, 1))  # of either side, from either side
    size, place = rng.uniform(20, 200, (n, 1, 1)), rng.uniform(0, 500, (n, 1, 2))
    return size * (flat @ axes.transpose(0, 2, 1)) + place


@given(seed=SEEDS)
def test_a_habit_is_taken_out_whichever_way_hands_are_turned(seed):
    rng = np.random.default_rng(seed)
    own = _hands(rng, 12)
    along, across = own[:, [9]] - own[:, [0]], own[:, [5]] - own[:, [17]]
    habit = rng.normal(0, 0.05, (2, 21, 1))
    second = own + along * habit[0] + across * habit[1]
    np.testing.assert_allclose(without_habits(second, own), own, atol=1e-6)


def test_what_differs_from_hand_to_hand_stays_and_no_opinion_stays_none():
    rng = np.random.default_rng(1)
    own = _hands(rng, 40)
    opinion = rng.normal(0, 2.0, own.shape)
    opinion -= np.median(opinion, axis=0)
    second = own + opinion
    second[3] = np.nan
    kept = without_habits(second, own)
    assert np.isnan(kept[3]).all()
    heard = np.arange(40) != 3
    np.testing.assert_allclose(kept[heard], second[heard], atol=6.0)
    none = np.full_like(second, np.nan)
    assert np.isnan(without_habits(none, own)).all()


def test_a_store_without_opinions_is_refused_in_words(tmp_path):
    store = _store(np.random.default_rng(0))
    store.save(tmp_path / "new.npz")
    arrays = dict(np.load(tmp_path / "new.npz"))
    del arrays["second_px"]
    np.savez(tmp_path / "old.npz", **arrays)
    with pytest.raises(ValueError, match=r"second_px.*pack it again"):
        PhotographStore.load(tmp_path / "old.npz")
