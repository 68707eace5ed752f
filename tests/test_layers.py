"""Layers: refused extents, models that save and load, FourierConv3D beside Keras's Conv3D."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from elsewhere import run_elsewhere

from lib.layers import DivisibleExtents, FourierConv3D


def pooled(*shape, factor=4):
    """Down and up by ``factor``, joined with what went in; extents that do not fit cannot join."""
    inputs = keras.Input(shape)
    x = DivisibleExtents(factor, name="check")(inputs)
    small = keras.layers.AveragePooling3D(factor)(x)
    back = keras.layers.UpSampling3D(factor)(small)
    return keras.Model(inputs, keras.layers.Concatenate()([back, x]))


def batch(*shape):
    return np.random.default_rng(0).random((2, *shape, 1), np.float32)


@pytest.mark.parametrize(
    "shape, message",
    [
        ((6, 8, 8, 1), "axis 1 of the batch has 6 voxels.*multiple of 4"),
        ((8, 8, 10, 1), "axis 3 of the batch has 10 voxels"),
        ((None, 7, None, 1), "axis 2 of the batch has 7 voxels"),
    ],
)
def test_known_extents_are_refused_when_the_model_is_built(shape, message):
    with pytest.raises(ValueError, match=message):
        pooled(*shape)


@pytest.mark.parametrize("call", ["__call__", "predict_on_batch"])
def test_unknown_extents_are_refused_when_it_is_called(call):
    run = getattr(pooled(None, None, None, 1), call)
    with pytest.raises(ValueError, match=r"axis 2 of the batch has 5 voxels.*multiple of 4"):
        run(batch(8, 5, 8))
    assert run(batch(4, 8, 12)).shape == (2, 4, 8, 12, 2)


def test_extents_that_only_the_running_graph_knows_are_refused_too():
    model = pooled(None, None, None, 1)
    for n in (4, 8, 12):  # Keras traces anew, and from the second shape on for unknown extents
        assert model.predict_on_batch(batch(n, n, 4)).shape == (2, n, n, 4, 2)
    refusal = tf.errors.InvalidArgumentError
    with pytest.raises(refusal, match=r"axis 2 .* multiple of 4.*\[6\].*\[4\]"):
        model.predict_on_batch(batch(8, 6, 4))


def test_the_input_passes_unchanged():
    values = batch(4, 8, 2)
    assert np.array_equal(DivisibleExtents(2)(values), values)
    traced = tf.function(DivisibleExtents(2), input_signature=[tf.TensorSpec([None] * 4 + [1])])
    assert np.array_equal(traced(values), values)


def test_save_and_load(tmp_path):
    model = pooled(None, None, None, 1)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.get_layer("check").factor == 4
    assert np.array_equal(loaded(batch(4, 4, 8)), model(batch(4, 4, 8)))
    with pytest.raises(ValueError, match="axis 1 of the batch has 6"):
        loaded(batch(6, 4, 4))


def test_a_factor_is_a_whole_number():
    with pytest.raises(ValueError, match=r"factor=1.5: give a whole number, 1 or more"):
        DivisibleExtents(1.5)


def pair(extents, kernel, channels=2, filters=3, padding="same", method="fourier", **kwargs):
    """(FourierConv3D, Conv3D) with the same weights, bias not zero, and a batch of 2."""
    keras.utils.set_random_seed(0)
    own = "valid" if padding == "reflect" else padding
    ours = FourierConv3D(filters, kernel, padding, method, bias_initializer="normal", **kwargs)
    keras_own = keras.layers.Conv3D(filters, kernel, padding=own, bias_initializer="normal")
    x = np.random.default_rng(0).normal(size=(2, *extents, channels)).astype(np.float32)
    ours.build(x.shape)
    keras_own.build((2, None, None, None, channels))
    ours.set_weights(keras_own.get_weights())
    return ours, keras_own, x


def reflected(x, kernel):
    """NumPy's padding, for Conv3D with "valid"."""
    pads = [((n - 1) // 2, n // 2) for n in kernel]
    return np.pad(x, [(0, 0), *pads, (0, 0)], "reflect")


def with_gradients(layer, x, g, prepare=lambda x: x):
    """Value, input gradient, kernel gradient, bias gradient of Σ g·layer(x)."""
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(prepare(x))
        loss = tf.reduce_sum(y * g(y.shape))
    return [y, *tape.gradient(loss, [x, *layer.trainable_weights])]


ODD_AND_EVEN = [((9, 8, 7), (3, 5, 1)), ((8, 9, 6), (4, 2, 6))]


@pytest.mark.parametrize(
    "extents, kernel, padding",
    [(*case, padding) for case in ODD_AND_EVEN for padding in ("same", "valid", "reflect")]
    + [((40, 33, 9), (5, 4, 8), "reflect")]
    + [((4, 3, 5), (9, 8, 7), "same")],  # wider than the volume
)
def test_value_and_gradients_are_those_of_conv3d(extents, kernel, padding):
    ours, keras_own, x = pair(extents, kernel, padding=padding)
    pads = [(0, 0), *(((n - 1) // 2, n // 2) for n in kernel), (0, 0)]
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(2, *extents, 3)).astype(np.float32)

    def g(shape):
        return weights[tuple(slice(n) for n in shape)]

    prepare = (lambda x: tf.pad(x, pads, "REFLECT")) if padding == "reflect" else (lambda x: x)
    expected = with_gradients(keras_own, x, g, prepare)
    for here, there in zip(with_gradients(ours, x, g), expected, strict=True):
        assert here.shape == there.shape
        np.testing.assert_allclose(here, there, atol=1e-5 * np.abs(there).max())


@pytest.mark.parametrize("padding", ["same", "valid", "reflect"])
def test_the_direct_way_is_conv3ds_own(padding):
    ours, keras_own, x = pair((9, 6, 8), (3, 4, 2), padding=padding, method="direct")
    there = keras_own(reflected(x, (3, 4, 2)) if padding == "reflect" else x)
    assert np.array_equal(ours(x), there)
    assert ours.compute_output_shape((None, 9, None, 8, 2)) == (
        (None, 7, None, 7, 3) if padding == "valid" else (None, 9, None, 8, 3)
    )


def test_auto_takes_either_way_with_the_same_result():
    for extents, kernel in [((32, 32, 16), (16, 16, 8)), ((6, 6, 6), (1, 2, 1))]:
        ours, keras_own, x = pair(extents, kernel, method="auto")
        direct = pair(extents, kernel, method="direct")[0]
        assert np.array_equal(ours(x), direct(x)) == (extents == (6, 6, 6))
        np.testing.assert_allclose(ours(x), keras_own(x), atol=1e-5)


def test_trains_as_conv3d_does():
    inputs = keras.Input((None, None, None, 1))
    ours = keras.Model(inputs, FourierConv3D(2, (4, 3, 5), method="fourier")(inputs))
    theirs = keras.Model(inputs, keras.layers.Conv3D(2, (4, 3, 5), padding="same")(inputs))
    ours.set_weights(theirs.get_weights())
    rng = np.random.default_rng(0)
    for model in (ours, theirs):
        model.compile(keras.optimizers.SGD(0.01), loss="mse")
    for shape in [(8, 7, 6), (9, 7, 12), (20, 9, 6)]:
        x, y = rng.normal(size=(4, *shape, 1)), rng.normal(size=(4, *shape, 2))
        for model in (ours, theirs):
            model.fit(x, y, batch_size=3, shuffle=False, verbose=0)
    for here, there in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(here, there, atol=1e-5)


@pytest.mark.parametrize("method, padding", [("fourier", "reflect"), ("auto", "same")])
def test_saves_loads_and_exports_with_unknown_extents(method, padding, tmp_path):
    inputs = keras.Input((None, None, None, 1))
    layer = FourierConv3D(2, (4, 5, 3), padding, method, activation="relu", use_bias=False)
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.layers[1].get_config() == layer.get_config()
    assert (loaded.layers[1].method, loaded.layers[1].padding) == (method, padding)
    model.export(tmp_path / "exported", verbose=False)
    exported = tf.saved_model.load(tmp_path / "exported")
    for shape in [(1, 8, 6, 7, 1), (2, 70, 9, 5, 1)]:
        x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        there = reflected(x, (4, 5, 3)) if padding == "reflect" else x
        zeros = "valid" if padding == "reflect" else "same"
        own = keras.ops.relu(keras.ops.conv(there, layer.kernel, padding=zeros))
        for run in (loaded, exported.serve):
            np.testing.assert_allclose(run(x), own, atol=1e-5)


@pytest.mark.parametrize("policy, digits", [("mixed_float16", 1e-3), ("mixed_bfloat16", 1e-2)])
def test_half_precision_outside_float32_inside(policy, digits):
    ours, keras_own, x = pair((12, 10, 9), (4, 4, 3), dtype=policy)
    here, there = ours(x), keras_own(x)
    assert here.dtype == policy.removeprefix("mixed_") and ours.kernel.dtype == "float32"
    np.testing.assert_allclose(np.float32(here), there, atol=4 * digits * np.abs(there).max())
    layer = FourierConv3D(1, (16, 16, 8), method="fourier", kernel_initializer="ones", dtype=policy)
    x = np.tile(np.float32([400, -400]), (1, 16, 16, 8, 8))  # half the terms sum to 3e6 or more
    assert np.abs(np.float32(layer(x))).max() < 1


def test_double_precision():
    ours, _, x = pair((9, 8, 7), (4, 3, 5), dtype="float64")
    direct = FourierConv3D(3, (4, 3, 5), method="direct", dtype="float64")
    direct.build(x.shape)
    direct.set_weights(ours.get_weights())
    x = x.astype(np.float64)
    np.testing.assert_allclose(ours(x), direct(x), atol=1e-12)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"strides": 2}, r"strides=\(2, 2, 2\): FourierConv3D knows \(1, 1, 1\)"),
        ({"dilation_rate": (1, 2, 1)}, r"dilation_rate=\(1, 2, 1\)"),
        ({"groups": 2}, "groups=2"),
        ({"data_format": "channels_first"}, "data_format='channels_first'"),
        ({"padding": "causal"}, "padding='causal': FourierConv3D knows 'same', 'valid', 'reflect'"),
        ({"method": "fft"}, "method='fft'.*'auto', 'direct', 'fourier'"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        FourierConv3D(2, 3, **arguments)


@pytest.mark.parametrize(
    "padding, extents, message",
    [
        ("reflect", (8, 4, 8), r"axis 2 .*: kernel_size=\(8, 8, 4\) .*needs 5 .*it has 4"),
        ("valid", (8, 8, 3), "axis 3 .*padding='valid' needs 4 voxels or more; it has 3"),
        ("same", (8, 8, 0), "axis 3 of the batch.*it has 0"),
    ],
)
def test_volumes_too_small_are_refused(padding, extents, message):
    layer = FourierConv3D(1, (8, 8, 4), padding)
    with pytest.raises(ValueError, match=message):
        layer(np.zeros((1, *extents, 1), np.float32))
    with pytest.raises(ValueError, match=message):
        FourierConv3D(1, (8, 8, 4), padding)(keras.Input((*extents, 1)))


def test_a_batch_has_five_dimensions():
    with pytest.raises(ValueError, match=r"shape \(1, 2, 4, 4, 4, 1\): needed is"):
        FourierConv3D(1, 2)(np.zeros((1, 2, 4, 4, 4, 1), np.float32))


BY_BACKEND = """
import sys
import keras, numpy as np
from lib.layers import FourierConv3D
folder = sys.argv[1]
given = np.load(folder + "/given.npz")
answers = {}
for padding in ["same", "reflect"]:
    layer = FourierConv3D(2, (4, 3, 6), padding, "fourier", use_bias=False)
    layer.build(given["x"].shape)
    layer.set_weights([given["kernel"]])

    def loss(x, kernel):
        y = layer.convolution_op(x, kernel)
        return keras.ops.sum(y * y), y

    if keras.backend.backend() == "jax":
        import jax
        run = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))
        (_, y), gradients = run(given["x"], given["kernel"])
    else:
        import torch
        x, kernel = (torch.tensor(given[name], requires_grad=True) for name in ("x", "kernel"))
        total, y = loss(x, kernel)
        y, gradients = y.detach(), torch.autograd.grad(total, (x, kernel))
    for name, value in zip(["y", "to_x", "to_kernel"], [y, *gradients]):
        answers[padding + "_" + name] = np.asarray(value)
np.savez(folder + "/answers.npz", **answers)
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_every_backend_gives_the_same_value_and_gradients(backend, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 20, 7, 9, 3)).astype(np.float32)
    kernel = rng.normal(size=(4, 3, 6, 3, 2)).astype(np.float32)
    np.savez(tmp_path / "given.npz", x=x, kernel=kernel)
    run_elsewhere(backend, BY_BACKEND, tmp_path)
    answers = np.load(tmp_path / "answers.npz")
    for padding in ("same", "reflect"):
        layer = FourierConv3D(2, (4, 3, 6), padding, "direct")
        given = [tf.constant(x), tf.constant(kernel)]
        with tf.GradientTape() as tape:
            tape.watch(given)
            y = layer.convolution_op(*given)
            loss = tf.reduce_sum(y * y)
        expected = [y, *tape.gradient(loss, given)]
        for name, value in zip(["y", "to_x", "to_kernel"], expected, strict=True):
            limit = 1e-5 * np.abs(value).max()
            np.testing.assert_allclose(answers[f"{padding}_{name}"], value, atol=limit)
