"""Classical deconvolution as a baseline: one call for each way, what is tuned comes second.

Thin layers over `lib.microscopy.deconvolution`, so that `lib.evaluation.tune` can try iterations,
balances and rounds, and a changed PSF can be told to each of them. Every image is (X, Y, Z), 0 or
more, every restored one too; errors are those of the functions beneath.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

from lib.metrics import correlation
from lib.microscopy.deconvolution import (
    blind_richardson_lucy,
    linear_background,
    richardson_lucy,
    wiener,
)


def above_background(image: np.ndarray) -> np.ndarray:
    """The image less the plane that most of its voxels lie on; noise leaves values below 0."""
    return image - linear_background(image)


def lucy_constant(image: np.ndarray, iterations: int, psf: np.ndarray) -> np.ndarray:
    """Accelerated Richardson-Lucy, told that the image's median is light from outside."""
    return richardson_lucy(image, psf, iterations, background=np.median(image), accelerate=True)


def lucy_plane(image: np.ndarray, iterations, psf: np.ndarray) -> np.ndarray:
    """Accelerated Richardson-Lucy, told a plane of outside light that is fitted to the image.

    Several rising counts give (counts, X, Y, Z), as in `richardson_lucy`.
    """
    background = linear_background(image)
    return richardson_lucy(image, psf, iterations, background=background, accelerate=True)


def lucy_smoothed(image: np.ndarray, settings: tuple, psf: np.ndarray) -> np.ndarray:
    """`lucy_plane`, then a Gaussian that takes the grain away.

    Args:
        image: (X, Y, Z).
        settings: (iterations, sigma), sigma in voxels, 0 or more.
        psf: as in `lucy_plane`.
    """
    iterations, sigma = settings
    return gaussian_filter(lucy_plane(image, iterations, psf), sigma)


def tune_lucy_smoothed(
    pairs: Sequence, iterations: Sequence, sigmas: Sequence, psf: np.ndarray, threads: int = 1
) -> pd.DataFrame:
    """The mean correlation of `lucy_smoothed` with the truth; each image is iterated once.

    Args:
        pairs: [(image, truth)].
        iterations: rising counts.
        sigmas: in voxels, 0 for none.
        psf: as in `lucy_plane`.
        threads: images at a time.

    Returns:
        One row for each count, one column for each sigma.
    """
    images, truths = zip(*pairs, strict=True)
    with ThreadPoolExecutor(threads) as pool:
        stacks = list(pool.map(partial(lucy_plane, iterations=iterations, psf=psf), images))
    scores = pd.DataFrame(0.0, pd.Index(iterations, name="iterations"), list(sigmas))
    for truth, stack in zip(truths, stacks, strict=True):
        for count, estimate in zip(iterations, stack, strict=True):
            for sigma in sigmas:
                fit = correlation(truth, gaussian_filter(estimate, sigma))
                scores.loc[count, sigma] += fit / len(truths)
    return scores


def wiener_plane(image: np.ndarray, balance: float, psf: np.ndarray) -> np.ndarray:
    """The Wiener filter of the image less its fitted plane; what falls below 0 becomes 0."""
    return np.maximum(wiener(above_background(image), psf, balance), 0)


def blind_plane(image: np.ndarray, rounds: int, psf: np.ndarray) -> np.ndarray:
    """Blind Richardson-Lucy above the fitted plane: the scene; ``psf`` is where it starts."""
    return blind_richardson_lucy(image, rounds, psf=psf, background=linear_background(image))[0]


def blind_psf(image: np.ndarray, rounds: int, psf: np.ndarray) -> np.ndarray:
    """The PSF that `blind_plane` finds along with the scene: (a, b, c) as ``psf``, sum 1."""
    return blind_richardson_lucy(image, rounds, psf=psf, background=linear_background(image))[1]
