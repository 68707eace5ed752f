"""Bright beads in a volume: where they are, which of them were found, how long they look.

A centre is a point (x, y, z) in voxel indices, with fractions; centres are (n, 3) float64. The
rule for nothing there is that of `lib.metrics`: where neither truth nor prediction holds a bead,
the scores are NaN, where one holds none, they are 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation, center_of_mass, label, maximum, maximum_filter
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from skimage.segmentation import watershed

from lib.arrays import per_axis, real_array

AROUND = np.arange(27).reshape(3, 3, 3) != 13  # the voxels around one
HOT = 4  # times as bright as the brightest of them, above the darkest of the volume
FEW = 3  # hot pixels at most: more of them are beads as sharp as labels


@dataclass(frozen=True)
class BeadMatch:
    """Found beads against true ones, by `match_beads`.

    Attributes:
        truths, found, matched: how many there are, were found, and lie within the radius.
        precision, recall, f1: matched / found, matched / truths, their harmonic mean.
        errors: mean absolute distance along x, y and z in voxels, over the matched; NaN if none.
    """

    truths: int
    found: int
    matched: int
    precision: float
    recall: float
    f1: float
    errors: tuple[float, float, float]


def detect_beads(volume: np.ndarray, threshold: float, min_distance: int = 2) -> np.ndarray:
    """The centres of the bright spots, each the weighted centroid of a local maximum's basin.

    Local maxima above the threshold are the seeds of a watershed, so that beads that touch come
    apart; each voxel weighs as much as it exceeds the mean of its bead's peak and the threshold.
    A single voxel four times as bright as those around it, and twice as bright as all else, is a
    hot pixel and no bead; up to three are left out so.

    Args:
        volume: (X, Y, Z), any units.
        threshold: part of the volume's own range without hot pixels, 0 to 1: 0.5 lies midway
            between its minimum and its maximum.
        min_distance: voxels; of maxima that lie this close along every axis only the brightest
            counts.

    Returns:
        (n, 3), the highest peak first; (0, 3) where nothing stands out, as in a constant volume.

    Raises:
        ValueError: not three dimensions, values that are not finite, ``threshold`` outside
            [0, 1), ``min_distance`` below 1.
    """
    volume = _without_hot_pixels(real_array(volume, "volume").astype(np.float64))
    if not 0 <= threshold < 1:
        raise ValueError(f"threshold={threshold}: give at least 0 and less than 1")
    if min_distance < 1:
        raise ValueError(f"min_distance={min_distance}: give 1 voxel or more")
    level = volume.min() + threshold * np.ptp(volume)
    seeds, heights = _maxima(volume, level, min_distance)
    if not len(heights):
        return np.zeros((0, 3))
    basins = watershed(-volume, seeds, mask=volume > level)
    middle = (np.append(level, heights) + level) / 2  # of each basin; 0: no basin
    weights = np.maximum(volume - middle[basins], 0)
    brightest_first = 1 + np.argsort(-heights, kind="stable")
    return np.array(center_of_mass(weights, basins, brightest_first))


def match_beads(
    truth_centres: np.ndarray, found_centres: np.ndarray, radius: float = 2.0
) -> BeadMatch:
    """Give each true bead at most one found bead: as many pairs as can be, then the closest ones.

    Args:
        truth_centres, found_centres: (n, 3) and (m, 3), voxels.
        radius: voxels; a pair further apart is no match.

    Returns:
        Counts, precision, recall, F1 and the errors along the axes. Precision, recall and F1 are
        NaN where both are empty, 0 where one is.

    Raises:
        ValueError: centres that are not (n, 3) or not finite, ``radius`` not above 0.
    """
    truth = _centres(truth_centres, "truth_centres")
    found = _centres(found_centres, "found_centres")
    if not radius > 0:
        raise ValueError(f"radius={radius}: give more than 0 voxels")
    distances = cdist(truth, found)
    too_far = radius * (1 + min(distances.shape))  # dearer than all the pairs together
    rows, columns = linear_sum_assignment(np.where(distances <= radius, distances, too_far))
    near = distances[rows, columns] <= radius
    steps = np.abs(truth[rows[near]] - found[columns[near]])
    errors = steps.mean(axis=0) if len(steps) else np.full(3, np.nan)
    return _match(len(truth), len(found), len(steps), tuple(errors.tolist()))


def best_threshold(
    truths: Sequence[np.ndarray],
    volumes: Sequence[np.ndarray],
    *,
    levels: int = 20,
) -> tuple[float, float]:
    """The threshold of `detect_beads` that finds the beads of training volumes best.

    Args:
        truths: the centres of the beads of each volume, (n, 3).
        volumes: (X, Y, Z) each.
        levels: tried are 1/levels, 2/levels, ... below 1.

    Returns:
        (threshold, F1 over all volumes together); of equals the middle one.

    Raises:
        ValueError: ``levels`` below 2, or no bead in any truth.
    """
    if levels < 2 or not any(len(centres) for centres in truths):
        count = sum(len(centres) for centres in truths)
        raise ValueError(f"levels={levels}, truths with {count} beads: give 2 and 1, or more")
    thresholds, scores = np.arange(1, levels) / levels, []
    for threshold in thresholds:
        matches = [
            match_beads(centres, detect_beads(volume, threshold))
            for volume, centres in zip(volumes, truths, strict=True)
        ]
        total = sum(match.truths + match.found for match in matches)
        scores.append(2 * sum(match.matched for match in matches) / total)
    best = np.flatnonzero(np.equal(scores, max(scores)))
    middle = best[len(best) // 2]
    return float(thresholds[middle]), float(scores[middle])


def bead_elongation(volume: np.ndarray, centres: np.ndarray, window=(4, 4, 8)) -> float:
    """How long beads look along depth: width along z over the mean width along x and y.

    A width is the root of the second moment about the bead's centre, in a window from which the
    local background (the median of the window's outermost voxels) is taken; what lies below it
    counts 0. The window ends at the volume's border; a bead cut there looks shorter than it is.

    Args:
        volume: (X, Y, Z), any units.
        centres: (n, 3), voxels, inside the volume.
        window: voxels on each side of the centre, one number or one for each axis; it should hold
            the bead to its feet, and no other.

    Returns:
        The median over the beads; those without any width along x and y are left out, NaN if
        none remains.

    Raises:
        ValueError: not three dimensions, not finite, a centre outside the volume, ``window``
            below 1.
    """
    volume = real_array(volume, "volume").astype(np.float64)
    centres = _centres(centres, "centres")
    window = per_axis(window, "window", positive=True)
    outside = np.any((centres < -0.5) | (centres > np.array(volume.shape) - 0.5), axis=1)
    if outside.any():
        raise ValueError(f"centres: {centres[outside][0]} lies outside {volume.shape}")
    widths = np.array([_widths(volume, centre, window) for centre in centres]).reshape(-1, 3)
    across = widths[:, :2].mean(axis=1)
    ratios = widths[across > 0, 2] / across[across > 0]
    return float(np.median(ratios)) if len(ratios) else float("nan")


def _without_hot_pixels(volume: np.ndarray) -> np.ndarray:
    """Up to `FEW` voxels that outshine those around them `HOT` times, and all else twice, get the
    value of the brightest around them; all stays where nothing else is bright."""
    low = volume.min()
    around = maximum_filter(volume, footprint=AROUND, mode="constant", cval=low)
    alone = np.flatnonzero(volume - low > HOT * (around - low))
    brightest = alone[np.argsort(-volume.flat[alone], kind="stable")][:FEW]
    for count in range(len(brightest), 0, -1):
        hot, rest = brightest[:count], volume.copy()
        rest.flat[hot] = around.flat[hot]
        if low < rest.max() < (volume.flat[hot[-1]] + low) / 2:
            return rest
    return volume


def _maxima(volume, level, min_distance) -> tuple[np.ndarray, np.ndarray]:
    """Labels of the local maxima above ``level``, 0 elsewhere, and the height of each.

    Equal maxima within the distance of one another, such as a flat top, are one.
    """
    highest = maximum_filter(volume, 2 * min_distance + 1) == volume
    highest &= volume > level
    grown = binary_dilation(highest, np.ones((min_distance,) * 3))  # these boxes touch
    labels, count = label(grown, np.ones((3, 3, 3)))
    seeds = np.where(highest, labels, 0)
    return seeds, np.asarray(maximum(volume, seeds, 1 + np.arange(count)))


def _widths(volume, centre, window) -> np.ndarray:
    """Root of the second moments along x, y and z about ``centre``; zeros if nothing is there."""
    middle = np.rint(centre).astype(int)
    low = np.maximum(middle - window, 0)
    part = volume[tuple(slice(a, m + w + 1) for a, m, w in zip(low, middle, window, strict=True))]
    inner = np.zeros(part.shape, bool)
    inner[tuple(slice(1, -1) if n > 2 else slice(None) for n in part.shape)] = True
    shell = part[~inner] if not inner.all() else part
    weights = np.maximum(part - np.median(shell), 0)
    total = weights.sum()
    offsets = np.indices(part.shape) + (low - centre)[:, None, None, None]
    return np.sqrt((weights * offsets**2).sum(axis=(1, 2, 3)) / (total or 1))


def _match(truths: int, found: int, matched: int, errors: tuple) -> BeadMatch:
    if not truths + found:
        return BeadMatch(0, 0, 0, np.nan, np.nan, np.nan, errors)
    precision, recall = matched / max(found, 1), matched / max(truths, 1)
    f1 = 2 * matched / (truths + found)
    return BeadMatch(truths, found, matched, precision, recall, f1, errors)


def _centres(centres, name: str) -> np.ndarray:
    centres = np.asarray(centres, np.float64)
    if centres.ndim != 2 or centres.shape[1] != 3 or not np.all(np.isfinite(centres)):
        raise ValueError(f"{name} has shape {centres.shape}: needed is (n, 3), finite")
    return centres
