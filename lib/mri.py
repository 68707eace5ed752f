"""Magnetic resonance imaging: what a scanner does to a brain, simulated; how to undo its bias and
its contrast; and what finds a tissue without a network.

What is simulated takes a ``seed``, an int or several; the same seed gives the same array.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy.interpolate import make_interp_spline
from scipy.ndimage import gaussian_filter
from skimage.measure import label
from skimage.morphology import remove_small_objects
from skimage.restoration import denoise_tv_chambolle
from sklearn.mixture import GaussianMixture

from lib.arrays import check_extents, finite
from lib.evaluation import Tuned, tune
from lib.intensity import intensity_cropping, rescale
from lib.metrics import best_band, dice

AIR = 0.15  # of a scan in 0..1: what lies above is tissue
SOME = 40  # every so many voxels of tissue are fitted by a mixture


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


def mr_scans(t1: np.ndarray, count: int, *, seed: Sequence[int]) -> list[np.ndarray]:
    """A clean volume as ``count`` scanners would show it: `mr_scan` with seeds (*seed, number)."""
    return [mr_scan(t1, seed=(*seed, number)) for number in range(count)]


def bounding_box(mask: np.ndarray) -> tuple[slice, ...]:
    """The smallest box that holds all of a mask, as an index.

    Raises:
        ValueError: nothing in the mask.
    """
    if not np.any(mask):
        raise ValueError(f"mask of shape {np.shape(mask)} is empty: nothing to put a box around")
    return tuple(slice(int(i.min()), int(i.max()) + 1) for i in np.nonzero(mask))


def correct_bias_field(scan: np.ndarray, shrink: int = 6) -> np.ndarray:
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


def even_contrast(scan: np.ndarray, median: float = 0.7) -> np.ndarray:
    """Raise a scan to the power that brings the median of its tissue to a fixed value.

    Two scans of one brain whose contrasts differ by a power become equal, if the same voxels lie
    above `AIR` in both.

    Args:
        scan: (X, Y, Z), values 0..1.
        median: of the voxels above `AIR`, afterwards; between 0 and 1.

    Returns:
        (X, Y, Z) float32, values 0..1.

    Raises:
        ValueError: values outside 0..1, no voxel above `AIR`, or medians that are not inside 0..1.
    """
    values = finite(scan, "scan").astype(np.float32)
    tissue = values[values > AIR]
    if values.min() < 0 or values.max() > 1 or not tissue.size:
        spans = f"{values.min():g} to {values.max():g}"
        raise ValueError(f"scan spans {spans}: needed is 0..1, with tissue above {AIR}")
    own = float(np.median(tissue))
    if not (0 < median < 1 and own < 1):
        raise ValueError(f"median={median}, that of the scan is {own:g}: both must lie inside 0..1")
    return values ** np.float32(np.log(median) / np.log(own))


def prepare_scan(scan: np.ndarray) -> np.ndarray:
    """`correct_bias_field`, cropping at the 99th percentile, 0..1, `even_contrast`.

    Args:
        scan: (X, Y, Z), the skull stripped, positive where there is signal.

    Returns:
        (X, Y, Z) float32, values 0..1.

    Raises:
        ValueError: what the four refuse.
    """
    return even_contrast(rescale(intensity_cropping(correct_bias_field(scan))[0]))


def add_smoothed(scan: np.ndarray, sigma: float) -> np.ndarray:
    """A scan (X, Y, Z) and, as a second channel, itself smoothed: (X, Y, Z, 2) float32.

    Args:
        scan: (X, Y, Z).
        sigma: of the Gaussian, in voxels, above 0.

    Raises:
        ValueError: not 3D, NaN or infinity in the scan, or a sigma not above 0.
    """
    values = finite(scan, "scan").astype(np.float32)
    if values.ndim != 3 or not 0 < sigma < np.inf:
        raise ValueError(f"scan {values.shape}, sigma={sigma}: give (X, Y, Z) and more than 0")
    return np.stack([values, gaussian_filter(values, sigma)], axis=-1)


@dataclass(frozen=True)
class Chain:
    """A tuned way to find a tissue: call it with a scan, it returns a mask.

    Attributes:
        find: function (scan, strength) -> mask.
        tuned: the strengths that were tried, and the Dice of each on the training scans.
    """

    find: Callable
    tuned: Tuned

    def __call__(self, scan: np.ndarray) -> np.ndarray:
        return self.find(scan, self.tuned.best)


def tune_band(
    denoise: Callable, strengths: Sequence, scans: Sequence, mask: np.ndarray, threads: int = 2
) -> Chain:
    """Denoise, then take a band of thresholds: what fits all training scans together best.

    Args:
        denoise: function (scan, strength) -> scan; what leaves 0..1 is clipped.
        strengths: in order, so that ``tuned.inside`` has a meaning.
        scans: (X, Y, Z) each, values 0..1, all of one brain.
        mask: (X, Y, Z) bool, what is to be found in each.
        threads: scans at a time.

    Raises:
        ValueError: no strength, or what `best_band` refuses.
    """
    if not len(strengths):
        raise ValueError("strengths is empty: give at least one")
    bands = []
    with ThreadPoolExecutor(threads) as pool:
        for strength in strengths:
            smooth = pool.map(denoise, scans, [strength] * len(scans))
            clipped = [np.clip(scan, 0, 1) for scan in smooth]
            bands.append(best_band(clipped, [mask] * len(scans)))
    scores = [score for _, _, score in bands]
    best = int(np.argmax(scores))
    low, high, _ = bands[best]

    def find(scan, strength):
        smooth = np.clip(denoise(scan, strength), 0, 1)
        return (smooth > low) & (smooth <= high)

    return Chain(find, Tuned(strengths[best], list(strengths), scores))


def tune_mixture(strengths: Sequence, scans: Sequence, mask: np.ndarray, threads: int = 2) -> Chain:
    """`gray_by_mixture` with the smoothing that fits the training scans best, as in `tune_band`."""
    pairs = [(scan, mask) for scan in scans]
    return Chain(gray_by_mixture, tune(gray_by_mixture, strengths, pairs, dice, threads))


def total_variation(scan: np.ndarray, weight: float) -> np.ndarray:
    """Chambolle's total variation denoising, at most 20 iterations, by scikit-image."""
    return denoise_tv_chambolle(scan, weight=weight, max_num_iter=20)


