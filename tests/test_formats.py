"""The same scan in every format, against the libraries of other people."""

import json
import math

import h5py
import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
import zarr
from scans import (
    DATA,
    PLACE,
    TURNED,
    dicom,
    hdf5,
    itk_image,
    matlab73,
    slices,
    write_beside,
    write_in_lps,
    write_nrrd,
    write_stack,
)
from scipy.io import loadmat, savemat

from lib.formats import matlab
from lib.volumes import Volume, load_volume, save_volume

FOREIGN = {  # the same scan by other programs: file name -> writer
    "v5.mat": lambda p: savemat(p, {"voxel": DATA, "spacing": [1, 2, 3]}),
    "v73.mat": lambda p: matlab73(p, voxel=DATA, spacing=[[1.0, 2, 3]], affine=PLACE),
    "plain.mat": lambda p: hdf5(p, lambda f: f.update(voxel=DATA, spacing=[1, 2, 3])),
    "a.nii": lambda p: nib.save(nib.Nifti1Image(DATA, PLACE), p),
    "a.nii.gz": lambda p: nib.save(nib.Nifti2Image(DATA, PLACE), p),
    "a.nrrd": write_in_lps,
    "a.nhdr": write_in_lps,
    "itk.nrrd": lambda p: sitk.WriteImage(itk_image(DATA), str(p)),
    "a.mha": lambda p: sitk.WriteImage(itk_image(DATA), str(p)),
    "a.tif": lambda p: write_beside(p, write_stack),
    "a.tiff": lambda p: write_beside(p, write_stack),
    "a.npy": lambda p: write_beside(p, lambda p: np.save(p, np.asfortranarray(DATA))),
    "big-endian.npy": lambda p: write_beside(p, lambda p: np.save(p, DATA.astype(">i2"))),
    "a.zarr": lambda p: zarr.create_array(p, data=DATA, attributes={"spacing": [1, 2, 3]}),
    "group.zarr": lambda p: zarr.create_group(p).create_array("voxel", data=DATA).attrs.update(
        affine=PLACE.tolist()),
    "slices": lambda p: write_beside(p, lambda p: slices(p, *np.moveaxis(DATA, 2, 0))),
    "series": lambda p: dicom(p, {z: (0, 0, 3 * z) for z in (2, 0, 3, 1)}),
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_the_same_scan_whatever_the_format(tmp_path, name):
    FOREIGN[name](tmp_path / name)
    volume = load_volume(tmp_path / name)
    np.testing.assert_array_equal(volume.data, DATA)
    assert volume.data.dtype == DATA.dtype and volume.data.dtype.isnative
    np.testing.assert_allclose(volume.affine, PLACE, atol=1e-6)
    np.testing.assert_allclose(volume.spacing, (1, 2, 3), atol=1e-6)


def by_itk(path):
    """Array in (X, Y, Z[, C]) and affine from where ITK sees four corners, turned to RAS."""
    image = sitk.ReadImage(str(path))
    further = (0,) * (image.GetDimension() - 3)
    points = [image.TransformIndexToPhysicalPoint((*corner, *further)) for corner in
              [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]]  # fmt: skip
    points = np.array(points)[:, :3] * [-1, -1, 1]
    affine = np.eye(4)
    affine[:3] = np.column_stack([*(points[1:] - points[0]), points[0]])
    array = sitk.GetArrayFromImage(image)
    axes = [*range(array.ndim)][::-1]
    return array.transpose(axes if array.ndim == image.GetDimension() else [2, 1, 0, 3]), affine


def by_pynrrd(path):
    data, header = nrrd.read(str(path))
    rows = header["space directions"][-3:]
    affine = np.eye(4)
    affine[:3] = np.column_stack([*rows, header["space origin"]])
    assert header["space"] == "left-posterior-superior"
    return (data if data.ndim == 3 else np.moveaxis(data, 0, -1)), np.diag([-1, -1, 1, 1]) @ affine


def by_tifffile(path):
    data = tifffile.imread(path)
    data = data.transpose(1, 2, 0) if data.ndim == 3 else data.transpose(2, 3, 0, 1)
    with tifffile.TiffFile(path) as file:
        return data, np.array(json.loads(file.pages[0].description)["affine"])


def by_h5py(path):
    assert path.read_bytes()[:10] == b"MATLAB 7.3" and path.read_bytes()[124:128] == b"\0\2IM"
    with h5py.File(path) as file:
        assert file["voxel"].attrs["MATLAB_class"] == DATA.dtype.name.encode()
        return file["voxel"][()].T, file["affine"][()].T


READERS = [  # our file, read by another library
    (".mat", lambda p: (loadmat(p)["voxel"], loadmat(p)["affine"])),
    ("73.mat", by_h5py),
    (".nii", lambda p: (np.asarray(nib.load(p).dataobj), nib.load(p).affine)),
    (".nii.gz", by_itk),
    (".nrrd", by_pynrrd),
    (".nrrd", by_itk),
    (".nhdr", by_itk),
    (".mha", by_itk),
    (".tif", by_tifffile),
    (".npy", lambda p: (np.load(p), np.array(json.loads(
        p.with_suffix(".json").read_text())["affine"]))),
    (".zarr", lambda p: (zarr.open(p)[...], np.array(zarr.open(p).attrs["affine"]))),
]  # fmt: skip


@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize(("ending", "read"), READERS)
def test_other_libraries_read_what_we_write(tmp_path, monkeypatch, ending, read, channels):
    monkeypatch.setattr(matlab, "V5_LIMIT", 0 if ending == "73.mat" else 2**31)
    data = np.arange(24 * math.prod(channels), dtype=np.int16).reshape(2, 3, 4, *channels)
    path = save_volume(Volume(data, TURNED), tmp_path / f"a{ending}")
    found, affine = read(path)
    np.testing.assert_array_equal(found, data)
    np.testing.assert_allclose(affine, TURNED, atol=1e-6)
    np.testing.assert_array_equal(load_volume(path).data, data)


def test_tiff_pages_are_planes_for_other_programs(tmp_path):
    data = np.arange(72, dtype=np.uint8).reshape(2, 3, 4, 3)
    path = save_volume(Volume(data, PLACE), tmp_path / "a.tif")
    pages = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))  # slice by slice, channel by channel
    np.testing.assert_array_equal(pages, data.transpose(2, 3, 0, 1).reshape(12, 2, 3))


