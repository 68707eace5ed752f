"""MetaImage and DICOM by SimpleITK: arrays reversed, (z, y, x[, channel]), and the world LPS."""

import re
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from lib.formats.common import LPS, VolumeError, check_size, spacing_of


def read_itk(path: Path, key: str, max_bytes: int):
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    _check_itk_size(reader, reader.GetSize(), max_bytes)
    return _from_itk(reader.Execute())


def _check_itk_size(reader, size, max_bytes: int) -> None:
    """SimpleITK names its types, "32-bit unsigned integer": the number is what counts."""
    bits = int(re.search(r"\d+", sitk.GetPixelIDValueAsString(reader.GetPixelID()))[0])
    check_size([*size, reader.GetNumberOfComponents()], f"V{bits // 8}", max_bytes)


def _from_itk(image: sitk.Image):
    """The array reversed but for its channels, the affine turned from LPS to RAS+."""
    array = sitk.GetArrayFromImage(image)
    dimension, channels = image.GetDimension(), array.ndim > image.GetDimension()
    order = [*reversed(range(dimension)), *([dimension] if channels else [])]
    directions = np.reshape(image.GetDirection(), (dimension, dimension))
    affine = np.eye(4)
    affine[:3, :3] = (directions * image.GetSpacing())[:3, :3]
    affine[:3, 3] = image.GetOrigin()[:3]
    return array.transpose(order), LPS @ affine


def write_itk(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    lps, order = LPS @ affine, [2, 1, 0, 3][: data.ndim]
    spacing = spacing_of(lps)
    directions = lps[:3, :3] / spacing
    if not np.allclose(directions.T @ directions, np.eye(3), atol=1e-4):
        raise VolumeError("its affine is sheared, which MetaImage cannot hold; save as .nii.gz")
    image = sitk.GetImageFromArray(np.ascontiguousarray(data.transpose(order)), data.ndim == 4)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection(directions.ravel().tolist())
    sitk.WriteImage(image, str(path), useCompression=True)


def read_dicom(path: Path, key: str, max_bytes: int):
    """A folder that holds one series, its slices evenly spaced."""
    reader = sitk.ImageSeriesReader()
    series = reader.GetGDCMSeriesIDs(str(path))
    if len(series) != 1:
        found = f"{len(series)} DICOM series: {', '.join(series)}" if series else "no DICOM series"
        raise VolumeError(f"holds no TIFF slices and {found}; give a folder with one of them")
    names = reader.GetGDCMSeriesFileNames(str(path), series[0])
    first = sitk.ImageFileReader()
    first.SetFileName(names[0])
    first.ReadImageInformation()
    _check_itk_size(first, [*first.GetSize(), len(names)], max_bytes)
    reader.SetFileNames(names)
    image = reader.Execute()
    if image.HasMetaDataKey("ITK_non_uniform_sampling_deviation"):
        off = image.GetMetaData("ITK_non_uniform_sampling_deviation")
        raise VolumeError(f"its slices are unevenly spaced, by up to {off} mm: is one missing?")
    data, affine = _from_itk(image)
    return data.astype(np.float32) if data.dtype == np.float64 else data, affine
