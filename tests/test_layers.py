"""Layers: refused extents, and models that save and load."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lib.layers import DivisibleExtents


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


def test_two_dimensions_and_channels():
    with pytest.raises(ValueError, match="axis 2 of the batch has 3"):
        DivisibleExtents(2)(np.zeros((1, 4, 3, 5)))
    assert DivisibleExtents(2)(np.zeros((1, 4, 4, 5))).shape == (1, 4, 4, 5), "channels are free"


def test_save_and_load(tmp_path):
    model = pooled(None, None, None, 1)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.get_layer("check").factor == 4
    assert np.array_equal(loaded(batch(4, 4, 8)), model(batch(4, 4, 8)))
    with pytest.raises(ValueError, match="axis 1 of the batch has 6"):
        loaded(batch(6, 4, 4))


@pytest.mark.parametrize("factor", [0, -2, 1.5])
def test_a_factor_is_a_whole_number(factor):
    with pytest.raises(ValueError, match=f"factor={factor}: give a whole number"):
        DivisibleExtents(factor)
