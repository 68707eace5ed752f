"""Gray matter by bands, a mixture and a network, on tissues that are known; islands by hand."""

import keras
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from lib.metrics import best_band, dice
from lib.mri.segmentation import (
    GrayNetwork,
    add_smoothed,
    drop_islands,
    false_islands,
    gray_by_mixture,
    total_variation,
    tune_band,
    tune_mixture,
)


def noise_fields(count, shape=(36, 32, 28)):
    return np.random.default_rng(1).standard_normal((count, *shape))


def ball():
    radius = np.linalg.norm(np.indices((36, 32, 28)) - 15.0, axis=0)
    return np.select([radius < 8, radius < 12], [0.9, 0.6], 0.0)


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


def test_a_band_is_tuned_on_all_scans_together():
    mask = ball() == 0.6
    scans = [np.clip(ball() + 0.2 * field, 0, 1) for field in noise_fields(3)]
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


def test_a_network_sees_both_channels_and_keeps_the_extents():
    inputs = keras.Input((None, None, None, 2))
    model = keras.Model(inputs, inputs[..., :1] * inputs[..., 1:])  # both channels
    scan = np.random.default_rng(0).random((20, 33, 17)).astype(np.float32)
    mask = GrayNetwork(model, 1.5, 16)(scan)
    assert np.array_equal(mask, scan * gaussian_filter(scan, 1.5) > 0.5)
    assert 0.01 < mask.mean() < 0.3


CLEAN = np.full((4, 4, 4), 0.5)


def test_errors_name_argument_and_value():
    with pytest.raises(ValueError, match="scan has 2 voxels above"):
        gray_by_mixture(CLEAN, 0)
    with pytest.raises(ValueError, match="strengths is empty"):
        tune_band(gaussian_filter, (), [CLEAN], CLEAN > 0)