def gray_by_mixture(scan: np.ndarray, sigma: float) -> np.ndarray:
    """Gray matter as the middle one of three Gaussians, fitted to this scan's own intensities.

    Args:
        scan: (X, Y, Z), values 0..1; what lies above `AIR` is tissue.
        sigma: of the Gaussian that smooths the scan first, in voxels.

    Returns:
        (X, Y, Z) bool.

    Raises:
        ValueError: fewer than 3 voxels of tissue among every 40th, which are fitted.
    """
    smooth = gaussian_filter(finite(scan, "scan").astype(np.float32), sigma)
    tissue = smooth[smooth > AIR][::SOME, None]
    if len(tissue) < 3:
        raise ValueError(f"scan has {len(tissue)} voxels above {AIR} to fit: a mixture needs 3")
    start = np.quantile(tissue, [0.05, 0.5, 0.9])[:, None]
    mixture = GaussianMixture(3, means_init=start, max_iter=300, random_state=0).fit(tissue)
    middle = np.argsort(mixture.means_[:, 0])[1]
    levels = np.linspace(0, 1, 201)[:, None]
    gray = (mixture.predict(levels) == middle) & (levels[:, 0] > AIR)
    return gray[np.clip(smooth * 200, 0, 200).round().astype(int)]


def drop_islands(mask: np.ndarray, voxels: int) -> np.ndarray:
    """A mask without its connected components of up to ``voxels`` voxels (corners connect)."""
    return remove_small_objects(np.asarray(mask, bool), max_size=voxels, connectivity=3)


def false_islands(truth: np.ndarray, mask: np.ndarray) -> int:
    """How many connected components of a mask hold no voxel of the truth (corners connect)."""
    islands, count = label(np.asarray(mask, bool), connectivity=3, return_num=True)
    touched = np.unique(islands[np.asarray(truth, bool)])
    return int(count - np.count_nonzero(touched))
