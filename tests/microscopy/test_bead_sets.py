"""Bead sets: simulated as documented, stored within half a grey level, read in any unit."""

import numpy as np
import pytest

from lib.intensity import rescale
from lib.microscopy.bead_sets import (
    SIGMA,
    bead_pair,
    bead_windows,
    read_bead_set,
    read_split,
    without_margin,
    without_margins,
    write_bead_set,
)
from lib.microscopy.phantoms import bead_volume, observe_beads
from lib.microscopy.psf import gaussian_psf
from lib.volumes import Volume, VolumeError, load_volume, save_volume

SHAPE = (10, 9, 8)


@pytest.fixture
def bead_set(tmp_path):
    return write_bead_set(tmp_path / "set", SHAPE, 3, train=3, validation=2, seed=7)


def rewrite(path, change):
    """A file with other voxels."""
    save_volume(Volume.with_spacing(change(load_volume(path).data), 1.0), path)


@pytest.mark.parametrize("seed, words", [(5, (5,)), ((5, 2), (5, 2))])
def test_a_pair_is_what_the_phantoms_give(seed, words):
    how = {"sigma": (1, 2, 0.5), "photons": 77, "surroundings": False}
    observed, truth = bead_pair(SHAPE, 4, **how, seed=seed)
    expected = bead_volume(SHAPE, 4, seed=(*words, 0))
    np.testing.assert_array_equal(truth, expected)
    seen = observe_beads(expected, gaussian_psf((1, 2, 0.5)), photons=77, seed=(*words, 1))
    np.testing.assert_array_equal(observed, seen)


def test_a_window_is_the_middle_of_a_wider_pair_scaled_as_a_training_volume_is():
    windows = bead_windows(2, SHAPE, 3, margin=(2, 1, 4), seed=5)
    for number, (wide, image, truth) in enumerate(zip(*windows, strict=True)):
        seen, scene = bead_pair((14, 11, 16), 10, seed=(5, number))  # 3 in 720 voxels, 10 in 2464
        middle = (slice(2, 12), slice(1, 10), slice(4, 12))
        np.testing.assert_array_equal(truth, scene[middle])
        np.testing.assert_array_equal(image, wide[middle])
        np.testing.assert_allclose(image, rescale(seen[middle]), atol=1e-6)
        low, high = seen[middle].min(), seen[middle].max()
        assert wide.shape == seen.shape and image.min() == 0 and image.max() == 1
        assert (seen < low).any(), "the margin is darker somewhere"
        np.testing.assert_allclose(low + (high - low) * wide, np.maximum(seen, low), atol=1e-6)
        assert without_margin(wide, (0, 0, 0)).shape == wide.shape


@pytest.mark.parametrize("count, margin", [(1, (1, 2)), (1, (1, -1, 0)), (0, (0, 0, 0))])
def test_windows_need_three_margins_and_one_window(count, margin):
    with pytest.raises(ValueError, match=rf"count={count}, margin=.*: give 1 or more, and three"):
        bead_windows(count, SHAPE, 3, margin=margin, seed=0)


def test_with_surroundings_a_pair_is_a_window_of_a_larger_scene():
    observed, truth = bead_pair(SHAPE, 4, sigma=(1, 2, 0.5), seed=5)
    margin = 7, 11, 5  # a PSF of 9 x 17 x 5 voxels reaches 4, 8, 2; a bead 3 more
    scene = bead_volume((24, 31, 18), 74, seed=(5, 0))  # 4 beads in 720 voxels, 74 in 13,392
    np.testing.assert_array_equal(truth, scene[7:17, 11:20, 5:13])
    seen = observe_beads(scene, gaussian_psf((1, 2, 0.5)), margin=margin, seed=(5, 1))
    np.testing.assert_array_equal(observed, seen)
    one, other = (np.mean([bead_pair(seed=(n, 1), surroundings=around)[1].mean() for n in range(8)])
                  for around in (True, False))  # fmt: skip
    assert one == pytest.approx(other, rel=0.25), "as many beads in the mean"


def test_a_pair_s_defaults_are_the_documented_ones():
    observed, truth = bead_pair(seed=3)
    said = bead_pair((64, 64, 32), 20, sigma=(1.5, 1.5, 4.0), photons=300, seed=3)
    np.testing.assert_array_equal([observed, truth], said)
    assert observed.dtype == truth.dtype == np.float32 and SIGMA == (1.5, 1.5, 4.0)
    assert observed.min() == truth.min() == 0 and observed.max() == 1 and 0.6 < truth.max() <= 1


def test_a_pair_refuses_what_the_phantoms_refuse():
    with pytest.raises(ValueError, match="beads=-1: give"):
        bead_pair(beads=-1, seed=0)


def test_a_set_is_written_in_folders(bead_set):
    names = {p.relative_to(bead_set).as_posix() for p in bead_set.rglob("*") if p.is_file()}
    numbers = {"train": (0, 1, 2), "validation": (3, 4)}
    parts = [(part, n) for part, ns in numbers.items() for n in ns]
    assert names == {f"{p}/{k}/beads_{n}.mat" for p, n in parts for k in ("image", "label")}


def test_a_set_has_four_pairs_and_one_unless_told(tmp_path):
    folder = write_bead_set(str(tmp_path), (4, 4, 4), 1)
    assert folder == tmp_path
    assert [len(read_bead_set(folder / part)) for part in ("train", "validation")] == [4, 1]
    for number in range(5):  # seed 0 unless told
        part = "train" if number < 4 else "validation"
        stored = load_volume(folder / part / "label" / f"beads_{number}.mat").data
        truth = bead_pair((4, 4, 4), 1, seed=(0, number))[1]
        np.testing.assert_array_equal(stored, np.round(65535.0 * truth))


