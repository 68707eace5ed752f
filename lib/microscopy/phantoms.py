"""Seeded synthetic beads: what is not at hand is simulated, and said to be so.

Every function takes a ``seed``, an int or several; the same seed gives the same array.
"""

import numpy as np
from scipy.signal import fftconvolve

from lib.arrays import check_count, per_axis, real_array
from lib.intensity import rescale
from lib.microscopy.blur import unit_psf


def bead_volume(
    shape=(64, 64, 32), beads: int = 20, *, radius=(1.0, 1.8), brightness=(0.6, 1.0), seed
) -> np.ndarray:
    """Tiny luminous beads in black: what a perfect microscope would show.

    Args:
        shape: (X, Y, Z).
        beads: how many; their centres lie anywhere in the volume, between voxels too.
        radius: (lowest, highest) in voxels; a bead is bright up to half a voxel inside its radius
            and fades linearly to black half a voxel outside.
        brightness: (lowest, highest) of a bead's middle. Where beads overlap the brighter counts.

    Returns:
        (X, Y, Z) float32, from 0 to the highest brightness.

    Raises:
        ValueError: extents not above 0, ``beads`` negative, or a range that is swapped
            or reaches below 0.

    Source: the beads of github.com/oura-hideyoshi/3D-autoencoder, there drawn by hand.
    """
    shape = per_axis(shape, "shape", positive=True)
    check_count(beads, "beads")
    _check_ranges(radius=radius, brightness=brightness)
    rng = np.random.default_rng(seed)
    truth = np.zeros(shape, np.float32)
    for _ in range(int(beads)):
        centre = rng.uniform(0, np.subtract(shape, 1))
        _paint_bead(truth, centre, rng.uniform(*radius), rng.uniform(*brightness))
    return truth


def observe_beads(
    truth: np.ndarray,
    psf: np.ndarray,
    *,
    margin=0,
    peak: float = 0.8,
    offset: float = 0.05,
    glow=(0.075, 0.15),
    photons: float = 300.0,
    read_noise: float = 0.01,
    seed,
) -> np.ndarray:
    """A bead volume as a microscope shows it: blurred, in outside light, noisy; then min-max.

    A microscope sees a window of a larger scene: beads beyond it shine into it, and light that
    the blur carries out of it is lost. Nothing lies beyond ``truth``, so give a ``margin`` as wide
    as the PSF reaches for the border of the window to be like that of a real one.

    Args:
        truth: (X, Y, Z), 0 or more.
        margin: voxels at each end of the axes, one number or one for each axis, that send light
            but are not observed.
        psf: (a, b, c), 0 or more, of any extents; scaled to a sum of 1. Its centre is the voxel
            ``size // 2``.
        peak: the blurred beads are scaled to this maximum in the window, in units of light.
        offset: light everywhere, in the same units.
        glow: (lowest, highest); outside light rises linearly along x from 0 to a value drawn
            from this range.
        photons: per voxel and unit of light; their number is drawn from a Poisson distribution.
            Infinite: no such noise.
        read_noise: standard deviation of the camera's noise, in units of light.

    Returns:
        The window, (X, Y, Z) less twice the margin, float32, 0..1.

    Raises:
        ValueError: values that are negative or not finite, a PSF that is empty or black, a
            swapped range, a margin that leaves no window.
    """
    truth, psf = real_array(truth, "truth", 0), unit_psf(psf, np.float64)
    if not photons > 0:
        raise ValueError(f"photons={photons}: give more than 0")
    margin = _margin(margin, truth.shape)
    _check_ranges(glow=glow)
    for name, value in {"peak": peak, "offset": offset, "read_noise": read_noise}.items():
        if not 0 <= value < np.inf:
            raise ValueError(f"{name}={value}: give 0 or more, finite")
    rng = np.random.default_rng(seed)
    light = fftconvolve(truth, psf, mode="full")
    first = np.floor_divide(psf.shape, 2) + margin
    extents = np.subtract(truth.shape, 2 * np.array(margin))
    light = light[tuple(slice(a, a + n) for a, n in zip(first, extents, strict=True))]
    light = np.maximum(light, 0) * (peak / (light.max() or 1))
    light += offset + np.linspace(0, rng.uniform(*glow), len(light))[:, None, None]
    counted = rng.poisson(light * photons) / photons if np.isfinite(photons) else light
    return rescale(counted + rng.normal(0, read_noise, light.shape)).astype(np.float32)


def _paint_bead(volume, centre, radius: float, brightness: float) -> None:
    """In place, within the box that holds it."""
    low = np.maximum(np.floor(centre - radius - 0.5), 0).astype(int)
    high = np.ceil(centre + radius + 0.5).astype(int) + 1
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    axes = [np.arange(n)[part] - c for n, part, c in zip(volume.shape, box, centre, strict=True)]
    distance = np.sqrt(sum(a**2 for a in np.meshgrid(*axes, indexing="ij")))
    bead = brightness * np.clip(radius + 0.5 - distance, 0, 1)
    volume[box] = np.maximum(volume[box], bead)


def _margin(margin, extents) -> tuple[int, ...]:
    margin = per_axis(margin, "margin")
    if min(margin) < 0 or any(2 * m >= n for m, n in zip(margin, extents, strict=True)):
        raise ValueError(f"margin={margin}: give 0 or more, less than half of {extents}")
    return margin


def _check_ranges(**ranges) -> None:
    for name, pair in ranges.items():
        if np.shape(pair) != (2,) or not 0 <= pair[0] <= pair[1] < np.inf:
            raise ValueError(f"{name}={pair}: give (lowest, highest), 0 <= lowest <= highest < inf")
