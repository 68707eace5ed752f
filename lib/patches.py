"""Cut volumes into patches, put them together again, and draw random ones for training.

A volume is ``(X, Y, Z)``, several are ``(volumes, X, Y, Z[, C])``: one with channels needs its
first axis, ``volume[None]``. A stack of patches is ``(N, x, y, z[, C])``; they follow one another
along z first, then y, then x, then volume by volume.

The method is that of "Patch learning for 3D images" (github.com/wjh1065), which goes back to the 2D
package keras-unet, freed of its limits: any shape and stride, nothing dropped at the far edge,
overlaps blended.
"""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from lib.arrays import per_axis

BLENDS = ("last", "mean", "gaussian")


def patch_starts(extent: int, size: int, stride: int) -> list[int]:
    """Where the patches of one axis begin.

    Extent 10, size 4, stride 3: patches at 0, 3, 6 cover it. Extent 11: 0, 3, 6 leave one voxel
    over, so a last patch at 7 lies flush with the far edge.

    Raises:
        ValueError: unless 1 <= stride <= size <= extent.
    """
    if not 1 <= stride <= size <= extent:
        raise ValueError(
            f"stride={stride}, size={size} on an axis of {extent} voxels: "
            "needed is 1 <= stride <= size <= extent"
        )
    last = extent - size
    return [*range(0, last, stride), last]


def blending_weights(starts: Sequence[int], size: int, extent: int, blend: str) -> np.ndarray:
    """Weights of the patches of one axis, (patches, size), float32: they sum to 1 at each voxel.

    "last" gives each voxel to the last patch that holds it, "mean" shares it evenly, "gaussian" by
    a bell of standard deviation size/8 around the patch's centre, (size-1)/2. Since a patch grid
    is the product of its axes, so are its weights: three short tables serve a whole volume.

    Raises:
        ValueError: ``blend`` is none of the three.
    """
    if blend not in BLENDS:
        raise ValueError(f"blend={blend!r}: choose one of {', '.join(BLENDS)}")
    offset = np.arange(size) - (size - 1) / 2
    window = np.exp(-0.5 * (offset / (size / 8)) ** 2) if blend == "gaussian" else np.ones(size)
    weights = np.zeros((len(starts), extent))
    for row, start in zip(weights, starts, strict=True):
        if blend == "last":
            weights[:, start : start + size] = 0
        row[start : start + size] = window
    weights /= weights.sum(axis=0)
    inside = [row[start : start + size] for row, start in zip(weights, starts, strict=True)]
    return np.stack(inside).astype(np.float32)


def patch_grid(starts: Sequence[Sequence[int]], size: Sequence[int]) -> Iterator[tuple]:
    """The slices of each patch, z fastest, for the starts of the three axes."""
    for corner in itertools.product(*starts):
        yield tuple(slice(c, c + s) for c, s in zip(corner, size, strict=True))


def outer(weights: Sequence[np.ndarray], index: Sequence[int]) -> np.ndarray:
    """The weights of one patch, (x, y, z, 1), from the tables of its three axes."""
    x, y, z = (table[i] for table, i in zip(weights, index, strict=True))
    return (x[:, None, None] * y[:, None] * z)[..., None]


