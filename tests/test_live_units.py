"""Live units are counted by hand in networks whose weights are set."""

import keras
import numpy as np
import pytest
from keras import layers

from lib.live_units import LiveUnits, live_share


def network(*stack):
    inputs = keras.Input((2, 1))  # two voxels, one channel
    x = inputs
    for layer in stack:
        x = layer(x)
    return keras.Model(inputs, x)


def fit(model, callback, rate=0.0, steps=3):
    """Steps of a loss that is the mean of the output."""
    model.compile(keras.optimizers.SGD(rate), loss=lambda truth, output: output)
    x = np.ones((steps, 2, 1), np.float32)
    model.fit(x, x, batch_size=1, callbacks=[callback], verbose=0)
    return callback


def test_a_unit_lives_where_it_is_positive_somewhere():
    output = np.zeros((2, 3, 3, 3, 4))
    output[1, 2, 0, 1, 0] = 0.1  # in one voxel of one volume
    output[..., 1] = -1
    output[..., 2] = 5
    assert live_share(output) == 2 / 4


def test_shares_of_each_layer_by_hand():
    first, second = layers.Dense(4, activation="relu", name="a"), layers.Dense(2, name="b")
    model = network(first, second, layers.ReLU(name="c"))
    # x is 0 and 1: x, x - 2 (dead), 0.5 - x, -x (dead)
    first.set_weights([np.array([[1.0, 1, -1, -1]]), np.array([0, -2, 0.5, 0])])
    second.set_weights([np.array([[1.0, -1]] * 4), np.array([0, -0.1])])  # the second: dead
    seen = fit(model, LiveUnits(np.array([[[0.0], [1]]], np.float32)))
    assert seen.steps == [0, 1, 2, 3]
    assert seen.shares == {"a": [0.5] * 4, "c": [0.5] * 4}


def test_a_step_too_far_kills_and_is_seen_at_its_step():
    layer = layers.Dense(2, activation="relu", name="a")
    model = network(layer)
    layer.set_weights([np.array([[1.0, -1]]), np.zeros(2)])
    # the mean of two units: a gradient of 1/2 on weight and bias of the live one, -3 after it
    seen = fit(model, LiveUnits(np.ones((1, 2, 1), np.float32), every=2), rate=4.0, steps=4)
    assert seen.steps == [0, 2, 4] and seen.shares == {"a": [0.5, 0, 0]}
    np.testing.assert_allclose(layer.get_weights()[0], [[-1, -1]])


def test_watching_a_batch_normalisation_teaches_it_nothing():
    normalise = layers.BatchNormalization()
    model = network(layers.Dense(2, activation="relu"), normalise)
    model.compile("sgd", loss="mse")
    callback = LiveUnits(np.full((1, 2, 1), 9, np.float32))
    callback.set_model(model)
    before = normalise.get_weights()
    callback.on_train_begin()
    for old, new in zip(before, normalise.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_what_cannot_be_watched_is_refused():
    with pytest.raises(ValueError, match="every=0: give 1 or more"):
        LiveUnits(np.ones((1, 2, 1)), every=0)
    with pytest.raises(ValueError, match="has no ReLU"):
        fit(network(layers.Dense(1)), LiveUnits(np.ones((1, 2, 1), np.float32)))
