"""Convolution on a grid against the convolution of SciPy, its transpose against its definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import convolve

from lib.microscopy.blur import Blur, fast_grid, off_grid, on_grid, plane, unit_psf

extents = st.tuples(*[st.integers(1, 6)] * 3)


def random(shape, seed=0):
    return np.random.default_rng(seed).random(shape)


def prepared(shape, size):
    """A PSF, a scene on the grid and its part that reaches into the window, in their own order."""
    psf, grid = random(size), fast_grid(np.add(shape, size) - 1)
    scene = random(grid, 1)
    before = [(k - 1) // 2 for k in size]  # what of the scene lies before the window
    near = np.roll(scene, before, (0, 1, 2))[
        tuple(slice(n + k - 1) for n, k in zip(shape, size, strict=True))
    ]
    return psf, scene, near, Blur(on_grid(psf, grid), shape)


@settings(max_examples=60, deadline=None)
@given(extents, extents)
def test_blur_is_the_linear_convolution(shape, size):
    psf, scene, near, blur = prepared(shape, size)
    expected = convolve(near, psf, "valid", "direct")
    assert expected.shape == tuple(shape)
    np.testing.assert_allclose(blur(scene), expected, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(extents, extents)
def test_transpose_keeps_the_scalar_product(shape, size):
    _, scene, _, blur = prepared(shape, size)
    image = random(shape, 2)
    assert np.vdot(blur(scene), image) == pytest.approx(np.vdot(scene, blur.transpose(image)))


@settings(max_examples=30, deadline=None)
@given(extents, extents)
def test_scene_and_kernel_may_change_places(shape, size):
    psf, scene, _, blur = prepared(shape, size)
    changed = Blur(scene, shape)(on_grid(psf, scene.shape))
    np.testing.assert_allclose(changed, blur(scene), atol=1e-12)


@given(extents, extents)
def test_off_grid_undoes_on_grid(size, more):
    psf, grid = random(size), tuple(np.add(size, more) - 1)
    padded = on_grid(psf, grid)
    assert padded.shape == grid and padded[0, 0, 0] == psf[tuple(k // 2 for k in size)]
    np.testing.assert_array_equal(off_grid(padded, size), psf)


def test_weight_is_the_light_that_stays_in_the_window():
    psf = np.array([0.2, 0.5, 0.2999, 0.0001]).reshape(1, 1, 4)  # its centre is the third
    weight = Blur(on_grid(psf, (1, 1, 8)), (1, 1, 5)).weight()[0, 0]
    # light goes 2 and 1 voxels back, stays, or goes 1 ahead; the grid: 0 .. 5, then -2, -1
    expected = [0.3, 0.8, 1, 1, 0.9999, 0.7, 0.2, np.inf]
    np.testing.assert_allclose(weight, expected, rtol=1e-9)


@pytest.mark.parametrize("shape", [(5, 4, 3), (1, 6, 2), (1, 1, 1)])
def test_plane_is_that_of_least_squares(shape):
    array = random(shape)
    columns = np.stack([np.ones(array.size), *np.indices(shape).reshape(3, -1)], 1)
    solution = np.linalg.lstsq(columns, array.ravel(), rcond=None)[0]
    np.testing.assert_allclose(plane(array), (columns @ solution).reshape(shape), atol=1e-12)


def test_unit_psf():
    psf = unit_psf(np.array([[[3000, 60000, 2000]]], np.uint16), np.float32)
    assert psf.dtype == np.float32
    np.testing.assert_allclose(psf, [[[3 / 65, 60 / 65, 2 / 65]]], rtol=1e-6)
    with pytest.raises(ValueError, match="psf is 0 everywhere"):
        unit_psf(np.zeros((3, 3, 3)), np.float32)
