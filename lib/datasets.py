"""A folder of image/label pairs: found by name, looked through before a training does."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lib import formats
from lib.arrays import check_count
from lib.formats.common import natural
from lib.volumes import Volume, VolumeError, load_volume


def read_pairs(folder) -> list[tuple[Path, Path]]:
    """Image and label files of the same name, from ``folder/image`` and ``folder/label``.

    The suffix may differ (``a.nii.gz`` and ``a.mat`` are a pair); hidden files and the ``.json`` or
    ``.raw.gz`` beside a volume do not count. Natural order: z9 before z10.

    Raises:
        VolumeError: a missing or empty folder, files without a partner (each is named), two files
            of one name, files that are no volumes.
    """
    images, labels = (_named_volumes(Path(folder) / part) for part in ("image", "label"))
    alone = [p for n, p in images.items() if n not in labels]
    alone += [p for n, p in labels.items() if n not in images]
    if alone:
        raise VolumeError(f"{folder}: without a partner: {', '.join(map(str, alone))}")
    return [(images[name], labels[name]) for name in images]


def split_pairs(pairs: Sequence, held_out: int, *, seed: int = 0) -> tuple[list, list]:
    """Pairs to train on, and ``held_out`` others drawn at random; both in their old order.

    Args:
        pairs: whatever is to be parted, such as the paths of `read_pairs`. What belongs together,
            such as several scans of one person, must be one item, or it falls on both sides.
        held_out: how many to keep from training, 1 or more, fewer than there are.
        seed: decides which.

    Returns:
        (train, held out).

    Raises:
        ValueError: a ``held_out`` that leaves one side empty.
    """
    count = check_count(held_out, "held_out", 1)
    if count >= len(pairs):
        raise ValueError(f"held_out={held_out} of {len(pairs)} pairs: give fewer than all")
    drawn = set(np.random.default_rng(seed).permutation(len(pairs))[:count].tolist())
    train = [pair for number, pair in enumerate(pairs) if number not in drawn]
    return train, [pairs[number] for number in sorted(drawn)]


def check_dataset(folder, key: str = "voxel") -> list[dict]:
    """Read every pair of a folder once, before a training does, and report all faults together.

    Returns:
        One row a pair: name, shape, spacing (mm), type, range of the image, labelled share.

    Raises:
        VolumeError: with a line for each fault: unreadable files, NaN, pairs that differ in shape
            or affine, images without contrast, labels that are empty.
    """
    rows, faults = [], []
    for paths in read_pairs(folder):
        pair = _load_all(paths, key, faults)
        if len(pair) == 2:
            faults += [f"{paths[0]}: {fault}" for fault in _pair_faults(*pair)]
            rows.append(_pair_row(*pair))
    if faults:
        raise VolumeError("\n".join([f"{folder}: {len(faults)} faults", *faults]))
    return rows


def _named_volumes(folder: Path) -> dict[str, Path]:
    """The volumes of a folder by name without suffix."""
    if not folder.is_dir():
        raise VolumeError(f"{folder}: no such folder; needed are image/ and label/")
    found = {}
    for path in sorted(folder.iterdir(), key=natural):
        if path.name.startswith(".") or path.name.endswith((".json", ".raw", ".raw.gz")):
            continue
        if not formats.suffix(path) and not path.is_dir():
            raise VolumeError(f"{path}: is no volume; known are {', '.join(formats.FORMATS)}")
        name = formats.stem(path)
        if name in found:
            raise VolumeError(f"{path}: has the same name as {found[name].name}; keep one")
        found[name] = path
    if not found:
        raise VolumeError(f"{folder}: holds no volumes")
    return found


def _load_all(paths, key: str, faults: list[str]) -> list[Volume]:
    """The volumes that can be read; what the others lack is added to ``faults``."""
    volumes = []
    for path in paths:
        try:
            volumes.append(load_volume(path, key))
        except VolumeError as error:
            faults.append(str(error))
    return volumes


def _pair_faults(image: Volume, label: Volume) -> list[str]:
    shapes = image.data.shape, label.data.shape
    if shapes[0][:3] != shapes[1][:3]:
        return [f"image {shapes[0]}, label {shapes[1]}: the extents must be equal"]
    faults = []
    if not image.lies_as(label):
        faults.append("image and label lie elsewhere: their affines differ")
    if np.ptp(image.data) == 0:
        faults.append(f"the image is {image.data.flat[0]} everywhere")
    if not np.any(label.data > 0):
        faults.append("the label is empty: no voxel above 0")
    return faults


def _pair_row(image: Volume, label: Volume) -> dict:
    return {
        "name": image.name,
        "shape": image.data.shape,
        "spacing": tuple(round(s, 4) for s in image.spacing),
        "type": str(image.data.dtype),
        "range": (image.data.min().item(), image.data.max().item()),
        "labelled": round(float(np.mean(label.data > 0)), 4),
    }
