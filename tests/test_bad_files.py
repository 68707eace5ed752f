"""Files that must be refused, with their path and a word of use, before memory is taken."""

import os
import struct
import tracemalloc
import warnings
import zlib
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest
import scipy.io.matlab
import SimpleITK as sitk
import tifffile
import zarr
from scans import DATA, PLACE, UM, VECTORS, hdf5, matlab73, nifti, refused, write_nrrd
from scipy import sparse
from scipy.io import savemat, whosmat

from lib.formats import FORMATS, matlab
from lib.volumes import Volume, VolumeError, load_volume, save_volume


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda p: savemat(p, {"img": DATA, "b": 1}), ["'voxel'", "img ((2, 3, 4), 'int16')", "b"]),
        (lambda p: matlab73(p, img=DATA), ["'voxel'", "img (2, 3, 4)"]),
        (lambda p: savemat(p, {}), ["give key= one of: nothing"]),
        (lambda p: savemat(p, {"voxel": {"a": DATA}}), ["is a struct"]),
        (lambda p: savemat(p, {"voxel": np.array([DATA, "x"], object)}), ["is a cell"]),
        (lambda p: savemat(p, {"voxel": "text"}), ["is a char"]),
        (lambda p: savemat(p, {"voxel": sparse.eye(4)}), ["is a sparse"]),
        (lambda p: savemat(p, {"voxel": DATA + 1j}), ["is complex", "magnitude"]),
        (lambda p: savemat(p, {"voxel": DATA, "spacing": [1, -2, 3]}), ["[1.0, -2.0, 3.0]"]),
        (lambda p: savemat(p, {"voxel": DATA, "spacing": 2}), ["three numbers"]),
        (lambda p: savemat(p, {"voxel": DATA, "affine": PLACE[:3]}), ["(3, 4), not (4, 4)"]),
        (lambda p: savemat(p, {"voxel": DATA, "affine": 0 * PLACE}), ["leads to no place"]),
        (lambda p: hdf5(p, lambda f: f.update(voxel=DATA + 1j)), ["is complex"]),
        (lambda p: hdf5(p, lambda f: f.update(voxel=["a", "b"])), ["object, not numbers"]),
        (lambda p: hdf5(p, lambda f: f.create_group("voxel")), ["no array"]),
        (lambda p: hdf5(p, lambda f: f.create_dataset("voxel", dtype="f4")), ["no array"]),
        (lambda p: hdf5(p, lambda f: f.update(voxel=h5py.SoftLink("/x"))), ["no array"]),
        (
            lambda p: hdf5(p, lambda f: f.update(voxel=DATA, spacing=[1, 2, 3], affine=np.eye(4))),
            ["[1.0, 2.0, 3.0]", "[1.0, 1.0, 1.0]", "disagree"],
        ),
    ],
)
def test_mat_refused(tmp_path, write, words):
    write(tmp_path / "a.mat")
    refused(tmp_path / "a.mat", *words)


@pytest.mark.parametrize("kind", ["cell", "char"])
def test_mat73_classes_refused(tmp_path, kind):
    matlab73(tmp_path / "a.mat", voxel=DATA)
    with h5py.File(tmp_path / "a.mat", "a") as file:
        file["voxel"].attrs["MATLAB_class"] = np.bytes_(kind)
    refused(tmp_path / "a.mat", kind, "(2, 3, 4)")


def test_mat_whole_doubles_stay_doubles(tmp_path):
    """MATLAB stores whole doubles as small integers: the class counts, not the storage."""
    data = Path(scipy.io.matlab.__file__).parent / "tests/data"
    volume = load_volume(data / "test3dmatrix_7.4_GLNX86.mat", "test3dmatrix")
    assert volume.data.dtype == np.float64
    np.testing.assert_array_equal(volume.data, np.arange(1, 25).reshape(2, 3, 4, order="F"))


def test_mat_ignores_what_only_has_the_name(tmp_path):
    def fill(file):
        file.update(voxel=DATA, gone=h5py.SoftLink("/nowhere"), kind=np.dtype("f4"))
        file.create_dataset("spacing", shape=(10**5, 10**5), dtype="f8", chunks=(10**3, 10**3))

    hdf5(tmp_path / "a.mat", fill)
    np.testing.assert_array_equal(load_volume(tmp_path / "a.mat").affine, np.eye(4))


