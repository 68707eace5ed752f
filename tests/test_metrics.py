"""Scores worked by hand on tiny volumes."""

import warnings

import numpy as np
import pytest

from lib.metrics import (
    best_band,
    best_gain,
    border_over_black,
    correlation,
    dice,
    dice_by_label,
    iou,
    psnr,
    rmse,
    seam_score,
    ssim,
    surface_distance,
)


def mask(*voxels, shape=(2, 1, 3)):
    array = np.zeros(shape, bool)
    for voxel in voxels:
        array[voxel] = True
    return array


A = mask((0, 0, 0), (0, 0, 1), (1, 0, 2))
B = mask((0, 0, 1), (1, 0, 2), (1, 0, 1), (1, 0, 0), (0, 0, 2))
NONE = mask()


@pytest.mark.parametrize(
    "truth, prediction, by_dice, by_iou",
    [
        (A, B, 4 / 8, 2 / 6),
        (B, A, 4 / 8, 2 / 6),
        (A, A, 1, 1),
        (A, mask((0, 0, 2)), 0, 0),
        (A, NONE, 0, 0),
        (NONE, A, 0, 0),
        (NONE, NONE, np.nan, np.nan),
        (A.astype(np.uint8), B.astype(np.float32), 4 / 8, 2 / 6),
    ],
)
def test_overlaps(truth, prediction, by_dice, by_iou):
    assert dice(truth, prediction) == pytest.approx(by_dice, nan_ok=True)
    assert iou(truth, prediction) == pytest.approx(by_iou, nan_ok=True)


def test_large_masks_of_uint8_do_not_overflow():
    full = np.ones((70, 70, 70), np.uint8)
    assert dice(full, full) == iou(full, full) == 1


def test_rmse_and_psnr_in_closed_form():
    truth = np.array([[[0.0, 2.0], [1.0, 1.0]]])
    assert rmse(truth, truth + [[[3, -4], [0, 0]]]) == pytest.approx(2.5)
    assert psnr(truth, truth - 0.02) == pytest.approx(40)  # range 2, error 0.02: 20 log10(100)
    assert psnr(truth, truth) == np.inf


def test_rmse_of_small_integers_does_not_wrap():
    assert rmse(np.zeros(3, np.uint8), np.full(3, 200, np.uint8)) == 200


@pytest.mark.parametrize("data_range", [None, 3.0])
def test_ssim_of_one_window_by_hand(data_range):
    rng = np.random.default_rng(0)
    truth = rng.uniform(-1, 4, (7, 7, 7)).astype(np.float32)
    prediction = truth + rng.normal(0, 3, truth.shape)
    span = data_range or np.ptp(truth)
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    a, b = truth.mean(dtype=float), prediction.mean()
    (var_a, both), (_, var_b) = np.cov(truth.ravel(), prediction.ravel())
    alike = (2 * a * b + c1) * (2 * both + c2)
    expected = alike / ((a**2 + b**2 + c1) * (var_a + var_b + c2))
    assert 0.1 < expected < 0.99
    assert ssim(truth, prediction, data_range) == pytest.approx(expected, rel=1e-6)
    assert ssim(truth, truth) == pytest.approx(1)


def test_correlation_by_hand():
    # deviations (-1, 0, 1) and (-1, 1, 0): 1 / (sqrt 2 sqrt 2)
    assert correlation([1, 2, 3], [10, 14, 12]) == pytest.approx(0.5)


def test_correlation_is_that_of_numpy_whatever_the_units():
    truth, noise = np.random.default_rng(0).random((2, 5, 6, 7)).astype(np.float32)
    prediction = truth + noise
    expected = np.corrcoef(truth.ravel(), prediction.ravel())[0, 1]
    assert 0.5 < expected < 0.9
    assert correlation(truth, 1e5 + 3 * prediction.astype(float)) == pytest.approx(expected)
    assert correlation(truth, -prediction) == pytest.approx(-expected)


def test_correlation_with_a_constant_prediction_is_0():
    assert correlation([1, 2, 4], [7, 7, 7]) == 0


@pytest.mark.parametrize("border, interior, ratio", [(6, 2, 3), (1, 4, 0.25), (0, 1, 0), (0, 0, 1)])
def test_border_over_black_where_light_is_even_in_closed_form(border, interior, ratio):
    truth, error = np.ones((20, 18, 19)), np.full((20, 18, 19), border, np.uint8)
    error[8:12, 8:10, 8:11] = interior
    assert border_over_black([truth], [truth + error]) == ratio


