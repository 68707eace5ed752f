"""Convolution in Fourier space against SciPy's sums and Keras's Conv3D; the choice of the way."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import correlate

from lib.fourier import blocks, choose_blocks, fourier_conv3d, is_large, reflect

EXTENTS = st.tuples(*[st.integers(1, 11)] * 3)


def summed(x, kernel, same):
    """Σ_j k[j]·x[t + j] by SciPy in float64, zeros around as Keras's "same" has them."""
    if same:
        pads = [((n - 1) // 2, n // 2) for n in kernel.shape[:3]]
        x = np.pad(x, [(0, 0), *pads, (0, 0)])
    channels, filters = kernel.shape[3:]
    volumes = [
        sum(correlate(v[..., c], kernel[..., c, k], "valid", "direct") for c in range(channels))
        for v in x
        for k in range(filters)
    ]
    return np.moveaxis(np.reshape(volumes, (len(x), filters, *volumes[0].shape)), 1, -1)


def cuts(extents, lags, counts, same):
    """Blocks for a result of ``extents``; as many as ``counts`` where a block holds the kernel."""
    counts = [
        n if -(-e // n) >= k - 1 else 1 for e, k, n in zip(extents, lags, counts, strict=True)
    ]
    return tuple(blocks(*axis, same) for axis in zip(extents, lags, counts, strict=True))


@given(EXTENTS, st.tuples(*[st.integers(1, 6)] * 3), EXTENTS, st.booleans(), st.data())
@settings(max_examples=60, deadline=None)
def test_against_scipy_in_float64(extents, lags, counts, same, data):
    n, channels, filters = (data.draw(st.integers(1, 3)) for _ in range(3))
    inside = extents if same else [e + k - 1 for e, k in zip(extents, lags, strict=True)]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, *inside, channels))
    kernel = rng.normal(size=(*lags, channels, filters))
    counts = [min(c, e) for c, e in zip(counts, extents, strict=True)]
    result = fourier_conv3d(x, kernel, same, cuts(extents, lags, counts, same))
    np.testing.assert_allclose(result, summed(x, kernel, same), atol=1e-10)


def test_worked_by_hand():
    x = np.array([1.0, 2, 4, 8, 16]).reshape(1, 5, 1, 1, 1)
    kernel = np.array([1.0, 10, 100, 1000]).reshape(4, 1, 1, 1, 1)  # reaches 1 before, 2 after
    expected = [
        10 * 1 + 100 * 2 + 1000 * 4,
        1 * 1 + 10 * 2 + 100 * 4 + 1000 * 8,
        1 * 2 + 10 * 4 + 100 * 8 + 1000 * 16,
        1 * 4 + 10 * 8 + 100 * 16,
        1 * 8 + 10 * 16,
    ]
    for counts in [(1, 1, 1), (2, 1, 1)]:
        result = fourier_conv3d(x, kernel, True, cuts((5, 1, 1), (4, 1, 1), counts, True))
        np.testing.assert_allclose(np.ravel(result), expected, rtol=1e-12)


@pytest.mark.parametrize("counts", [(1, 1, 1), (2, 3, 1), (4, 2, 2)])
@pytest.mark.parametrize("same", [True, False])
def test_gradients_are_the_adjoints(counts, same):
    """<g, conv(x, k)> = <conv_x'(g), x> = <conv_k'(g), k>, as it is linear in both."""
    rng = np.random.default_rng(1)
    extents, lags = (11, 12, 7), (3, 4, 2)
    inside = extents if same else [e + k - 1 for e, k in zip(extents, lags, strict=True)]
    x, kernel = tf.constant(rng.normal(size=(2, *inside, 3))), rng.normal(size=(*lags, 3, 2))
    kernel, g = tf.constant(kernel), rng.normal(size=(2, *extents, 2))
    with tf.GradientTape() as tape:
        tape.watch([x, kernel])
        product = tf.reduce_sum(
            g * fourier_conv3d(x, kernel, same, cuts(extents, lags, counts, same))
        )
    to_x, to_kernel = tape.gradient(product, [x, kernel])
    expected = np.sum(g * summed(x, kernel.numpy(), same))
    assert np.sum(to_x * x) == pytest.approx(expected, rel=1e-10)
    assert np.sum(to_kernel * kernel) == pytest.approx(expected, rel=1e-10)


@given(EXTENTS, st.data())
@settings(max_examples=30, deadline=None)
def test_reflected_as_numpy_does(extents, data):
    lags = [data.draw(st.integers(1, 2 * n - 1)) for n in extents]
    x = np.random.default_rng(0).normal(size=(2, *extents, 1)).astype(np.float32)
    pads = [((n - 1) // 2, n // 2) for n in lags]
    assert np.array_equal(reflect(x, lags), np.pad(x, [(0, 0), *pads, (0, 0)], "reflect"))


@given(st.integers(1, 200), st.integers(1, 40), st.sampled_from([1, 2, 3, 4, 7, 16]), st.booleans())
def test_blocks_cover_an_axis_and_hold_what_they_need(extent, lags, count, same):
    cut = blocks(extent, lags, count, same)
    assert cut.outputs * cut.count >= extent > cut.outputs * (cut.count - 1) - cut.count
    needed = {(t + j + cut.first) for t in (0, cut.outputs - 1) for j in (0, lags - 1)}
    assert max(needed) - max(0, min(needed)) < cut.length or (same and count == 1)
    assert cut.length == extent + lags // 2 if same and count == 1 else cut.inputs


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_large_kernels_go_through_fourier_space_and_single_voxels_do_not(backend):
    for channels in [(1, 16), (4, 4), (16, 16)]:
        assert is_large((16, 16, 8, *channels), backend)
        assert not is_large((1, 1, 1, *channels), backend)
        assert is_large((3, 3, 3, *channels), backend) == (backend == "jax")


@pytest.mark.parametrize(
    "extents, lags, counts",
    [
        ((128, 128, 32), (16, 16, 8), (2, 4, 1)),  # eight blocks already
        ((64, 64, 64), (16, 16, 8), (1, 2, 4)),
        ((32, 32, 32), (16, 16, 8), (1, 1, 4)),  # eight would be shorter than LEAST
        ((64, 64, 256), (3, 3, 3), (1, 2, 8)),
        ((200, 200, 200), (80, 1, 101), (2, 6, 2)),  # no shorter than the kernel
    ],
)
def test_blocks_by_the_rule(extents, lags, counts):
    assert tuple(b.count for b in choose_blocks(extents, lags, True)) == counts


@given(
    st.tuples(*[st.one_of(st.none(), st.integers(1, 300))] * 3),
    st.tuples(*[st.integers(1, 80)] * 3),
)
@settings(max_examples=40, deadline=None)
def test_blocks_chosen_hold_the_kernel_unless_one_is_enough(extents, lags):
    for extent, cut in zip(extents, choose_blocks(extents, lags, True), strict=True):
        assert (cut.count is None) == (extent is None) and cut.outputs >= 1
        assert cut.count == 1 or cut.outputs >= cut.lags - 1


def test_unknown_extents_in_a_graph():
    kernel = np.random.default_rng(0).normal(size=(5, 2, 3, 1, 2))
    axes = choose_blocks((None, 6, None), kernel.shape, True)
    spec = tf.TensorSpec((None, None, 6, None, 1), tf.float64)
    traced = tf.function(lambda x: fourier_conv3d(x, kernel, True, axes), input_signature=[spec])
    for shape in [(1, 70, 6, 1, 1), (2, 3, 6, 130, 1)]:
        x = np.random.default_rng(1).normal(size=shape)
        np.testing.assert_allclose(traced(x), summed(x, kernel, True), atol=1e-10)
