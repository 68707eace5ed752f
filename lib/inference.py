"""Predict volumes of any size by tiles of one size, blended where they overlap.

Tiles are ordered by their x start, so only a slab one tile thick is ever held: what lies before the
next x start is complete and leaves for the result, which may be a file. The weights of
`lib.patches.blending_weights` sum to 1 at each voxel, so nothing is divided afterwards.
"""

import itertools
import math
import warnings
from collections.abc import Callable, Iterator

import keras
import numpy as np
from tqdm import tqdm

from lib.arrays import check_count, per_axis
from lib.layers import DivisibleExtents
from lib.patches import blending_weights, outer, patch_grid
from lib.volumes import Volume


def predict_volume(
    model: Callable,
    volume,
    size,
    overlap: float = 0.5,
    blend: str = "gaussian",
    batch_size: int = 1,
    *,
    multiple=None,
    out=None,
    progress: bool = False,
):
    """Run a network over a volume of any size, tile by tile.

    Args:
        model: any callable (N, x, y, z, C) -> (N, x, y, z, K) that keeps the size; a Keras model
            or a function. It always meets batches of one shape.
        volume: (X, Y, Z[, C]) array (a memory map will do) or `Volume`.
        size: the tiles' extent in voxels, one number or one for each axis. Smaller volumes are
            continued by NumPy's "reflect", as in `lib.layers.FourierConv3D`.
        overlap: share of a tile that the next one covers, in [0, 1).
        blend: "gaussian", "mean" or "last", see `lib.patches.blending_weights`.
        batch_size: tiles a call.
        multiple: tile starts are multiples of it (one number or one for each axis), so that tiling
            does not shift the grid of a network that pools. None: the factor that the network
            itself asks for by `lib.layers.DivisibleExtents`, else 1.
        out: float array to write to, (X, Y, Z, K): a memory map or a Zarr array for large results.
        progress: show a bar, one step a tile; ``TQDM_DISABLE=1`` hides it.

    Returns:
        (X, Y, Z, K) float32: a `Volume` at the place of a `Volume`, an array for an array; or
        ``out``.

    Raises:
        ValueError: an argument out of range, or a model whose output does not fit.

    Warns:
        UserWarning: tiles that cannot overlap as asked, since they are no larger than ``multiple``.
    """
    data = volume.data if isinstance(volume, Volume) else volume
    if np.ndim(data) not in (3, 4) or 0 in np.shape(data):
        raise ValueError(f"volume has shape {np.shape(data)}: needed is (X, Y, Z) or (X, Y, Z, C)")
    batch_size = check_count(batch_size, "batch_size", 1)
    size = per_axis(size, "size")
    multiple = per_axis(_factor(model) if multiple is None else multiple, "multiple")
    starts = _tile_starts(data.shape[:3], size, overlap, multiple)
    weights = [
        blending_weights(axis, s, axis[-1] + s, blend) for axis, s in zip(starts, size, strict=True)
    ]
    tiles = _predicted(model, data, starts, size, batch_size)
    total = np.prod([len(axis) for axis in starts])
    if progress:  # disable=False would overrule TQDM_DISABLE
        tiles = tqdm(tiles, "predict", total, unit="tile", leave=False)
    result = _blend(tiles, starts, size, weights, data.shape[:3], out)
    if out is None and isinstance(volume, Volume):
        return Volume(result, volume.affine, volume.name)
    return result


def _factor(model) -> int:
    """What the extents of the network's batches must be multiples of; 1 where it asks nothing."""
    own = model.factor if isinstance(model, DivisibleExtents) else 1
    return math.lcm(own, *map(_factor, getattr(model, "layers", [])))


