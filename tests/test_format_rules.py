"""What each format has of its own: worlds, scales, axes, slices, sidecars."""

import os

import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from scans import (
    DATA,
    LPS_ROWS,
    NAN_ROW,
    PLACE,
    UM,
    VECTORS,
    dicom,
    nifti,
    refused,
    slices,
    write_nrrd,
)

from lib.volumes import Volume, load_volume, save_volume


@pytest.mark.parametrize(
    ("data", "header", "affine"),
    [
        (DATA, {"spacings": [1, 2, 3]}, PLACE),
        (DATA, {"spacings": [1, 2, 3], "units": ["um"] * 3}, np.diag([1e-3, 2e-3, 3e-3, 1])),
        (DATA, UM, np.diag([1e-3, 1e-3, 1e-3, 1])),
        (DATA, {}, np.eye(4)),
        (VECTORS, {"kinds": ["vector", *["domain"] * 3], "spacings": [np.nan, 1, 2, 3]}, PLACE),
        (VECTORS, {"space": "LPS", "space directions": np.vstack([NAN_ROW, LPS_ROWS])}, PLACE),
    ],
)
def test_nrrd_headers(tmp_path, data, header, affine):
    write_nrrd(tmp_path / "a.nrrd", data, **header)
    volume = load_volume(tmp_path / "a.nrrd")
    np.testing.assert_array_equal(volume.data, data if data is DATA else np.moveaxis(data, 0, -1))
    np.testing.assert_allclose(volume.affine, affine, atol=1e-6)


@pytest.mark.parametrize(("slope", "kind"), [(0.5, "float32"), (1, "int16"), (0, "int16")])
@pytest.mark.parametrize("endian", "<>")
def test_nifti_scale_and_byte_order(tmp_path, endian, slope, kind):
    nifti(tmp_path / "a.nii", endian=endian, slope=(112, slope, "f"), inter=(116, 0, "f"))
    data = load_volume(tmp_path / "a.nii").data
    assert data.dtype == kind and data.dtype.isnative
    np.testing.assert_array_equal(data, DATA * (slope or 1))


@pytest.mark.parametrize("code", [0, 1, 2, 3, 7])
def test_nifti_units(tmp_path, code):
    nifti(tmp_path / "a.nii", units=(123, code + 8, "B"))  # + 8: seconds
    spacing = np.array([1, 2, 3]) * {1: 1e3, 3: 1e-3}.get(code, 1)
    np.testing.assert_allclose(load_volume(tmp_path / "a.nii").spacing, spacing, rtol=1e-6)
    if code != 7:
        image = sitk.ReadImage(str(tmp_path / "a.nii"))
        np.testing.assert_allclose(image.GetSpacing(), spacing, rtol=1e-6)


def test_nifti_vectors(tmp_path):
    vectors = np.arange(72, dtype=np.float32).reshape(2, 3, 4, 1, 3)
    nifti(tmp_path / "a.nii", vectors)
    np.testing.assert_array_equal(load_volume(tmp_path / "a.nii").data, vectors[:, :, :, 0])
    nifti(tmp_path / "a.nii", vectors.reshape(2, 3, 2, 2, 3))
    refused(tmp_path / "a.nii", "(2, 3, 2, 2, 3)")


@pytest.mark.parametrize("write", [nifti, lambda p: np.save(p, DATA)])
def test_data_is_not_tied_to_its_file(tmp_path, write):
    path = tmp_path / ("a.nii" if write is nifti else "a.npy")
    write(path)
    volume = load_volume(path)
    with path.open("r+b") as file:  # in place: what is mapped would change too
        file.write(bytes(path.stat().st_size))
    np.testing.assert_array_equal(volume.data, DATA)


