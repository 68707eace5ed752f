"""Deconvolution against explicit matrices, scikit-image and closed forms, and at the border."""

import itertools
import tracemalloc

import numpy as np
import pytest
from scipy import ndimage
from scipy.signal import convolve, correlate, fftconvolve
from skimage import restoration

from lib.microscopy.deconvolution import (
    blind_richardson_lucy,
    linear_background,
    richardson_lucy,
    wiener,
)
from lib.microscopy.psf import gaussian_psf

SIGMA = (1.2, 1.2, 2.0)


def random(*shape, seed=0):
    return np.random.default_rng(seed).random(shape)


def points(*shape, count=12, seed=0):
    """Soft bright spots in black."""
    rng = np.random.default_rng(seed)
    scene = np.zeros(shape)
    for _ in range(count):
        scene[tuple(rng.integers(0, shape))] = rng.uniform(50, 100)
    return ndimage.gaussian_filter(scene, 0.7, mode="constant")


def same(scene, psf):
    """Convolution cut to the scene; the centre of the PSF is ``size // 2``."""
    full = np.maximum(fftconvolve(scene, psf), 0)
    starts = [k // 2 for k in psf.shape]
    return full[tuple(slice(a, a + n) for a, n in zip(starts, scene.shape, strict=True))]


def correlation(a, b):
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


def by_matrix(volume, psf, iterations, background, accelerate=False):
    """Richardson-Lucy with the blur written out as a matrix, from the scene to the window."""
    sides = [
        range(-(k - 1 - k // 2), n + k // 2)  # voxels of the scene whose light reaches the window
        for n, k in zip(volume.shape, psf.shape, strict=True)
    ]
    voxels = np.array(list(itertools.product(*sides)))
    window = np.array(list(np.ndindex(volume.shape)))
    blur = np.zeros((len(window), len(voxels)))
    for row, i in enumerate(window):
        for column, j in enumerate(voxels):
            k = i - j + np.array(psf.shape) // 2
            if np.all(k >= 0) and np.all(k < psf.shape):
                blur[row, column] = psf[tuple(k)] / psf.sum()
    image, background = volume.ravel(), np.broadcast_to(background, volume.shape).ravel()
    scene = np.full(len(voxels), np.maximum(image - background, 0).mean())
    steps = [scene]  # all estimates, and how each changed where its step began
    changes = []
    for _ in range(iterations):
        length = 0.0
        if accelerate and len(changes) > 1:
            length = np.clip(changes[-1] @ changes[-2] / (changes[-2] @ changes[-2]), 0, 1)
        begin = steps[-1] + (length * (steps[-1] - steps[-2]) if length else 0)
        begin = np.maximum(begin, 0)
        ratio = image / (blur @ begin + background)
        steps.append(begin * (blur.T @ ratio) / blur.sum(axis=0))
        changes.append(steps[-1] - begin)
    return steps[-1].reshape([len(side) for side in sides])


def window(scene, volume):
    """What `richardson_lucy` returns of a scene from `by_matrix`."""
    starts = (np.array(scene.shape) - volume.shape) // 2  # of a PSF of k voxels, (k - 1) // 2
    return scene[tuple(slice(a, a + n) for a, n in zip(starts, volume.shape, strict=True))]


@pytest.mark.parametrize("size", [(3, 1, 5), (2, 4, 2), (1, 6, 9)])
@pytest.mark.parametrize("background", [0, 0.3, random(4, 3, 5, seed=2)])
def test_richardson_lucy_is_the_matrix_formula(size, background):
    volume, psf = random(4, 3, 5), random(*size, seed=1) + 0.5
    result = richardson_lucy(volume, psf, 7, background=background)
    expected = window(by_matrix(volume, psf, 7, background), volume)
    np.testing.assert_allclose(result, expected, rtol=1e-8)


@pytest.mark.parametrize("size", [(3, 1, 5), (2, 4, 2)])
@pytest.mark.parametrize("iterations", [1, 2, 3, 12])
def test_accelerated_it_is_the_matrix_formula_of_biggs_and_andrews(size, iterations):
    volume, psf = random(4, 3, 5), random(*size, seed=1) + 0.5
    result = richardson_lucy(volume, psf, iterations, background=0.3, accelerate=True)
    expected = window(by_matrix(volume, psf, iterations, 0.3, accelerate=True), volume)
    np.testing.assert_allclose(result, expected, rtol=1e-8)
    plain = richardson_lucy(volume, psf, iterations, background=0.3)
    assert np.allclose(result, plain, rtol=1e-4) == (iterations < 3)


def test_richardson_lucy_is_scikit_image_s_away_from_the_border():
    volume = np.zeros((24, 22, 20))
    volume[8:16, 8:14, 8:12] = random(8, 6, 4)
    psf = random(3, 5, 3, seed=1)
    expected = restoration.richardson_lucy(volume, psf / psf.sum(), 8, clip=False)
    np.testing.assert_allclose(richardson_lucy(volume, psf, 8), expected, atol=1e-9)


@pytest.mark.parametrize("size", [(3, 3, 3), (4, 2, 6), (9, 8, 30)])
def test_a_constant_stays_constant_up_to_the_border(size):
    background = random(9, 8, 7, seed=1) * 1000
    result = richardson_lucy(5000 + background, random(*size), 30, background=background)
    np.testing.assert_allclose(result, 5000, rtol=1e-9)


def test_a_window_of_a_larger_scene_is_restored_up_to_its_border():
    scene, cut = points(40, 40, 40, count=150), (slice(8, 32),) * 3
    psf = gaussian_psf(SIGMA)
    volume = same(scene, psf)[cut] + 1
    rim = np.ones(volume.shape, bool)
    rim[5:-5, 5:-5, 5:-5] = False
    ours = richardson_lucy(volume, psf, 60, background=1)
    theirs = restoration.richardson_lucy(volume - 1, psf, 60, clip=False)
    assert correlation(ours[rim], scene[cut][rim]) > 0.85
    assert correlation(theirs[rim], scene[cut][rim]) < 0.75


@pytest.mark.parametrize("counts", [(3, 10), [1, 2, 5], np.array([4]), range(2, 4)])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_several_counts_give_the_estimate_after_each(counts, kind):
    volume, psf = random(6, 5, 7).astype(kind), random(3, 4, 2, seed=1)
    stacked = richardson_lucy(volume, psf, counts, background=0.1)
    assert stacked.shape == (len(counts), 6, 5, 7) and stacked.dtype == kind
    for count, estimate in zip(counts, stacked, strict=True):
        alone = richardson_lucy(volume, psf, int(count), background=0.1)
        np.testing.assert_array_equal(estimate, alone)


@pytest.mark.parametrize("scale", [1e-3, 60000])
def test_units_of_volume_and_psf_do_not_matter(scale):
    volume, psf = random(8, 8, 8), random(3, 4, 3, seed=1)
    expected = richardson_lucy(volume, psf, 5, background=0.2)
    result = richardson_lucy(scale * volume, 300 * psf, 5, background=0.2 * scale)
    np.testing.assert_allclose(result, scale * expected, rtol=1e-9)


def test_integers_are_worked_on_in_float32_and_left_alone():
    volume = np.round(same(points(20, 20, 12), gaussian_psf(SIGMA)) * 300 + 100).astype(np.uint16)
    before = volume.copy()
    result = richardson_lucy(volume, gaussian_psf(SIGMA), 30, background=100)
    exact = richardson_lucy(volume.astype(float), gaussian_psf(SIGMA), 30, background=100)
    assert result.dtype == np.float32 and exact.dtype == np.float64 and np.all(result >= 0)
    np.testing.assert_allclose(result, exact, atol=2e-3 * exact.max())
    np.testing.assert_array_equal(volume, before)


def test_rounding_leaves_nothing_negative():
    volume = np.zeros((20, 20, 20), np.float32)
    volume[10, 10, 10] = 60000
    assert richardson_lucy(volume, gaussian_psf(1), 1).min() >= 0


def test_black_stays_black():
    black = np.zeros((5, 6, 7), np.float32)
    np.testing.assert_array_equal(richardson_lucy(black, gaussian_psf(1), 4), black)
    np.testing.assert_array_equal(richardson_lucy(black, gaussian_psf(1), 4, background=3), black)
    scene, psf = blind_richardson_lucy(black, 2, psf=gaussian_psf(1))
    np.testing.assert_array_equal(scene, black)
    np.testing.assert_allclose(psf, gaussian_psf(1), rtol=1e-6)


def test_a_progress_bar_on_request(bars, capsys):
    richardson_lucy(random(3, 3, 3), gaussian_psf(1), 2, progress=True)
    assert "2/2" in capsys.readouterr().err
    richardson_lucy(random(3, 3, 3), gaussian_psf(1), 2)
    assert capsys.readouterr().err == ""


def test_memory_is_eight_copies_at_most():
    volume, psf = np.ones((94, 94, 94), np.float32), gaussian_psf(0.75)  # on a grid of 100^3
    richardson_lucy(volume, psf, 1)
    tracemalloc.start()
    try:
        richardson_lucy(volume, psf, 3)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * volume.nbytes


@pytest.mark.parametrize(
    "arguments, background, text",
    [
        ((-np.ones((3, 3, 3)), gaussian_psf(1), 1), 0, "volume holds -1: give finite values, 0 or"),
        ((np.full((3, 3, 3), np.nan), gaussian_psf(1), 1), 0, "volume holds nan"),
        ((np.ones((3, 3, 3)), -gaussian_psf(1), 1), 0, "psf holds -0.06"),
        ((np.ones((3, 3, 3)), np.ones((3, 3)), 1), 0, r"psf is float64 \(3, 3\)"),
        ((np.ones((3, 3, 3)), gaussian_psf(1), 0), 0, "iterations=0: give a whole number, 1 or"),
        ((np.ones((3, 3, 3)), gaussian_psf(1), 2.5), 0, "iterations=2.5: give a whole number"),
        ((np.ones((3, 3, 3)), gaussian_psf(1), (10, 3)), 0, r"iterations=\(10, 3\): give rising"),
        ((np.ones((3, 3, 3)), gaussian_psf(1), ()), 0, r"iterations=\(\): give rising counts"),
        ((np.ones((3, 3, 3)), gaussian_psf(1), [[1, 2]]), 0, r"iterations=\[1, 2\]: give a whole"),
        ((np.ones((3, 3, 3)), gaussian_psf(1), 1), -2, "background holds -2: give finite values"),
        ((np.ones((3, 3, 3)), gaussian_psf(1), 1), np.ones((3, 1, 3)), r"shape \(3, 1, 3\): give"),
    ],
)
def test_richardson_lucy_refuses(arguments, background, text):
    with pytest.raises(ValueError, match=text):
        richardson_lucy(*arguments, background=background)


def test_wiener_is_scikit_image_s_far_from_the_border():
    volume, psf = random(6, 7, 5), random(3, 4, 5, seed=1)
    wide = np.pad(volume, 40)
    expected = restoration.wiener(wide, psf / psf.sum(), 0.1, clip=False)[24:-24, 24:-24, 24:-24]
    result = wiener(1000 * np.pad(volume, 16), psf, 0.1) / 1000
    np.testing.assert_allclose(result, expected, atol=1e-3)


def test_wiener_does_not_leak_across_opposite_borders():
    volume = np.zeros((24, 24, 24))
    volume[:3] = 1
    psf = gaussian_psf(1.5)
    circular = restoration.wiener(volume, psf, 0.01, clip=False)
    assert np.abs(circular[-3:]).max() > 0.2
    assert np.abs(wiener(volume, psf, 0.01)[-3:]).max() < 0.03


@pytest.mark.parametrize("size", [(1, 1, 5), (1, 1, 3), (9, 9, 9), (2, 2, 2)])
def test_wiener_keeps_a_constant_for_psfs_of_any_size(size):
    volume = np.full((1, 1, 4), -700, np.int16)
    result = wiener(volume, random(*size) + 0.1, 0.1)
    assert result.dtype == np.float32 and result.shape == (1, 1, 4)
    np.testing.assert_allclose(result, -700, rtol=1e-5)


@pytest.mark.parametrize("balance", [0, -1, np.nan, np.inf])
def test_wiener_refuses(balance):
    with pytest.raises(ValueError, match=f"balance={balance}: give more than 0"):
        wiener(np.ones((3, 3, 3)), gaussian_psf(1), balance)


def test_blind_is_the_formula_for_scene_and_psf():
    volume, start = random(4, 3, 5) + 0.1, random(3, 1, 5, seed=1) + 0.5
    scene, psf = by_matrix(volume, start, 2, 0.05), start / start.sum()
    for _ in range(2):
        ratio = volume / (convolve(scene, psf, "valid") + 0.05)
        both = (correlate(scene, image, "valid") for image in (ratio, np.ones_like(volume)))
        psf = psf * np.flip(np.divide(*both))
    assert abs(psf.sum() - 1) > 1e-4  # so the next check can fail
    found = blind_richardson_lucy(volume, 1, psf=start, steps=2, background=0.05)
    np.testing.assert_allclose(found[0], window(scene, volume) * psf.sum(), rtol=1e-8)
    np.testing.assert_allclose(found[1], psf / psf.sum(), rtol=1e-8)


def test_blind_finds_a_better_psf_and_a_better_scene():
    scene, true = points(28, 28, 20), gaussian_psf(SIGMA, (9, 9, 13))
    volume, start = same(scene, true), gaussian_psf(np.multiply(SIGMA, 1.6), (9, 9, 13))
    found, psf = blind_richardson_lucy(volume, 8, psf=start)
    assert psf.shape == start.shape and psf.min() >= 0 and psf.sum() == pytest.approx(1)
    assert correlation(start, true) < 0.9 and correlation(psf, true) > 0.97
    wrong, right = (correlation(richardson_lucy(volume, p, 80), scene) for p in (start, true))
    assert wrong + 0.1 < correlation(found, scene) < right


def test_blind_keeps_psf_and_scene_in_place():
    scene, start = points(24, 24, 16), np.roll(gaussian_psf(1, (9, 9, 9)), (2, -1), (0, 2))
    volume = same(scene, gaussian_psf(1)) + 5
    found, psf = blind_richardson_lucy(volume, 10, psf=start, steps=5, background=5)
    np.testing.assert_allclose(ndimage.center_of_mass(psf), (4, 4, 4), atol=0.1)
    inside = (slice(4, -4),) * 3
    assert correlation(found[inside], scene[inside]) > 0.95


@pytest.mark.parametrize("steps", [0, None])
def test_blind_refuses(steps):
    with pytest.raises(ValueError, match=f"steps={steps}: give a whole number, 1 or more"):
        blind_richardson_lucy(np.ones((3, 3, 3)), 1, psf=gaussian_psf(1), steps=steps)


def test_linear_background_looks_past_the_beads():
    shape = (32, 30, 16)
    x, y, z = np.indices(shape)
    ground = 200 + 3 * x - 1.5 * y + 0.5 * z
    noise = np.random.default_rng(0).normal(0, 5, shape)
    volume = ground + noise + 40 * points(*shape, count=30)
    found = linear_background(volume.astype(np.uint16))
    assert found.shape == shape and found.dtype == np.float32
    np.testing.assert_allclose(found, ground, atol=4)
    assert (40 * points(*shape, count=30)).mean() > 4  # the plain mean would miss by more


def test_linear_background_of_a_plane_is_the_plane():
    ground = 10.0 + np.arange(8)[:, None, None] * np.ones((8, 5, 6))
    np.testing.assert_allclose(linear_background(ground), ground, rtol=1e-6)
    steep = np.maximum(np.arange(60.0) - 12, 0)[:, None, None] * np.ones((60, 5, 6))
    assert linear_background(steep).min() == 0  # the plane itself dips below
