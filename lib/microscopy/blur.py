"""Blur in Fourier space for `lib.microscopy.deconvolution`, and what a PSF must be.

The centre of a point spread function (PSF) is the voxel ``size // 2`` of each axis, whether its
extents are odd or even.
"""

import numpy as np
from scipy import fft

from lib.arrays import real_array

# A voxel that sends less than this share of the most into the window: the window cannot tell it.
UNSEEN = 1e-3


class Blur:
    """Convolution with a kernel, from a scene to the window that the image shows.

    Scene and kernel are arrays on one grid. The window begins at the grid's origin, the kernel's
    centre lies there; what comes before is wrapped to the far end. The convolution is circular,
    which on a large enough grid is the linear one within the window. Scene and kernel may change
    places: their convolution is the same.

    Args:
        kernel: (gx, gy, gz), transformed once.
        window: its extents, three ints.
    """

    def __init__(self, kernel: np.ndarray, window):
        self.grid, self.transfer = kernel.shape, fft.rfftn(kernel)
        self.inside = tuple(slice(n) for n in window)

    def __call__(self, scene: np.ndarray) -> np.ndarray:
        """The image of a scene: grid -> window."""
        return self._filter(scene)[self.inside]

    def transpose(self, image: np.ndarray) -> np.ndarray:
        """The correlation with the kernel, from what the window holds: window -> grid."""
        return self._filter(image, conjugate=True)

    def weight(self) -> np.ndarray:
        """The transpose of ones, on the grid; infinite where the window sees next to nothing."""
        window = np.ones([s.stop for s in self.inside], self.transfer.real.dtype)
        weight = self.transpose(window)
        weight[weight <= UNSEEN * weight.max()] = np.inf
        return weight

    def _filter(self, array, conjugate=False):
        spectrum = fft.rfftn(array, self.grid)  # zeros fill the grid
        spectrum *= self.transfer.conj() if conjugate else self.transfer
        return fft.irfftn(spectrum, self.grid, overwrite_x=True)


def fast_grid(extents) -> tuple:
    """At least these extents, and quick to transform."""
    return tuple(fft.next_fast_len(int(extent), real=True) for extent in extents)


def on_grid(psf: np.ndarray, grid) -> np.ndarray:
    """A PSF among zeros, its centre moved to the origin."""
    padded = np.zeros(grid, psf.dtype)
    padded[tuple(slice(k) for k in psf.shape)] = psf
    return np.roll(padded, [-(k // 2) for k in psf.shape], (0, 1, 2))


def off_grid(padded: np.ndarray, size) -> np.ndarray:
    """The PSF of these extents back from the grid: the inverse of `on_grid`."""
    return np.roll(padded, [k // 2 for k in size], (0, 1, 2))[tuple(slice(k) for k in size)]


def plane(array: np.ndarray) -> np.ndarray:
    """The least-squares plane a + b·x + c·y + d·z of an (X, Y, Z) array, in its shape.

    Coordinates counted from the middle are orthogonal to one another and to a constant, so that
    each coefficient is a projection of its own.
    """
    fitted = np.full(array.shape, array.mean())
    for axis, n in enumerate(array.shape):
        others = tuple({0, 1, 2} - {axis})
        offset = np.arange(n) - (n - 1) / 2
        slope = offset @ array.mean(axis=others) / (offset @ offset or 1)
        fitted += np.expand_dims(slope * offset, others)
    return fitted


def unit_psf(psf, dtype) -> np.ndarray:
    """A PSF in this type, with sum 1.

    Raises:
        ValueError: as `real_array`; a value below 0; 0 everywhere.
    """
    psf = real_array(psf, "psf", 0).astype(np.float64)
    if not psf.any():
        raise ValueError("psf is 0 everywhere: it has no light to spread")
    return (psf / psf.sum()).astype(dtype)