@pytest.mark.parametrize(
    ("shape", "options", "order"),
    [
        ((4, 2, 5, 6), {"imagej": True, "metadata": {"axes": "ZCYX"}}, (2, 3, 0, 1)),
        ((4, 5, 6), {"imagej": True, "metadata": {"axes": "ZYX"}}, (1, 2, 0)),
        ((4, 5, 6), {"metadata": None}, (1, 2, 0)),  # pages and nothing more: IYX
        ((4, 5, 6), {"ome": True, "metadata": {"axes": "ZYX"}}, (1, 2, 0)),
        ((4, 5, 6, 3), {"photometric": "rgb"}, (1, 2, 0, 3)),
        ((4, 3, 5, 6), {"photometric": "rgb", "planarconfig": "separate"}, (2, 3, 0, 1)),
    ],
)
def test_tiff_axes(tmp_path, shape, options, order):
    pages = np.arange(np.prod(shape)).reshape(shape).astype(np.uint8)
    options = {"photometric": "minisblack", **options}
    tifffile.imwrite(tmp_path / "a.tif", pages, **options)
    np.testing.assert_array_equal(load_volume(tmp_path / "a.tif").data, pages.transpose(order))


@pytest.mark.parametrize(
    ("shape", "options", "word"),
    [
        ((5, 6, 3), {"photometric": "rgb"}, "YXS"),
        ((5, 6), {}, "YX"),
        ((4, 5, 6), {"metadata": {"axes": "TYX"}}, "TYX"),
        ((2, 2, 4, 5, 6), {"metadata": {"axes": "TCZYX"}}, "TCZYX"),
    ],
)
def test_tiff_refused(tmp_path, shape, options, word):
    options = {"photometric": "minisblack", **options}
    tifffile.imwrite(tmp_path / "a.tif", np.zeros(shape, np.uint8), **options)
    refused(tmp_path / "a.tif", f"axes {word};", "ZYX")


def test_a_tiff_knows_its_own_place_and_old_ones_are_read(tmp_path):
    stack, path = DATA.transpose(2, 0, 1), tmp_path / "a.tif"
    (tmp_path / "a.json").write_text('{"spacing": [1, 2, 3]}')
    tifffile.imwrite(path, stack, photometric="minisblack", metadata={"axes": "ZYX", "unit": "um"})
    assert load_volume(path).spacing == (1, 2, 3)  # as earlier versions wrote
    save_volume(Volume.with_spacing(DATA, 4), path)
    assert load_volume(path).spacing == (4, 4, 4)
    for affine, word in (([1, 2], "(2,)"), ("none", "could not convert")):
        tifffile.imwrite(path, stack, photometric="minisblack", metadata={"affine": affine})
        refused(path, word)


@pytest.mark.parametrize("compression", ["lzw", "zlib"])
def test_compressed_tiff(tmp_path, compression):
    stack = np.arange(60, dtype=np.uint16).reshape(3, 4, 5)
    tifffile.imwrite(tmp_path / "a.tif", stack, compression=compression, photometric="minisblack")
    np.testing.assert_array_equal(load_volume(tmp_path / "a.tif").data, stack.transpose(1, 2, 0))


def test_tiff_of_two_images(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for extent in (5, 6):
            file.write(np.zeros((4, extent, 6), "u1"), photometric="minisblack")
    refused(tmp_path / "a.tif", "2 images", "(4, 5, 6)", "(4, 6, 6)")


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_tiff_that_breaks_off_between_pages(tmp_path, share):
    path = tmp_path / "a.tif"
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((5, 30, 40), np.uint8)), str(path))
    assert load_volume(path).data.shape == (30, 40, 5)
    os.truncate(path, int(path.stat().st_size * share))
    refused(path, "breaks off after page", "incomplete")


def test_slices_in_natural_order(tmp_path):
    slices(tmp_path / "a.v1", *(np.full((2, 3), z, np.uint8) for z in range(8, 12)))
    (tmp_path / "a.json").write_text('{"spacing": [9, 9, 9]}')  # of something else
    (tmp_path / "a.v1.json").write_text('{"spacing": [1, 2, 3]}')
    (tmp_path / "a.v1/._z8.tif").write_bytes(b"left by macOS")
    volume = load_volume(tmp_path / "a.v1")
    assert volume.data[0, 0].tolist() == [8, 9, 10, 11] and volume.spacing == (1, 2, 3)


