"""How good a prediction is: numbers from NumPy arrays of one shape, channels or not.

The rule for empty masks, for every overlap score: where truth and prediction are both empty there
is nothing to score, the score is NaN, which pandas' means leave out; where one is empty, it is 0.
So a network that finds nothing cannot gain by it.
"""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import binary_erosion, distance_transform_edt
from skimage.metrics import structural_similarity

from lib.arrays import check_count, per_axis


def dice(truth: np.ndarray, prediction: np.ndarray) -> float:
    """2·|A∩B| / (|A| + |B|) of two masks; NaN if both are empty.

    Raises:
        ValueError: shapes differ, or a value is neither 0 nor 1.
    """
    both, total = _overlap(truth, prediction)
    return 2 * both / total if total else float("nan")


def iou(truth: np.ndarray, prediction: np.ndarray) -> float:
    """|A∩B| / |A∪B| of two masks, the Jaccard index; NaN if both are empty.

    Raises:
        ValueError: shapes differ, or a value is neither 0 nor 1.
    """
    both, total = _overlap(truth, prediction)
    return both / (total - both) if total else float("nan")


def dice_by_label(truth: np.ndarray, prediction: np.ndarray) -> dict[int, float]:
    """`dice` of each label above 0 that either map of whole numbers holds, in rising order.

    Raises:
        ValueError: the shapes differ, or a map that does not hold whole numbers.
    """
    truth, prediction = _same_shape(truth, prediction)
    found = np.union1d(truth, prediction)
    if not np.isfinite(found).all() or np.any(found % 1):
        raise ValueError("truth and prediction must hold labels: give whole numbers")
    return {int(n): dice(truth == n, prediction == n) for n in found if n > 0}


def surface_distance(truth: np.ndarray, prediction: np.ndarray, spacing) -> dict[str, float]:
    """How far the surfaces of two masks lie apart, both ways, in mm.

    A voxel of a mask is on its surface where one of the six next to it is not in the mask, or
    there is none.

    Args:
        truth, prediction: (X, Y, Z), masks.
        spacing: mm, one number or one for each axis.

    Returns:
        "mean": over the voxels of both surfaces, the distance to the other surface; "95 %": the
        greater of the two 95th percentiles. NaN where neither mask holds anything, infinite where
        one does not.

    Raises:
        ValueError: the shapes differ or are not 3D, a value is neither 0 nor 1, or a spacing that
            is not above 0.

    Source: as the robust Hausdorff distance of S. Nikolov et al., Clinically applicable
    segmentation (2021), on voxels instead of surface elements.
    """
    masks, spacing = _masks(truth, prediction), per_axis(spacing, "spacing", float, positive=True)
    if masks[0].ndim != 3:
        raise ValueError(f"truth has shape {masks[0].shape}: needed is (X, Y, Z)")
    if not all(mask.any() for mask in masks):
        none = np.inf if any(mask.any() for mask in masks) else np.nan
        return {"mean": none, "95 %": none}
    one, other = (mask & ~binary_erosion(mask) for mask in masks)
    ways = [distance_transform_edt(~b, spacing)[a] for a, b in ((one, other), (other, one))]
    mean = float(np.concatenate(ways).mean())
    return {"mean": mean, "95 %": float(max(np.percentile(way, 95) for way in ways))}


