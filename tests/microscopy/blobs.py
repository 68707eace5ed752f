"""Gaussian blobs placed by hand, whose centroids and second moments are known."""

import numpy as np

SHAPE = (24, 22, 26)
CENTRES = np.array([(6.3, 5.8, 7.0), (15.5, 14.2, 18.4), (6.0, 15.75, 12.5)])


def blob(centre, sigma=1.5, height=1.0, shape=SHAPE):
    """A Gaussian of the given standard deviations around a point."""
    offsets = np.indices(shape) - np.reshape(centre, (3, 1, 1, 1))
    scaled = offsets / np.reshape(np.broadcast_to(sigma, 3), (3, 1, 1, 1))
    return height * np.exp(-0.5 * (scaled**2).sum(axis=0))


def blobs(centres=CENTRES, heights=(1.0, 0.9, 0.8), **how):
    return sum(blob(c, height=h, **how) for c, h in zip(centres, heights, strict=False))
