"""Simulated scans, seeded and with the statistics they promise; N4; gray by intensity."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from lib.metrics import best_band, dice
from lib.mri import (
    add_smoothed,
    bias_field,
    bounding_box,
    correct_bias_field,
    drop_islands,
    even_contrast,
    false_islands,
    gray_by_mixture,
    mr_scan,
    mr_scans,
    prepare_scan,
    total_variation,
    tune_band,
    tune_mixture,
)

SHAPE = (20, 24, 16)


def test_a_seed_decides_everything():
    t1 = np.random.default_rng(0).random(SHAPE)
    for make in (lambda seed: bias_field(SHAPE, 0.5, seed=seed), lambda s: mr_scan(t1, seed=s)):
        assert np.array_equal(make(1), make(1)) and not np.allclose(make(1), make(2))


def test_scans_are_those_of_their_seeds():
    t1 = np.random.default_rng(0).random(SHAPE)
    scans = mr_scans(t1, 2, seed=(3, 1))
    assert len(scans) == 2 and np.array_equal(scans[1], mr_scan(t1, seed=(3, 1, 1)))


def test_a_box_holds_the_mask_and_no_more():
    mask = np.zeros((5, 6, 7), bool)
    mask[1, 2, 3] = mask[3, 2, 6] = True
    assert bounding_box(mask) == np.s_[1:4, 2:3, 3:7]


@pytest.mark.parametrize("strength", [0.1, 0.5, 3])
@pytest.mark.parametrize("knots", [4, 7])
def test_the_field_spans_what_is_asked(strength, knots):
    field = bias_field(SHAPE, strength, knots, seed=3)
    assert field.shape == SHAPE and field.dtype == np.float32
    assert field.max() == np.float32(1 + strength)
    assert field.min() == pytest.approx(1 / (1 + strength), rel=1e-6)


def test_no_strength_no_field():
    assert np.all(bias_field((3, 4, 5), 0, seed=0) == 1)


def test_the_field_is_one_cubic_along_each_axis():
    exponent = np.log(bias_field(SHAPE, 1, knots=4, seed=5).astype(float)) / np.log(2)
    for axis in range(3):  # four knots, not-a-knot: one polynomial, whose fourth differences vanish
        assert np.abs(np.diff(exponent, 4, axis)).max() < 1e-5
        assert np.abs(np.diff(exponent, 1, axis)).max() < 1, "neighbours are alike"


def test_air_is_rayleigh():
    air = mr_scan(np.zeros((40, 50, 60)), noise=0.2, seed=1)
    assert air.dtype == np.float32 and air.min() >= 0
    assert air.mean() == pytest.approx(0.2 * np.sqrt(np.pi / 2), rel=0.01)
    assert air.std() == pytest.approx(0.2 * np.sqrt(2 - np.pi / 2), rel=0.01)


def test_bright_tissue_is_nearly_gaussian():
    scan = mr_scan(np.ones((40, 50, 60)), bias=0, contrast=0, noise=0.05, seed=1)
    assert scan.mean() == pytest.approx(np.sqrt(1 + 0.05**2), abs=1e-3)
    assert scan.std() == pytest.approx(0.05, rel=0.01)


def test_contrast_is_a_power_within_its_bounds():
    t1 = np.random.default_rng(0).uniform(0.1, 0.9, (6, 5, 4))
    powers = []
    for seed in range(50):
        scan = mr_scan(t1, bias=0, contrast=0.3, noise=0, seed=seed)
        power = np.log(scan) / np.log(t1)
        assert np.ptp(power) < 1e-4
        powers.append(power.mean())
    assert np.exp(-0.3) <= min(powers) < 0.8 and 1.25 < max(powers) <= np.exp(0.3)


def test_contrast_and_field_have_nothing_to_do_with_each_other():
    t1 = np.ones((4, 4, 4))
    t1[1, 1, 1] = 0.5
    power, corner = [], []
    for seed in range(200):
        power.append(-np.log2(mr_scan(t1, bias=0, noise=0, seed=seed)[1, 1, 1]))
        corner.append(np.log(mr_scan(t1, noise=0, seed=seed)[0, 0, 0]))
    assert abs(np.corrcoef(power, corner)[0, 1]) < 0.25


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_without_disturbance_a_scan_is_its_truth(dtype):
    t1 = np.indices((2, 3, 2)).sum(0) % 2
    scan = mr_scan(t1.astype(dtype), bias=0, contrast=0, noise=0, seed=0)
    assert scan.dtype == np.float32 and np.array_equal(scan, t1)


def ball():
    """Two tissues, 1 inside 0.6, in a gain that grows from 0.7 to 1.3 along x."""
    x, y, z = np.indices((36, 32, 28))
    radius = np.sqrt((x - 18) ** 2 + (y - 16) ** 2 + (z - 14) ** 2)
    body = np.where(radius < 8, 1, np.where(radius < 13, 0.6, 0))
    return body, body * np.linspace(0.7, 1.3, 36)[:, None, None]


def test_n4_evens_out_a_gain_and_keeps_the_axes():
    body, scan = ball()
    corrected = correct_bias_field(scan, 4)
    assert corrected.shape == scan.shape and corrected.dtype == np.float32
    for tissue in (body == 1, body == 0.6):
        before, after = (a[tissue].std() / a[tissue].mean() for a in (scan, corrected))
        assert after < 0.4 * before
    assert corrected[body == 1].mean() > 1.4 * corrected[body == 0.6].mean()
    assert np.all(corrected[body == 0] == 0)


def test_even_contrast_worked_by_hand():
    scan = np.array([[[0, 0.1, 0.25, 0.25, 1]]])  # the tissue's median is 0.25; 0.25 ** 0.5 = 0.5
    even = even_contrast(scan, median=0.5)
    assert even.dtype == np.float32
    assert even == pytest.approx(np.array([[[0, np.sqrt(0.1), 0.5, 0.5, 1]]]), rel=1e-6)


@pytest.mark.parametrize("power", [0.75, 1.3])
def test_even_contrast_undoes_a_power(power):
    scan = np.random.default_rng(0).uniform(0.4, 1, (6, 7, 8))
    assert even_contrast(scan**power) == pytest.approx(even_contrast(scan), rel=1e-5)
    assert np.median(even_contrast(scan)) == pytest.approx(0.7, rel=1e-6)


def test_a_smoothed_copy_is_the_second_channel():
    point = np.zeros((9, 9, 9))
    point[4, 4, 4] = 1
    channels = add_smoothed(point, 1.0)
    assert channels.shape == (9, 9, 9, 2) and channels.dtype == np.float32
    np.testing.assert_array_equal(channels[..., 0], point)
    across = channels[4, 4, 4:6, 1]  # a Gaussian falls by exp(-1/2) within its sigma
    assert across[1] / across[0] == pytest.approx(np.exp(-0.5), rel=1e-5)
    with pytest.raises(ValueError, match="scan"):
        add_smoothed(np.full((3, 3, 3), np.nan), 1.0)
    for scan, sigma in [(point, 0), (point, -1), (point, np.nan), (point[0], 1)]:
        with pytest.raises(ValueError, match=f"sigma={sigma}"):
            add_smoothed(scan, sigma)


def test_a_prepared_scan_has_its_median_and_range():
    _, scan = ball()
    ready = prepare_scan(30 * scan)
    assert ready.shape == scan.shape and ready.min() == 0 and ready.max() == 1
    assert np.median(ready[ready > 0.15]) == pytest.approx(0.7, abs=0.02)


def test_a_band_is_tuned_on_all_scans_together():
    mask = ball()[0] == 0.6
    scans = [np.clip(ball()[0] + 0.2 * field, 0, 1) for field in noise_fields(3)]
    chain = tune_band(gaussian_filter, (0, 1, 8), scans, mask)
    assert chain.tuned.best == 1 and chain.tuned.inside and chain.tuned.values == [0, 1, 8]
    low, high, score = best_band([gaussian_filter(scan, 1) for scan in scans], [mask] * 3)
    smooth = gaussian_filter(scans[0], 1)
    assert np.array_equal(chain(scans[0]), (smooth > low) & (smooth <= high))
    assert chain.tuned.scores[1] == score


def test_total_variation_keeps_an_edge_and_takes_noise():
    step = np.repeat([0.2, 0.8], 12)[:, None, None] * np.ones((1, 20, 20))
    noisy = step + 0.05 * noise_fields(1, step.shape)[0]
    smooth = total_variation(noisy, 0.1)
    assert np.abs(smooth - step).mean() < 0.3 * np.abs(noisy - step).mean()
    assert np.abs(gaussian_filter(noisy, 1.5) - step)[11:13].mean() > np.abs(smooth - step).max()


def test_a_mixture_finds_the_middle_of_three_tissues():
    body = np.repeat([0.0, 0.3, 0.6, 0.9], 16)[:, None, None] * np.ones((1, 30, 30))
    scan = np.clip(body + 0.03 * noise_fields(1, body.shape)[0], 0, 1)
    assert dice(body == 0.6, gray_by_mixture(scan, sigma=0)) > 0.99
    chain = tune_mixture((0, 6), [scan], body == 0.6)
    assert chain.tuned.best == 0 and np.array_equal(chain(scan), gray_by_mixture(scan, 0))


def test_islands_up_to_a_size_are_dropped():
    mask = np.zeros((6, 6, 6), bool)
    mask[0, 0, 0] = mask[1, 1, 1] = True  # two voxels that meet at a corner
    mask[4, 4, :5] = True
    assert np.count_nonzero(drop_islands(mask, 1)) == 7
    assert np.array_equal(np.argwhere(drop_islands(mask, 2))[:, :2], [[4, 4]] * 5)
    assert not drop_islands(mask, 5).any()


def test_a_false_island_holds_no_truth():
    truth, mask = np.zeros((2, 5, 5, 5), bool)
    truth[0, 0, :3] = True
    mask[0, 0, 2:] = mask[2, 2, 2] = mask[4, 4, 4] = mask[4, 4, 3] = True
    assert false_islands(truth, mask) == 2
    assert false_islands(truth, truth) == 0 and false_islands(mask, truth & ~mask) == 1


def noise_fields(count, shape=(36, 32, 28)):
    return np.random.default_rng(1).standard_normal((count, *shape))


CLEAN = np.full((4, 4, 4), 0.5)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: bias_field(SHAPE, -0.1, seed=0), "strength=-0.1"),
        (lambda: bias_field(SHAPE, np.nan, seed=0), "strength=nan"),
        (lambda: bias_field(SHAPE, 1, 3, seed=0), "knots=3: give at least 0 and 4"),
        (lambda: bias_field((4, 4), 1, seed=0), r"shape=\(4, 4\): give three extents"),
        (lambda: bias_field((4, 0, 4), 1, seed=0), r"shape=\(4, 0, 4\)"),
        (lambda: mr_scan(2 * CLEAN + 0.5, seed=0), "t1 spans 1.5 to 1.5: rescale"),
        (lambda: mr_scan(-CLEAN, seed=0), "t1 spans -0.5"),
        (lambda: mr_scan(CLEAN * np.nan, seed=0), "t1 spans nan"),
        (lambda: mr_scan(CLEAN[..., None], seed=0), r"shape=\(4, 4, 4, 1\)"),
        (lambda: mr_scan(CLEAN, bias=-1, seed=0), "strength=-1"),
        (lambda: mr_scan(CLEAN, contrast=-1, seed=0), "contrast=-1"),
        (lambda: mr_scan(CLEAN, noise=-0.1, seed=0), "noise=-0.1: give 0 or more"),
        (lambda: mr_scan(CLEAN, noise=np.nan, seed=0), "noise=nan"),
        (lambda: correct_bias_field(np.ones((8, 8))), r"scan has shape \(8, 8\)"),
        (lambda: correct_bias_field(np.full((8, 8, 8), np.nan)), "scan of shape"),
        (lambda: correct_bias_field(np.ones((8, 9, 6)), 4), "shrink=4: give 1 up to half"),
        (lambda: correct_bias_field(np.ones((8, 8, 8)), 0), "shrink=0"),
        (lambda: bounding_box(0 * CLEAN), r"mask of shape \(4, 4, 4\) is empty"),
        (lambda: even_contrast(2 * CLEAN + 1), "scan spans 2 to 2: needed is 0..1"),
        (lambda: even_contrast(0 * CLEAN), "with tissue above 0.15"),
        (lambda: even_contrast(CLEAN, 1), "median=1, that of the scan is 0.5"),
        (lambda: even_contrast(2 * CLEAN), "that of the scan is 1"),
        (lambda: gray_by_mixture(CLEAN, 0), "scan has 2 voxels above 0.15 to fit"),
        (lambda: tune_band(gaussian_filter, (), [CLEAN], CLEAN > 0), "strengths is empty"),
        (lambda: correct_bias_field(np.ones((8, 8, 8)), 1.5), "shrink=1.5"),
    ],
)
def test_errors_name_argument_and_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()
