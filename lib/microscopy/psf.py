"""Point spread functions (PSF): a Gaussian one, and the one that pairs of volumes tell.

A PSF is (a, b, c), any extents, odd or even; its centre is the voxel ``size // 2`` of each axis.
"""

import numpy as np
from scipy import optimize

from lib.arrays import per_axis, real_array
from lib.microscopy.blur import Blur, fast_grid, off_grid, on_grid, plane

# Until nothing gets better, or long enough; "maxcor": more memory of the curvature than the usual
# 10, since the truths hold little of the high frequencies.
SOLVER = {
    "method": "L-BFGS-B",
    "jac": True,
    "options": {"maxiter": 1000, "maxfun": 2000, "maxcor": 30, "ftol": 1e-15, "gtol": 1e-9},
}


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
    sigma = per_axis(sigma, "sigma", float, positive=True)
    size = [2 * int(4 * s + 0.5) + 1 for s in sigma] if size is None else size
    size = per_axis(size, "size", positive=True)
    offsets = (np.arange(n) - n // 2 for n in size)
    x, y, z = (np.exp(-0.5 * (d / s) ** 2) for d, s in zip(offsets, sigma, strict=True))
    psf = x[:, None, None] * y[:, None] * z
    return psf / psf.sum()


def estimate_psf(truths, volumes, size, *, penalty: float = 0.03) -> np.ndarray:
    """The PSF that turns truths into volumes: least squares over its voxels, none negative.

    Each volume may lie on a plane of its own, an offset and a glow, fitted along. Only voxels
    whose whole neighbourhood, of the PSF's extents, lies within the truth are compared: nothing
    is assumed of what lies outside. Solved by L-BFGS-B (R. H. Byrd et al., 1995).

    Args:
        truths, volumes: sequences of (X, Y, Z), pairs of one shape; one gain for all pairs.
        size: the PSF's extents in voxels, one number or one for each axis.
        penalty: on the sum of squares of the PSF's voxels, relative to what the truths weigh; the
            more, the less noise in the PSF, and the further it is from the best fit. 0: none.

    Returns:
        (a, b, c) float64, centre at ``size // 2``; its sum is the gain from truth to volume.

    Raises:
        ValueError: no pair, or of two shapes; a size that is not 1 up to the shape; volumes or
            truths all of one value; a penalty below 0.
    """
    size = per_axis(size, "size")
    pairs = [
        (real_array(t, "truths"), real_array(v, "volumes"))
        for t, v in zip(truths, volumes, strict=True)
    ]
    energy, light = (sum(np.var(pair[i]) * pair[i].size for pair in pairs) ** 0.5 for i in (0, 1))
    if not (light > 0 and energy > 0 and penalty >= 0):
        raise ValueError(
            f"{len(pairs)} pairs, volumes that vary by {light:g}, truths by {energy:g}, "
            f"penalty={penalty}: give one pair or more that do, and 0 or more"
        )
    pairs = [_pair(t / energy, v / light, size) for t, v in pairs]  # numbers near 1 to solve for
    start = np.full(np.prod(size), 1 / np.prod(size))
    dark = [(0, None)] * start.size
    solved = optimize.minimize(_misfit, start, (pairs, size, penalty), bounds=dark, **SOLVER)
    return light / energy * solved.x.reshape(size)


def _pair(truth, volume, size) -> tuple:
    """The blur by a truth, on the voxels whose neighbourhood lies in it, and the image there."""
    fits = all(1 <= k <= n for k, n in zip(size, truth.shape, strict=True))
    if volume.shape != truth.shape or not fits:
        raise ValueError(
            f"volumes hold {volume.shape}, truths {truth.shape}, size={size}: give pairs of one "
            "shape, and a size from 1 up to it"
        )
    before = [(k - 1) // 2 for k in size]
    valid = [n - k + 1 for n, k in zip(truth.shape, size, strict=True)]
    image = volume[tuple(slice(b, b + n) for b, n in zip(before, valid, strict=True))]
    scene = np.zeros(fast_grid(truth.shape))
    scene[tuple(slice(n) for n in truth.shape)] = truth
    return Blur(np.roll(scene, [-b for b in before], (0, 1, 2)), valid), image - plane(image)


def _misfit(taps, pairs, size, penalty) -> tuple:
    """Half the squared misfit of a PSF to all pairs and its penalty; its gradient."""
    value, gradient = penalty / 2 * np.sum(taps**2), penalty * taps
    for blur, image in pairs:
        residual = blur(on_grid(taps.reshape(size), blur.grid)) - image
        residual -= plane(residual)
        value += np.sum(residual**2) / 2
        gradient += off_grid(blur.transpose(residual), size).ravel()
    return value, gradient
