"""Random patches: what is cut, where, and how it is moved."""

import itertools
import warnings

import numpy as np
import pytest

from lib import sampling
from lib.sampling import PatchSampler
from lib.volumes import Volume

STEPS = {10_000: 0, 100: 1, 1: 2}  # what the `places` of two neighbours differ by -> their axis


def places(*shape):
    """Every voxel tells where it is: 10000 x + 100 y + z."""
    x, y, z = np.indices(shape)
    return (10_000 * x + 100 * y + z).astype(np.float32)


def dot(shape, *voxels):
    label = np.zeros(shape, np.uint8)
    for voxel in voxels:
        label[voxel] = 1
    return label


def drawn(pairs, size, count, seed=0, **options):
    return PatchSampler(pairs, size, **options).draw(np.random.default_rng(seed), count)


def corners(images):
    first = images.reshape(len(images), -1).min(1).astype(int)
    return np.stack([first // 10_000, first // 100 % 100, first % 100], 1)


def near(share, expected, count):
    """Within four standard deviations of a share of ``count``."""
    return abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / count)


def orientation(patch):
    """The signed permutation that leads from the volume's axes to the patch's, 3x3."""
    steps = [patch[1, 0, 0], patch[0, 1, 0], patch[0, 0, 1]] - patch[0, 0, 0]
    matrix = np.zeros((3, 3), int)
    for axis, step in enumerate(steps.astype(int)):
        matrix[axis, STEPS[abs(step)]] = np.sign(step)
    return matrix


def test_one_seed_one_result():
    volume = places(9, 8, 7)
    options = {"flips": ("x", "y"), "turns": ("z",), "foreground": 0.5}
    a, b, c = (drawn([(volume, volume)], 3, 8, seed, **options) for seed in (1, 1, 2))
    assert np.array_equal(a, b) and not np.array_equal(a, c)


@pytest.mark.parametrize("size", [4, (2, 3, 3)])
def test_image_and_label_are_cut_and_moved_alike(size):
    volume = places(9, 8, 7)
    images, labels = drawn(
        [(volume, volume)], size, 50, flips=("x", "y", "z"), turns=("x",), foreground=0.3
    )
    assert np.array_equal(images, labels) and images.dtype == labels.dtype == np.float32
    assert images.shape == (50, *np.broadcast_to(size, 3), 1)


def test_a_patch_is_a_block_of_its_volume():
    volume = places(9, 8, 7)
    images, _ = drawn([(volume, volume)], (2, 3, 4), 30)
    for image, (x, y, z) in zip(images[..., 0], corners(images), strict=True):
        assert np.array_equal(image, volume[x : x + 2, y : y + 3, z : z + 4])


def test_without_foreground_every_place_is_as_likely_half_a_patch_beyond_too():
    volume, count = places(5, 4, 6), 3000
    images, _ = drawn([(volume, volume)], (2, 4, 3), count)
    found, numbers = np.unique(corners(images), axis=0, return_counts=True)
    assert found.tolist() == [[x, 0, z] for x in range(4) for z in range(4)]
    along = np.array([2, 1, 1, 2]) / 6  # one of the 6 places lies before the volume, one behind
    expected = np.outer(along, along).ravel()
    assert all(near(n / count, e, count) for n, e in zip(numbers, expected, strict=True))


def test_a_face_is_seen_five_eighths_as_often_as_the_middle():
    volume, seen, count = places(24, 8, 8), np.zeros(24), 4000
    for x, _, _ in corners(drawn([(volume, volume)], 8, count)[0]):
        seen[x : x + 8] += 1
    assert near(seen[0] / count, 5 / 25, count) and near(seen[-1] / count, 5 / 25, count)
    assert near(seen[12] / count, 8 / 25, count)


def test_every_pair_is_as_likely():
    pairs = [(np.full((3, 3, 3 + i), i), np.zeros((3, 3, 3 + i))) for i in range(3)]
    images, _ = drawn(pairs, 3, 1500)
    shares = [np.mean(images[:, 0, 0, 0, 0] == i) for i in range(3)]
    assert all(near(share, 1 / 3, 1500) for share in shares)


THIRDS = {0: 1 / 3, 1: 1 / 3, 2: 1 / 3}


@pytest.mark.parametrize(
    "voxel, reach",  # where the voxel lies in a patch of 3 along each axis, and how often
    [
        ((5, 6, 4), (THIRDS, THIRDS, THIRDS)),
        ((0, 11, 9), ({0: 1}, {2: 1}, {2: 1})),
        ((1, 10, 5), ({0: 1 / 3, 1: 2 / 3}, {1: 2 / 3, 2: 1 / 3}, THIRDS)),
    ],
)
def test_the_labelled_voxel_is_everywhere_in_the_patch(voxel, reach):
    label, count = dot((12, 12, 10), voxel), 1000
    _, labels = drawn([(label, label)], 3, count, foreground=1)
    assert np.all(labels.sum((1, 2, 3, 4)) == 1), "always inside"
    found, numbers = np.unique(np.argwhere(labels[..., 0])[:, 1:], axis=0, return_counts=True)
    assert found.tolist() == [list(p) for p in itertools.product(*reach)]
    shares = [reach[0][x] * reach[1][y] * reach[2][z] for x, y, z in found]
    assert all(near(n / count, s, count) or s == 1 for n, s in zip(numbers, shares, strict=True))


@pytest.mark.parametrize("share", [0.25, 0.8])
def test_the_share_of_foreground(share):
    label, count = dot((20, 20, 20), (9, 9, 9)), 2000
    _, labels = drawn([(label, label)], 5, count, foreground=share)
    by_chance = (5 / 16) ** 3
    assert near(labels.any((1, 2, 3, 4)).mean(), share + (1 - share) * by_chance, count)


@pytest.mark.parametrize(
    "flips, turns, how_many, handed",
    [
        ((), (), 1, {1}),
        (("x",), (), 2, {1, -1}),
        (("y", "z"), (), 4, {1, -1}),
        (("x", "y", "z"), (), 8, {1, -1}),
        ((), ("z",), 4, {1}),
        ((), ("x", "y", "z"), 24, {1}),
        (("x",), ("x", "y", "z"), 48, {1, -1}),
    ],
)
def test_flips_and_turns_reach_their_group_and_no_more(flips, turns, how_many, handed):
    volume = places(5, 5, 5)
    images, _ = drawn([(volume, volume)], 2, 1000, flips=flips, turns=turns)
    found = {orientation(image[..., 0]).tobytes(): image[..., 0] for image in images}
    assert len(found) == how_many
    assert {round(np.linalg.det(orientation(p))) for p in found.values()} == handed


@pytest.mark.parametrize("turns", [("x", "y", "z"), ("y", "x")])
def test_every_orientation_is_as_likely(turns):
    volume, count = places(2, 2, 2), 4800
    images, _ = drawn([(volume, volume)], 2, count, turns=turns)
    found = [orientation(image[..., 0]).tobytes() for image in images]
    numbers = np.unique(found, return_counts=True)[1]
    assert len(numbers) == 24 and all(near(n / count, 1 / 24, count) for n in numbers)


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_named_axes_only(axis):
    volume, number = places(5, 5, 5), "xyz".index(axis)
    flipped, _ = drawn([(volume, volume)], 2, 100, flips=(axis,))
    turned, _ = drawn([(volume, volume)], 2, 100, turns=(axis,))
    others = [a for a in range(3) if a != number]
    for image in flipped[..., 0]:
        assert np.array_equal(orientation(image)[others], np.eye(3, dtype=int)[others])
    for image in turned[..., 0]:
        assert np.array_equal(orientation(image)[number], np.eye(3, dtype=int)[number])
    signs = [orientation(image)[number, number] for image in flipped[..., 0]]
    assert near(np.mean(np.equal(signs, -1)), 0.5, 100)


def test_a_turn_that_keeps_the_extents_is_allowed():
    volume = places(6, 6, 6)
    images, _ = drawn([(volume, volume)], (2, 4, 4), 5, turns=("x",))
    assert images.shape == (5, 2, 4, 4, 1)


def test_contrast_is_a_power_of_the_image_alone():
    image = np.random.default_rng(0).random((6, 6, 6)).astype(np.float32)
    sampler = PatchSampler([(image, image)], 6, contrast=0.5)
    powers = []
    for seed in range(200):
        images, labels = sampler.draw(np.random.default_rng(seed), 1)
        np.testing.assert_array_equal(labels[0, ..., 0], image)
        powers.append(np.log(images[0, 1, 2, 3, 0]) / np.log(image[1, 2, 3]))
        np.testing.assert_allclose(images[0, ..., 0], image ** powers[-1], rtol=1e-4)
    exponents = np.log(powers)  # evenly in -0.5..0.5
    assert -0.5 <= exponents.min() < -0.45 and 0.45 < exponents.max() <= 0.5
    assert abs(exponents.mean()) < 0.08
    with pytest.raises(ValueError, match=r"contrast=0.5: pair 0 holds -1; give images"):
        PatchSampler([(image - 1 - image.min(), image)], 6, contrast=0.5).draw(
            np.random.default_rng(0), 1
        )


def test_gain_is_one_factor_of_the_image_alone():
    image = 1 + np.random.default_rng(0).random((6, 6, 6)).astype(np.float32)
    sampler, factors = PatchSampler([(image, image)], 6, gain=0.5), []
    for seed in range(200):
        images, labels = sampler.draw(np.random.default_rng(seed), 1)
        np.testing.assert_array_equal(labels[0, ..., 0], image)
        factors.append(np.log(images[0, 0, 0, 0, 0] / image[0, 0, 0]))
        np.testing.assert_allclose(images[0, ..., 0], image * np.exp(factors[-1]), rtol=1e-5)
    assert -0.501 < min(factors) < -0.45 and 0.45 < max(factors) < 0.501


def test_the_window_on_the_mean_label():
    label = np.zeros((16, 4, 4), np.uint8)
    label[8:] = 1
    _, labels = drawn([(label, label)], 4, 100, window=(0.25, 0.5))
    assert set(labels.mean((1, 2, 3, 4))) == {0.25, 0.5}


def test_keep_is_the_chance_outside_the_window():
    label = np.zeros((8, 1, 1))
    label[4:] = 1  # of single voxels, half lie within; of the others a quarter is kept
    _, labels = drawn([(label, label)], 1, 2000, window=(1, 1), keep=0.25)
    assert near(np.mean(labels == 0), 0.125 / 0.625, 2000)


def test_a_window_that_nothing_meets_says_what_there_is():
    label = np.zeros((4, 4, 4))
    label[:2] = 1
    with pytest.raises(ValueError, match=r"window=\(2, 3\): of 1000 patches .* from 0 to 1"):
        drawn([(label, label)], 1, 1, window=(2, 3))


def test_a_volume_without_labels_warns_once_by_name(tmp_path):
    np.save(tmp_path / "void.npy", np.zeros((4, 4, 4)))
    empty = np.zeros((4, 4, 4))
    named = Volume.with_spacing(empty, 1, "head 7")
    for pair, name in [
        ((named, named), "head 7"),
        ((str(tmp_path / "void.npy"), empty), "void.npy"),
        ((empty, tmp_path / "void.npy"), "void.npy"),
        ((empty, empty), "pair 0"),
    ]:
        with pytest.warns(UserWarning, match=f"{name} has no labelled voxel") as caught:
            sampler = PatchSampler([pair], 2, foreground=1)
        assert len(caught) == 1 and caught[0].filename == __file__
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            images, labels = sampler.draw(np.random.default_rng(0), 3)
            PatchSampler([pair], 2)  # asks for no foreground, so lacks none
        assert images.shape == (3, 2, 2, 2, 1) and not labels.any()


def test_files_volumes_and_arrays_give_the_same(tmp_path):
    image, label = places(6, 7, 8), dot((6, 7, 8), (1, 2, 3), (5, 6, 7))
    np.save(tmp_path / "image.npy", np.asfortranarray(image))
    np.save(tmp_path / "label.npy", label)
    sources = [
        (image, label),
        (Volume.with_spacing(image, 2), Volume.with_spacing(label, 2)),
        (tmp_path / "image.npy", str(tmp_path / "label.npy")),
        [tmp_path / "image.npy", label],
    ]
    options = {"foreground": 0.5, "flips": ("x",)}
    first, *others = (drawn([pair], 3, 10, seed=4, **options) for pair in sources)
    for other in others:
        assert np.array_equal(first[0], other[0]) and np.array_equal(first[1], other[1])


@pytest.mark.parametrize("mm", [1, 1e-4])
def test_a_label_at_another_place_is_refused(mm):
    image, label = (Volume.with_spacing(places(6, 6, 6), s, "head 7") for s in (mm, 2 * mm))
    with pytest.raises(ValueError, match="head 7: image and label lie elsewhere"):
        PatchSampler([(image, label)], 3)
    PatchSampler([(image, label.data)], 3)  # an array tells no place


def test_channels_come_last_and_any_of_them_is_foreground():
    image = np.stack([places(6, 6, 6), -places(6, 6, 6)], -1)
    label = np.stack([dot((6, 6, 6)), dot((6, 6, 6), (3, 3, 3)), dot((6, 6, 6))], -1)
    images, labels = drawn([(image, label)], 2, 20, foreground=1, turns=("y",), flips=("z",))
    assert images.shape == (20, 2, 2, 2, 2) and labels.shape == (20, 2, 2, 2, 3)
    assert np.array_equal(images[..., 0], -images[..., 1])
    assert np.all(labels.sum((1, 2, 3)) == [0, 1, 0])


def test_labelled_voxels_are_all_found():
    label = np.random.default_rng(0).integers(-1, 2, (5, 6, 7))
    assert np.array_equal(sampling._labelled_voxels(label, "label"), np.argwhere(label > 0))


def test_labelled_voxels_are_drawn_evenly():
    label = np.zeros((3, 200, 200), np.uint8)
    label[0], label[2, :100] = 1, 1  # 40,000 and 20,000
    voxels = sampling._labelled_voxels(label, "label")
    assert voxels.shape == (sampling.FOREGROUND_KEPT, 3) == np.unique(voxels, axis=0).shape
    assert np.all(label[tuple(voxels.T)])
    assert near(np.mean(voxels[:, 0] == 0), 2 / 3, len(voxels))
    assert near(np.mean(voxels[:, 2] < 100), 1 / 2, len(voxels))


A, B = np.zeros((8, 8, 8)), np.zeros((8, 8, 6))
THIN = np.ones((40, 40, 24), bool)


@pytest.mark.parametrize(
    "pairs, size, options, message",
    [
        ([], 2, {}, "pairs is empty"),
        ([(A, B)], 2, {}, r"pair 0: the image is \(8, 8, 8\), its label \(8, 8, 6\)"),
        ([(A, A), (A[0], A[0])], 2, {}, r"pair 1: the image is \(8, 8\).*\(X, Y, Z\)"),
        ([(A, A), (np.zeros((8, 8, 8, 2)), A)], 2, {}, "pairs differ in their channels"),
        (["ab"], 2, {}, r"pairs\[0\] is no pair"),
        ([(A, A, A)], 2, {}, r"pairs\[0\] is no pair"),
        ([("a.nii", A)], 2, {}, "a.nii: only .npy"),
        (
            [(B, B)],
            7,
            {},
            r"pair 0 is \(8, 8, 6\): too small for size=\(7, 7, 7\); give \(7, 7, 6\), .* pad",
        ),
        ([(THIN, THIN)], 32, {}, r"\(40, 40, 24\): .* \(32, 32, 16\), say; prediction .* too$"),
        ([(A, A)], (2, 2, -1), {}, r"size=\(2, 2, -1\)"),
        ([(A, A)], 2.5, {}, "size=2.5"),
        ([(A, A)], 2, {"foreground": -0.1}, "foreground=-0.1: give a share"),
        ([(A, A)], 2, {"keep": 2}, "keep=2: give a share"),
        ([(A, A)], 2, {"contrast": -1}, "contrast=-1: give 0 or more"),
        ([(A, A)], 2, {"gain": np.nan}, "gain=nan: give 0 or more"),
        ([(A, A)], 2, {"window": (1, 0)}, r"window=\(1, 0\): give \(under, upper\)"),
        ([(A, A)], 2, {"window": 0.5}, "window=0.5"),
        ([(A, A)], 2, {"flips": ("x", "w")}, r"flips=\('x', 'w'\)"),
        ([(A, A)], 2, {"flips": "xy"}, "flips='xy'"),
        ([(A, A)], 2, {"turns": (0,)}, r"turns=\(0,\)"),
        ([(A, A)], (2, 2, 4), {"turns": ("x",)}, r"turns around x with size=\(2, 2, 4\)"),
    ],
)
def test_errors_name_what_is_wrong(pairs, size, options, message):
    with pytest.raises(ValueError, match=message):
        PatchSampler(pairs, size, **options)


def test_no_patches_are_no_batch():
    with pytest.raises(ValueError, match="count=0"):
        drawn([(A, A)], 2, 0)


def test_a_missing_file_is_named():
    with pytest.raises(FileNotFoundError, match=r"nowhere\.npy"):
        PatchSampler([("nowhere.npy", A)], 2)