def test_every_mat_of_scipy_loads_or_is_named():
    files = sorted((Path(scipy.io.matlab.__file__).parent / "tests/data").glob("*.mat"))
    loaded = 0
    for path in files:
        try:
            names = [name for name, _, _ in whosmat(path)]
        except Exception:
            names = []
        for name in [*names, "voxel"]:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    loaded += load_volume(path, name).data.ndim in (3, 4)
            except VolumeError as error:
                assert path.name in str(error)
    assert len(files) > 90 and loaded >= 4


def declaring_mat(path):
    savemat(path, {"voxel": np.zeros((2, 3, 4))})
    raw = path.read_bytes().replace(struct.pack("<3i", 2, 3, 4), struct.pack("<3i", *LARGE))
    body = zlib.compress(raw[128:])
    path.write_bytes(raw[:128] + struct.pack("<II", 15, len(body)) + body)


def declaring_text(path, write, before, after):
    write(path)
    raw = path.read_bytes()
    assert before in raw
    path.write_bytes(raw.replace(before, after))


def declaring_npy(path):
    with open(path, "wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": LARGE}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + 800_000_000)  # holes, no bytes


def declaring_slices(path):
    path.mkdir()
    for z in range(2):
        tifffile.imwrite(path / f"{z}.tif", shape=(10_000, 10_000), dtype="f4")


LARGE = (1000, 1000, 100)  # float64: 800 MB
DECLARING = {
    "v5.mat": declaring_mat,
    "v73.mat": lambda p: hdf5(p, lambda f: f.create_dataset("voxel", LARGE, "f8", chunks=True)),
    "a.nii": lambda p: nifti(p, np.zeros((2, 3, 4)), dim=(42, 1000, "h"), dim2=(44, 30_000, "h")),
    "a.nrrd": lambda p: declaring_text(
        p, lambda p: write_nrrd(p, np.zeros((2, 3, 4))), b"2 3 4", b"1000 1000 100"
    ),
    "a.mha": lambda p: declaring_text(
        p, lambda p: save_volume(Volume(np.zeros((2, 3, 4)), PLACE), p), b"2 3 4", b"1000 1000 100"
    ),
    "a.tif": lambda p: tifffile.imwrite(p, shape=LARGE, dtype="f8", photometric="minisblack"),
    "slices": declaring_slices,
    "a.npy": declaring_npy,
    "a.zarr": lambda p: zarr.create_array(p, shape=LARGE, chunks=(100, 100, 100), dtype="f8"),
}


