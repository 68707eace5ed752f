"""Classical deconvolution: Richardson-Lucy and Wiener; scikit-image has the sharpen filter.

A volume is (X, Y, Z) in any unit of intensity. A point spread function (PSF) is (a, b, c), any
extents, odd or even, even larger than the volume; its centre is the voxel ``size // 2`` of each
axis, its sum does not matter, but a sensor's offset must have been subtracted. float64 stays,
every other type is worked on in float32. Transforms run on one thread;
``with scipy.fft.set_workers(n)`` gives them more.
"""

import numpy as np
from scipy import ndimage
from skimage import restoration
from tqdm import tqdm

from lib.arrays import check_count, real_array
from lib.microscopy.blur import Blur, fast_grid, off_grid, on_grid, plane, unit_psf

ROUNDS = 20  # of the robust plane: on noise alone each leaves a third of the error


def richardson_lucy(
    volume: np.ndarray,
    psf: np.ndarray,
    iterations,
    *,
    background=0,
    accelerate: bool = False,
    progress: bool = False,
) -> np.ndarray:
    """Richardson-Lucy deconvolution: the likeliest scene for an image with Poisson noise.

    ``scene *= Hᵀ(volume / (H scene + background)) / Hᵀ1`` from a flat start, H the blur
    (W. H. Richardson, 1972; L. B. Lucy, 1974). The image is a window cut out of a larger scene:
    the scene goes on around it for as far as the PSF reaches, and Hᵀ1, the share of a voxel's
    light that falls into the window, takes the place of 1 (M. Bertero, P. Boccacci, 2005). So
    the border neither darkens nor rings, and a constant volume stays constant. Noise grows
    with ``iterations``; some 10 to 50 are usual, several times that above a high background, a
    twentieth of that with ``accelerate``.

    Args:
        volume: (X, Y, Z), values >= 0.
        psf: (a, b, c), values >= 0; centre at ``size // 2``; normalised to sum 1.
        iterations: 1 or more; several counts, rising, give the estimate after each.
        background: light and offset that no object explains, in units of ``volume``: a number or
            an array of its shape. It is part of the model, so that the noise stays Poisson:
            slower than subtracting it, but it gets further.
        accelerate: begin each step further along the way of the last two (D. S. C. Biggs,
            M. Andrews, 1997), as MATLAB's ``deconvlucy`` does.
        progress: show a bar.

    Returns:
        (X, Y, Z), values >= 0, in units of ``volume`` above ``background``; for several counts
        (counts, X, Y, Z).

    Raises:
        ValueError: no 3D array; values that are negative, infinite or not a number; a PSF that
            is zero; a background of another shape; iterations below 1, not rising, or none.
    """
    counts = [check_count(count, "iterations", 1) for count in np.atleast_1d(iterations).tolist()]
    if not counts or counts != sorted(set(counts)):
        raise ValueError(f"iterations={iterations}: give rising counts")
    volume, background = _image(volume, background)
    blur, scene = _start(volume, background, unit_psf(psf, volume.dtype))
    weight, estimates, stride = blur.weight(), [], _Stride()
    rounds = range(1, counts[-1] + 1)
    for done in tqdm(rounds, leave=False) if progress else rounds:
        if accelerate:
            stride.ahead(scene)
        _improve(scene, volume, background, blur, weight)
        if accelerate:
            stride.measure(scene)
        if done in counts:
            estimates.append(scene[blur.inside].copy())
    return np.stack(estimates) if np.ndim(iterations) else estimates[0]


def blind_richardson_lucy(
    volume: np.ndarray, iterations: int, *, psf, steps: int = 10, background=0, progress=False
) -> tuple[np.ndarray, np.ndarray]:
    """Richardson-Lucy for scene and PSF in turn (D. A. Fish et al., 1995).

    Args:
        volume, background, progress: as in `richardson_lucy`.
        iterations: how often scene and PSF are improved, one after the other.
        psf: (a, b, c) to start from, a Gaussian wider than is expected: a narrow one hardly
            widens. What is 0 in it stays 0; the result has its extents.
        steps: Richardson-Lucy steps for each of the two, each time.

    Returns:
        (scene (X, Y, Z) as from `richardson_lucy`, PSF (a, b, c) with sum 1), shifted against
        one another so that the PSF's centre of mass lies within half a voxel of ``size // 2``.

    Raises:
        ValueError: as `richardson_lucy`, or steps below 1.
    """
    volume, background = _image(volume, background)
    psf, steps = unit_psf(psf, volume.dtype), check_count(steps, "steps", 1)
    blur, scene = _start(volume, background, psf)
    spread = on_grid(psf, blur.grid)
    rounds = range(check_count(iterations, "iterations", 1))
    for _ in tqdm(rounds, leave=False) if progress else rounds:
        for one, other in ((scene, spread), (spread, scene)):
            blur = Blur(other, volume.shape)
            weight = blur.weight()
            for _ in range(steps):
                _improve(one, volume, background, blur, weight)
    scene *= spread.sum()
    improved = off_grid(spread, psf.shape)
    shift = np.round(ndimage.center_of_mass(improved)).astype(int) - np.array(psf.shape) // 2
    psf = off_grid(np.roll(spread, -shift, (0, 1, 2)), psf.shape)
    return np.roll(scene, shift, (0, 1, 2))[blur.inside].copy(), unit_psf(psf, volume.dtype)


