"""MATLAB files: v5 to v7 by SciPy, v7.3 (which is HDF5) by h5py.

SciPy calls its reader not hardened: open only files that you trust.
"""

import math
from pathlib import Path

import h5py
import numpy as np
from scipy.io import loadmat, savemat, whosmat

from lib.formats.common import VolumeError, affine_from, check_size, pick, spacing_of

V5_LIMIT = 2**31  # bytes a variable
INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
CLASSES = {name: np.dtype(name) for name in ["double", "single", *INTEGERS]}
CLASSES["logical"] = np.dtype(bool)
NO_ARRAY = "no array"  # groups, empty datasets, types, broken links


def read_mat(path: Path, key: str, max_bytes: int):
    """Variable ``key``; spacing and affine from the variables of these names, if there are any."""
    if h5py.is_hdf5(path):
        return _read_mat_hdf5(path, key, max_bytes)
    listing = {name: (shape, kind) for name, shape, kind in whosmat(path)}
    shape, kind = pick(listing, key)
    if kind not in CLASSES:
        raise VolumeError(f"variable {key!r} is a {kind}; a numeric array is needed")
    check_size(shape, CLASSES[kind], max_bytes)
    beside = [n for n in ("spacing", "affine") if n in listing and math.prod(listing[n][0]) <= 16]
    found = loadmat(path, variable_names=[key, *beside])
    data = found[key]
    if not np.iscomplexobj(data):  # MATLAB packs whole doubles into small integers
        data = data.astype(CLASSES[kind], copy=False)
    return data, affine_from(found.get("spacing"), found.get("affine"))


def _read_mat_hdf5(path: Path, key: str, max_bytes: int):
    """HDF5 written by MATLAB holds the axes reversed; other HDF5 is taken as it is."""
    with h5py.File(path) as file:
        listing = {n: _hdf5_shape(item) for n, item in file.items() if not n.startswith("#")}
        pick(listing, key)
        item, kind = file.get(key), _matlab_class(file.get(key)) or "plain HDF5"
        if listing[key] == NO_ARRAY or kind not in (*CLASSES, "plain HDF5"):
            raise VolumeError(f"variable {key!r} is {kind}, {listing[key]}; an array is needed")
        check_size(item.shape, item.dtype, max_bytes)
        beside = [_small(file.get(name)) for name in ("spacing", "affine")]
        return _turned(item), affine_from(*beside)


def _matlab_class(item) -> str:
    return np.bytes_(getattr(item, "attrs", {}).get("MATLAB_class", b"")).decode()


def _hdf5_shape(item):
    shape = getattr(item, "shape", None)
    if shape is None:
        return NO_ARRAY
    return shape[::-1] if _matlab_class(item) else shape


def _small(item) -> np.ndarray | None:
    """A spacing or an affine; something larger only has the name."""
    return _turned(item) if (getattr(item, "size", None) or 17) <= 16 else None


def _turned(item) -> np.ndarray:
    return item[()].T if _matlab_class(item) else item[()]


def write_mat(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    """Variables voxel, spacing and affine; v5, above 2 GB v7.3."""
    spacing = spacing_of(affine)
    content = {"voxel": data, "spacing": spacing[None], "affine": affine}
    if data.nbytes < V5_LIMIT:
        savemat(path, content, do_compression=True)
        return
    names = {dtype: name for name, dtype in CLASSES.items()}
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in content.items():
            item = file.create_dataset(name, data=array.T, compression="gzip", shuffle=True)
            item.attrs["MATLAB_class"] = np.bytes_(names[array.dtype])
    with open(path, "r+b") as file:  # the header by which MATLAB knows its own
        file.write(b"MATLAB 7.3 MAT-file, HDF5 schema 1.00".ljust(124) + b"\x00\x02IM")
