"""Bead volumes in folders: simulated, written and read as ``.mat``.

A set is ``folder/{train,validation}/{image,label}/*.mat``, each with the variable ``voxel``: what
a microscope showed, and how it should look, beads in black.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lib.arrays import check_count, per_axis
from lib.datasets import read_pairs
from lib.intensity import rescale
from lib.microscopy.phantoms import bead_volume, observe_beads
from lib.microscopy.psf import gaussian_psf
from lib.volumes import Volume, VolumeError, load_volume, save_volume

SIGMA = (1.5, 1.5, 4.0)  # voxels, the Gaussian PSF of the phantoms: stretched along depth
BEAD = 3  # voxels, further than a bead reaches from its centre
FULL = np.iinfo(np.uint16).max
KINDS = ("image", "label")


def bead_pair(
    shape=(64, 64, 32),
    beads: int = 20,
    *,
    sigma=SIGMA,
    photons: float = 300.0,
    surroundings: bool = True,
    seed,
) -> tuple[np.ndarray, np.ndarray]:
    """An observed bead volume and its truth, as `lib.microscopy.phantoms` makes them.

    Args:
        shape: (X, Y, Z).
        beads: how many; with surroundings so many in the mean.
        sigma: standard deviation of the Gaussian PSF in voxels, one for each axis.
        photons: per voxel and unit of light.
        surroundings: the volume is a window cut out of a larger scene with as many beads a voxel,
            as a microscope's is: they lie across its border, too, and shine in from beyond it.
            Without, all lie inside and nothing beyond.
        seed: an int or several.

    Returns:
        (observed, truth), both (X, Y, Z) float32 in 0..1.

    Raises:
        ValueError: what `bead_volume`, `gaussian_psf` or `observe_beads` refuses.
    """
    shape = per_axis(shape, "shape", positive=True)
    check_count(beads, "beads")
    words, psf = np.atleast_1d(seed).tolist(), gaussian_psf(sigma)
    margin = [n // 2 + BEAD for n in psf.shape] if surroundings else [0, 0, 0]
    scene = np.add(shape, 2 * np.array(margin))
    truth = bead_volume(scene, round(beads * np.prod(scene / shape)), seed=(*words, 0))
    observed = observe_beads(truth, psf, margin=margin, photons=photons, seed=(*words, 1))
    window = tuple(slice(m, m + n) for m, n in zip(margin, shape, strict=True))
    return observed, truth[window].copy()


def bead_windows(
    count: int, shape=(64, 64, 32), beads: int = 20, *, margin, seed: int
) -> tuple[tuple, tuple, tuple]:
    """Bead volumes that were observed further than they are judged.

    `write_bead_set` numbers its volumes alike: give another seed than a set's that is trained on.

    Args:
        count: how many, 1 or more, with the seeds (seed, number).
        shape, beads: of each window, as in `bead_pair`.
        margin: voxels observed beyond it at each end, one for each axis.

    Returns:
        (observed with the margin, observed, truths), ``count`` float32 volumes each. The last two
        are the window's, (X, Y, Z) in 0..1, its darkest voxel 0 and its brightest 1. The first is
        in the same units: its margin may be brighter; what would be darker than 0 there is 0, as
        for photons.

    Raises:
        ValueError: as `bead_pair`, a count below 1, or a margin that is not three numbers, 0 or
            more.
    """
    if count < 1 or len(margin) != 3 or min(margin) < 0:
        raise ValueError(f"count={count}, margin={margin}: give 1 or more, and three, 0 or more")
    windows = [_bead_window(shape, beads, margin, (seed, number)) for number in range(count)]
    return tuple(zip(*windows, strict=True))


def _bead_window(shape, beads, margin, seed) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    extents = np.add(shape, 2 * np.array(margin))
    observed, truth = bead_pair(extents, round(beads * np.prod(extents / shape)), seed=seed)
    window = without_margin(observed, margin)
    low, high = window.min(), window.max()
    wide = np.maximum((observed - low) / (high - low), 0)
    return wide, without_margin(wide, margin), without_margin(truth, margin)


def without_margin(volume: np.ndarray, margin) -> np.ndarray:
    """What lies further than ``margin`` voxels, one number for each axis, from its ends; a copy."""
    return volume[tuple(slice(m, n - m) for m, n in zip(margin, volume.shape, strict=True))].copy()


def without_margins(outputs: Mapping[str, Sequence], margin) -> dict[str, list]:
    """`without_margin` of each method's volumes: method -> [volume]."""
    return {name: [without_margin(v, margin) for v in own] for name, own in outputs.items()}


