"""Intensities: bring volumes to comparable ranges. Shapes are free, values finite."""

import numpy as np

from lib.arrays import finite


def rescale(x: np.ndarray) -> np.ndarray:
    """Min-max to 0..1, float32; a constant array becomes zeros.

    Raises:
        ValueError: ``x`` is empty or holds NaN or infinity.
    """
    values = finite(x, "x")
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
    values = finite(target, "target")
    positive = values[values > 0]
    if not positive.size:
        raise ValueError(f"target has no positive value: its maximum is {values.max():g}")
    bound = np.float32(np.percentile(positive, percentile))
    names = ["target", *(f"others[{i}]" for i in range(len(others)))]
    return tuple(
        np.clip(finite(x, name).astype(np.float32), 0, bound)
        for x, name in zip((target, *others), names, strict=True)
    )
