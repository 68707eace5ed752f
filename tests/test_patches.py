"""Cutting and joining: every voxel is covered, and what was cut comes back."""

import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.patches import (
    BLENDS,
    blending_weights,
    get_patches,
    outer,
    patch_grid,
    patch_starts,
    reconstruct_patch,
)

quick = settings(max_examples=80, deadline=None, derandomize=True)
axis = st.integers(1, 8).flatmap(  # (extent, size, stride)
    lambda extent: st.integers(1, extent).flatmap(
        lambda size: st.tuples(st.just(extent), st.just(size), st.integers(1, size))
    )
)
cuts = st.tuples(axis, axis, axis).map(lambda axes: tuple(zip(*axes, strict=True)))


def numbered(*shape, dtype=np.float32):
    """Every voxel another number, from 1."""
    return np.arange(1, np.prod(shape) + 1).reshape(shape).astype(dtype)


def starts_by_hand(extent, size, stride):
    starts = [0]
    while starts[-1] + size < extent:
        starts.append(min(starts[-1] + stride, extent - size))
    return starts


def corners_by_hand(extents, size, stride):
    return list(itertools.product(*map(starts_by_hand, extents, size, stride)))


def joined_by_hand(patches, extents, stride, weight):
    """Voxel by voxel: the average of the patches that hold it, weighted by ``weight(offset)``."""
    size = patches.shape[1:4]
    above, below = np.zeros(extents), np.zeros(extents)
    for patch, corner in zip(patches, corners_by_hand(extents, size, stride), strict=True):
        for offset in np.ndindex(size):
            voxel = tuple(np.add(corner, offset))
            above[voxel] += weight(offset) * patch[offset]
            below[voxel] += weight(offset)
    return above / below


def test_the_worked_example_of_the_reference_at_full_size():
    line = np.arange(256, dtype=np.uint8)  # wraps on: the sum tells places apart well enough
    cube = 7 * line[:, None, None] + 5 * line[:, None] + line
    patches = get_patches(cube, size=128, stride=128)
    assert patches.shape == (8, 128, 128, 128)
    back = reconstruct_patch(patches, org_img_size=(256, 256, 256), stride=128)
    assert back.shape == (1, 256, 256, 256) and back.dtype == np.uint8
    assert np.array_equal(back[0], cube)


def test_z_is_fastest_then_y_then_x_then_the_volumes():
    stack = numbered(2, 4, 4, 4)
    corners = [(0, 0, 0), (0, 0, 2), (0, 2, 0), (0, 2, 2), (2, 0, 0), (2, 0, 2), (2, 2, 0)]
    patches = get_patches(stack, 2)
    for patch, (x, y, z) in zip(patches, corners, strict=False):
        assert np.array_equal(patch, stack[0, x : x + 2, y : y + 2, z : z + 2])
    assert np.array_equal(patches[8], stack[1, :2, :2, :2])


@pytest.mark.parametrize(
    "shape, patches", [((6, 4, 4), (3, 2, 4, 4)), ((5, 6, 4, 4), (15, 2, 4, 4)),
                       ((5, 6, 4, 4, 3), (15, 2, 4, 4, 3))],
)  # fmt: skip
def test_three_four_and_five_dimensions(shape, patches):
    assert get_patches(numbered(*shape), (2, 4, 4)).shape == patches


@pytest.mark.parametrize(
    "extent, size, stride, starts",
    [
        (10, 4, 3, [0, 3, 6]),
        (11, 4, 3, [0, 3, 6, 7]),
        (4, 4, 4, [0]),
        (5, 4, 4, [0, 1]),
        (256, 128, 128, [0, 128]),
        (1, 1, 1, [0]),
    ],
)
def test_patch_starts(extent, size, stride, starts):
    assert patch_starts(extent, size, stride) == starts


@quick
@given(cuts)
def test_every_voxel_is_in_a_patch_and_every_patch_is_a_block(cut):
    extents, size, stride = cut
    volume = numbered(*extents, dtype=np.int64)
    patches = get_patches(volume, size, stride)
    assert np.array_equal(np.unique(patches), volume.ravel())
    assert np.array_equal(patches[:, 0, 0, 0], [volume[c] for c in corners_by_hand(*cut)])
    block = volume[tuple(slice(s) for s in size)] - volume[0, 0, 0]
    assert np.array_equal(patches - patches[:, :1, :1, :1], np.broadcast_to(block, patches.shape))