def test_slices_here(tmp_path, monkeypatch):
    slices(tmp_path / "a", np.zeros((2, 3), np.uint8))
    monkeypatch.chdir(tmp_path / "a")
    assert load_volume(".").data.shape == (2, 3, 1)


@pytest.mark.parametrize("odd", [np.zeros((2, 4), "u1"), np.zeros((2, 3), "u2")])
def test_slices_that_differ_are_named(tmp_path, odd):
    slices(tmp_path / "a", *[np.zeros((2, 3), np.uint8)] * 3)
    tifffile.imwrite(tmp_path / "a/z9.tif", odd)
    refused(tmp_path / "a", f"z9.tif is {odd.shape} {odd.dtype}", "z8.tif (2, 3) uint8", "alike")


@pytest.mark.parametrize("size", [0, 5, -3])
def test_slices_that_are_damaged_are_named(tmp_path, size):
    slices(tmp_path / "a", *[np.zeros((20, 30), np.uint8)] * 3)
    path = tmp_path / "a/z9.tif"
    os.truncate(path, size if size >= 0 else path.stat().st_size + size)
    refused(tmp_path / "a", "its slice z9.tif cannot be read")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"spacing": [1, 2, 3], "affine": [[1,0,0,0], [0,2,0,0], [0,0,4,0], [0,0,0,1]]}',
         ["[1.0, 2.0, 3.0]", "[1.0, 2.0, 4.0]", "disagree"]),
        ('{"spacing": [1, 2]}', ["[1.0, 2.0]", "three numbers"]),
        ('{"spacing": [1, 0, 3]}', ["[1.0, 0.0, 3.0]"]),
        ('{"affine": [[1, 0], [0, 1]]}', ["(2, 2)"]),
        ("[1, 2, 3]", []),
        ("{", []),
    ],
)  # fmt: skip
def test_sidecar_refused(tmp_path, text, words):
    np.save(tmp_path / "a.npy", DATA)
    (tmp_path / "a.json").write_text(text)
    refused(tmp_path / "a.npy", "a.json", *words)


@pytest.mark.parametrize(
    ("rows", "step", "affine"),
    [
        ("1\\0\\0\\0\\1\\0", (0, 0, 3), [[-1, 0, 0], [0, -2, 0], [0, 0, 3]]),
        ("0\\1\\0\\-1\\0\\0", (0, 0, 3), [[0, 2, 0], [-1, 0, 0], [0, 0, 3]]),
        ("1\\0\\0\\0\\0\\-1", (0, 3, 0), [[-1, 0, 0], [0, 0, -3], [0, -2, 0]]),
    ],
)
def test_dicom_place(tmp_path, rows, step, affine):
    dicom(tmp_path / "a", {z: (10, 20 + z * step[1], 30 + z * step[2]) for z in range(4)}, rows)
    volume = load_volume(tmp_path / "a")
    expected = np.eye(4)
    expected[:3] = np.column_stack([affine, [-10, -20, 30]])
    np.testing.assert_allclose(volume.affine, expected, atol=1e-6)
    np.testing.assert_array_equal(volume.data, DATA)


def test_dicom_refused(tmp_path):
    even, folder = {z: (0, 0, 3 * z) for z in range(4)}, tmp_path / "two"
    dicom(folder, even)
    dicom(folder, even, series="1.2.3.5", first=10)
    refused(folder, "2 DICOM series", "1.2.3.4", "1.2.3.5")
    dicom(tmp_path / "gap", {z: even[z] for z in (0, 2, 3)})
    refused(tmp_path / "gap", "unevenly spaced", "missing")
    dicom(tmp_path / "tilt", {z: (0, z, 3 * z) for z in range(4)})
    refused(tmp_path / "tilt", "sheared", "gantry")
    dicom(tmp_path / "damaged", even)
    (tmp_path / "damaged/s3.dcm").write_text("the last slice is gone")
    refused(tmp_path / "damaged", "s3.dcm")
    dicom(tmp_path / "large", even)
    refused(tmp_path / "large", "48 bytes", max_bytes=47)
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "no DICOM series", "no TIFF slices")