def wiener(volume: np.ndarray, psf: np.ndarray, balance: float) -> np.ndarray:
    """Wiener-Hunt deconvolution, `skimage.restoration.wiener`, without its leak and its clip.

    In Fourier space, H* / (|H|² + balance |D|²) times the volume, D the Laplacian (F. Orieux et
    al., 2010). There the volume is periodic, so that opposite borders would leak into one
    another: it is reflected first, by half the PSF's extents or more, and cut out again afterwards.

    Args:
        volume: (X, Y, Z), any finite values.
        psf: as in `richardson_lucy`.
        balance: how much smoothness counts, above 0; for noisy beads some 0.0003 to 0.01.

    Returns:
        (X, Y, Z) in units of ``volume``; may be negative.

    Raises:
        ValueError: arrays as in `richardson_lucy`, or a balance not above 0.
    """
    volume = real_array(volume, "volume")
    psf = unit_psf(psf, volume.dtype)
    if not 0 < balance < np.inf:
        raise ValueError(f"balance={balance}: give more than 0")
    margin = np.subtract(fast_grid(np.add(volume.shape, psf.shape) + 1), volume.shape)
    reflected = np.pad(volume, [(m // 2, m - m // 2) for m in margin], "reflect")
    result = restoration.wiener(reflected, psf, balance, clip=False)
    begins_ends = zip(margin // 2, margin // 2 + volume.shape, strict=True)
    return result[tuple(slice(*both) for both in begins_ends)]


def linear_background(volume: np.ndarray) -> np.ndarray:
    """The plane that most voxels lie on: an offset and a glow that rises linearly, for dark scenes.

    What is off by more than the usual deviation, 1.48 times the median one, counts as that much
    (P. J. Huber, 1964), so bright objects hardly lift it.

    Args:
        volume: (X, Y, Z), values >= 0, objects on fewer than half of the voxels.

    Returns:
        (X, Y, Z), not below 0: a ``background`` for `richardson_lucy`.

    Raises:
        ValueError: ``volume`` is no such array.
    """
    volume = real_array(volume, "volume", 0)
    fitted = np.full_like(volume, np.median(volume))
    for _ in range(ROUNDS):
        residual = volume - fitted
        usual = 1.48 * np.median(np.abs(residual))
        fitted += plane(np.clip(residual, -usual, usual))
    return np.maximum(fitted, 0)


def _image(volume, background) -> tuple:
    """The volume and its background, a number or an array, in one type."""
    volume = real_array(volume, "volume", 0)
    if np.ndim(background) and np.shape(background) != volume.shape:
        raise ValueError(
            f"background has shape {np.shape(background)}: give a number or {volume.shape}"
        )
    background = real_array(np.atleast_3d(background), "background", 0)
    return volume, background.astype(volume.dtype, copy=False)


def _start(volume, background, psf) -> tuple:
    """The blur, and a flat scene: everywhere the mean of what is brighter than the background."""
    grid = fast_grid(np.add(volume.shape, psf.shape) - 1)
    mean = np.maximum(volume - background, 0).mean()
    return Blur(on_grid(psf, grid), volume.shape), np.full(grid, mean, volume.dtype)


def _improve(scene, volume, background, blur, weight) -> None:
    """One Richardson-Lucy step, in place. What the window cannot see stays as it is."""
    kind = np.finfo(volume.dtype)
    model = blur(scene) + background
    np.maximum(model, max(kind.eps * volume.max(), kind.tiny), out=model)  # rounding error at least
    change = blur.transpose(np.divide(volume, model, out=model))
    change /= weight
    np.maximum(change, 0, out=change)  # again the rounding
    change[np.isinf(weight)] = 1
    scene *= change


class _Stride:
    """How far ahead of the last estimate an accelerated step begins (Biggs, Andrews, 1997)."""

    def __init__(self):
        self.length, self.last, self.begin, self.change = 0.0, None, None, None

    def ahead(self, scene) -> None:
        """Move the scene on, in place, by ``length`` times the last step; none below 0."""
        last, self.last = self.last, scene.copy()
        if self.length:
            scene += self.length * (scene - last)
            np.maximum(scene, 0, out=scene)
        self.begin = scene.copy()

    def measure(self, scene) -> None:
        """How alike the last two changes are, 0 to 1, is the next length."""
        before, self.change = self.change, scene - self.begin
        if before is not None:
            energy = float(np.vdot(before, before))
            alike = float(np.vdot(self.change, before)) / energy if energy else 0.0
            self.length = min(max(alike, 0.0), 1.0)
