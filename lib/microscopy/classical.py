"""Classical deconvolution as a baseline: one call for each way, what is tuned comes second.

Thin layers over `lib.microscopy.deconvolution`, so that `lib.evaluation.tune` can try iterations,
balances and rounds, and a changed PSF can be told to each of them. Every image is (X, Y, Z), 0 or
more, every answer (X, Y, Z); errors are those of the functions beneath.
"""

import numpy as np

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


def lucy_plane(image: np.ndarray, iterations: int, psf: np.ndarray) -> np.ndarray:
    """Accelerated Richardson-Lucy, told a plane of outside light that is fitted to the image."""
    background = linear_background(image)
    return richardson_lucy(image, psf, iterations, background=background, accelerate=True)


def wiener_plane(image: np.ndarray, balance: float, psf: np.ndarray) -> np.ndarray:
    """The Wiener filter of the image less its fitted plane."""
    return wiener(above_background(image), psf, balance)


def blind_plane(image: np.ndarray, rounds: int, psf: np.ndarray) -> np.ndarray:
    """Blind Richardson-Lucy above the fitted plane: the scene; ``psf`` is where it starts."""
    return blind_richardson_lucy(image, rounds, psf=psf, background=linear_background(image))[0]
