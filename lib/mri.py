"""Magnetic resonance imaging: what a scanner does to a brain, simulated, and how to undo its bias.

What is simulated takes a ``seed``, an int or several; the same seed gives the same array.
"""

import numpy as np
import SimpleITK as sitk
from scipy.interpolate import make_interp_spline

from lib.arrays import check_extents, finite


def bias_field(shape, strength: float, knots: int = 4, *, seed) -> np.ndarray:
    """A smooth field of gain, as a receive coil lays over an MRI scan.

    Args:
        shape: (X, Y, Z).
        strength: the field spans 1/(1+strength) to 1+strength; 0.5: a factor of 2.25 in all.
        knots: random values along each axis, at least 4, between which cubic splines run.

    Returns:
        (X, Y, Z) float32.

    Raises:
        ValueError: ``shape`` is not three extents, ``strength`` negative or ``knots`` below 4.
    """
    check_extents(shape)
    if not (strength >= 0 and knots >= 4):
        raise ValueError(f"strength={strength}, knots={knots}: give at least 0 and 4")
    coarse = np.random.default_rng(seed).uniform(-1, 1, (knots,) * 3)
    spline = make_interp_spline(np.linspace(0, 1, knots), np.eye(knots))
    along = [spline(np.linspace(0, 1, n)) for n in shape]  # (extent, knots) each
    field = np.einsum("abc,xa,yb,zc->xyz", coarse, *along, optimize=True)
    field = 2 * (field - field.min()) / (np.ptp(field) or 1) - 1
    return ((1 + strength) ** field).astype(np.float32)


def mr_scan(
    t1: np.ndarray, *, bias: float = 0.5, contrast: float = 0.3, noise: float = 0.04, seed
) -> np.ndarray:
    """A clean T1 volume as one more scanner would show it: other contrast, bias field, noise.

    Args:
        t1: (X, Y, Z), values 0..1.
        bias: strength of the `bias_field`.
        contrast: intensities are raised to a power drawn from exp(-contrast)..exp(contrast).
        noise: standard deviation of both channels before the magnitude is taken, in units of
            ``t1``: the noise is Rician, as in a magnitude image, and so positive in the air.

    Returns:
        (X, Y, Z) float32, positive.

    Raises:
        ValueError: ``t1`` leaves 0..1 or holds NaN, or a strength is negative.
    """
    t1 = np.asarray(t1, np.float32)
    if not (np.min(t1) >= 0 and np.max(t1) <= 1):
        raise ValueError(f"t1 spans {np.min(t1):g} to {np.max(t1):g}: rescale it to 0..1 first")
    if not (contrast >= 0 and noise >= 0):
        raise ValueError(f"contrast={contrast}, noise={noise}: give 0 or more")
    rng = np.random.default_rng(seed)
    power = np.float32(np.exp(rng.uniform(-contrast, contrast)))
    own = int(rng.integers(1 << 62))  # with ``seed`` its first knot would be the contrast again
    signal = t1**power * bias_field(t1.shape, bias, seed=own)
    real, imaginary = np.float32(noise) * rng.standard_normal((2, *t1.shape), np.float32)
    return np.hypot(signal + real, imaginary)


def correct_bias_field(scan: np.ndarray, shrink: int = 4) -> np.ndarray:
    """Divide an MRI scan by its bias field, as N4 estimates it inside Otsu's foreground.

    Args:
        scan: (X, Y, Z), positive where there is signal.
        shrink: the field is estimated on every ``shrink``-th voxel, for speed.

    Returns:
        (X, Y, Z) float32.

    Raises:
        ValueError: not 3D, empty, NaN or infinity in it, or fewer than 2 voxels after shrinking.

    Source: N. Tustison et al., N4ITK: improved N3 bias correction (2010), in SimpleITK.
    """
    values = finite(scan, "scan")
    if values.ndim != 3:
        raise ValueError(f"scan has shape {values.shape}: needed is (X, Y, Z)")
    if shrink not in range(1, min(values.shape) // 2 + 1):
        raise ValueError(f"shrink={shrink}: give 1 up to half of each extent of {values.shape}")
    image = sitk.GetImageFromArray(values.astype(np.float32))
    small = sitk.Shrink(image, [int(shrink)] * 3)
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetMaximumNumberOfIterations([30, 30, 30])
    n4.Execute(small, sitk.OtsuThreshold(small, 0, 1, 200))
    field = sitk.GetArrayFromImage(sitk.Exp(n4.GetLogBiasFieldAsImage(image)))
    return (values / field).astype(np.float32)
