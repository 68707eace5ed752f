"""Gray matter by bands, a mixture and a network, on tissues that are known; islands by hand."""

import itertools

import keras
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude, gaussian_laplace
from threadpoolctl import threadpool_limits

from lib.metrics import best_band, dice
from lib.mri.segmentation import (
    PICKED,
    GrayNetwork,
    VoxelTrees,
    add_smoothed,
    describe_voxels,
    drop_islands,
    false_islands,
    gray_by_mixture,
    pick_tissue,
    smoothed_pairs,
    train_trees,
    tune_band,
    tune_mixture,
)


def noise_fields(count, shape=(36, 32, 28)):
    return np.random.default_rng(1).standard_normal((count, *shape))


def ball():
    radius = np.linalg.norm(np.indices((36, 32, 28)) - 15.0, axis=0)
    return np.select([radius < 8, radius < 12], [0.9, 0.6], 0.0)


def test_smoothed_copies_are_further_channels():
    point = np.zeros((33, 33, 33))
    point[16, 16, 16] = 1
    channels = add_smoothed(point, (1.0, 2.0))
    assert channels.shape == (33, 33, 33, 3) and channels.dtype == np.float32
    np.testing.assert_array_equal(channels[..., 0], point)
    for channel, sigma in ((1, 1), (2, 2)):  # a Gaussian's fall to the next voxel
        across = channels[16, 16, 16:18, channel]
        assert across[1] / across[0] == pytest.approx(np.exp(-1 / (2 * sigma**2)), rel=1e-4)
    with pytest.raises(ValueError, match=r"scan of shape .* NaN"):
        add_smoothed(np.full((3, 3, 3), np.nan), [1.0])
    for sigmas in ([2, 0], [2, -1], [2, np.nan], 1.5):
        with pytest.raises(ValueError, match=r"sigmas=.* give a list of numbers above 0"):
            add_smoothed(point, sigmas)
    with pytest.raises(ValueError, match=r"scan has shape \(33, 33\)"):
        add_smoothed(point[0], [1])


def test_a_band_is_tuned_on_all_scans_together():
    mask = ball() == 0.6
    scans = [np.clip(ball() + 0.2 * field, 0, 1) for field in noise_fields(3)]
    chain = tune_band(gaussian_filter, (0, 1, 8), scans, mask)
    assert chain.tuned.best == 1 and chain.tuned.inside and chain.tuned.values == [0, 1, 8]
    low, high, score = best_band([mask] * 3, [gaussian_filter(scan, 1) for scan in scans])
    smooth = gaussian_filter(scans[0], 1)
    assert np.array_equal(chain(scans[0]), (smooth > low) & (smooth <= high))
    assert chain.tuned.scores[1] == score


def test_trees_see_the_scan_and_its_filters():
    scan = noise_fields(1, (12, 10, 8))[0]
    where = np.zeros(scan.shape, bool)
    where[3, 4, 5] = where[7, 2, 1] = True
    seen = describe_voxels(scan, where)
    assert seen.shape == (2, 16) and seen.dtype == np.float32
    for column, expected in (
        (0, scan),
        (7, gaussian_filter(scan, 8)),
        (9, gaussian_laplace(scan, 1.5)),
        (12, gaussian_gradient_magnitude(scan, 1)),
    ):
        np.testing.assert_allclose(seen[:, column], expected[where], atol=1e-5)


def test_trees_find_what_no_band_of_thresholds_can():
    x, _, z = np.indices((36, 32, 28))
    stripes = np.where(x < 16, (-1.0) ** z, (-1.0) ** (z // 7))  # one brightness, thin or thick
    scan = 0.6 + 0.1 * stripes + 0.02 * noise_fields(1)[0]
    mask = x < 16
    scan[:, :3], mask[:, :3] = 0, False  # air
    assert best_band([mask], [scan])[2] < 0.7
    with threadpool_limits(1):  # its threads wait for one another for minutes on a busy machine
        trees, again = (train_trees([scan, scan], mask) for _ in "ab")
        found = trees(scan)
        assert dice(mask, found) > 0.97 and not found[:, :3].any()
        assert not trees(np.zeros_like(scan)).any()
        assert np.array_equal(again(scan), found)  # one seed
        tuned = trees.tuned((0, 1), (0.3, 0.9), [scan, scan], mask)
        pairs = itertools.product((0, 1), (0.3, 0.9))
        best = max(dice(mask, VoxelTrees(trees.trees, *pair)(scan)) for pair in pairs)
        assert dice(mask, tuned(scan)) == best


def test_tissue_is_picked_anew_in_each_scan():
    scan = np.where(np.arange(64)[:, None, None] < 32, 0, 0.5) * np.ones((64, 40, 40))
    one, other = (pick_tissue(scan, scan > 0, (0, number)) for number in (0, 1))
    assert one.sum() == other.sum() == PICKED and not np.array_equal(one, other)
    assert not one[:32].any() and pick_tissue(scan, scan > 0, 0, 10**6).sum() == 32 * 40 * 40


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


def test_pairs_to_train_on_share_the_mask():
    scans, mask = [np.zeros((5, 4, 3)), np.ones((5, 4, 3))], np.ones((5, 4, 3), bool)
    (_, first), (channels, second) = smoothed_pairs(scans, mask, [1.0])
    np.testing.assert_array_equal(channels, add_smoothed(scans[1], [1.0]))
    assert first is mask and second is mask


def test_a_network_sees_both_channels_and_keeps_the_extents():
    inputs = keras.Input((None, None, None, 2))
    model = keras.Model(inputs, inputs[..., :1] * inputs[..., 1:])  # both channels
    scan = np.random.default_rng(0).random((20, 33, 17)).astype(np.float32)
    mask = GrayNetwork(model, [1.5], 16)(scan)
    assert np.array_equal(mask, scan * gaussian_filter(scan, 1.5) > 0.5)
    assert 0.01 < mask.mean() < 0.3


CLEAN = np.full((4, 4, 4), 0.5)


def test_errors_name_argument_and_value():
    with pytest.raises(ValueError, match="scan has 2 voxels above"):
        gray_by_mixture(CLEAN, 0)
    with pytest.raises(ValueError, match="strengths is empty"):
        tune_band(gaussian_filter, (), [CLEAN], CLEAN > 0)
    for scans, mask, text in (
        ([], CLEAN > 0, "0 scans, a mask of bool: give at least one"),
        ([CLEAN], CLEAN, "1 scans, a mask of float64: give at least one, and bool"),
        ([CLEAN, CLEAN[1:]], CLEAN > 0, r"scan \(3, 4, 4\), mask \(4, 4, 4\): they must agree"),
        ([0.1 * CLEAN], CLEAN > 0, "no voxel above 0.15"),
        ([CLEAN * [1, 1, 1, np.nan]], CLEAN > 0, "scan of shape .* NaN"),
    ):
        with pytest.raises(ValueError, match=text):
            train_trees(scans, mask)
    with pytest.raises(ValueError, match=r"scan of shape .* NaN"):
        VoxelTrees(None)(CLEAN * np.nan)
    for where in (np.ones((4, 4, 4), int), CLEAN[0] > 0):
        with pytest.raises(ValueError, match=r"where is .*: give bool \(4, 4, 4\)"):
            describe_voxels(CLEAN, where)
