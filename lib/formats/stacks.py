"""TIFF, NumPy and Zarr: arrays whose affine stands in JSON, in the file or beside it."""

import json
import os
import re
from pathlib import Path

import numpy as np
import tifffile
import zarr

from lib.formats.common import VolumeError, affine_from, check_size, natural, pick, spacing_of


def read_tiff(path: Path, key: str, max_bytes: int):
    """A stack (z, row, column[, channel]); its affine in tifffile's metadata, or a ``.json``."""
    with tifffile.TiffFile(path) as file:
        if len(file.series) != 1:
            shapes = ", ".join(f"{s.shape} {s.axes}" for s in file.series)
            raise VolumeError(f"holds {len(file.series)} images ({shapes}); save one alone")
        _check_last_page(file)
        series = file.series[0]
        check_size(series.shape, series.dtype, max_bytes)
        axes = series.axes
        channel = next((axes.index(letter) for letter in "CS" if letter in axes), None)
        if channel is not None:
            axes = axes[:channel] + axes[channel + 1 :]
        if not re.fullmatch("[ZIQ]YX", axes):
            raise VolumeError(f"has the axes {series.axes}; a stack of slices, ZYX, is needed")
        data, own = series.asarray(), (file.shaped_metadata or [{}])[0]
    data = data if channel is None else np.moveaxis(data, channel, -1)
    affine = affine_from(None, own.get("affine"))
    return np.moveaxis(data, 0, 2), read_beside(path) if affine is None else affine


def _check_last_page(file: tifffile.TiffFile) -> None:
    """tifffile only logs that pages are missing; the last one must say that none follows."""
    file.filehandle.seek(file.pages.next_page_offset)
    if any(file.filehandle.read(file.tiff.offsetsize)):
        raise VolumeError(f"breaks off after page {len(file.pages)}: it is damaged or incomplete")


def read_tiff_folder(path: Path, key: str, max_bytes: int):
    """One file a slice, in natural order: slice 10 after slice 9."""
    names = sorted(tiff_slices(path), key=natural)
    shapes = [_of_slice(name, lambda slice_: (slice_.shape, slice_.dtype)) for name in names]
    for name, shape in zip(names, shapes, strict=True):
        if shape != shapes[0] or len(shape[0]) != 2:
            raise VolumeError(
                f"{name.name} is {shape[0]} {shape[1]}, {names[0].name} {shapes[0][0]} "
                f"{shapes[0][1]}: slices must be 2-dimensional and alike"
            )
    extents, dtype = shapes[0]
    check_size((*extents, len(names)), dtype, max_bytes)
    stack = np.empty((len(names), *extents), dtype)
    for place, name in zip(stack, names, strict=True):
        place[...] = _of_slice(name, lambda slice_: slice_.asarray())
    return np.moveaxis(stack, 0, 2), read_beside(path)


def _of_slice(path: Path, read):
    """What ``read`` finds in one slice; an error names it."""
    try:
        with tifffile.TiffFile(path) as file:
            return read(file.series[0])
    except Exception as error:
        raise VolumeError(f"its slice {path.name} cannot be read ({error})") from error


def tiff_slices(folder: Path) -> list[Path]:
    """Without hidden files, which macOS leaves beside each file on foreign disks."""
    found = [p for p in folder.iterdir() if p.suffix.lower() in (".tif", ".tiff")]
    return [p for p in found if not p.name.startswith(".")]


def write_tiff(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    stack = np.moveaxis(data, 2, 0)
    if data.ndim == 4:  # pages are planes, for other programs too
        stack = np.moveaxis(stack, -1, 1)
    stack, axes = np.ascontiguousarray(stack), "ZYX" if data.ndim == 3 else "ZCYX"
    about = {"axes": axes, "affine": affine.tolist()}
    tifffile.imwrite(path, stack, photometric="minisblack", metadata=about)


def read_npy(path: Path, key: str, max_bytes: int):
    mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    check_size(mapped.shape, mapped.dtype, max_bytes)
    return np.array(mapped), read_beside(path)


def write_npy(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    np.save(path, data, allow_pickle=False)
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
    zarr.create_array(path, data=data, attributes={"affine": affine.tolist()})


def read_beside(path: Path) -> np.ndarray | None:
    """The affine in the ``.json`` of the same name, for files that hold none."""
    path = Path(os.path.abspath(path))  # "." has no name
    beside = path.with_name(f"{path.name}.json") if path.is_dir() else path.with_suffix(".json")
    if not beside.exists():
        return None
    try:
        content = json.loads(beside.read_text("utf-8"))
        return affine_from(content.get("spacing"), content.get("affine"))
    except Exception as error:
        raise VolumeError(f"{beside.name} beside it gives no place: {error}") from error


def write_beside(path: Path, affine: np.ndarray) -> None:
    spacing = spacing_of(affine).tolist()
    content = {"spacing": spacing, "affine": affine.tolist()}
    path.with_suffix(".json").write_text(json.dumps(content), "utf-8")
