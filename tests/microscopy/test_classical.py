"""Each baseline is the function beneath it, told what its name says."""

import numpy as np
import pytest

from lib.metrics import correlation
from lib.microscopy import classical
from lib.microscopy.bead_sets import SIGMA, bead_pair
from lib.microscopy.deconvolution import (
    blind_richardson_lucy,
    linear_background,
    richardson_lucy,
    wiener,
)
from lib.microscopy.psf import gaussian_psf

PSF = gaussian_psf(SIGMA, (9, 9, 17))
IMAGE, TRUTH = bead_pair((24, 24, 20), 5, seed=1)
PLANE = linear_background(IMAGE)


@pytest.mark.parametrize(
    "way, background", [(classical.lucy_plane, PLANE), (classical.lucy_constant, np.median(IMAGE))]
)
def test_lucy_is_told_its_background(way, background):
    expected = richardson_lucy(IMAGE, PSF, 7, background=background, accelerate=True)
    np.testing.assert_array_equal(way(IMAGE, 7, PSF), expected)


def test_lucy_smoothed_is_lucy_then_a_gaussian():
    plain = classical.lucy_plane(IMAGE, 7, PSF)
    spread = np.exp(-0.5 * (np.arange(-3, 4) / 0.7) ** 2)  # 4 sigma are 2.8 voxels: 3 to each side
    expected = np.pad(plain, 3, "symmetric")
    for axis in range(3):
        expected = np.apply_along_axis(np.convolve, axis, expected, spread / spread.sum(), "valid")
    found = classical.lucy_smoothed(IMAGE, (7, 0.7), PSF)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(classical.lucy_smoothed(IMAGE, (7, 0), PSF), plain)


def test_tuning_in_one_pass_scores_what_single_calls_give():
    pairs = [(IMAGE, TRUTH), (IMAGE[::-1], TRUTH)]  # the second is a wrong pair: it fits less
    table = classical.tune_lucy_smoothed(pairs, [3, 8], [0, 0.6], PSF, threads=2)
    assert table.shape == (2, 2)
    for count in (3, 8):
        for sigma in (0, 0.6):
            outputs = [classical.lucy_smoothed(image, (count, sigma), PSF) for image, _ in pairs]
            expected = np.mean([correlation(TRUTH, output) for output in outputs])
            assert table.loc[count, sigma] == pytest.approx(expected, rel=1e-5)


def test_blind_gives_the_scene_and_the_psf():
    scene, psf = blind_richardson_lucy(IMAGE, 2, psf=PSF, background=PLANE)
    np.testing.assert_array_equal(classical.blind_plane(IMAGE, 2, PSF), scene)
    np.testing.assert_array_equal(classical.blind_psf(IMAGE, 2, PSF), psf)


@pytest.mark.parametrize(
    "way, value",
    [
        (classical.lucy_plane, 20),
        (classical.lucy_smoothed, (20, 0.6)),
        (classical.wiener_plane, 1e-3),
        (classical.blind_plane, 3),
    ],
)
def test_every_way_beats_the_image_less_its_background(way, value):
    before = correlation(TRUTH, classical.above_background(IMAGE))
    assert correlation(TRUTH, way(IMAGE, value, PSF)) > before + 0.03


def test_the_wiener_filter_gives_no_light_below_0():
    raw = wiener(IMAGE - PLANE, PSF, 1e-3)
    assert raw.min() < 0
    np.testing.assert_array_equal(classical.wiener_plane(IMAGE, 1e-3, PSF), raw.clip(0))


def test_the_wiener_filter_heeds_no_plane():
    tilted = IMAGE + np.linspace(0, 2, 24, dtype=np.float32)[:, None, None]
    filtered = classical.wiener_plane(IMAGE, 1e-3, PSF)
    np.testing.assert_allclose(classical.wiener_plane(tilted, 1e-3, PSF), filtered, atol=0.02)
