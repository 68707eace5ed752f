"""Folders of pairs: one table, or all faults together."""

import numpy as np
import pytest
from scans import DATA, TURNED, put, slices

from lib.datasets import check_dataset, read_pairs, split_pairs
from lib.volumes import Volume, VolumeError


def test_pairs(tmp_path):
    image = {"z10.nii.gz": DATA, "z9.mat": DATA, "z9.json": "{}", ".hidden": "", "s.nhdr": DATA}
    put(tmp_path, image=image, label={"z9.npy": DATA, "z10.tif": DATA, "s.zarr": DATA})
    names = [(image.name, label.name) for image, label in read_pairs(str(tmp_path))]
    assert names == [("s.nhdr", "s.zarr"), ("z9.mat", "z9.npy"), ("z10.nii.gz", "z10.tif")]
    slices(tmp_path / "image/t", np.zeros((2, 3), np.uint8))
    put(tmp_path, label={"t.npy": DATA})
    assert (tmp_path / "image/t", tmp_path / "label/t.npy") in read_pairs(tmp_path)


@pytest.mark.parametrize(
    ("image", "label", "words"),
    [
        ({"a.npy": DATA, "b.npy": DATA}, {"a.npy": DATA, "c.npy": DATA}, ["b.npy", "c.npy"]),
        ({"a.npy": DATA, "a.mat": DATA}, {"a.npy": DATA}, ["a.npy", "a.mat", "keep one"]),
        ({"a.jpg": "x"}, {"a.npy": DATA}, ["a.jpg", "known are .mat"]),
        ({"a.json": "x"}, {"a.npy": DATA}, ["image", "no volumes"]),
        ({"a.npy": DATA}, {}, ["label", "no such folder"]),
        ({}, {}, ["image", "no such folder"]),
    ],
)
def test_pairs_refused(tmp_path, image, label, words):
    put(tmp_path, image=image, label=label)
    with pytest.raises(VolumeError) as caught:
        read_pairs(tmp_path)
    assert all(word in str(caught.value) for word in (str(tmp_path), *words))


def test_check_dataset(tmp_path):
    label = (DATA > 17).astype(np.uint8)  # 6 of 24
    put(tmp_path, image={"a.nii": DATA - 4}, label={"a.mat": label})
    [row] = check_dataset(tmp_path)
    assert row == {"name": "a.nii", "shape": (2, 3, 4), "spacing": (1, 2, 3), "type": "int16",
                   "range": (-4, 19), "labelled": 0.25}  # fmt: skip


def test_check_dataset_reports_all_faults(tmp_path):
    nan = np.full((2, 3, 4), np.nan)
    image = {"a.nii": DATA, "b.nii": DATA, "c.nii": 0 * DATA + 7, "d.nii": nan, "e.nii": DATA}
    label = {"a.nii": DATA[:, :, :3], "b.nii": Volume(DATA, TURNED), "c.nii": 0 * DATA}
    put(tmp_path, image=image, label={**label, "d.nii": "text", "e.nii": DATA})
    with pytest.raises(VolumeError) as caught:
        check_dataset(tmp_path)
    first, *faults = str(caught.value).splitlines()
    assert first == f"{tmp_path}: 6 faults" and len(faults) == 6
    expected = [("image/a.nii", "(2, 3, 4), label (2, 3, 3)"), ("image/b.nii", "affines differ"),
                ("image/c.nii", "is 7 everywhere"), ("image/c.nii", "label is empty"),
                ("image/d.nii", "24 NaN"), ("label/d.nii", "cannot be read")]  # fmt: skip
    for fault, (path, word) in zip(faults, expected, strict=True):
        assert str(tmp_path / path) in fault and word in fault


def test_a_split_loses_nothing_and_hangs_on_the_seed():
    pairs = [f"{n}" for n in range(20)]
    train, held_out = split_pairs(pairs, 5, seed=3)
    assert len(held_out) == 5 and sorted([*train, *held_out], key=int) == pairs
    for part in (train, held_out):
        assert part == sorted(part, key=int)
    assert split_pairs(pairs, 5, seed=3) == (train, held_out)
    assert len({tuple(split_pairs(pairs, 5, seed=n)[1]) for n in range(8)}) > 4
    for count in (0, 20, 2.5, "2"):
        with pytest.raises(ValueError, match=f"held_out={count!r}"):
            split_pairs(pairs, count)
