"""Laws that every error measure must obey, whatever the hands."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from knuckle import metrics

seeds = st.integers(0, 2**32 - 1)


def hand(rng: np.random.Generator, *batch: int, d: int = 3) -> np.ndarray:
    return rng.normal(0, 40, (*batch, 21, d))


def rotation(rng: np.random.Generator, d: int = 3) -> np.ndarray:
    q, _ = np.linalg.qr(rng.normal(size=(d, d)))
    return q * np.where(np.arange(d) == 0, np.sign(np.linalg.det(q)), 1.0)


@given(seeds)
def test_errors_of_the_truth_are_zero(seed: int) -> None:
    rng = np.random.default_rng(seed)
    true = hand(rng, 3)
    assert np.all(metrics.mpjpe(true, true) == 0)
    assert np.all(metrics.absolute_error(true, true) == 0)
    assert np.allclose(metrics.pa_mpjpe(true, true), 0, atol=1e-9)
    assert np.all(metrics.epe(true[..., :2], true[..., :2]) == 0)
    assert np.all(metrics.keypoint_error_share(true[..., :2], true[..., :2]) == 0)
    assert np.all(metrics.mrrpe(true[0], true[1], true[0], true[1]) == 0)
    assert metrics.acceleration_error(true, true) == 0


@given(seeds, st.sampled_from([2, 3]), st.floats(0.05, 20))
def test_procrustes_undoes_every_similarity(seed: int, d: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    true = hand(rng, 2, d=d)
    moved = scale * true @ rotation(rng, d).T + rng.normal(0, 300, d)
    assert np.allclose(metrics.procrustes_align(moved, true), true, atol=1e-6)


@given(seeds)
def test_procrustes_never_takes_a_mirror_image(seed: int) -> None:
    rng = np.random.default_rng(seed)
    true = hand(rng)
    mirrored = true * (-1, 1, 1)
    aligned = metrics.procrustes_align(mirrored, true)
    # The map applied is a similarity of positive determinant: its handedness is the mirror's.
    centred = aligned - aligned.mean(0)
    linear = np.linalg.lstsq(mirrored - mirrored.mean(0), centred, rcond=None)[0]
    assert np.linalg.det(linear) > 0
    assert metrics.pa_mpjpe(mirrored, true) > 1


@given(seeds)
def test_procrustes_is_the_best_similarity(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points, true = hand(rng), hand(rng)
    best = ((metrics.procrustes_align(points, true) - true) ** 2).sum()
    for _ in range(20):
        other = rng.uniform(0, 2) * points @ rotation(rng).T
        other = other + (true - other).mean(0)
        assert best <= ((other - true) ** 2).sum() + 1e-6


@given(seeds)
def test_pa_error_is_at_most_what_any_alignment_leaves_in_squares(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points, true = hand(rng), hand(rng)
    aligned = metrics.procrustes_align(points, true)
    assert ((aligned - true) ** 2).sum() <= ((points - true) ** 2).sum() + 1e-6


@given(seeds, st.floats(0.01, 100))
def test_errors_scale_with_the_unit(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    p, t = hand(rng, 2), hand(rng, 2)
    for measure in (metrics.mpjpe, metrics.pa_mpjpe, metrics.absolute_error):
        assert np.allclose(measure(scale * p, scale * t), scale * measure(p, t))
    share = metrics.keypoint_error_share
    assert np.allclose(share(scale * p[..., :2], scale * t[..., :2]), share(p[..., :2], t[..., :2]))


@given(seeds)
def test_root_aligned_error_ignores_where_the_hand_is(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, t, offset = hand(rng), hand(rng), rng.normal(0, 500, 3)
    assert np.isclose(metrics.mpjpe(p + offset, t), metrics.mpjpe(p, t))
    assert np.isclose(metrics.absolute_error(t + offset, t), np.linalg.norm(offset))


@given(seeds)
def test_order_of_the_joints_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, t = hand(rng), hand(rng)
    valid = rng.random(21) < 0.7
    order = rng.permutation(21)
    for measure in (metrics.pa_mpjpe, metrics.absolute_error):
        assert np.isclose(
            measure(p[order], t[order], valid[order]), measure(p, t, valid), equal_nan=True
        )


@given(seeds)
def test_what_stands_at_an_invalid_joint_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, t = hand(rng), hand(rng)
    valid = rng.random(21) < 0.6
    valid[0] = True
    garbage_p, garbage_t = p.copy(), t.copy()
    garbage_p[~valid], garbage_t[~valid] = np.nan, 1.0
    for measure in (metrics.mpjpe, metrics.pa_mpjpe, metrics.absolute_error):
        assert np.isclose(
            measure(garbage_p, garbage_t, valid), measure(p, t, valid), equal_nan=True
        )
    got = metrics.keypoint_error_share(garbage_p[:, :2], garbage_t[:, :2], valid)
    assert np.isclose(got, metrics.keypoint_error_share(p[:, :2], t[:, :2], valid))


@given(seeds)
def test_a_batch_is_its_members(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, t, valid = hand(rng, 2, 3), hand(rng, 2, 3), rng.random((2, 3, 21)) < 0.8
    for measure in (metrics.mpjpe, metrics.pa_mpjpe, metrics.absolute_error):
        one_by_one = [[measure(p[i, j], t[i, j], valid[i, j]) for j in range(3)] for i in range(2)]
        assert np.allclose(measure(p, t, valid), one_by_one, equal_nan=True)


@given(arrays(np.float64, 30, elements=st.floats(0, 100)))
def test_pck_grows_from_threshold_to_threshold(errors: np.ndarray) -> None:
    curve = metrics.pck(errors, metrics.PCK_3D_MM)
    assert np.all(np.diff(curve) >= 0)
    assert 0 <= metrics.auc(curve, metrics.PCK_3D_MM) <= 1
    assert np.isclose(curve[-1], np.mean(errors <= 50))


@given(seeds)
def test_acceleration_and_jitter_ignore_steady_motion(seed: int) -> None:
    rng = np.random.default_rng(seed)
    time = np.arange(12)[:, None, None]
    steady = hand(rng) + time * rng.normal(0, 5, 3)
    assert metrics.acceleration_error(steady, np.zeros_like(steady)) == pytest.approx(0, abs=1e-9)
    assert metrics.jitter(steady + time**2 * rng.normal(0, 1, 3)) == pytest.approx(0, abs=1e-8)


@given(seeds)
def test_mask_measures_are_symmetric_and_one_on_the_truth(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a = rng.random((12, 15)) < 0.5
    b = rng.random((12, 15)) < 0.5
    assert metrics.mask_iou(a, b) == metrics.mask_iou(b, a) <= 1
    assert metrics.boundary_f(a, b) == pytest.approx(metrics.boundary_f(b, a))
    assert metrics.mask_iou(a, a) == 1
    assert metrics.boundary_f(a, a) == 1


@given(seeds)
def test_every_hand_matches_itself_whatever_the_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    true = rng.uniform(0, 100, (3, 21, 2)) + rng.uniform(0, 2000, (3, 1, 2))
    sides = [("left", "right")[i] for i in rng.integers(0, 2, 3)]
    order = rng.permutation(3)
    matches = metrics.match_hands([sides[i] for i in order], true[order], sides, true)
    assert [int(order[m.predicted]) for m in matches] == [0, 1, 2]


@given(seeds, st.floats(0, 200))
def test_leaving_out_a_hand_never_helps_the_penalised_mean(seed: int, cost: float) -> None:
    rng = np.random.default_rng(seed)
    errors = rng.uniform(0, cost, 8) if cost else np.zeros(8)
    found = rng.random(8) < 0.5
    fewer = found & (rng.random(8) < 0.5)
    assert (
        metrics.penalised_mean(errors, fewer, cost)
        >= metrics.penalised_mean(errors, found, cost) - 1e-9
    )