def rmse(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Root of the mean squared error, in units of ``truth``.

    Raises:
        ValueError: shapes differ.
    """
    truth, prediction = _same_shape(truth, prediction)
    return float(np.sqrt(np.mean((truth - prediction) ** 2)))


def psnr(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB; the peak is the range of ``truth``. Infinite if equal.

    Raises:
        ValueError: shapes differ, or ``truth`` is constant.
    """
    error, peak = rmse(truth, prediction), _range(truth)
    return 20 * float(np.log10(peak / error)) if error else float("inf")


def ssim(truth: np.ndarray, prediction: np.ndarray, data_range: float | None = None) -> float:
    """Mean structural similarity in 3D (uniform window of 7 voxels), by scikit-image.

    Args:
        truth, prediction: (X, Y, Z), each at least 7 voxels wide.
        data_range: None: the range of ``truth``. (The PET reference takes each image's own
            maximum.)

    Raises:
        ValueError: shapes differ, are not 3D or too small, ``truth`` is constant, or
            ``data_range`` is not above 0.
    """
    truth, prediction = _same_shape(truth, prediction)
    if truth.ndim != 3 or min(truth.shape) < 7:
        raise ValueError(f"truth has shape {truth.shape}: SSIM needs (X, Y, Z) of 7 or more each")
    limits = _range(truth) if data_range is None else data_range
    if not limits > 0:
        raise ValueError(f"data_range={data_range}: give more than 0")
    return float(structural_similarity(truth, prediction, data_range=limits))


def correlation(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Pearson's correlation coefficient over all voxels, -1..1; 0 if ``prediction`` is constant.

    Raises:
        ValueError: shapes differ, or ``truth`` is constant.
    """
    truth, prediction = _same_shape(truth, prediction)
    _range(truth)
    truth, prediction = truth - truth.mean(), prediction - prediction.mean()
    norms = np.linalg.norm(truth) * np.linalg.norm(prediction)
    return float(np.vdot(truth, prediction) / norms) if norms else 0.0


def border_over_black(truths, predictions, width: int = 8) -> float:
    """How much vaguer predictions are at the border than inside, beside black; 1: no more.

    RMSE of the outermost voxels on all six sides over RMSE inside, the squares of all volumes
    pooled place by place, over the same ratio of zeros. That one says where the light lies: more
    of it at the border makes every method worse there.

    Args:
        truths, predictions: sequences of (X, Y, Z), all of one shape; of 64 x 64 x 32 voxels
            48 x 48 x 16 are the interior at 8.
        width: voxels.

    Returns:
        The quotient; infinite if only the border is wrong, 1 for the inner ratio if nothing is.

    Raises:
        ValueError: shapes differ or are not 3D, more of the one than of the other, or ``width``
            leaves no border or no interior.
    """
    pairs = [_same_shape(*pair) for pair in zip(truths, predictions, strict=True)]
    wrong = np.mean([(truth - prediction) ** 2 for truth, prediction in pairs], axis=0)
    light = np.mean([truth**2 for truth, _ in pairs], axis=0)
    return _border_ratio(wrong, width) / _border_ratio(light, width)


def _border_ratio(squares: np.ndarray, width: int) -> float:
    if squares.ndim != 3 or not 1 <= width < min(squares.shape) / 2:
        shape = squares.shape
        raise ValueError(f"width={width} in a volume {shape}: border and interior are needed")
    interior = np.zeros(squares.shape, bool)
    interior[(slice(width, -width),) * 3] = True
    outer, inner = (float(np.sqrt(squares[part].mean())) for part in (~interior, interior))
    if not inner:
        return float("inf") if outer else 1.0
    return outer / inner


def best_gain(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """The prediction times the one number that brings it closest to the truth in least squares.

    For methods whose unit of light is their own, such as deconvolution; black stays black.

    Raises:
        ValueError: shapes differ.
    """
    truth, prediction = _same_shape(truth, prediction)
    energy = np.vdot(prediction, prediction)
    return prediction * (np.vdot(truth, prediction) / energy if energy else 0)


def best_band(
    masks: Sequence[np.ndarray], scans: Sequence[np.ndarray], levels: int = 100
) -> tuple[float, float, float]:
    """The pair of thresholds whose band, low < value <= high, fits the masks best: a baseline.

    Args:
        masks: what is to be found in each scan, bool.
        scans: arrays with values in 0..1.
        levels: how finely 0..1 is divided; all pairs are tried.

    Returns:
        (low, high, Dice over all scans together); the thresholds are float64, for beside a Python
        float NumPy rounds to the scan's type.

    Raises:
        ValueError: values outside 0..1, masks of another shape or with other values than 0 and 1,
            nothing to be found, ``levels`` below 1.
    """
    thresholds = np.arange(check_count(levels, "levels", 1) + 1) / levels
    counts = np.zeros((2, levels + 1), np.int64)  # voxels a level: in the mask, in all
    for scan, mask in zip(scans, masks, strict=True):
        if np.shape(scan) != np.shape(mask) or not (np.min(scan) >= 0 and np.max(scan) <= 1):
            raise ValueError(
                f"a scan {np.shape(scan)} in {np.min(scan):g}..{np.max(scan):g} with a mask "
                f"{np.shape(mask)}: needed are equal shapes and values in 0..1"
            )
        level = np.searchsorted(thresholds, scan)  # low < value <= high
        counts[0] += np.bincount(level[_masks(mask, mask)[0]], minlength=levels + 1)
        counts[1] += np.bincount(level.ravel(), minlength=levels + 1)
    if not counts[0].sum():
        raise ValueError("masks are empty: there is nothing to find")
    below = counts.cumsum(axis=1)  # voxels at or below a level
    both, found = below[:, None, :] - below[:, :, None]  # (low, high) each
    scores = np.triu(2 * both / (np.maximum(found, 0) + counts[0].sum()))
    low, high = np.unravel_index(scores.argmax(), scores.shape)
    return thresholds[low], thresholds[high], float(scores[low, high])


def seam_score(volume: np.ndarray, starts: Sequence[Sequence[int]], size: Sequence[int]) -> float:
    """How much more a volume jumps at the borders of its tiles than elsewhere; 1: no seam.

    Args:
        volume: (X, Y, Z), best an error: a smooth one has no jumps of its own.
        starts: where the tiles begin along each axis (`lib.patches.patch_starts`).
        size: their extents.

    Returns:
        Mean absolute step across a tile's beginning or end, over the mean of all other steps;
        infinite if only the borders jump, 1 if nothing does.

    Raises:
        ValueError: no border lies inside the volume, or nothing but borders.
    """
    at, elsewhere = [], []
    for axis, (begins, s) in enumerate(zip(starts, size, strict=True)):
        steps = np.moveaxis(np.abs(np.diff(np.asarray(volume, np.float64), axis=axis)), axis, 0)
        borders = {b for start in begins for b in (start, start + s)}
        is_border = np.isin(np.arange(1, len(steps) + 1), list(borders))
        at.append(steps[is_border].ravel())
        elsewhere.append(steps[~is_border].ravel())
    at, elsewhere = np.concatenate(at), np.concatenate(elsewhere)
    if not at.size or not elsewhere.size:
        what = "nothing but borders" if at.size else "no tile border"
        raise ValueError(f"starts={starts}, size={size}: {what} inside {np.shape(volume)}")
    if not elsewhere.any():
        return float("inf") if at.any() else 1.0
    return float(at.mean() / elsewhere.mean())


def _overlap(truth, prediction) -> tuple[int, int]:
    """Voxels in both masks, and the sum of the two masks' voxels."""
    a, b = _masks(truth, prediction)
    return int(np.count_nonzero(a & b)), int(np.count_nonzero(a) + np.count_nonzero(b))


def _masks(truth, prediction) -> tuple[np.ndarray, np.ndarray]:
    """Both as bool, if they hold 0 and 1 alone."""
    masks = _same_shape(truth, prediction, None)
    for name, mask in zip(("truth", "prediction"), masks, strict=True):
        if mask.dtype != bool and not np.all((mask == 0) | (mask == 1)):
            raise ValueError(f"{name} holds values besides 0 and 1: apply a threshold first")
    return masks[0].astype(bool), masks[1].astype(bool)


def _same_shape(truth, prediction, dtype=np.float64) -> tuple[np.ndarray, np.ndarray]:
    truth, prediction = np.asarray(truth, dtype), np.asarray(prediction, dtype)
    if truth.shape != prediction.shape:
        raise ValueError(f"truth has shape {truth.shape}, prediction {prediction.shape}")
    return truth, prediction


def _range(truth) -> float:
    span = float(np.ptp(np.asarray(truth, np.float64)))
    if not span:
        raise ValueError("truth is constant: it has no range to measure an error by")
    return span
