"""Volumes: what one is, that it survives saving, and pairs of them in folders."""

import errno
import json
import math
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scans import DATA, PLACE, TURNED, slices

from lib import volumes
from lib.formats import FORMATS, matlab
from lib.volumes import (
    Volume,
    VolumeError,
    load_volume,
    save_volume,
)

SHEARED = np.array([[1, 0.5, 0, 0], [0, 1, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1.0]])
STORED = {"bool": "uint8", "float16": "float32"}
KINDS = ["bool", "uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
         "float16", "float32", "float64"]  # fmt: skip
SHAPES = [(2, 3, 4), (2, 3, 4, 1), (2, 3, 4, 3), (1, 3, 4), (2, 1, 4), (2, 3, 1), (1, 1, 1),
          (1, 1, 1, 1), (2, 3, 1, 3), (4, 3, 2, 5)]  # fmt: skip


def values(shape, kind="int16"):
    """Every voxel another value, as far as the type has them."""
    return np.arange(math.prod(shape)).reshape(shape).astype(kind)


def assert_same(volume, data, affine, stored):
    assert volume.data.dtype == stored and volume.data.dtype.isnative
    np.testing.assert_array_equal(volume.data, data)
    np.testing.assert_allclose(volume.affine, affine, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("data", "affine", "word"),
    [
        ([[[1]]], PLACE, "data is a list: give an array"),
        (np.zeros((2, 3)), PLACE, r"shape \(2, 3\)"),
        (np.zeros((2, 3, 4, 5, 6)), PLACE, r"shape \(2, 3, 4, 5, 6\)"),
        (np.zeros((2, 0, 4)), PLACE, r"shape \(2, 0, 4\)"),
        (DATA, np.eye(3), "finite 4x4"),
        (DATA, np.full((4, 4), np.nan), "finite 4x4"),
        (DATA, np.diag([1, 0, 1, 1]), "leads to no place"),
        (DATA, np.diag([1, 1, 1, 2]), "leads to no place"),
    ],
)
def test_what_is_no_volume(data, affine, word):
    with pytest.raises(ValueError, match=word):
        Volume(data, affine)


def test_volume():
    volume = Volume(DATA, TURNED.astype(int).tolist(), "scan")
    assert volume.spacing == (1, 2, 3)  # the lengths of the columns, whatever they point at
    assert repr(volume) == "Volume(scan: (2, 3, 4) int16, 1 x 2 x 3 mm)"
    assert "unnamed" in repr(Volume(DATA, PLACE))
    assert issubclass(VolumeError, ValueError)
    affine = PLACE.copy()
    volume = Volume(DATA, affine)
    affine[0, 0] = 9
    assert volume.spacing == (1, 2, 3)


def test_with_spacing():
    volume = Volume.with_spacing(DATA, (1, 2, 3), "scan")
    np.testing.assert_array_equal(volume.affine, PLACE)
    assert volume.name == "scan" and Volume.with_spacing(DATA, 0.5).spacing == (0.5, 0.5, 0.5)
    for spacing in (0, (1, 2), (1, -2, 3), (1, 2, np.nan), (1, 2, 3, 4), [[1, 2, 3]], np.inf):
        with pytest.raises(ValueError, match=r"spacing=|finite"):
            Volume.with_spacing(DATA, spacing)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", [*FORMATS, "73.mat"])
def test_round_trip_of_types(tmp_path, monkeypatch, ending, kind):
    monkeypatch.setattr(matlab, "V5_LIMIT", 0 if ending == "73.mat" else 2**31)
    data = values((2, 3, 4), kind)
    path = save_volume(Volume(data, TURNED), str(tmp_path / f"a{ending}"))
    assert path == tmp_path / f"a{ending}"
    volume = load_volume(str(path))
    assert_same(volume, data, TURNED, STORED.get(kind, kind))
    assert volume.name == path.name


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("ending", [*FORMATS, "73.mat"])
def test_round_trip_of_shapes(tmp_path, monkeypatch, ending, shape):
    monkeypatch.setattr(matlab, "V5_LIMIT", 0 if ending == "73.mat" else 2**31)
    path = save_volume(Volume(values(shape), TURNED), tmp_path / "new" / f"a{ending}")
    assert_same(load_volume(path), values(shape), TURNED, "int16")


@pytest.mark.parametrize("ending", FORMATS)
def test_upper_case_and_odd_memory(tmp_path, ending):
    data = values((4, 3, 2)).T.astype(">i2")[:, ::-1]
    path = save_volume(Volume(data, TURNED), tmp_path / f"SCAN[1].v2{ending.upper()}")
    assert path.exists()
    assert_same(load_volume(path), data, TURNED, "int16")


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    st.sampled_from([".mat", ".nii", ".nrrd", ".mha", ".tif", ".npy"]),
    st.lists(st.integers(1, 5), min_size=3, max_size=4),
    st.sampled_from(KINDS),
    st.integers(0, 2**32),
)
def test_round_trip_of_anything(ending, shape, kind, seed):
    rng = np.random.default_rng(seed)
    data = (rng.random(shape) * 250).astype(kind)
    affine = np.eye(4)
    affine[:3, :3] = np.linalg.qr(rng.normal(size=(3, 3)))[0] * rng.uniform(0.1, 9, 3)
    affine[:3, 3] = rng.uniform(-200, 200, 3)
    with tempfile.TemporaryDirectory() as folder:
        volume = load_volume(save_volume(Volume(data, affine), Path(folder) / f"a{ending}"))
    assert_same(volume, data, affine, STORED.get(kind, kind))