@pytest.mark.parametrize(
    ("space", "signs"),
    [("left-posterior-superior", (-1, -1, 1)), ("LPS", (-1, -1, 1)), ("RAS", (1, 1, 1)),
     ("right-anterior-superior", (1, 1, 1)), ("left-anterior-superior", (-1, 1, 1))],
)  # fmt: skip
def test_nrrd_worlds(tmp_path, space, signs):
    header = {"space": space, "space directions": np.diag([1, 2, 3]), "space origin": [4, 5, 6]}
    write_nrrd(tmp_path / "a.nrrd", **header)
    expected = np.diag([*signs, 1]) @ [[1, 0, 0, 4], [0, 2, 0, 5], [0, 0, 3, 6], [0, 0, 0, 1]]
    np.testing.assert_allclose(load_volume(tmp_path / "a.nrrd").affine, expected, atol=1e-6)


def test_nrrd_of_the_teeth(tmp_path):
    header = {"space": "left-posterior-superior", "encoding": "gzip",
              "space directions": np.diag([-0.5, -0.5, 0.5]),
              "space origin": (131.57200623, 80.7661972, 32.29940033)}  # fmt: skip
    write_nrrd(tmp_path / "a.nrrd", **header)
    expected = np.diag([0.5, 0.5, 0.5, 1])
    expected[:3, 3] = -131.57200623, -80.7661972, 32.29940033
    np.testing.assert_allclose(load_volume(tmp_path / "a.nrrd").affine, expected, atol=1e-6)
