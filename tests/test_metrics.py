"""Error measures against values worked out by hand."""

import numpy as np
import pytest

from knuckle import metrics


@pytest.fixture
def true_mm() -> np.ndarray:
    return np.random.default_rng(0).normal((0, 0, 600), 40, (21, 3))


def test_one_joint_off_by_21_mm_is_1_mm_in_the_mean(true_mm: np.ndarray) -> None:
    predicted = true_mm.copy()
    predicted[7] += (0, 21, 0)
    assert metrics.mpjpe(predicted, true_mm) == pytest.approx(1)


def test_a_wrong_root_puts_all_other_joints_off(true_mm: np.ndarray) -> None:
    predicted = true_mm.copy()
    predicted[0] += (3, 4, 0)
    assert metrics.mpjpe(predicted, true_mm) == pytest.approx(5 * 20 / 21)
    assert metrics.absolute_error(predicted, true_mm) == pytest.approx(5 / 21)


def test_without_a_valid_root_nothing_is_aligned(true_mm: np.ndarray) -> None:
    valid = np.ones(21, bool)
    valid[0] = False
    assert np.isnan(metrics.mpjpe(true_mm, true_mm, valid))
    assert metrics.absolute_error(true_mm, true_mm, valid) == 0
    assert np.isnan(metrics.masked_mean(np.ones(3), np.zeros(3, bool)))


def test_points_that_coincide_align_to_the_centroid(true_mm: np.ndarray) -> None:
    aligned = metrics.procrustes_align(np.zeros((21, 3)), true_mm)
    assert np.allclose(aligned, true_mm.mean(axis=0))


def test_the_mirror_image_of_a_square_pyramid() -> None:
    # A right-angled corner and its mirror image: the best turn is no turn; only x is off.
    corner = np.array([[0, 0, 0], [10.0, 0, 0], [0, 20, 0], [0, 0, 30]])
    mirrored = corner * (-1, 1, 1)
    off = np.linalg.norm(metrics.procrustes_align(mirrored, corner) - corner, axis=1)
    assert off.max() > 5


def test_two_joints_say_nothing_about_the_shape(true_mm: np.ndarray) -> None:
    valid = np.arange(21) < 2
    assert np.isnan(metrics.pa_mpjpe(true_mm, true_mm, valid))


def test_relative_root_error_is_the_difference_of_the_roots() -> None:
    left, right = np.array([100.0, 0, 500]), np.array([0.0, 0, 500])
    both_moved = metrics.mrrpe(left + 50, right + 50, left, right)
    one_moved = metrics.mrrpe(left + np.array([0, 0, 12]), right, left, right)
    assert both_moved == pytest.approx(0)
    assert one_moved == pytest.approx(12)


def test_2d_error_is_a_share_of_the_longer_side() -> None:
    true = np.array([[0.0, 0], [100, 0], [0, 40]])
    off = true + np.array([3.0, 4.0])
    assert metrics.epe(off, true) == pytest.approx(5)
    assert metrics.keypoint_error_share(off, true) == pytest.approx(0.05)
    valid = np.array([True, False, True])  # the box of the valid points is 40 high
    assert metrics.keypoint_error_share(off, true, valid) == pytest.approx(5 / 40)


def test_pck_counts_missed_joints_as_wrong_and_invalid_ones_not_at_all() -> None:
    errors = np.array([5.0, 10, 30, np.inf, 1])
    valid = np.array([True, True, True, True, False])
    assert metrics.pck(errors, np.array([5, 10, 50]), valid).tolist() == [0.25, 0.5, 0.75]
    assert np.isnan(metrics.pck(errors, np.array([5]), np.zeros(5, bool))).all()


def test_area_under_a_straight_line() -> None:
    assert metrics.auc(np.array([0.0, 0.5, 1.0]), np.array([0.0, 25, 50])) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="at least 2 thresholds"):
        metrics.auc(np.array([1.0]), np.array([1.0]))


def test_acceleration_of_a_parabola() -> None:
    time = np.arange(10)[:, None, None] / 30
    falling = np.broadcast_to(0.5 * 9810 * time**2, (10, 21, 3)) * (0, 1, 0)
    error = metrics.acceleration_error(falling, np.zeros_like(falling))
    assert error == pytest.approx(9810 / 30**2)
    assert np.isnan(metrics.acceleration_error(falling[:2], falling[:2]))


def test_jitter_of_a_joint_that_flips_by_one() -> None:
    # x = 0, 1, 0, 1, ...: the third difference is 4 at every step.
    flip = np.tile([[0.0], [1.0]], (4, 1)).reshape(8, 1, 1) * np.ones((1, 21, 3)) * (1, 0, 0)
    assert metrics.jitter(flip) == pytest.approx(4)
    assert np.isnan(metrics.jitter(flip[:3]))


def test_overlap_of_two_shifted_squares() -> None:
    a, b = np.zeros((2, 30, 30), bool)
    a[5:15, 5:15] = True
    b[5:15, 10:20] = True
    assert metrics.mask_iou(a, b) == pytest.approx(50 / 150)
    known = np.ones((30, 30), bool)
    known[:, 15:] = False
    assert metrics.mask_iou(a, b, known) == pytest.approx(50 / 100)
    assert metrics.mask_iou(a & False, a & False) == 1
    assert metrics.boundary_f(a, a & False) == 0
    assert metrics.boundary_f(a, np.roll(a, 2, axis=1), tolerance_px=2) == 1
    # 36 outline pixels each; of a, the top and bottom rows overlap b's by 5 pixels each.
    assert metrics.boundary_f(a, b, tolerance_px=0) == pytest.approx(10 / 36)


