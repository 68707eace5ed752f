"""What the readers share: the error, and the checks made before memory is taken."""

import math
import re
from pathlib import Path

import numpy as np

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])  # to RAS+ and back: the first two world axes change sign


class VolumeError(ValueError):
    """A file that cannot be read or written as a volume; the text names it and says what to do."""


def check_size(shape, dtype, max_bytes: int) -> None:
    """Refuse what a header declares, before memory is taken for it."""
    needed = math.prod(int(n) for n in shape) * np.dtype(dtype).itemsize
    if needed > max_bytes:
        raise VolumeError(
            f"declares {tuple(map(int, shape))} {np.dtype(dtype)}, {needed:,} bytes, more than "
            f"max_bytes={max_bytes:,}; raise max_bytes if you trust the file"
        )


def affine_from(spacing, affine) -> np.ndarray | None:
    """The affine that a file keeps beside its data; where it gives both, they must agree."""
    if affine is None and spacing is None:
        return None
    if spacing is not None:
        spacing = np.asarray(spacing, float).ravel()
        if spacing.shape != (3,):
            raise VolumeError(f"its spacing is {spacing.tolist()}: three numbers in mm are needed")
        if not np.all((spacing > 0) & np.isfinite(spacing)):
            raise VolumeError(f"its spacing is {spacing.tolist()}: lengths are above 0")
    if affine is None:
        return np.diag([*spacing, 1.0])
    affine = np.asarray(affine, float)
    if affine.shape != (4, 4):
        raise VolumeError(f"its affine has shape {affine.shape}, not (4, 4)")
    own = spacing_of(affine)
    if spacing is not None and not np.allclose(own, spacing, rtol=1e-4):
        raise VolumeError(f"its spacing {spacing.tolist()} and affine {own.tolist()} disagree")
    return affine


def pick(listing: dict, key: str):
    """The entry ``key`` of a file that holds several arrays; else an error that lists them."""
    if key not in listing:
        there = ", ".join(f"{name} {what}" for name, what in listing.items()) or "nothing"
        raise VolumeError(f"holds no variable {key!r}; give key= one of: {there}")
    return listing[key]


def spacing_of(affine: np.ndarray) -> np.ndarray:
    """Voxel extents in mm, in the array's axis order: the lengths of the affine's columns."""
    return np.linalg.norm(affine[:3, :3], axis=0)


def natural(path: Path) -> list:
    """Sorts numbers by value: z9 before z10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", path.name)]
