"""TIFF, NumPy and Zarr: arrays whose spacing and affine stand beside them, in JSON."""

import json
import re
from pathlib import Path

import numpy as np
import tifffile
import zarr

from lib.formats.common import VolumeError, affine_from, check_size, natural, pick, spacing_of


def read_tiff(path: Path, key: str, max_bytes: int):
    """A stack (z, row, column[, channel]); spacing and affine in a ``.json`` of the same name."""
    with tifffile.TiffFile(path) as file:
        if len(file.series) != 1:
            shapes = ", ".join(f"{s.shape} {s.axes}" for s in file.series)
            raise VolumeError(f"holds {len(file.series)} images ({shapes}); save one alone")
        series = file.series[0]
        check_size(series.shape, series.dtype, max_bytes)
        axes = series.axes
        channel = next((axes.index(letter) for letter in "CS" if letter in axes), None)
        if channel is not None:
            axes = axes[:channel] + axes[channel + 1 :]
        if not re.fullmatch("[ZIQ]YX", axes):
            raise VolumeError(f"has the axes {series.axes}; a stack of slices, ZYX, is needed")
        data = series.asarray()
    data = data if channel is None else np.moveaxis(data, channel, -1)
    return np.moveaxis(data, 0, 2), read_beside(path)


def read_tiff_folder(path: Path, key: str, max_bytes: int):
    """One file a slice, in natural order: slice 10 after slice 9."""
    names = sorted(tiff_slices(path), key=natural)
    first = tifffile.imread(names[0])
    check_size((*first.shape, len(names)), first.dtype, max_bytes)
    stack = np.empty((len(names), *first.shape), first.dtype)
    for place, name in zip(stack, names, strict=True):
        page = tifffile.imread(name)
        if page.shape != first.shape or page.ndim != 2 or page.dtype != first.dtype:
            raise VolumeError(
                f"{name.name} is {page.shape} {page.dtype}, {names[0].name} {first.shape} "
                f"{first.dtype}: slices must be 2-dimensional and alike"
            )
        place[...] = page
    return np.moveaxis(stack, 0, 2), read_beside(path)


def tiff_slices(folder: Path) -> list[Path]:
    return [p for p in folder.iterdir() if p.suffix.lower() in (".tif", ".tiff")]


def write_tiff(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    stack = np.ascontiguousarray(np.moveaxis(data, 2, 0))
    axes = "ZYXC"[: data.ndim]
    tifffile.imwrite(path, stack, photometric="minisblack", metadata={"axes": axes})
    write_beside(path, affine)


def read_npy(path: Path, key: str, max_bytes: int):
    mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    check_size(mapped.shape, mapped.dtype, max_bytes)
    return np.array(mapped), read_beside(path)


def write_npy(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    np.save(path, data)
    write_beside(path, affine)


def read_zarr(path: Path, key: str, max_bytes: int):
    """An array, or the array ``key`` of a group; spacing and affine among its attributes."""
    node = zarr.open(path, mode="r")
    if isinstance(node, zarr.Group):
        pick({name: array.shape for name, array in node.arrays()}, key)
        node = node[key]
    check_size(node.shape, node.dtype, max_bytes)
    return node[...], affine_from(node.attrs.get("spacing"), node.attrs.get("affine"))


def write_zarr(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    spacing = spacing_of(affine).tolist()
    beside = {"spacing": spacing, "affine": affine.tolist()}
    zarr.create_array(path, data=data, attributes=beside)


def read_beside(path: Path) -> np.ndarray | None:
    """The affine in the ``.json`` of the same name, for formats that cannot hold one."""
    beside = path.with_suffix(".json")
    if not beside.exists():
        return None
    content = json.loads(beside.read_text())
    return affine_from(content.get("spacing"), content.get("affine"))


def write_beside(path: Path, affine: np.ndarray) -> None:
    spacing = spacing_of(affine).tolist()
    content = {"spacing": spacing, "affine": affine.tolist()}
    path.with_suffix(".json").write_text(json.dumps(content))
