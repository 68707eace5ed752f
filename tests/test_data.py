"""What lies in data/: the brain that `make data` wrote, and the bead set of the repository."""

import itertools
import subprocess
import sys
from pathlib import Path

import nilearn.datasets
import numpy as np
import pytest
from scipy import ndimage
from scipy.io import whosmat

from lib.microscopy.bead_sets import bead_pair
from lib.volumes import load_volume

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
import make_beads

ROOT = Path(__file__).resolve().parents[1]
GENERATED, BEADS = ROOT / "data" / "generated", ROOT / "data" / "beads"
BEAD_FILES = [f"train/{{}}/beads_{n}.mat" for n in range(4)] + ["validation/{}/beads_4.mat"]


@pytest.mark.parametrize(
    "name, map_name, suffixes",
    [
        ("t1", "", [".mat", ".nii.gz", ".nrrd"]),
        ("gray", "gm_", [".nii.gz"]),
        ("white", "wm_", [".nii.gz"]),
    ],
)
def test_the_brain_is_nilearns_in_every_format(name, map_name, suffixes):
    image = getattr(nilearn.datasets, f"load_mni152_{map_name}template")(resolution=1)
    for suffix in suffixes:
        volume = load_volume(GENERATED / f"mni152_{name}{suffix}")
        np.testing.assert_array_equal(volume.data, image.get_fdata(dtype=np.float32))
        np.testing.assert_allclose(volume.affine, image.affine)
        assert volume.data.shape == (197, 233, 189) and volume.spacing == (1, 1, 1)


def test_the_template_is_its_own_mirror_image():
    data = load_volume(GENERATED / "mni152_t1.nii.gz").data
    np.testing.assert_array_equal(data, data[::-1])


def test_the_bead_set_is_four_pairs_and_one_under_3_mb():
    found = [path for path in BEADS.rglob("*") if path.is_file()]
    names = {path.relative_to(BEADS).as_posix() for path in found}
    assert names == {name.format(kind) for name in BEAD_FILES for kind in ("image", "label")}
    assert sum(path.stat().st_size for path in found) < 3e6
    for path in found:
        assert ("voxel", (64, 64, 32), "uint16") in whosmat(path)


def test_make_beads_rebuilds_the_bead_set(tmp_path):
    command = [sys.executable, str(ROOT / "tools" / "make_beads.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    lines = done.stdout.splitlines()
    assert len(lines) == 10 and all(line.startswith(str(tmp_path)) for line in lines)
    for name, kind in itertools.product(BEAD_FILES, ("image", "label")):
        again, committed = (load_volume(d / name.format(kind)).data for d in (tmp_path, BEADS))
        assert again.dtype == committed.dtype == np.uint16
        np.testing.assert_array_equal(again, committed)


def test_make_beads_makes_others(tmp_path, monkeypatch):
    shape = ["--shape", "12", "10", "8"]
    words = ["make_beads.py", str(tmp_path), *shape, "--beads", "2", "--seed", "3"]
    monkeypatch.setattr(sys, "argv", words)
    make_beads.main()
    images = [load_volume(tmp_path / name.format("image")).data for name in BEAD_FILES]
    assert {image.shape for image in images} == {(12, 10, 8)}
    label = load_volume(tmp_path / "train/label/beads_0.mat").data
    truth = bead_pair((12, 10, 8), 2, seed=(3, 0))[1]
    np.testing.assert_array_equal(label, np.round(65535.0 * truth))


def bead_profiles(name):
    """The voxels of each bead of a label, wherever it lies; beads that touch count as one."""
    label = load_volume(BEADS / name.format("label")).data
    parts, _ = ndimage.label(label, np.ones((3, 3, 3)))
    return {label[box].tobytes() for box in ndimage.find_objects(parts)}


def test_no_two_bead_volumes_share_a_bead():
    profiles = [bead_profiles(name) for name in BEAD_FILES]
    assert all(8 <= len(beads) <= 35 for beads in profiles)  # 20 centres inside, in the mean
    assert all(a.isdisjoint(b) for a, b in itertools.combinations(profiles, 2))


def test_no_two_bead_volumes_have_beads_or_noise_at_the_same_places():
    for kind in ("label", "image"):
        arrays = [load_volume(BEADS / name.format(kind)).data for name in BEAD_FILES]
        steps = [np.diff(array.astype(float), axis=0).ravel() for array in arrays]  # no glow
        assert np.abs(np.corrcoef(steps) - np.eye(5)).max() < 0.1