def _tile_starts(extents, size, overlap: float, multiple) -> list[list[int]]:
    """Starts along each axis, on the grid of ``multiple``; the last tile may pass the far edge.

    Extent 50, size 32, overlap 0.5, multiple 16: starts 0, 16, 32; the last tile ends at 64.
    """
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap={overlap}: give a share of the tile, 0 <= overlap < 1")
    starts = []
    for extent, s, m in zip(extents, size, multiple, strict=True):
        if s < 1 or m < 1 or s % m:
            raise ValueError(f"size={s}, multiple={m}: the size must be a multiple of it, and > 0")
        stride = max(round(s * (1 - overlap)) // m, 1) * m
        last = -(-max(extent - s, 0) // m) * m  # rounded up to the grid
        if overlap and s == m and last:
            warnings.warn(
                f"overlap={overlap}: tiles of {s} with multiple={m} meet without overlap; give "
                f"larger ones, such as {2 * m}",
                stacklevel=3,
            )
        starts.append([*range(0, last, stride), last])
    return starts


def _predicted(model, data, starts, size, batch_size: int) -> Iterator[np.ndarray]:
    """The predicted tiles (x, y, z, K), in the order of the grid."""
    grid = patch_grid(starts, size)
    while group := list(itertools.islice(grid, batch_size)):
        tiles = [_read_tile(data, where, size) for where in group]
        tiles += [np.zeros_like(tiles[0])] * (batch_size - len(tiles))  # one shape, no retracing
        batch = np.stack(tiles)  # (batch_size, x, y, z, C)
        yield from _call(model, batch)[: len(group)]


def _read_tile(data, where, size) -> np.ndarray:
    """One tile (x, y, z, C) float32; what lies beyond the volume is reflected into it."""
    tile = np.asarray(data[where], np.float32)
    tile = tile[..., None] if tile.ndim == 3 else tile
    missing = [(0, s - n) for s, n in zip(size, tile.shape, strict=False)]
    return np.pad(tile, [*missing, (0, 0)], mode="reflect")


def _call(model, batch: np.ndarray) -> np.ndarray:
    """The model's answer, checked; a Keras model goes by its compiled function."""
    answer = model.predict_on_batch(batch) if isinstance(model, keras.Model) else model(batch)
    answer = keras.ops.convert_to_numpy(answer)
    if answer.ndim != 5 or answer.shape[:4] != batch.shape[:4]:
        raise ValueError(
            f"model turned a batch {batch.shape} into {answer.shape}: "
            f"needed is {(*batch.shape[:4], 'K')}"
        )
    return answer.astype(np.float32, copy=False)


def _blend(tiles, starts, size, weights, extents, out):
    """Add up weighted tiles in a slab one tile thick, and move what is complete to ``out``."""
    slab, x_slab = None, 0
    positions = itertools.product(*(enumerate(axis) for axis in starts))
    for tile, position in zip(tiles, positions, strict=True):
        index, (x, y, z) = zip(*position, strict=True)
        if slab is None:
            slab = np.zeros(
                (size[0], starts[1][-1] + size[1], starts[2][-1] + size[2], tile.shape[-1]),
                np.float32,
            )
            out = _result(out, (*extents, tile.shape[-1]))
        if x > x_slab:
            _flush(slab, out, x_slab, x)
            x_slab = x
        slab[:, y : y + size[1], z : z + size[2]] += tile * outer(weights, index)
    _flush(slab, out, x_slab, extents[0])
    return out


def _result(out, shape):
    if out is None:
        return np.empty(shape, np.float32)
    if tuple(out.shape) != shape:
        raise ValueError(f"out has shape {tuple(out.shape)}, the prediction {shape}")
    if not np.can_cast(np.float32, out.dtype, "same_kind"):
        raise ValueError(f"out holds {out.dtype}: it must be float, as the prediction is")
    return out


def _flush(slab: np.ndarray, out, begin: int, end: int) -> None:
    """Write the slab's first planes to ``out[begin:end]`` and move the others to its front."""
    done, (height, depth) = end - begin, out.shape[1:3]
    out[begin:end] = slab[:done, :height, :depth]
    slab[:-done] = slab[done:]
    slab[-done:] = 0