def test_outlines_along_what_is_unknown_do_not_count() -> None:
    true, known = np.zeros((2, 30, 30), bool)
    true[5:15, 5:15] = True
    known[:, :15] = True
    longer = true.copy()
    longer[5:15, 15:20] = True  # into what is unknown
    assert metrics.boundary_f(longer, true, known=known) == 1
    assert metrics.boundary_f(longer, true) < 1
    shorter = true & (np.arange(30) < 10)  # of surely the hand
    assert metrics.boundary_f(shorter, true, known=known) < 1
    assert metrics.boundary_f(true & False, true, known=known) == 0


def test_matching_prefers_the_place_and_then_the_side() -> None:
    true = np.random.default_rng(1).uniform(0, 100, (2, 21, 2))
    true[1] = true[0] + 5  # two hands on top of each other
    swapped = metrics.match_hands(["right", "left"], true[::-1] + 0.0, ["left", "right"], true)
    assert [(m.predicted, m.true) for m in swapped] == [(1, 0), (0, 1)]
    wrong_side = metrics.match_hands(["left"], true[:1], ["right"], true[:1])
    assert len(wrong_side) == 1
    far = metrics.match_hands(["left"], true[:1] + 300, ["left"], true[:1])
    assert far == []


def test_matching_takes_each_hand_once() -> None:
    true = np.random.default_rng(1).uniform(0, 100, (1, 21, 2))
    twice = np.concatenate([true + 4, true + 1])
    matches = metrics.match_hands(["left", "left"], twice, ["left"], true)
    assert [(m.predicted, m.true) for m in matches] == [(1, 0)]


def test_a_hand_of_which_one_joint_is_labelled_is_matched() -> None:
    """It has no box to be a share of, and counted as missed wherever the prediction was."""
    true = np.random.default_rng(1).uniform(0, 100, (1, 21, 2))
    thumb = (np.arange(21) == 4)[None]
    near, far = true + 5.0, true + 300.0
    for both in (np.concatenate([near, far]), np.concatenate([far, near])):
        both[:, 9] = np.nan  # of a joint that is not known nothing depends
        (match,) = metrics.match_hands(["left"] * 2, both, ["left"], true, thumb)
        assert np.isclose(both[match.predicted, 4], true[0, 4] + 5).all()
        assert 0 < match.distance < 0.1
    assert metrics.match_hands(["left"], far, ["left"], true, thumb) == []
    assert metrics.match_hands(["left"], near, ["left"], true, thumb & False) == []


def test_a_missed_hand_costs() -> None:
    found = np.array([True, False])
    assert metrics.penalised_mean(np.array([10.0, np.nan]), found, 90.0) == pytest.approx(50)
    # F1 = 2*1 / (2*1 + 1 + 0) = 2/3
    assert metrics.normalised_error(10.0, 1, 1, 0) == pytest.approx(15)
    assert metrics.normalised_error(0.0, 0, 1, 0) == np.inf


def test_average_precision_of_a_known_ranking() -> None:
    # hit, miss, hit of 3 true: precision 1, 2/3 at recall 1/3, 2/3 -> (1 + 2/3) / 3.
    got = metrics.average_precision(np.array([0.9, 0.8, 0.7]), np.array([1, 0, 1]), 3)
    assert got == pytest.approx((1 + 2 / 3) / 3)
    assert metrics.average_precision(np.zeros(0), np.zeros(0), 3) == 0
    assert np.isnan(metrics.average_precision(np.zeros(0), np.zeros(0), 0))


def test_a_hand_that_is_not_known_spoils_no_other(true_mm: np.ndarray) -> None:
    lost = true_mm.copy()
    lost[7] = np.nan
    errors = metrics.pa_mpjpe(np.stack([true_mm + 5, lost]), np.stack([true_mm, true_mm]))
    assert errors[0] == pytest.approx(0, abs=1e-9) and np.isnan(errors[1])
    seen = np.arange(21) != 7  # of a joint that does not count, nothing need be known
    assert metrics.pa_mpjpe(lost, true_mm, seen) == pytest.approx(0, abs=1e-9)


def test_two_joints_are_too_few_whether_or_not_others_are_masked(true_mm: np.ndarray) -> None:
    assert np.isnan(metrics.pa_mpjpe(true_mm[:2] + 1, true_mm[:2]))


def test_a_single_joint_is_no_measure_of_an_error(true_mm: np.ndarray) -> None:
    true_px, single = true_mm[:, :2], np.arange(21) == 3
    assert np.isnan(metrics.keypoint_error_share(true_px + 1, true_px, single))


def test_masks_of_zeros_and_ones_are_masks(true_mm: np.ndarray) -> None:
    errors, valid = np.array([1.0, 20, 3]), np.array([1, 0, 1])
    assert metrics.pck(errors, np.array([2.0]), valid) == metrics.pck(
        errors, np.array([2.0]), valid.astype(bool)
    )


def test_the_last_joint_may_be_the_root(true_mm: np.ndarray) -> None:
    last = metrics.mpjpe(true_mm + np.eye(21, 3), true_mm, root=-1)
    assert last == metrics.mpjpe(true_mm + np.eye(21, 3), true_mm, root=20)
