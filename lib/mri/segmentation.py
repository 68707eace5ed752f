"""Gray matter found in prepared scans: tuned classical chains, a network, islands dropped."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import keras
import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.measure import label
from skimage.morphology import remove_small_objects
from skimage.restoration import denoise_tv_chambolle
from sklearn.mixture import GaussianMixture

from lib.arrays import finite
from lib.evaluation import Tuned, tune
from lib.inference import predict_volume
from lib.metrics import best_band, dice
from lib.mri.scanner import AIR

SOME = 40  # every so many voxels of tissue are fitted by a mixture


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


@dataclass(frozen=True, eq=False)
class GrayNetwork:
    """A trained network as a way to find gray matter: call it with a scan, it returns a mask.

    Attributes:
        network: (N, x, y, z, 2) -> (N, x, y, z, 1) in 0..1, pooling by 16; it sees `add_smoothed`.
        sigma: of the smoothed channel.
        tile: extent of the tiles in voxels, a multiple of 16; they overlap by half.
        batch: tiles predicted at a time.
    """

    network: keras.Model
    sigma: float
    tile: int
    batch: int = 32

    def __call__(self, scan: np.ndarray) -> np.ndarray:
        """The mask (X, Y, Z) of a prepared scan (X, Y, Z), where the network's answer is above 0.5.

        Raises:
            ValueError: what `add_smoothed` or `predict_volume` refuses.
        """
        seen = add_smoothed(scan, self.sigma)  # (X, Y, Z, 2)
        answer = predict_volume(self.network, seen, self.tile, batch_size=self.batch)
        return answer[..., 0] > 0.5


def drop_islands(mask: np.ndarray, voxels: int) -> np.ndarray:
    """A mask without its connected components of up to ``voxels`` voxels (corners connect)."""
    return remove_small_objects(np.asarray(mask, bool), max_size=voxels, connectivity=3)


def false_islands(truth: np.ndarray, mask: np.ndarray) -> int:
    """How many connected components of a mask hold no voxel of the truth (corners connect)."""
    islands, count = label(np.asarray(mask, bool), connectivity=3, return_num=True)
    touched = np.unique(islands[np.asarray(truth, bool)])
    return int(count - np.count_nonzero(touched))