def test_the_border_counts_every_side_once():
    truth, error = np.ones((6, 5, 4)), np.zeros((6, 5, 4))
    for corner in [(0, 2, 2), (5, 2, 2), (2, 0, 2), (2, 4, 2), (2, 2, 0), (2, 2, 3)]:
        error[corner] = 2
    assert border_over_black([truth], [truth + error], width=1) == np.inf
    error[1, 1, 1] = 1  # one of 4 x 3 x 2 = 24 interior voxels; 6 of 120 - 24 = 96 outside
    expected = np.sqrt((6 * 4 / 96) / (1 / 24))
    assert border_over_black([truth], [truth + error], width=1) == pytest.approx(expected)


@pytest.mark.parametrize("volumes", [1, 3])
def test_border_over_black_in_closed_form(volumes):
    truth, error = np.full((20, 18, 19), 2.0), np.full((20, 18, 19), 6.0)
    truth[8:12, 8:10, 8:11], error[8:12, 8:10, 8:11] = 1.0, 2.0  # black 2 / 1, the errors 6 / 2
    truths = [truth] * volumes
    assert border_over_black(truths, [truth + error] * volumes) == pytest.approx(3 / 2)
    assert border_over_black(truths, np.zeros((volumes, 20, 18, 19))) == 1
    assert border_over_black(truths, [truth / 2] * volumes) == pytest.approx(1)


def test_border_over_black_pools_squares_place_by_place():
    truths = np.ones((2, 4, 4, 4))
    errors = np.ones((2, 4, 4, 4))
    errors[0, 0], errors[1, 3] = 3, 0  # 16 voxels each of 112 that are border in two volumes
    expected = np.sqrt((9 * 16 + 0 * 16 + 80) / 112)
    assert border_over_black(truths, truths + errors, width=1) == pytest.approx(expected)


def test_best_gain_by_hand():
    np.testing.assert_allclose(best_gain([1, 2], [2, 2]), [1.5, 1.5])  # 6 / 8 of it
    np.testing.assert_allclose(best_gain([1, 2], [100, 200]), [1, 2])
    np.testing.assert_array_equal(best_gain([1, 2], [0, 0]), [0, 0])


def test_best_band_tries_every_pair():
    rng = np.random.default_rng(0)
    scans = [rng.random((4, 5, 6)), rng.random((3, 3, 3))]
    masks = [(s > 0.3) & (s < 0.65) ^ (rng.random(s.shape) > 0.8) for s in scans]
    values, truth = (np.concatenate([a.ravel() for a in each]) for each in (scans, masks))
    best = {}
    for low in range(20):
        for high in range(low + 1, 21):
            found = (values > low / 20) & (values <= high / 20)
            best[low / 20, high / 20] = 2 * np.sum(found & truth) / (found.sum() + truth.sum())
    low, high, score = best_band(masks, scans, levels=20)
    assert score == pytest.approx(max(best.values())) == best[low, high]


def test_dice_of_each_label():
    truth, found = np.array([0, 1, 1, 2, 2, 5]), np.array([1, 1, 1, 2, 0, 3])
    assert dice_by_label(truth, found) == {1: 4 / 5, 2: 2 / 3, 3: 0, 5: 0}
    with pytest.raises(ValueError, match="give whole numbers"):
        dice_by_label(truth, found + 0.5)


def test_surfaces_of_two_boxes_that_are_shifted():
    one, other = np.zeros((2, 20, 12, 10), bool)
    one[4:9, 4:8, 3:7] = other[6:11, 4:8, 3:7] = True  # by two voxels of 3 mm along x
    found = surface_distance(one, other, (3, 1, 2))
    # of 68 surface voxels 16 of the far face are 6 mm off, the 12 beside it 3 mm; of the near face
    # the inner 4 lie 1 mm, along y, from the other box's sides
    expected = (16 * 6 + 12 * 3 + 4 * 1) / 68
    assert found["mean"] == pytest.approx(expected) and found["95 %"] == 6
    assert surface_distance(one, one, 1) == {"mean": 0, "95 %": 0}


def test_surfaces_of_a_point_and_of_nothing():
    one, other = np.zeros((2, 5, 5, 5), bool)
    one[0, 0, 0] = other[1, 2, 3] = True
    expected = np.sqrt(0.5**2 + 4**2 + 9**2)
    assert surface_distance(one, other, (0.5, 2, 3))["mean"] == pytest.approx(expected)
    assert surface_distance(one, 0 * one, 1)["95 %"] == np.inf
    assert np.isnan(surface_distance(0 * one, 0 * one, 1)["mean"])
    with pytest.raises(ValueError, match=r"spacing=\(0, 1, 1\): give"):
        surface_distance(one, other, (0, 1, 1))


@pytest.mark.parametrize("levels", [100, 255])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_best_band_gives_the_dice_that_it_says(levels, kind):
    scan = (np.arange(256) / 255).astype(kind)  # 8 bit: values on the thresholds, or beside them
    truth = (np.arange(256) > 51) & (np.arange(256) <= 178)
    low, high, score = best_band([truth], [scan], levels)
    found = (scan > low) & (scan <= high)
    assert score == pytest.approx(2 * np.sum(found & truth) / (found.sum() + truth.sum()))
    assert score > 0.98