@pytest.mark.parametrize("name", DECLARING)
def test_refused_before_memory_is_taken(tmp_path, monkeypatch, name):
    DECLARING[name](tmp_path / name)
    monkeypatch.setattr(matlab, "loadmat", lambda *a, **k: pytest.fail("must not be called"))
    tracemalloc.start()
    refused(tmp_path / name, "declares", "max_bytes=700,000,000", max_bytes=700_000_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6


ODD = {
    "v5.mat": lambda p, a: savemat(p, {"voxel": a}),
    "v73.mat": lambda p, a: matlab73(p, voxel=a),
    "a.nii": lambda p, a: nib.save(nib.Nifti1Image(a, np.eye(4)), p),
    "a.nrrd": lambda p, a: write_nrrd(p, a),
    "a.mha": lambda p, a: sitk.WriteImage(sitk.GetImageFromArray(a, isVector=False), str(p)),
    "a.tif": lambda p, a: tifffile.imwrite(
        p, a, photometric="minisblack", metadata={"axes": "TCZYX"[-a.ndim :]}
    ),
    "a.npy": np.save,
    "a.zarr": lambda p, a: zarr.create_array(p, data=a),
}
KINDS = {  # array, a word of the message, formats that cannot hold it
    "complex": (np.ones((2, 3, 4), np.complex64), "complex", ["v73.mat", "a.nrrd", "a.mha"]),
    "flat": (np.ones((2, 3), np.float32), r"shape \(2, 3\)|axes|extents \(3, 2\)", []),
    "5-d": (np.ones((2,) * 5, np.float32), r"shape \(2, 2, 2, 2, 2\)|axes", []),
    "empty": (np.ones((0, 3, 4), np.float32), r"shape|Size of the data", ["a.mha", "a.tif"]),
    "nan": (np.full((2, 3, 4), np.nan, np.float32), "24 NaN voxels; give nan=0", []),
}


@pytest.mark.parametrize(
    ("name", "kind"), [(n, k) for n in ODD for k, v in KINDS.items() if n not in v[2]]
)
def test_arrays_that_are_no_volumes(tmp_path, name, kind):
    array, words, _ = KINDS[kind]
    ODD[name](tmp_path / name, array)
    with pytest.raises(VolumeError, match=words) as caught:
        load_volume(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize("array", [np.array([[[None]]]), np.array([[["a"]]]), DATA.astype("M8[s]")])
def test_npy_without_numbers(tmp_path, array):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    refused(tmp_path / "a.npy", "object" if array.dtype == object else "not numbers")


@pytest.mark.parametrize("name", ODD)
def test_nan_is_replaced_on_demand(tmp_path, name):
    data = DATA.astype(np.float32)
    data[1, 2, 3] = np.nan
    ODD[name](tmp_path / name, data)
    refused(tmp_path / name, "1 NaN", "nan=0")
    loaded = load_volume(tmp_path / name, nan=-5).data
    assert loaded.dtype == np.float32 and np.count_nonzero(loaded == -5) == 1


DAMAGE = {
    "empty": lambda p: p.write_bytes(b""),
    "text": lambda p: p.write_text("This is a text, and no volume.\n" * 20),
    "half": lambda p: os.truncate(p, p.stat().st_size // 2),
    "end": lambda p: os.truncate(p, p.stat().st_size - 20),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("ending", [*FORMATS, "73.mat"])
def test_damaged_files(tmp_path, monkeypatch, ending, damage):
    monkeypatch.setattr(matlab, "V5_LIMIT", 0 if ending == "73.mat" else 2**31)
    data = np.random.default_rng(0).random((9, 10, 11))
    path = save_volume(Volume(data, PLACE), tmp_path / f"a{ending}")
    if ".tif" in ending and damage == "end":  # ours end with the list of pages, ITK's with data
        sitk.WriteImage(sitk.GetImageFromArray(data.astype(np.float32)), str(path))
        os.truncate(path, path.stat().st_size - 300)
    part = {".nhdr": tmp_path / "a.raw.gz", ".zarr": next(tmp_path.glob("a.zarr/c/*/*/*"), None)}
    DAMAGE[damage](part.get(ending, path))
    refused(path, "damaged")


@pytest.mark.parametrize("ending", [".zarr", ".mat", ".nii", ".mha", ".tif", ".npy", ".nrrd"])
def test_file_for_folder_and_folder_for_file(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    path.write_text("text") if ending == ".zarr" else path.mkdir()
    refused(path, "cannot be read")


def test_mha_whose_bytes_changed(tmp_path):
    """ITK itself returns noise here, with no more than a line on the screen."""
    data = np.random.default_rng(0).integers(0, 99, (20, 20, 20))
    path = save_volume(Volume(data, PLACE), tmp_path / "a.mha")
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 255
    path.write_bytes(raw)
    refused(path, "damaged")


def test_mha_with_its_data_elsewhere(tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(DATA.T), str(tmp_path / "a.mhd"), useCompression=True)
    assert (tmp_path / "a.zraw").exists()
    (tmp_path / "a.mhd").rename(tmp_path / "a.mha")
    np.testing.assert_array_equal(load_volume(tmp_path / "a.mha").data, DATA)


def test_paths(tmp_path):
    refused(tmp_path / "none.nii", "is not there")
    (tmp_path / "a.jpg").write_text("")
    refused(tmp_path / "a.jpg", "known are", *FORMATS)
    (tmp_path / "a.zarr").mkdir()
    refused(tmp_path / "a.zarr")
    zarr.create_group(tmp_path / "b.zarr").create_array("raw", data=DATA)
    refused(tmp_path / "b.zarr", "'voxel'", "raw (2, 3, 4)")
    (tmp_path / "h.nhdr").write_text(
        "NRRD0004\ntype: short\ndimension: 3\nsizes: 2 3 4\nencoding: raw\nendian: little\n"
        "data file: gone.raw\n\n"
    )
    refused(tmp_path / "h.nhdr", "gone.raw")


@pytest.mark.parametrize(
    ("data", "header", "words"),
    [
        (DATA, {"space": "scanner-xyz", "space directions": np.eye(3)}, ["scanner-xyz", "known"]),
        (DATA, {"space dimension": 3, "space directions": np.eye(3)}, ["'none'"]),
        (DATA, {**UM, "space units": ["ell"] * 3}, ["ell", "known are mm"]),
        (DATA, {"spacings": [-1, 2, 3]}, ["[-1.0, 2.0, 3.0]"]),
        (DATA[0], {}, ["2 axes in space", "[3 4]"]),
        (VECTORS, {}, ["4 axes in space"]),
    ],
)
def test_nrrd_refused(tmp_path, data, header, words):
    write_nrrd(tmp_path / "a.nrrd", data, **header)
    refused(tmp_path / "a.nrrd", *words)
