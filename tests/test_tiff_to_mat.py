"""The converter from TIFF slices to .mat, by its command line; the files are read by SciPy."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy.io import loadmat

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
import tiff_to_mat


def write_slices(folder, numbers=range(1, 12), kind=np.uint16):
    """Slices of (3, 4), each filled with its number and marked in one corner."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        plane = np.full((3, 4), number, kind)
        plane[0, 3] = 100 + number
        tifffile.imwrite(folder / f"slice_{number}.tif", plane)
    return folder


def voxels(path):
    return loadmat(path)["voxel"]


def run(*arguments):
    return tiff_to_mat.main([str(a) for a in arguments])


def refused(capsys, *arguments):
    """What the command says when it has nothing to do as asked."""
    with pytest.raises(SystemExit) as stopped:
        run(*arguments)
    assert stopped.value.code == 2
    return capsys.readouterr().err


def test_one_folder_in_natural_order(tmp_path, capsys):
    source = write_slices(tmp_path / "bead")
    assert run(source, tmp_path / "new" / "bead.mat") == 0
    data = voxels(tmp_path / "new" / "bead.mat")
    assert data.shape == (3, 4, 11) and data.dtype == np.uint16
    np.testing.assert_array_equal(data[1, 2], np.arange(1, 12))  # slice_2 before slice_10
    np.testing.assert_array_equal(data[0, 3], np.arange(101, 112))  # (row, column, slice)
    assert "(3, 4, 11) uint16, 1 x 1 x 1 mm" in capsys.readouterr().out


def test_a_tree_as_a_command(tmp_path):
    names = ["train/image/a", "train/image/b.2", "train/label/a", "test/image/c"]
    for count, name in enumerate(names, start=2):
        write_slices(tmp_path / "tiff" / name, range(count), np.uint8)
    (tmp_path / "tiff" / "train" / "notes.txt").write_text("beads")
    write_slices(tmp_path / "tiff" / ".hidden")
    command = [sys.executable, tiff_to_mat.__file__, tmp_path / "tiff", tmp_path / "mat"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    found = [p for p in (tmp_path / "mat").rglob("*") if p.is_file()]
    assert set(found) == {tmp_path / "mat" / f"{name}.mat" for name in names}
    for count, name in enumerate(names, start=2):
        np.testing.assert_array_equal(
            voxels(tmp_path / "mat" / f"{name}.mat")[1, 1], np.arange(count)
        )
        assert f"{name}.mat: Volume({Path(name).name}: (3, 4, {count}) uint8" in done.stdout


@pytest.mark.parametrize(
    "given, beside, spacing",
    [
        (["--spacing", "0.1", "0.2", "0.5"], None, [0.1, 0.2, 0.5]),
        ([], [1, 2, 3], [1, 2, 3]),
        (["--spacing", "4", "5", "6"], [1, 2, 3], [4, 5, 6]),
        ([], None, [1, 1, 1]),
    ],
)
def test_spacing(tmp_path, given, beside, spacing):
    source = write_slices(tmp_path / "bead")
    if beside:
        (tmp_path / "bead.json").write_text(json.dumps({"spacing": beside}))
    assert run(source, tmp_path / "bead.mat", *given) == 0
    np.testing.assert_allclose(loadmat(tmp_path / "bead.mat")["spacing"].ravel(), spacing)


def test_what_exists_is_kept_unless_asked(tmp_path, capsys):
    source, target = write_slices(tmp_path / "bead"), tmp_path / "bead.mat"
    target.write_bytes(b"mine")
    assert run(source, target) == 1
    assert f"{target}: is there already; --overwrite" in capsys.readouterr().err
    assert target.read_bytes() == b"mine"
    assert run(source, target, "--overwrite") == 0
    assert voxels(target).shape == (3, 4, 11)


def damaged(folder):
    (folder / "slice_3.tif").write_bytes(b"no image")


def unlike(folder):
    tifffile.imwrite(folder / "slice_3.tif", np.zeros((5, 4), np.uint16))


def mixed(folder):
    write_slices(folder / "inner")


def empty(folder):
    for path in folder.iterdir():
        path.rename(path.with_suffix(".png"))


@pytest.mark.parametrize(
    "spoil, said, folders",
    [
        (damaged, "its slice slice_3.tif cannot be read", 3),
        (unlike, "slice_3.tif is (5, 4) uint16, slice_1.tif (3, 4) uint16", 3),
        (mixed, "holds slices and folders (inner)", 4),
        (empty, "holds no TIFF slices", 3),
    ],
)
def test_what_fails_is_named_and_the_others_are_converted(tmp_path, capsys, spoil, said, folders):
    for name in "abc":
        write_slices(tmp_path / "tiff" / name)
    spoil(tmp_path / "tiff" / "b")
    assert run(tmp_path / "tiff", tmp_path / "mat") == 1
    errors = capsys.readouterr().err
    assert f"{tmp_path / 'tiff' / 'b'}: {said}" in errors
    assert errors.splitlines()[-1] == f"1 of {folders} folders were not converted"
    assert voxels(tmp_path / "mat" / "a.mat").shape == (3, 4, 11)
    assert (tmp_path / "mat" / "c.mat").exists() and not (tmp_path / "mat" / "b.mat").exists()


def test_one_folder_with_slices_and_folders(tmp_path, capsys):
    source = write_slices(tmp_path / "bead")
    write_slices(source / "inner")
    assert run(source, tmp_path / "bead.mat") == 1
    assert f"{source}: holds slices and folders (inner)" in capsys.readouterr().err


def test_a_tree_without_slices(tmp_path, capsys):
    (tmp_path / "tiff" / "a").mkdir(parents=True)
    said = refused(capsys, tmp_path / "tiff", tmp_path / "mat")
    assert f"{tmp_path / 'tiff'}: holds no TIFF slices" in said


def test_no_source(tmp_path, capsys):
    assert "nowhere: no such folder" in refused(capsys, tmp_path / "nowhere", tmp_path / "mat")
    (tmp_path / "file.tif").write_bytes(b"")
    assert "file.tif: no such folder" in refused(capsys, tmp_path / "file.tif", tmp_path / "a.mat")


def test_the_target_fits_the_source(tmp_path, capsys):
    source = write_slices(tmp_path / "tiff" / "a")
    said = refused(capsys, source, tmp_path / "mat")
    assert "mat: give a name that ends in .mat" in said
    said = refused(capsys, tmp_path / "tiff", tmp_path / "all.mat")
    assert "all.mat: give a folder" in said
    assert not (tmp_path / "mat").exists() and not (tmp_path / "all.mat").exists()


@pytest.mark.parametrize("spacing", ["0 1 1", "1 -1 1", "1 1 nan", "inf 1 1", "1 1"])
def test_spacing_that_is_none(tmp_path, capsys, spacing):
    source = write_slices(tmp_path / "bead")
    said = refused(capsys, source, tmp_path / "bead.mat", "--spacing", *spacing.split())
    assert "--spacing" in said and not (tmp_path / "bead.mat").exists()
