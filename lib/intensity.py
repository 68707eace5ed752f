"""Intensities: bring volumes to comparable ranges. Shapes are free, values finite."""

import numpy as np
import SimpleITK as sitk


def rescale(x: np.ndarray) -> np.ndarray:
    """Min-max to 0..1, float32; a constant array becomes zeros.

    Raises:
        ValueError: ``x`` is empty or holds NaN or infinity.
    """
    values = _finite(x, "x")
    low, high = float(values.min()), float(values.max())
    exact = np.result_type(values, np.float32)  # float32 would round large integers and float64
    scaled = np.subtract(values, low, dtype=exact) / exact.type(high - low or 1)
    return scaled.astype(np.float32, copy=False)


def intensity_cropping(
    target: np.ndarray, *others: np.ndarray, percentile: float = 99
) -> tuple[np.ndarray, ...]:
    """Clip to 0 and a percentile of the positive values of the target, without scaling.

    One bound for all: an input cropped with its target keeps its ratio to it.

    Args:
        target: decides the bound.
        others: are clipped to it as well.
        percentile: of the target's positive values, 0 to 100.

    Returns:
        The clipped arrays, target first, float32. The bound is the maximum of the first.

    Raises:
        ValueError: no positive value in ``target``, NaN or infinity, a percentile out of range.

    Source: github.com/wjh1065/PVC-of-PET-images-using-3D-ResUnet (2021).
    """
    if not 0 < percentile <= 100:
        raise ValueError(f"percentile={percentile}: give more than 0 and up to 100")
    values = _finite(target, "target")
    positive = values[values > 0]
    if not positive.size:
        raise ValueError(f"target has no positive value: its maximum is {values.max():g}")
    bound = np.float32(np.percentile(positive, percentile))
    names = ["target", *(f"others[{i}]" for i in range(len(others)))]
    return tuple(
        np.clip(_finite(x, name).astype(np.float32), 0, bound)
        for x, name in zip((target, *others), names, strict=True)
    )


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
    values = _finite(scan, "scan")
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


def _finite(x, name: str) -> np.ndarray:
    values = np.asarray(x)
    if values.size == 0 or not np.all(np.isfinite(values)):
        raise ValueError(f"{name} of shape {values.shape} is empty or holds NaN or infinity")
    return values
