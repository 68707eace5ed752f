"""Classical deconvolution: point spread functions (PSF), Richardson-Lucy, blind and plain, Wiener,
the sharpen filter.

A volume is (X, Y, Z) in any unit of intensity, with its sensor's offset given as ``background``.
A PSF is (a, b, c), any extents, odd or even, even larger than the volume; its centre is the voxel
``size // 2`` of each axis and its sum does not matter. float64 stays, every other type is worked
on in float32. Transforms run on one thread; ``scipy.fft.set_workers`` gives them more.
"""

import numpy as np
from scipy import fft
from tqdm.auto import tqdm

from lib.patches import per_axis

# A voxel of the scene that sends less than this share of its light into the window is not updated.
UNSEEN = 1e-3


def gaussian_psf(sigma, size=None) -> np.ndarray:
    """A Gaussian point spread function, sampled at the voxels' centres.

    Args:
        sigma: standard deviation in voxels, one number or one for each axis.
        size: extents in voxels, likewise; None: odd, 4 sigma to each side, as in
            `scipy.ndimage.gaussian_filter`.

    Returns:
        (a, b, c) float64 with sum 1, its peak at ``size // 2``.

    Raises:
        ValueError: a sigma that is not above 0, or a size below 1.
    """
    sigma = per_axis(sigma, "sigma", float)
    if min(sigma) <= 0:
        raise ValueError(f"sigma={sigma}: give more than 0 voxels on each axis")
    size = per_axis([2 * int(4 * s + 0.5) + 1 for s in sigma] if size is None else size, "size")
    if min(size) < 1:
        raise ValueError(f"size={size}: give 1 voxel or more on each axis")
    offsets = (np.arange(n) - n // 2 for n in size)
    x, y, z = (np.exp(-0.5 * (d / s) ** 2) for d, s in zip(offsets, sigma, strict=True))
    psf = x[:, None, None] * y[:, None] * z
    return psf / psf.sum()


def richardson_lucy(
    volume: np.ndarray, psf: np.ndarray, iterations: int, *, background=0, progress: bool = False
) -> np.ndarray:
    """Richardson-Lucy deconvolution: the likeliest scene for an image with Poisson noise.

    ``scene *= Hᵀ(volume / (H scene + background)) / Hᵀ1`` from a flat start, H the blur
    (W. H. Richardson, 1972; L. B. Lucy, 1974). The image is a window cut out of a larger scene:
    the scene goes on around it for as far as the PSF reaches, and Hᵀ1, the share of a voxel's
    light that falls into the window, takes the place of 1 (M. Bertero, P. Boccacci, 2005). So
    the border neither darkens nor rings, and a constant volume stays constant. Noise grows with
    ``iterations``: some 10 to 50 are usual.

    Args:
        volume: (X, Y, Z), values >= 0.
        psf: (a, b, c), values >= 0; centre at ``size // 2``; normalised to sum 1.
        iterations: 1 or more.
        background: light and offset that no object explains, in units of ``volume``: a number or
            an array of its shape. It is part of the model, not subtracted: noise stays Poisson.
        progress: show a bar.

    Returns:
        (X, Y, Z), values >= 0, in units of ``volume`` above ``background``.

    Raises:
        ValueError: no 3D array; values that are negative, infinite or not a number; a PSF that
            is zero; a background of another shape; iterations below 1.
    """
    volume, background = _image(volume, background)
    blur = _Blur(_psf(psf, volume.dtype), volume.shape)
    scene, weight = _flat(volume, background, blur), blur.weight()
    for _ in tqdm(range(_count(iterations, "iterations")), disable=not progress):
        _update(scene, volume, background, blur, weight)
    return blur.window(scene).copy()


class _Blur:
    """Blur by a PSF, from a scene to the window that the image shows, and its transpose.

    The scene lives on a grid in which the window sits at the origin; what lies before it is
    wrapped to the far end. With N + K - 1 or more voxels on each axis the circular convolution
    is the linear one within the window.
    """

    def __init__(self, psf, shape):
        self.shape = shape
        extents = (n + k - 1 for n, k in zip(shape, psf.shape, strict=True))
        self.grid = tuple(fft.next_fast_len(extent, real=True) for extent in extents)
        self.transfer = _transfer(psf, self.grid)

    def __call__(self, scene):
        """grid -> window"""
        return self.window(self._filter(scene, self.transfer))

    def transpose(self, image):
        """window -> grid"""
        return self._filter(image, self.transfer.conj())

    def weight(self):
        """Hᵀ1, on the grid; infinite where the window sees next to nothing."""
        weight = self.transpose(np.ones(self.shape, self.transfer.real.dtype))
        weight[weight < UNSEEN] = np.inf
        return weight

    def window(self, scene):
        return scene[tuple(slice(n) for n in self.shape)]

    def _filter(self, array, transfer):
        spectrum = fft.rfftn(array, self.grid)
        spectrum *= transfer
        return fft.irfftn(spectrum, self.grid, overwrite_x=True)


def _transfer(psf, grid):
    """The PSF's transform on a grid, its centre, size // 2, moved to the origin."""
    padded = np.zeros(grid, psf.dtype)
    padded[tuple(slice(k) for k in psf.shape)] = psf
    return fft.rfftn(np.roll(padded, [-(k // 2) for k in psf.shape], axis=(0, 1, 2)))


def _flat(volume, background, blur):
    """The start: everywhere the mean of what is brighter than the background."""
    mean = np.maximum(volume - background, 0).mean()
    return np.full(blur.grid, mean, volume.dtype)


def _update(scene, volume, background, blur, weight) -> None:
    """One Richardson-Lucy step, in place."""
    change = blur.transpose(_ratio(volume, blur(scene) + background))
    change /= weight
    np.maximum(change, 0, out=change)
    change[np.isinf(weight)] = 1
    scene *= change


def _ratio(volume, model):
    """volume / model; below the rounding error of the transforms a model counts as that."""
    kind = np.finfo(volume.dtype)
    return volume / np.maximum(model, max(kind.eps * volume.max(), kind.tiny))


def _array(value, name: str, least: float = -np.inf) -> np.ndarray:
    """3D, floating, finite, >= least."""
    array = np.asarray(value)
    if array.ndim != 3 or not array.size or array.dtype.kind not in "buif":
        raise ValueError(
            f"{name} is {array.dtype} {array.shape}: needed are real numbers (X, Y, Z)"
        )
    array = array.astype(np.float64 if array.dtype == np.float64 else np.float32)
    for worst in (array.min(), array.max()):  # both are NaN if one value is
        if not (np.isfinite(worst) and worst >= least):
            rule = "finite values" if least == -np.inf else f"finite values, {least:g} or more"
            raise ValueError(f"{name} holds {worst:g}: give {rule}")
    return array


def _image(volume, background):
    """The volume and its background, a number or an array, in one type."""
    volume = _array(volume, "volume", 0)
    if np.ndim(background) and np.shape(background) != volume.shape:
        raise ValueError(
            f"background has shape {np.shape(background)}: give one number or {volume.shape}"
        )
    background = _array(np.atleast_3d(background), "background", 0).astype(volume.dtype)
    return volume, background


def _psf(psf, dtype) -> np.ndarray:
    """A PSF in the volume's type, with sum 1."""
    psf = _array(psf, "psf", 0).astype(np.float64)
    if not psf.sum() > 0:
        raise ValueError("psf is 0 everywhere: it has no light to spread")
    return (psf / psf.sum()).astype(dtype)


def _count(value, name: str) -> int:
    if value != int(value) or value < 1:
        raise ValueError(f"{name}={value!r}: give a whole number, 1 or more")
    return int(value)