@pytest.mark.filterwarnings("error")
def test_best_band_of_all_that_is_there():
    assert best_band([np.array([0, 1])], [np.array([0, 0.5])], levels=4) == (0, 0.5, 1)


def stairs(slope, jump):
    """Along x of 8 a slope, and one jump between the tiles [0, 4) and [4, 8)."""
    line = slope * np.arange(8.0) + jump * (np.arange(8) >= 4)
    return np.broadcast_to(line[:, None, None], (8, 4, 4))


TILES = {"starts": ([0, 4], [0], [0]), "size": (4, 4, 4)}


@pytest.mark.parametrize("slope, jump", [(1, 0), (1, 2), (0.5, 3), (-1, -1)])
def test_seam_score_in_closed_form(slope, jump):
    # 16 steps of slope + jump at the border; elsewhere 96 of slope along x, 96 + 96 of 0
    expected = abs(slope + jump) / (96 * abs(slope) / 288)
    assert seam_score(stairs(slope, jump), **TILES) == pytest.approx(expected)


def test_seam_score_counts_the_end_of_a_tile_too():
    volume = np.zeros((6, 1, 1))
    volume[4:], volume[5:] = 3, 4  # tiles [0, 4) and [2, 6): borders at 2 and 4
    assert seam_score(volume, ([0, 2], [0], [0]), (4, 1, 1)) == pytest.approx((3 / 2) / (1 / 3))


def test_seam_score_of_pure_steps_and_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert seam_score(stairs(0, 1), **TILES) == np.inf
        assert seam_score(stairs(0, 0), **TILES) == 1


def test_seam_score_takes_integers():
    assert seam_score(stairs(1, 2).astype(np.uint8)[::-1], **TILES) == pytest.approx(9)


BOXES = np.ones((1, 9, 9, 6))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: dice(A, A[:1]), r"truth has shape \(2, 1, 3\), prediction \(1, 1, 3\)"),
        (lambda: dice(A, np.full(A.shape, 0.5)), "prediction holds values besides 0 and 1"),
        (lambda: dice(np.full(A.shape, np.nan), A), "truth holds values"),
        (lambda: rmse([1, 2], [1]), r"truth has shape \(2,\), prediction \(1,\)"),
        (lambda: psnr([1, 1], [1, 2]), "truth is constant"),
        (lambda: correlation([1, 1], [1, 2]), "truth is constant"),
        (lambda: correlation([1, 2], [1]), "truth has shape"),
        (lambda: border_over_black([np.eye(9)], [np.eye(9)], 1), r"width=1 in a volume \(9, 9\)"),
        (lambda: border_over_black(BOXES, BOXES, 3), "width=3 in a volume"),
        (lambda: border_over_black(BOXES, BOXES, 0), "width=0 in a volume"),
        (lambda: border_over_black(BOXES, BOXES[..., :5]), "truth has shape"),
        (lambda: ssim(np.ones((7, 7, 7)), np.ones((7, 7, 7))), "truth is constant"),
        (lambda: ssim(np.eye(9), np.eye(9)), r"truth has shape \(9, 9\)"),
        (lambda: ssim(np.ones((9, 9, 6)), np.ones((9, 9, 6))), r"\(9, 9, 6\): SSIM needs"),
        (lambda: ssim(np.ones((7, 7, 7)), np.ones((7, 7, 7)), 0), "data_range=0"),
        (lambda: best_band([[0, 1]], [[0.5, 2]]), r"a scan \(2,\) in 0.5..2 with a mask"),
        (lambda: best_band([[0, 1]], [[0.5]]), r"with a mask \(2,\): needed"),
        (lambda: best_band([[0]], [[0.5]]), "masks are empty"),
        (lambda: best_band([[0.3, 1]], [[0, 1]]), "truth holds values besides 0 and 1"),
        (lambda: best_band([[0, 1]], [[0, 1]], 0), "levels=0"),
        (lambda: surface_distance(BOXES[0] * 0.9, BOXES[0], 1), "truth holds values besides"),
        (lambda: surface_distance(BOXES, BOXES, 1), r"\(1, 9, 9, 6\): needed is \(X, Y, Z\)"),
        (lambda: dice_by_label([1], [np.inf]), "give whole numbers"),
        (lambda: seam_score(stairs(1, 0), ([0], [0], [0]), (8, 4, 4)), "no tile border inside"),
        (lambda: seam_score(np.eye(2)[None], ([0], [0, 1], [0, 1]), (1, 1, 1)), "nothing but"),
    ],
)
def test_errors_name_argument_and_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()
