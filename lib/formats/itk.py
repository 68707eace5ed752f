"""MetaImage and DICOM by SimpleITK: arrays reversed, (z, y, x[, channel]), and the world LPS."""

import re
import zlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from lib.formats.common import LPS, VolumeError, check_size, spacing_of


def read_itk(path: Path, key: str, max_bytes: int):
    reader = _header(path, "MetaImageIO")  # by suffix it would not know .MHA
    _check_itk_size(reader, reader.GetSize(), max_bytes)
    _check_compressed(path)
    return _from_itk(reader.Execute())


def _header(path, image_io: str = "") -> sitk.ImageFileReader:
    """A reader that has read the header alone."""
    reader = sitk.ImageFileReader()
    reader.SetImageIO(image_io)
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    return reader


def _check_itk_size(reader, size, max_bytes: int) -> None:
    """SimpleITK names its types, "32-bit unsigned integer": the number is what counts."""
    bits = int(re.search(r"\d+", sitk.GetPixelIDValueAsString(reader.GetPixelID()))[0])
    check_size([*size, reader.GetNumberOfComponents()], f"V{bits // 8}", max_bytes)


def _check_compressed(path: Path) -> None:
    """Unpack without keeping: ITK prints that data is damaged, and returns what it has."""
    compressed = False
    with open(path, "rb") as file:
        for line in file:
            compressed |= bool(re.match(rb"\s*CompressedData\s*=\s*[Tt1]", line))
            if line.startswith(b"ElementDataFile"):
                compressed &= b"LOCAL" in line.upper()
                break
        stream = zlib.decompressobj(47)  # zlib or gzip
        while compressed and not stream.eof and (part := file.read(1 << 16)):
            stream.decompress(part)
    if compressed and not stream.eof:
        raise VolumeError("its compressed data is damaged or incomplete")


def _from_itk(image: sitk.Image):
    """The array reversed but for its channels, the affine turned from LPS to RAS+."""
    array, dimension = sitk.GetArrayFromImage(image), image.GetDimension()
    if dimension < 3:
        raise VolumeError(f"has the extents {image.GetSize()}; a volume has three")
    order = [*reversed(range(dimension)), *([dimension] if array.ndim > dimension else [])]
    directions = np.reshape(image.GetDirection(), (dimension, dimension))
    affine = np.eye(4)
    affine[:3, :3] = (directions * image.GetSpacing())[:3, :3]
    affine[:3, 3] = image.GetOrigin()[:3]
    return array.transpose(order), LPS @ affine


def write_itk(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    vector = data.ndim == 4 and data.shape[3] > 1  # MetaImage drops a single channel:
    order = [2, 1, 0, 3] if vector else [*reversed(range(data.ndim))]  # a fourth axis keeps it
    image = sitk.GetImageFromArray(np.ascontiguousarray(data.transpose(order)), vector)
    _place(image, LPS @ affine)
    sitk.WriteImage(image, str(path), useCompression=True)


def _place(image: sitk.Image, lps: np.ndarray) -> None:
    """Spacing, origin and directions; those of a fourth axis are 1, 0 and its own."""
    spacing, directions = spacing_of(lps), np.eye(image.GetDimension())
    directions[:3, :3] = lps[:3, :3] / spacing
    if not np.allclose(directions.T @ directions, np.eye(len(directions)), atol=1e-4):
        raise VolumeError("its affine is sheared, which MetaImage cannot hold; save as .nii.gz")
    further = image.GetDimension() - 3
    image.SetSpacing([*spacing.tolist(), *[1.0] * further])
    image.SetOrigin([*lps[:3, 3].tolist(), *[0.0] * further])
    image.SetDirection(directions.ravel().tolist())


def read_dicom(path: Path, key: str, max_bytes: int):
    """A folder that holds one series, its slices evenly spaced."""
    reader = sitk.ImageSeriesReader()
    series = reader.GetGDCMSeriesIDs(str(path))
    if len(series) != 1:
        found = f"{len(series)} DICOM series: {', '.join(series)}" if series else "no DICOM series"
        raise VolumeError(f"holds no TIFF slices and {found}; give a folder with one of them")
    names = reader.GetGDCMSeriesFileNames(str(path), series[0])
    unread = {p.name for p in path.glob("[!.]*.[dD][cC][mM]")} - {Path(name).name for name in names}
    if unread:
        raise VolumeError(f"its {', '.join(sorted(unread))} cannot be read as DICOM slices")
    first = _header(names[0])
    _check_itk_size(first, [*first.GetSize(), len(names)], max_bytes)
    reader.SetFileNames(names)
    image = reader.Execute()
    _check_slices(image, names)
    data, affine = _from_itk(image)
    return data.astype(np.float32) if data.dtype == np.float64 else data, affine


def _check_slices(image: sitk.Image, names) -> None:
    """ITK takes even spacing along the normal for granted, and only prints where it is not so."""
    if image.HasMetaDataKey("ITK_non_uniform_sampling_deviation"):
        raise VolumeError("its slices are unevenly spaced: is one missing, or there twice?")
    last = np.array(_header(names[-1]).GetOrigin())
    off = np.linalg.norm(last - image.TransformIndexToPhysicalPoint((0, 0, len(names) - 1)))
    if len(names) > 1 and off > 0.01 * min(image.GetSpacing()):
        raise VolumeError(f"its slices are sheared, the last by {off:.3g} mm (a tilted gantry)")
