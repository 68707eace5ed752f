"""Arrays and affines in and out of files, each format by the library of its own field.

A reader is ``(path, key, max_bytes) -> (array, affine or None)``, a writer ``(path, array, affine)
-> None``. Arrays are ``(X, Y, Z[, C])`` in the file's own axis order, affines 4x4 to RAS+ mm. All
turning of axes and worlds happens here, in the code of the format concerned; `lib.volumes` is what
the rest of the project calls.
"""

from pathlib import Path

from lib.formats.common import VolumeError
from lib.formats.itk import read_dicom, read_itk, write_itk
from lib.formats.matlab import read_mat, write_mat
from lib.formats.nifti_nrrd import read_nifti, read_nrrd, write_nifti, write_nrrd
from lib.formats.stacks import (
    read_npy,
    read_tiff,
    read_tiff_folder,
    read_zarr,
    tiff_slices,
    write_npy,
    write_tiff,
    write_zarr,
)

FORMATS = {
    ".mat": (read_mat, write_mat),
    ".nii": (read_nifti, write_nifti),
    ".nii.gz": (read_nifti, write_nifti),
    ".nrrd": (read_nrrd, write_nrrd),
    ".nhdr": (read_nrrd, write_nrrd),
    ".mha": (read_itk, write_itk),
    ".tif": (read_tiff, write_tiff),
    ".tiff": (read_tiff, write_tiff),
    ".npy": (read_npy, write_npy),
    ".zarr": (read_zarr, write_zarr),
}


def suffix(path: Path) -> str:
    """The suffix that decides the format, "" if there is none of them."""
    return next((s for s in FORMATS if path.name.lower().endswith(s)), "")


def stem(path: Path) -> str:
    """The name without that suffix."""
    return path.name[: len(path.name) - len(suffix(path))]


def reader(path: Path):
    """The function that reads ``path``: by suffix, or for a folder by what it holds."""
    if suffix(path):
        return FORMATS[suffix(path)][0]
    if path.is_dir():
        return read_tiff_folder if tiff_slices(path) else read_dicom
    raise VolumeError(f"has no known suffix; known are {', '.join(FORMATS)}, or a folder")


def writer(path: Path):
    """The function that writes ``path``."""
    if not suffix(path):
        raise VolumeError(f"has no known suffix; known are {', '.join(FORMATS)}")
    return FORMATS[suffix(path)][1]