def get_patches(img_arr: np.ndarray, size=128, stride=None) -> np.ndarray:
    """Cut volumes into patches: (256, 256, 256) -> (8, 128, 128, 128).

    Args:
        img_arr: (X, Y, Z) one volume, (volumes, X, Y, Z) or (volumes, X, Y, Z, C).
        size: patch extent in voxels, one number or one for each axis.
        stride: from patch to patch, likewise; None: ``size``, that is, no overlap. Where the
            strides do not divide an axis, a last patch lies flush with its far edge.

    Returns:
        (N, *size[, C]) in the type of ``img_arr``; a copy.

    Raises:
        ValueError: other dimensions, or not 1 <= stride <= size <= extent on each axis; that of
            four dimensions says that they were read as several volumes without channels.
    """
    volumes = np.asarray(img_arr)
    if volumes.ndim not in (3, 4, 5):
        raise ValueError(f"img_arr has shape {volumes.shape}: needed are 3, 4 or 5 dimensions")
    volumes = volumes[None] if volumes.ndim == 3 else volumes
    try:
        size, starts = _grid(volumes.shape[1:4], size, stride)
    except ValueError as error:
        if np.ndim(img_arr) != 4:
            raise
        read = f"img_arr {volumes.shape} is read as (volumes, X, Y, Z)"
        raise ValueError(
            f"{error}; {read}: give one volume with channels as img_arr[None]"
        ) from None
    grid = list(patch_grid(starts, size))
    patches = np.empty((len(volumes) * len(grid), *size, *volumes.shape[4:]), volumes.dtype)
    for patch, (volume, where) in zip(patches, itertools.product(volumes, grid), strict=True):
        patch[...] = volume[where]
    return patches  # (N, x, y, z[, C])


def reconstruct_patch(
    img_arr: np.ndarray, org_img_size, stride=None, size=None, blend: str = "last"
) -> np.ndarray:
    """Put patches together again: the inverse of `get_patches` for the same size and stride.

    Args:
        img_arr: patches (N, x, y, z) or (N, x, y, z, C) in the order of `get_patches`.
        org_img_size: the volume's extents (X, Y, Z).
        stride: as it was cut; None: the patch size.
        size: the patch size, checked against ``img_arr``; None: as in ``img_arr``.
        blend: where patches overlap, "last" keeps the last one and the type, "mean" and
            "gaussian" average in float32 (see `blending_weights`).

    Returns:
        (volumes, X, Y, Z[, C]).

    Raises:
        ValueError: shapes that do not fit together, or an unknown ``blend``.
    """
    patches = np.asarray(img_arr)
    if patches.ndim not in (4, 5):
        raise ValueError(f"img_arr has shape {patches.shape}: needed is (N, x, y, z) or with C")
    size = patches.shape[1:4] if size is None else per_axis(size, "size")
    if size != patches.shape[1:4]:
        raise ValueError(f"size={size}, but the patches are {patches.shape[1:4]}")
    extents = per_axis(org_img_size, "org_img_size")
    size, starts = _grid(extents, size, stride)
    count = np.prod([len(s) for s in starts])
    if len(patches) == 0 or len(patches) % count:
        raise ValueError(
            f"img_arr holds {len(patches)} patches: a volume {extents} cut by size {size} and "
            f"stride={stride} has {count}, so a multiple of {count} is needed"
        )
    weights = [blending_weights(*axis, blend) for axis in zip(starts, size, extents, strict=True)]
    kind = patches.dtype if blend == "last" else np.float32
    volumes = np.zeros((len(patches) // count, *extents, *patches.shape[4:]), kind)
    for volume, own in zip(volumes, patches.reshape(-1, count, *patches.shape[1:]), strict=True):
        _paste(volume, own, patch_grid(starts, size), None if blend == "last" else weights)
    return volumes  # (volumes, X, Y, Z[, C])


def _grid(extents, size, stride) -> tuple[tuple, list[list[int]]]:
    size = per_axis(size, "size")
    stride = size if stride is None else per_axis(stride, "stride")
    starts = [patch_starts(*axis) for axis in zip(extents, size, stride, strict=True)]
    return size, starts


def _paste(volume, patches, grid, weights) -> None:
    """Write patches over one another, or add them up by their weights."""
    if weights is None:
        for where, patch in zip(grid, patches, strict=True):
            volume[where] = patch
        return
    indices = itertools.product(*(range(len(table)) for table in weights))
    for where, patch, index in zip(grid, patches, indices, strict=True):
        share = outer(weights, index)
        volume[where] += patch * (share if patch.ndim == 4 else share[..., 0])
