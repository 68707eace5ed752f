"""Folders of pairs: one table, or all faults together."""

import numpy as np
import pytest
from scans import DATA, TURNED, put

from lib.datasets import check_dataset
from lib.volumes import Volume, VolumeError


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
