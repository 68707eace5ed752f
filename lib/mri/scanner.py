"""What a scanner does to a brain, simulated; how to undo its bias and its contrast.

``seed``: an int or several; the same seed gives the same array.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import SimpleITK as sitk
from scipy.interpolate import make_interp_spline
from scipy.ndimage import find_objects

from lib.arrays import finite, per_axis
from lib.intensity import intensity_cropping, rescale
from lib.volumes import Volume, load_volume

AIR = 0.15  # of a scan in 0..1: what lies above is tissue
MEDIAN = 0.7  # of tissue whose contrast was evened
KNOTS = 4


def bias_field(shape, strength: float, *, seed) -> np.ndarray:
    """A smooth field of gain, as a receive coil lays over an MRI scan.

    It is random at `KNOTS` along each axis, between which cubic splines run.

    Args:
        shape: (X, Y, Z).
        strength: the field spans 1/(1+strength) to 1+strength; 0.5: a factor of 2.25 in all.

    Returns:
        (X, Y, Z) float32.

    Raises:
        ValueError: ``shape`` holds no extents above 0, or ``strength`` negative.
    """
    shape = per_axis(shape, "shape", positive=True)
    if not strength >= 0:
        raise ValueError(f"strength={strength}: give 0 or more")
    coarse = np.random.default_rng(seed).uniform(-1, 1, (KNOTS,) * 3)
    spline = make_interp_spline(np.linspace(0, 1, KNOTS), np.eye(KNOTS))
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


def changed_copies(scans: Sequence, *, contrast: float, gain: float, seed) -> list[np.ndarray]:
    """A copy of each scan of 0 or more, changed as `lib.sampling.PatchSampler` changes patches."""
    rng, copies = np.random.default_rng(seed), []
    for scan in scans:
        power, factor = np.exp(rng.uniform([-contrast, -gain], [contrast, gain]))
        copies.append(np.float32(factor) * scan ** np.float32(power))
    return copies


def load_template(folder) -> tuple[Volume, np.ndarray]:
    """The MNI152 brain as ``make data`` writes it, cut to the smallest box that holds it.

    Args:
        folder: holds ``mni152_t1.nii.gz`` and ``mni152_gray.nii.gz``, the skull stripped.

    Returns:
        The T1 template, (X, Y, Z) in 0..1 at its own place, and its gray matter, bool: where the
        map of probabilities lies above 0.5.

    Raises:
        VolumeError: a file is missing or damaged.
        ValueError: the two differ in shape, or the template is 0 everywhere.
    """
    head, gray = (load_volume(f"{folder}/mni152_{name}.nii.gz") for name in ("t1", "gray"))
    if head.data.shape != gray.data.shape:
        raise ValueError(f"{folder}: T1 is {head.data.shape}, the gray matter {gray.data.shape}")
    boxes = find_objects((head.data > 0).astype(int))
    if not boxes:
        raise ValueError(f"{folder}: the T1 template is 0 everywhere")
    return head.crop(boxes[0]), gray.data[boxes[0]] > 0.5


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


def even_contrast(scan: np.ndarray) -> np.ndarray:
    """Raise a scan to the power that brings the median of its tissue to `MEDIAN`.

    Two scans of one brain whose contrasts differ by a power become equal, if the same voxels lie
    above `AIR` in both.

    Args:
        scan: (X, Y, Z), values 0..1.

    Returns:
        (X, Y, Z) float32, values 0..1.

    Raises:
        ValueError: values outside 0..1, no voxel above `AIR`, or a median of 1.
    """
    values = finite(scan, "scan").astype(np.float32)
    tissue = values[values > AIR]
    if values.min() < 0 or values.max() > 1 or not tissue.size:
        spans = f"{values.min():g} to {values.max():g}"
        raise ValueError(f"scan spans {spans}: needed is 0..1, with tissue above {AIR}")
    own = float(np.median(tissue))
    if own == 1:
        raise ValueError("the median of the scan's tissue is 1: it must be less")
    return values ** np.float32(np.log(MEDIAN) / np.log(own))


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


def prepare_scans(scans: Sequence[np.ndarray], threads: int = 2) -> list[np.ndarray]:
    """`prepare_scan` of each, ``threads`` scans at a time."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(prepare_scan, scans))
