"""Small scans as other programs write them, for the tests of the formats."""

import json
import struct

import h5py
import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile

from lib.volumes import Volume, VolumeError, load_volume, save_volume

DATA = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
PLACE = np.diag([1.0, 2.0, 3.0, 1.0])
TURNED = np.array([[0, -2, 0, 5], [1, 0, 0, -7], [0, 0, 3, 11], [0, 0, 0, 1.0]])
LPS_ROWS = np.diag([-1.0, -2.0, 3.0])  # NRRD's directions of PLACE
NAN_ROW = np.full(3, np.nan)
VECTORS = np.arange(72, dtype=np.int16).reshape(3, 2, 3, 4)
UM = {"space": "RAS", "space directions": np.eye(3), "space units": ["microns"] * 3}
SIDECAR = json.dumps({"spacing": [1, 2, 3]})
STACK = {"photometric": "minisblack", "metadata": {"axes": "ZYX"}}


def matlab73(path, **variables):
    """What MATLAB writes with -v7.3, without its 512 bytes in front."""
    with h5py.File(path, "w") as file:
        for name, value in variables.items():
            item = file.create_dataset(name, data=np.asarray(value).T)
            kind = {"float64": b"double", "float32": b"single"}.get(item.dtype.name)
            item.attrs["MATLAB_class"] = np.bytes_(kind or item.dtype.name)


def dicom(folder, positions, rows="-1\\0\\0\\0\\-1\\0", series="1.2.3.4", first=0):
    """DATA's slices, each at its position, as one series."""
    folder.mkdir(exist_ok=True)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for z, position in positions.items():
        image = sitk.GetImageFromArray(DATA[:, :, z].T[None])
        image.SetSpacing((1, 2, 3))
        tags = {"0008|0060": "CT", "0020|000e": series, "0020|000d": "1.2.3"}
        tags |= {"0008|0018": f"{series}.{z + 1}", "0020|0037": rows, "0020|0013": str(z)}
        for tag, value in {**tags, "0020|0032": "\\".join(map(str, position))}.items():
            image.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"s{first + z}.dcm"))
        writer.Execute(image)


def slices(folder, *pages, names="z{}.tif"):
    folder.mkdir()
    for z, page in enumerate(pages):
        tifffile.imwrite(folder / names.format(z + 8), page)


def itk_image(data):
    image = sitk.GetImageFromArray(data.T)
    image.SetSpacing((1, 2, 3))
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    return image


def write_nrrd(path, data=DATA, **header):
    nrrd.write(str(path), data, header, index_order="F")


def write_in_lps(path):
    write_nrrd(path, **{"space": "left-posterior-superior", "space directions": LPS_ROWS})


def write_beside(path, write):
    write(path)
    path.with_suffix(".json").write_text(SIDECAR)


def write_stack(path, data=DATA):
    tifffile.imwrite(path, data.transpose(2, 0, 1), **STACK)


def nifti(path, data=DATA, affine=PLACE, endian="<", **fields):
    """A NIfTI file with fields of its header set as they are."""
    header = nib.Nifti1Header(endianness=endian)
    header.set_data_dtype(data.dtype)
    nib.save(nib.Nifti1Image(data, affine, header), path)
    raw = bytearray(path.read_bytes())
    for offset, value, kind in fields.values():
        struct.pack_into(endian + kind, raw, offset, value)
    path.write_bytes(raw)


def hdf5(path, fill):
    with h5py.File(path, "w") as file:
        fill(file)


def refused(path, *words, **options):
    """Loading ends in a VolumeError that holds the path and the words."""
    with pytest.raises(VolumeError) as caught:
        load_volume(path, **options)
    for word in (str(path), *words):
        assert word in str(caught.value)


def put(folder, **files):
    """Volumes by name, image/ or label/ in front; text makes a text file."""
    for part, content in files.items():
        for name, data in content.items():
            path = folder / part / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(data, str):
                path.write_text(data)
            else:
                save_volume(data if isinstance(data, Volume) else Volume(data, PLACE), path)