@quick
@given(cuts, st.integers(1, 2), st.sampled_from([(), (1,), (2,)]), st.sampled_from(BLENDS))
def test_reconstruct_is_the_inverse_of_get(cut, volumes, channels, blend):
    extents, size, stride = cut
    stack = np.random.default_rng(0).uniform(0.5, 2, (volumes, *extents, *channels)).astype("f")
    patches = get_patches(stack, size, stride)
    back = reconstruct_patch(patches, extents, stride, size, blend)
    assert back.shape == stack.shape and back.dtype == np.float32
    held = np.prod([-(-s // t) + 1 for s, t in zip(size, stride, strict=True)])  # patches a voxel
    rtol = 0 if blend == "last" else max(1e-6, held * np.finfo("f").eps / 2)
    np.testing.assert_allclose(back, stack, rtol=rtol)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float16", "float64", ">f4", "bool"])
def test_last_keeps_the_type(dtype):
    volume = numbered(4, 5, 7).astype(dtype)
    back = reconstruct_patch(get_patches(volume, 4, 3), (4, 5, 7), 3)[0]
    assert back.dtype == volume.dtype and np.array_equal(back, volume)


@pytest.mark.parametrize(
    "cut", [((5, 4, 6), (3, 2, 4), (1, 2, 3)), ((4, 4, 4), (4, 4, 4), (1,) * 3)]
)
@pytest.mark.parametrize("blend", BLENDS)
def test_blends_as_by_hand(cut, blend):
    extents, size, stride = cut
    corners = corners_by_hand(*cut)
    patches = np.random.default_rng(1).uniform(0, 1, (len(corners), *size))
    back = reconstruct_patch(patches.astype("f"), extents, stride, blend=blend)[0]
    if blend == "last":
        expected = np.zeros(extents)
        for patch, (x, y, z) in zip(patches, corners, strict=True):
            expected[x : x + size[0], y : y + size[1], z : z + size[2]] = patch
    else:
        centre, sigma = (np.array(size) - 1) / 2, np.array(size) / 8
        bell = lambda o: np.exp(-0.5 * np.sum(((o - centre) / sigma) ** 2))  # noqa: E731
        even = lambda o: 1  # noqa: E731
        expected = joined_by_hand(patches, extents, stride, bell if blend == "gaussian" else even)
    np.testing.assert_allclose(back, expected, rtol=2e-6)


def test_integers_are_averaged_in_float32():
    patches = np.array([[1, 2], [4, 4]], np.uint8).reshape(2, 2, 1, 1)
    back = reconstruct_patch(patches, (3, 1, 1), (1, 1, 1), blend="mean")
    assert back.dtype == np.float32 and back.ravel().tolist() == [1, 3, 4]


@quick
@given(axis, st.sampled_from(BLENDS))
def test_weights_sum_to_one_at_each_voxel(one, blend):
    extent, size, _ = one
    starts = starts_by_hand(*one)
    sums = np.zeros(extent)
    for start, row in zip(starts, blending_weights(starts, size, extent, blend), strict=True):
        sums[start : start + size] += row
    np.testing.assert_allclose(sums, 1, atol=1e-6)


def test_weights_worked_by_hand():
    assert blending_weights([0, 2], 4, 6, "last").tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]
    assert blending_weights([0, 2], 4, 6, "mean").tolist() == [[1, 1, 0.5, 0.5], [0.5, 0.5, 1, 1]]
    near, far = np.exp(-0.5), np.exp(-0.5 * 9)  # offsets 0.5 and 1.5 at a standard deviation of 0.5
    share = near / (near + far)
    np.testing.assert_allclose(
        blending_weights([0, 2], 4, 6, "gaussian"),
        [[1, 1, share, 1 - share], [1 - share, share, 1, 1]], rtol=1e-6,
    )  # fmt: skip


def test_outer_is_the_product_of_the_three_axes():
    tables = [numbered(2, n) for n in (2, 3, 4)]
    weights = outer(tables, (1, 0, 1))
    assert weights.shape == (2, 3, 4, 1)
    assert weights[1, 2, 3, 0] == tables[0][1, 1] * tables[1][0, 2] * tables[2][1, 3]


def test_patch_grid_gives_slices():
    grid = list(patch_grid([[0], [0, 1], [5]], (2, 3, 4)))
    assert grid == [
        (slice(0, 2), slice(0, 3), slice(5, 9)),
        (slice(0, 2), slice(1, 4), slice(5, 9)),
    ]


def test_cutting_costs_one_copy():
    volume = np.ones((64, 64, 64), np.float32)
    tracemalloc.start()
    patches = get_patches(volume, 16, 8)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert patches.nbytes > 5_000_000 and peak < 1.1 * patches.nbytes + 200_000
    patches[0] = 0
    assert volume.all(), "a copy, not a view"


CUBE = np.zeros((8, 8, 8))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: get_patches(CUBE, 4, 5), "stride=5, size=4 .* 8 voxels"),
        (lambda: get_patches(CUBE, 4, 0), "stride=0"),
        (
            lambda: get_patches(np.ones((8, 8, 8, 2)), 4),
            r"axis of 2 .*\(8, 8, 8, 2\) is read as .*\[None",
        ),
        (lambda: get_patches(CUBE, 0), "size=0"),
        (lambda: get_patches(CUBE, 9), "size=9 on an axis of 8 voxels: needed is [^;]*$"),
        (lambda: get_patches(CUBE, 2.5), "size=2.5: give a whole number"),
        (lambda: get_patches(CUBE, 4, 1.5), "stride=1.5"),
        (lambda: get_patches(CUBE[0], 4), r"img_arr has shape \(8, 8\)"),
        (lambda: reconstruct_patch(CUBE, 8), r"img_arr has shape \(8, 8, 8\)"),
        (lambda: reconstruct_patch(np.zeros((7, 4, 4, 4)), 8), "holds 7 patches.*a multiple of 8"),
        (lambda: reconstruct_patch(np.zeros((0, 4, 4, 4)), 8), "holds 0 patches"),
        (lambda: reconstruct_patch(np.zeros((8, 4, 4, 4)), 8, size=5), r"size=\(5, 5, 5\)"),
        (lambda: reconstruct_patch(np.zeros((8, 4, 4, 4)), 3), "size=4 on an axis of 3"),
        (lambda: reconstruct_patch(np.zeros((8, 4, 4, 4)), 8.5), "org_img_size=8.5"),
        (
            lambda: reconstruct_patch(np.zeros((8, 4, 4, 4)), 8, blend="max"),
            "blend='max': choose one",
        ),
    ],
)
def test_errors_name_argument_and_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()