@pytest.mark.parametrize("ending", FORMATS)
def test_sheared(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    if ending == ".mha":
        with pytest.raises(VolumeError, match=r"a\.mha: its affine is sheared.*\.nii\.gz"):
            save_volume(Volume(DATA, SHEARED), path)
        assert list(tmp_path.iterdir()) == []
    else:
        assert_same(load_volume(save_volume(Volume(DATA, SHEARED), path)), DATA, SHEARED, "int16")


@pytest.mark.parametrize("ending", FORMATS)
def test_saving_is_atomic(tmp_path, monkeypatch, ending):
    def write_half(path, data, affine):
        FORMATS_BEFORE[ending][1](path, data, affine)
        raise OSError(errno.ENOSPC, "No space left on device")

    path = save_volume(Volume(DATA, TURNED), tmp_path / f"a{ending}")
    before = sorted(tmp_path.rglob("*"))
    FORMATS_BEFORE = dict(FORMATS)
    monkeypatch.setitem(FORMATS, ending, (FORMATS[ending][0], write_half))
    with pytest.raises(VolumeError, match="No space left") as caught:
        save_volume(Volume(DATA + 1, PLACE), path)
    assert str(path) in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before
    assert_same(load_volume(path), DATA, TURNED, "int16")


@pytest.mark.parametrize("ending", FORMATS)
def test_overwriting(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    for data, affine in [(DATA, TURNED), (values((5, 6, 7), "float32"), PLACE)]:
        save_volume(Volume(data, affine), path)
        assert_same(load_volume(path), data, affine, data.dtype)
    kept = {f"a{ending}"} | {".nhdr": {"a.raw.gz"}}.get(ending, set())
    kept |= {"a.json"} if ending == ".npy" else set()
    assert {p.name for p in tmp_path.iterdir()} == kept


def test_a_zarr_that_cannot_be_replaced_stays(tmp_path, monkeypatch):
    path = save_volume(Volume(DATA, TURNED), tmp_path / "a.zarr")
    moved = os.replace

    def replace(source, target):
        if Path(target) == path and Path(source).name == path.name:
            raise PermissionError("no")
        moved(source, target)

    monkeypatch.setattr(volumes.os, "replace", replace)
    with pytest.raises(VolumeError, match="PermissionError"):
        save_volume(Volume(DATA + 1, PLACE), path)
    monkeypatch.undo()
    assert_same(load_volume(path), DATA, TURNED, "int16")


def test_a_folder_is_not_replaced_by_a_file(tmp_path):
    slices(tmp_path / "a.tif", np.zeros((2, 3), np.uint8))
    (tmp_path / "b.zarr").write_text("text")
    for name, kind in (("a.tif", "folder"), ("b.zarr", "file")):
        with pytest.raises(VolumeError, match=f"{name}: a {kind} of this name is there"):
            save_volume(Volume(DATA, PLACE), tmp_path / name)
    assert {p.name for p in tmp_path.rglob("*")} == {"a.tif", "z8.tif", "b.zarr"}


@pytest.mark.parametrize("stem", ["a", "a[1]"])
def test_the_sidecar_of_another_file_is_kept(tmp_path, stem):
    save_volume(Volume(DATA, PLACE), tmp_path / f"{stem}.npy")
    (tmp_path / f"{stem}.npy").rename(tmp_path / f"{stem}.tif")  # any other file of that name
    sidecar = (tmp_path / f"{stem}.json").read_text()
    assert json.loads(sidecar)["spacing"] == [1, 2, 3]
    save_volume(Volume(DATA, PLACE), tmp_path / f"{stem}.npy")  # the same place: shared
    with pytest.raises(VolumeError, match=r"\.json.*belongs to.*\.tif"):
        save_volume(Volume(DATA, TURNED), tmp_path / f"{stem}.npy")
    (tmp_path / "b.json").write_text('{"patient": 1}')
    with pytest.raises(VolumeError, match="something else"):
        save_volume(Volume(DATA, PLACE), tmp_path / "b.npy")
    assert (tmp_path / f"{stem}.json").read_text() == sidecar
    assert not (tmp_path / "b.npy").exists()


@pytest.mark.parametrize(
    ("name", "data", "word"),
    [
        ("a.jpg", DATA, "known are .mat"),
        ("folder", DATA, "known are .mat"),
        ("a.nii", DATA + 1j, "complex128"),
        ("a.npy", DATA.astype(str), "numbers"),
        ("a.nii", np.zeros((1, 40_000, 1), np.uint8), "cannot be written"),  # 16 bits an extent
    ],
)
def test_what_cannot_be_saved(tmp_path, name, data, word):
    with pytest.raises(VolumeError, match=word) as caught:
        save_volume(Volume(data, PLACE), tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_crop_keeps_its_place():
    affine = np.array([[0, -2, 0, 5], [1, 0, 0, -7], [0, 0, 3, 11], [0, 0, 0, 1.0]])
    whole = Volume(np.arange(60).reshape(3, 4, 5), affine)
    part = whole.crop((slice(1, None), slice(-2, None)))
    np.testing.assert_array_equal(part.data, np.arange(60).reshape(3, 4, 5)[1:, 2:])
    np.testing.assert_allclose(part.affine @ [0, 0, 0, 1], [-2 * 2 + 5, 1 - 7, 11, 1])
    assert part.spacing == whole.spacing


@pytest.mark.parametrize("where", [np.s_[:, :, ::2], np.s_[0, :, :], (slice(None),) * 4])
def test_a_crop_takes_up_to_three_whole_slices(where):
    with pytest.raises(ValueError, match=r"where=.*three slices"):
        Volume.with_spacing(np.zeros((2, 3, 4)), 1).crop(where)
