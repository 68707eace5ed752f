"""Deconvolution against scikit-image, against closed forms, and at the border."""

import numpy as np
import pytest
from scipy import ndimage
from skimage import restoration

from lib.deconvolution import gaussian_psf, richardson_lucy


def random(*shape, seed=0):
    return np.random.default_rng(seed).random(shape)


def test_gaussian_psf_blurs_as_scipy_does():
    sigma = (1.5, 0.7, 2.0)
    point = np.zeros((21, 21, 21))
    point[10, 10, 10] = 1
    psf = gaussian_psf(sigma)
    assert psf.shape == (13, 7, 17) and psf.sum() == pytest.approx(1)
    blurred = ndimage.gaussian_filter(point, sigma)[4:17, 7:14, 2:19]
    np.testing.assert_allclose(psf, blurred, atol=1e-15)


def test_gaussian_psf_of_even_size_peaks_at_half_of_it():
    psf = gaussian_psf(1, (4, 5, 6))
    assert np.unravel_index(psf.argmax(), psf.shape) == (2, 2, 3)
    assert psf[1, 2, 3] / psf[2, 2, 3] == pytest.approx(np.exp(-0.5))


def test_richardson_lucy_is_scikit_image_s_away_from_the_border():
    volume = np.zeros((24, 22, 20))
    volume[8:16, 8:14, 8:12] = random(8, 6, 4)
    psf = random(3, 5, 3, seed=1)
    expected = restoration.richardson_lucy(volume, psf / psf.sum(), 8, clip=False)
    result = richardson_lucy(volume, psf, 8)
    np.testing.assert_allclose(result, expected, atol=1e-9)


@pytest.mark.parametrize("size", [(3, 3, 3), (4, 2, 6), (9, 8, 30)])
def test_a_constant_stays_constant_up_to_the_border(size):
    result = richardson_lucy(np.full((9, 8, 7), 5000, np.uint16), random(*size), 30)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, 5000, rtol=1e-3)
