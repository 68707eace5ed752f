"""Live units and logits, by hand, in networks whose weights are set."""

import keras
import numpy as np
import pytest
from keras import layers

from lib.watching import StopWhenBlack, Watch, live_share

ONE = np.ones((1, 2, 1), np.float32)


def network(*stack):
    inputs = keras.Input((2, 1))  # two voxels, one channel
    x = inputs
    for layer in stack:
        x = layer(x)
    return keras.Model(inputs, layers.Activation("sigmoid")(x))


def fit(model, callback, loss=lambda truth, output: output, rate=0.0, steps=3):
    """Gradient descent; the default loss is the mean of the output."""
    model.compile(keras.optimizers.SGD(rate), loss=loss)
    x = np.ones((steps, 2, 1), np.float32)
    model.fit(x, x, batch_size=1, callbacks=[callback], verbose=0)
    return callback


def test_a_unit_lives_where_it_is_positive_somewhere():
    output = np.zeros((2, 3, 3, 3, 4))
    output[1, 2, 0, 1, 0] = 0.1  # in one voxel of one volume
    output[..., 1] = -1
    output[..., 2] = 5
    assert live_share(output) == 2 / 4


def test_shares_of_each_layer_and_the_logit_by_hand():
    first, second = layers.Dense(4, activation="relu", name="a"), layers.Dense(2)
    last = layers.Dense(1)
    model = network(first, second, layers.ReLU(name="c"), last)
    # x is 0 and 1: x, x - 2 (dead), 0.5 - x, -x (dead); their sum is 0.5 at 0, 1 at 1
    first.set_weights([np.array([[1.0, 1, -1, -1]]), np.array([0, -2, 0.5, 0])])
    second.set_weights([np.array([[1.0, -1]] * 4), np.array([0, -0.1])])  # the second is dead
    last.set_weights([np.array([[3.0], [7]]), np.array([-5.0])])
    probe, bright = np.array([[[0.0], [1]]], np.float32), np.array([[[False], [True]]])
    seen = fit(model, Watch(probe, bright, every=1))
    assert seen.steps == [0, 1, 2, 3]
    assert seen.live == {"a": [0.5] * 4, "c": [0.5] * 4}
    assert seen.logits == [3 * 1 - 5] * 4
    assert seen.last() == {"live units": 0.5, "logit": -2}


def test_a_step_too_far_kills_and_is_seen_at_its_step():
    first, last = layers.Dense(2, activation="relu", name="a"), layers.Dense(1)
    model = network(first, last)
    first.set_weights([np.array([[1.0, -1]]), np.zeros(2)])
    last.set_weights([np.array([[1.0], [1]]), np.array([-1.0])])
    # logit 0, slope of the sigmoid 1/4: each weight that acts falls by 16 / 4, the last bias, too
    seen = fit(model, Watch(ONE, ONE > 0, every=2), rate=16.0, steps=4)
    assert seen.steps == [0, 2, 4] and seen.live == {"a": [0.5, 0, 0]}
    assert seen.logits[0] == 0 and seen.logits[1] < -5
    np.testing.assert_allclose(first.get_weights()[0], [[1 - 4, -1]])


def test_watching_a_batch_normalisation_teaches_it_nothing():
    normalise = layers.BatchNormalization()
    callback = Watch(9 * ONE, ONE > 0)
    callback.set_model(network(layers.Dense(2), normalise, layers.ReLU(), layers.Dense(1)))
    before = normalise.get_weights()
    callback.on_train_begin()
    for old, new in zip(before, normalise.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_what_cannot_be_watched_is_refused():
    with pytest.raises(ValueError, match="every=0, 2 bright voxels: give 1 or more each"):
        Watch(ONE, ONE > 0, every=0)
    with pytest.raises(ValueError, match="0 bright voxels"):
        Watch(ONE, ONE > 1)
    with pytest.raises(ValueError, match="has no ReLU"):
        fit(network(layers.Dense(1)), Watch(ONE, ONE > 0))


@pytest.mark.parametrize("patience, bright", [(0, 1.0), (3, 0.5)])
def test_a_stop_needs_patience_and_something_bright(patience, bright):
    truth = np.full((2, 2, 2), bright)
    with pytest.raises(ValueError, match=f"patience={patience}, truth has [08] voxels above 0.5"):
        StopWhenBlack(truth, truth, patience)