def write_bead_set(
    folder,
    shape=(64, 64, 32),
    beads: int = 20,
    *,
    train: int = 4,
    validation: int = 1,
    seed: int = 0,
) -> Path:
    """Simulate a set and write it as uint16, 0..65535 for 0..1.

    Args:
        folder: where to; files of the same names are replaced, others refused, since a set of
            another size would mix with this one.
        shape, beads: see `bead_pair`.
        train, validation: how many pairs.
        seed: volume ``n`` is simulated with the seed (seed, n), the validation's come last.

    Returns:
        The folder.

    Raises:
        ValueError: fewer than 1 pair to train on or 0 to validate, or what `bead_pair` refuses.
        VolumeError: the folder holds other ``.mat`` files.
    """
    if train < 1 or validation < 0:
        raise ValueError(f"train={train}, validation={validation}: give 1 and 0, or more")
    folder, parts = Path(folder), ["train"] * train + ["validation"] * validation
    ours = {folder / p / k / f"beads_{n}.mat" for n, p in enumerate(parts) for k in KINDS}
    others = sorted(set(folder.rglob("*.mat")) - ours)
    if others:
        raise VolumeError(f"{others[0]} is of another set: move it away, or choose a new folder")
    for number, part in enumerate(parts):
        pair = bead_pair(shape, beads, seed=(seed, number))
        for kind, data in zip(KINDS, pair, strict=True):
            stored = np.round(data * FULL).astype(np.uint16)
            path = folder / part / kind / f"beads_{number}.mat"
            save_volume(Volume.with_spacing(stored, 1.0, path.name), path)
    return folder


def read_bead_set(folder, like=None) -> list[tuple[np.ndarray, np.ndarray]]:
    """The pairs of one folder with ``image`` and ``label``, in 0..1, whatever their unit.

    An image is scaled by its own minimum and maximum: gain and offset of a microscope change. A
    label is scaled by those of all labels together, so that a dim bead stays dim.

    Args:
        folder: holds ``image`` and ``label`` (`lib.datasets.read_pairs`).
        like: another such folder, whose labels give the scale: the training set's, for a
            validation set, whose labels may then leave 0..1. None: this one's.

    Returns:
        [(image, label)], (X, Y, Z) float32.

    Raises:
        VolumeError: a file cannot be read, or has no partner.
        ValueError: an image and its label differ in shape, or the labels are constant.
    """
    pairs = [(load_volume(image), load_volume(label)) for image, label in read_pairs(folder)]
    for image, label in pairs:
        if image.data.shape != label.data.shape:
            raise ValueError(
                f"{folder}: image {image.name} is {image.data.shape}, its label "
                f"{label.data.shape}: they must agree"
            )
    labels = [label.data for _, label in pairs]
    if like is not None:
        labels = [load_volume(label).data for _, label in read_pairs(like)]
    low, high = float(min(map(np.min, labels))), float(max(map(np.max, labels)))
    if low == high:
        rule = f"every voxel of every label is {low:g}: nothing to see"
        raise ValueError(f"{folder if like is None else like}: {rule}")
    return [
        (rescale(image.data), ((label.data - low) / (high - low)).astype(np.float32))
        for image, label in pairs
    ]


def read_split(folder) -> tuple[list, list]:
    """The pairs to train on and to validate, of ``folder/train`` and ``folder/validation``.

    The training labels give both sets their scale. Errors are those of `read_bead_set`, such as a
    VolumeError where ``validation`` is missing.

    Returns:
        (pairs to train on, pairs to validate), [(image, label)] each.
    """
    train = Path(folder) / "train"
    return read_bead_set(train), read_bead_set(Path(folder) / "validation", like=train)
