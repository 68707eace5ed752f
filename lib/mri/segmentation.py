"""Gray matter found in prepared scans: chains, trees over filters, a network; islands dropped."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import keras
import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude, gaussian_laplace
from skimage.measure import label
from skimage.morphology import remove_small_objects
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.mixture import GaussianMixture

from lib.arrays import finite
from lib.evaluation import Tuned, tune
from lib.inference import predict_volume
from lib.metrics import best_band, dice
from lib.mri.scanner import AIR

SOME = 40  # every so many voxels of tissue are fitted by a mixture
BLURS = (0.7, 1, 1.5, 2, 3, 5, 8)  # sigmas in voxels, of the smoothed scans that trees see
EDGES = (1, 1.5, 2, 3)  # and of the Laplacians and gradients
PICKED = 20_000  # voxels of tissue that trees learn from, of each scan


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
            bands.append(best_band([mask] * len(scans), clipped))
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


@dataclass(frozen=True, eq=False)
class VoxelTrees:
    """Boosted trees that judge each voxel of tissue by itself: call with a scan, get a mask.

    Attributes:
        trees: they see what `describe_voxels` returns.
        sigma, threshold: of the Gaussian that smooths the chances, in voxels, and where they are
            cut.
    """

    trees: HistGradientBoostingClassifier
    sigma: float = 0
    threshold: float = 0.5

    def __call__(self, scan: np.ndarray) -> np.ndarray:
        """The mask (X, Y, Z) of a prepared scan (X, Y, Z); errors are those of `chances`."""
        return gaussian_filter(self.chances(scan), self.sigma) > self.threshold

    def chances(self, scan: np.ndarray) -> np.ndarray:
        """How likely each voxel is gray matter, (X, Y, Z) float32, 0..1; air is none.

        Raises:
            ValueError: the scan is empty or holds NaN or infinity.
        """
        tissue = finite(scan, "scan") > AIR
        chances = np.zeros(tissue.shape, np.float32)
        if tissue.any():
            chances[tissue] = self.trees.predict_proba(describe_voxels(scan, tissue))[:, 1]
        return chances

    def tuned(self, sigmas, thresholds, scans, mask) -> "VoxelTrees":
        """The same trees with the pair that fits these scans best, all of one brain, by Dice."""
        judged, scores = [self.chances(scan) for scan in scans], {}
        for sigma in sigmas:
            smooth = [gaussian_filter(chances, sigma) for chances in judged]
            for threshold in thresholds:
                scores[sigma, threshold] = np.mean([dice(mask, s > threshold) for s in smooth])
        return VoxelTrees(self.trees, *max(scores, key=scores.get))


def train_trees(
    scans: Sequence,
    mask: np.ndarray,
    trees: HistGradientBoostingClassifier | None = None,
    *,
    voxels: int = PICKED,
    seed: int = 0,
    threads: int = 2,
) -> VoxelTrees:
    """Boosted trees over filtered scans: a pixel classifier, as ilastik calls it.

    Args:
        scans: (X, Y, Z) each, values 0..1, all of one brain.
        mask: (X, Y, Z) bool, what is to be found in each.
        trees: not trained yet; None: scikit-learn's defaults, grown by the seed.
        voxels: of tissue of each scan, at most, that are learned from.
        seed: decides which.
        threads: scans at a time.

    Raises:
        ValueError: no scan, another shape than the mask's, NaN or infinity, no tissue, or a mask
            that is not bool.

    Source: S. Berg et al., ilastik: interactive machine learning for (bio)image analysis, Nature
    Methods 16 (2019), whose forest is boosted trees here, by scikit-learn.
    """
    if not len(scans) or np.asarray(mask).dtype != bool:
        kind = np.asarray(mask).dtype
        raise ValueError(f"{len(scans)} scans, a mask of {kind}: give at least one, and bool")
    picked = [pick_tissue(scan, mask, (seed, n), voxels) for n, scan in enumerate(scans)]
    with ThreadPoolExecutor(threads) as pool:
        seen = np.concatenate(list(pool.map(describe_voxels, scans, picked)))
    trees = HistGradientBoostingClassifier(random_state=seed) if trees is None else trees
    return VoxelTrees(trees.fit(seen, np.concatenate([mask[where] for where in picked])))


def describe_voxels(scan: np.ndarray, where: np.ndarray) -> np.ndarray:
    """What trees see of a scan's voxels: the values there of the scan and of its filtered copies.

    Args:
        scan: (X, Y, Z).
        where: (X, Y, Z) bool, n voxels.

    Returns:
        (n, 16) float32: the scan, smoothed by `BLURS`, its Laplacians and gradients by `EDGES`.

    Raises:
        ValueError: NaN or infinity in the scan, or a ``where`` that is not bool of its shape.
    """
    values, where = finite(scan, "scan").astype(np.float32), np.asarray(where)
    if where.dtype != bool or where.shape != values.shape:
        raise ValueError(f"where is {where.dtype} {where.shape}: give bool {values.shape}")
    seen = [values[where]]
    seen += [gaussian_filter(values, sigma)[where] for sigma in BLURS]
    for edges in (gaussian_laplace, gaussian_gradient_magnitude):
        seen += [edges(values, sigma)[where] for sigma in EDGES]
    return np.stack(seen, axis=-1)


def pick_tissue(scan, mask, seed, count: int = PICKED) -> np.ndarray:
    """Up to ``count`` voxels of tissue, drawn evenly, as (X, Y, Z) bool.

    Raises:
        ValueError: a scan without tissue, or of another shape than its mask.
    """
    if np.shape(scan) != np.shape(mask):
        raise ValueError(f"scan {np.shape(scan)}, mask {np.shape(mask)}: they must agree")
    tissue = np.flatnonzero(np.asarray(scan) > AIR)
    if not len(tissue):
        raise ValueError(f"a scan has no voxel above {AIR}: there is no tissue to learn from")
    picked = np.zeros(np.shape(scan), bool)
    rng = np.random.default_rng(seed)
    picked.flat[rng.choice(tissue, min(count, len(tissue)), replace=False)] = True
    return picked


def add_smoothed(scan: np.ndarray, sigmas: Sequence[float]) -> np.ndarray:
    """A scan (X, Y, Z) and, as further channels, itself smoothed: (X, Y, Z, 1 + sigmas) float32.

    Args:
        scan: (X, Y, Z).
        sigmas: of the Gaussians, in voxels, each above 0.

    Raises:
        ValueError: not 3D, NaN or infinity in the scan, or sigmas that are not several above 0.
    """
    values = finite(scan, "scan").astype(np.float32)
    if np.ndim(sigmas) != 1 or not all(0 < sigma < np.inf for sigma in sigmas):
        raise ValueError(f"sigmas={sigmas}: give a list of numbers above 0")
    if values.ndim != 3:
        raise ValueError(f"scan has shape {values.shape}: needed is (X, Y, Z)")
    smooth = [gaussian_filter(values, sigma) for sigma in sigmas]
    return np.stack([values, *smooth], axis=-1)


def smoothed_pairs(scans: Sequence, mask: np.ndarray, sigmas: Sequence[float]) -> list[tuple]:
    """(what `add_smoothed` makes of a scan, the mask) of each scan of one brain, to train on."""
    return [(add_smoothed(scan, sigmas), mask) for scan in scans]


@dataclass(frozen=True, eq=False)
class GrayNetwork:
    """A trained network as a way to find gray matter: call it with a scan, it returns a mask.

    Attributes:
        network: (N, x, y, z, C) -> (N, x, y, z, 1) in 0..1, pooling by 16; it sees `add_smoothed`.
        sigmas: of the smoothed channels; C is one more.
        tile: extent of the tiles in voxels, a multiple of 16; they overlap by half.
        batch: tiles predicted at a time.
    """

    network: keras.Model
    sigmas: Sequence[float]
    tile: int
    batch: int = 32

    def __call__(self, scan: np.ndarray) -> np.ndarray:
        """The mask (X, Y, Z) of a prepared scan (X, Y, Z), where the network's answer is above 0.5.

        Raises:
            ValueError: what `add_smoothed` or `predict_volume` refuses.
        """
        seen = add_smoothed(scan, self.sigmas)  # (X, Y, Z, C)
        how = {"batch_size": self.batch, "multiple": 1}  # tiles may be no larger than its factor
        answer = predict_volume(self.network, seen, self.tile, **how)
        return answer[..., 0] > 0.5


def drop_islands(mask: np.ndarray, voxels: int) -> np.ndarray:
    """A mask without its connected components of up to ``voxels`` voxels (corners connect)."""
    return remove_small_objects(np.asarray(mask, bool), max_size=voxels, connectivity=3)


def false_islands(truth: np.ndarray, mask: np.ndarray) -> int:
    """How many connected components of a mask hold no voxel of the truth (corners connect)."""
    islands, count = label(np.asarray(mask, bool), connectivity=3, return_num=True)
    touched = np.unique(islands[np.asarray(truth, bool)])
    return int(count - np.count_nonzero(touched))