def test_what_was_written_is_read_within_half_a_grey_level(bead_set):
    for part, numbers in {"train": (0, 1, 2), "validation": (3, 4)}.items():
        pairs = [bead_pair(SHAPE, 3, seed=(7, number)) for number in numbers]
        brightest = max(truth.max() for _, truth in pairs)
        read = read_bead_set(bead_set / part)
        assert len(read) == len(pairs)
        for (image, label), (observed, truth) in zip(read, pairs, strict=True):
            assert image.dtype == label.dtype == np.float32
            np.testing.assert_allclose(image, observed, atol=0.51 / 65535)
            np.testing.assert_allclose(label, truth / brightest, atol=1.01 / 65535 / brightest)


def test_writing_again_replaces_the_files(bead_set):
    write_bead_set(bead_set, SHAPE, 3, train=3, validation=2, seed=8)
    stored = load_volume(bead_set / "train" / "label" / "beads_1.mat").data
    expected = np.round(65535.0 * bead_pair(SHAPE, 3, seed=(8, 1))[1])
    np.testing.assert_array_equal(stored, expected)


def test_labels_are_scaled_together_and_like_another_folder_s(tmp_path):
    for part, scales in {"train": (8, 40), "validation": (4, 20)}.items():
        for n, scale in enumerate(scales):
            for kind in ("image", "label"):
                data = np.arange(24.0).reshape(2, 3, 4) / 23 * scale + 10
                path = tmp_path / part / kind / f"{n}.mat"
                save_volume(Volume.with_spacing(data, 1.0), path)
    ramp = np.arange(24).reshape(2, 3, 4) / 23

    def read(part, **like):
        return read_bead_set(tmp_path / part, **like)

    alone, scaled = read("validation"), read("validation", like=tmp_path / "train")
    train, validation = read_split(tmp_path)
    read_so = ((train, (0.2, 1)), (alone, (0.2, 1)), (scaled, (0.1, 0.5)), (validation, (0.1, 0.5)))
    for pairs, shares in read_so:
        for (image, label), share in zip(pairs, shares, strict=True):
            np.testing.assert_allclose(image, ramp, atol=1e-6)  # each by its own range
            np.testing.assert_allclose(label, share * ramp, atol=1e-6)


def test_the_unit_of_the_files_does_not_matter(bead_set):
    expected = read_bead_set(bead_set / "train")
    for number, path in enumerate(sorted((bead_set / "train" / "image").iterdir())):
        rewrite(path, lambda x, n=number: x * np.float64(0.37 + n) - 500 * n)  # each its own gain
    for path in (bead_set / "train" / "label").iterdir():
        rewrite(path, lambda x: x * 1e-3 + 100.0)  # labels: one
    for pair, before in zip(read_bead_set(bead_set / "train"), expected, strict=True):
        np.testing.assert_allclose(pair, before, atol=1e-6)


def test_an_image_that_does_not_fit_its_label_is_named(bead_set):
    rewrite(bead_set / "train" / "image" / "beads_1.mat", lambda x: x[:-1])
    with pytest.raises(ValueError, match=r"train: image .*beads_1.* \(9, 9, 8\), .* \(10, 9, 8\)"):
        read_bead_set(bead_set / "train")


def test_constant_labels_are_refused(bead_set):
    for path in (bead_set / "validation" / "label").iterdir():
        rewrite(path, lambda x: np.full_like(x, 7))
    with pytest.raises(ValueError, match="validation: every voxel of every label is 7: nothing"):
        read_bead_set(bead_set / "validation")
    with pytest.raises(ValueError, match="validation: every voxel of every label is 7: nothing"):
        read_bead_set(bead_set / "train", like=bead_set / "validation")
    one = bead_set / "validation" / "label" / "beads_3.mat"
    rewrite(one, lambda x: np.full_like(x, 8))  # each constant, not all together
    labels = [np.unique(label).tolist() for _, label in read_bead_set(bead_set / "validation")]
    assert labels == [[1], [0]]


def test_files_without_a_partner_are_named(bead_set):
    (bead_set / "train" / "label" / "beads_2.mat").unlink()
    for call in (lambda: read_bead_set(bead_set / "train"),
                 lambda: read_bead_set(bead_set / "validation", bead_set / "train")):  # fmt: skip
        with pytest.raises(VolumeError, match=r"without a partner: .*image.beads_2\.mat"):
            call()
    with pytest.raises(VolumeError, match=r"nowhere.image: no such folder"):
        read_bead_set(bead_set / "nowhere")


def test_a_set_never_mixes_with_another(tmp_path):
    write_bead_set(tmp_path, (8, 8, 8), 1, train=2, validation=1)
    write_bead_set(tmp_path, (8, 8, 8), 2, train=2, validation=1)  # the same names are replaced
    with pytest.raises(VolumeError, match=r"train.*beads_1\.mat is of another set"):
        write_bead_set(tmp_path, (8, 8, 8), 1, train=1, validation=1)
    for wrong in ({"train": 0}, {"validation": -1}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))}={next(iter(wrong.values()))}"):
            write_bead_set(tmp_path / "new", (8, 8, 8), 1, **wrong)
    assert not (tmp_path / "new").exists()


def test_margins_are_cut_of_every_method_s_volumes():
    volume = np.arange(5 * 6 * 7).reshape(5, 6, 7)
    cut = without_margins({"a": [volume, 2 * volume], "b": []}, (1, 2, 3))
    assert cut["b"] == [] and np.array_equal(cut["a"][1], 2 * volume[1:4, 2:4, 3:4])
