"""Point spread functions: a Gaussian against SciPy, an estimated one against the true one."""

import numpy as np
import pytest
from scipy import ndimage
from test_deconvolution import SIGMA, correlation, points, random, same

from lib.microscopy.psf import estimate_psf, gaussian_psf


def test_gaussian_psf_blurs_as_scipy_does():
    sigma = (1.5, 0.7, 2.0)
    psf = gaussian_psf(sigma)
    assert psf.shape == (13, 7, 17) and psf.sum() == pytest.approx(1)
    point = np.zeros((21, 21, 21))
    point[10, 10, 10] = 1
    blurred = ndimage.gaussian_filter(point, sigma)
    np.testing.assert_allclose(psf, blurred[4:17, 7:14, 2:19], atol=1e-15)


def test_gaussian_psf_of_even_size_peaks_at_half_of_it():
    psf = gaussian_psf(1, (4, 5, 6))
    assert np.unravel_index(psf.argmax(), psf.shape) == (2, 2, 3)
    assert psf[1, 2, 3] / psf[2, 2, 3] == pytest.approx(np.exp(-0.5))


@pytest.mark.parametrize(
    "arguments, text",
    [(((1, 0, 1),), r"sigma=\(1, 0, 1\): give"), ((1, (3, 0, 3)), r"size=\(3, 0, 3\)")],
)
def test_gaussian_psf_refuses(arguments, text):
    with pytest.raises(ValueError, match=text):
        gaussian_psf(*arguments)


@pytest.mark.parametrize("size", [(4, 3, 6), (5, 5, 5), (1, 2, 1)])
def test_estimate_psf_is_exact_without_noise(size):
    true = 40 * random(*size, seed=5)
    true[0] *= true[0] > 30  # some voxels dark
    truths = [random(14, 13, 15, seed=1), random(12, 16, 14, seed=2)]
    slope = np.arange(13)[:, None] * 4.0
    volumes = [same(t, true) + glow for t, glow in zip(truths, (9 + slope, -50), strict=True)]
    result = estimate_psf(truths, volumes, size, penalty=0)
    np.testing.assert_allclose(result, true, atol=1e-5)


def test_estimate_psf_with_noise_serves_richardson_lucy():
    true, rng = gaussian_psf(SIGMA, (9, 9, 13)), np.random.default_rng(3)
    truths = [points(32, 32, 24, count=40, seed=s) for s in (1, 2)]
    volumes = [rng.poisson(300 * same(t, true) + 1000) for t in truths]
    psf = estimate_psf(truths, volumes, (9, 9, 13))
    assert psf.min() >= 0 and correlation(psf, true) > 0.95
    assert psf.sum() == pytest.approx(300, rel=0.1)


def test_estimate_psf_weighs_the_penalty():
    true, truth = gaussian_psf(1, 5), random(16, 16, 16)
    free, held = (estimate_psf([truth], [same(truth, true)], 5, penalty=p) for p in (0, 100))
    assert free.sum() == pytest.approx(1, abs=1e-4) and held.sum() < 0.1


@pytest.mark.parametrize(
    "volumes, truths, size, penalty, text",
    [
        ([], [], 3, 0, "0 pairs"),
        ([random(4, 4, 4)], [random(4, 4, 5)], 3, 0, r"hold \(4, 4, 4\), truths \(4, 4, 5\), size"),
        ([random(4, 4, 4)], [random(4, 4, 4)], (3, 5, 3), 0, r"size=\(3, 5, 3\): give pairs"),
        ([random(4, 4, 4)], [random(4, 4, 4)], (3, 0, 3), 0, r"size=\(3, 0, 3\): give pairs"),
        (
            [random(4, 4, 4)],
            [np.ones((4, 4, 4))],
            3,
            0,
            r"1 pairs, volumes that vary by \d.*, truths by 0,",
        ),
        ([random(4, 4, 4)], [random(4, 4, 4)], 3, -1, "penalty=-1: give"),
        ([random(4, 4, 4)], [], 3, 0, "zip"),
    ],
)
def test_estimate_psf_refuses(volumes, truths, size, penalty, text):
    with pytest.raises(ValueError, match=text):
        estimate_psf(truths, volumes, size, penalty=penalty)
