"""A recipe is followed to the letter, and what is trained can be called."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from lib.microscopy import autoencoder
from lib.microscopy.autoencoder import (
    Recipe,
    build,
    hidden_maps,
    on_logits,
    train_autoencoder,
    train_stages,
)
from lib.sampling import PatchSampler
from lib.training import PatchDataset

SMALL = Recipe(kernel_size=(3, 3, 3), filters=(2,), patch=8, batch=2, steps=20)
IMAGE = np.random.default_rng(0).random((12, 12, 12), np.float32)
LABEL = (IMAGE > 0.8).astype(np.float32)
PAIRS = [(IMAGE, LABEL)]


def kinds(network):
    return [type(layer).__name__ for layer in network.layers]


def test_a_recipe_decides_layers_loss_and_optimizer():
    cured, naive = build(PAIRS, SMALL), build(PAIRS, replace(SMALL, loss="mse", normalise=False))
    assert "BatchNormalization" in kinds(cured) and "BatchNormalization" not in kinds(naive)
    assert cured.loss.from_logits and naive.loss == "mse"
    assert [n.layers[-1].activation.__name__ for n in (cured, naive)] == ["linear", "sigmoid"]
    assert on_logits(SMALL) and not on_logits(replace(SMALL, loss="binary_crossentropy"))


def test_a_recipe_takes_what_is_named_and_no_more():
    other = Recipe(loss="mse", clip=None, steps=50)
    taken = SMALL.taking(other, "loss", "clip")
    assert taken == replace(SMALL, loss="mse", clip=None) and SMALL.taking(other) == SMALL


def test_the_optimizer_of_a_recipe():
    plain = replace(SMALL, rate=0.5, schedule=False, beta_1=0.25, clip=None)
    optimizer = build(PAIRS, plain).optimizer
    assert float(optimizer.learning_rate) == 0.5
    assert optimizer.beta_1 == 0.25 and optimizer.clipnorm is None
    scheduled = build(PAIRS, SMALL).optimizer
    assert float(scheduled.learning_rate) == pytest.approx(SMALL.rate / 10)
    assert scheduled.clipnorm == 1


@pytest.mark.parametrize("log_odds, start", [(True, LABEL.mean()), (False, 0.5)])
def test_the_last_bias_is_where_black_would_end_or_at_one_half(log_odds, start):
    network = build(PAIRS, replace(SMALL, log_odds=log_odds, padding="same"))
    bias = float(network.layers[-2].bias[0])
    assert 1 / (1 + np.exp(-bias)) == pytest.approx(start, rel=1e-5)


def test_a_seed_decides_the_training_and_the_answer_keeps_the_shape(tmp_path, monkeypatch):
    one, same = (train_autoencoder(PAIRS, SMALL, seed=3, folder=tmp_path / f) for f in "ab")
    assert len(one.history["loss"]) == 2 and (tmp_path / "a" / "history.csv").exists()
    np.testing.assert_array_equal(one(IMAGE), same(IMAGE))
    answer = one(IMAGE[:, :10])
    assert answer.shape == (12, 10, 12) and answer.min() >= 0 and answer.max() <= 1
    starts = []
    start = lambda network, feed, *_, **__: starts.append((network, feed)) or {}  # noqa: E731
    monkeypatch.setattr(autoencoder, "train", start)
    for seed in (3, 4):
        train_autoencoder(PAIRS, SMALL, seed=seed)
    (network, feed), (other, another) = starts
    assert np.all(network.get_weights()[0] != other.get_weights()[0])
    assert not np.array_equal(feed[0][0], another[0][0])


def test_stages_are_what_shorter_trainings_end_with(tmp_path):
    constant = replace(SMALL, schedule=False, loss=keras.losses.MeanAbsoluteError())
    watched = PatchDataset(PatchSampler(PAIRS, 12), 1, 1)
    stages = train_stages(
        PAIRS, constant, [30, 10, 30], seed=1, validation=watched, folder=tmp_path
    )
    assert list(stages) == [10, 30]
    for steps, stage in stages.items():
        alone = train_autoencoder(PAIRS, replace(constant, steps=steps), seed=1)
        np.testing.assert_allclose(stage(IMAGE), alone(IMAGE), atol=1e-6)
        np.testing.assert_allclose(stage.history["loss"], alone.history["loss"], rtol=1e-5)
        assert stage.steps == steps
    assert len((tmp_path / "history.csv").read_text("utf-8").splitlines()) == 1 + 3


@pytest.mark.parametrize(
    "stages, schedule", [([], False), ([10, 20], True), ([0], False), ([25], False)]
)
def test_stages_that_cannot_be(stages, schedule):
    with pytest.raises(ValueError, match=r"steps=\[.*\], .*: give multiples of 10, 10 or more"):
        train_stages(PAIRS, replace(SMALL, schedule=schedule), stages)


def test_a_training_that_resumes_has_one_stage(tmp_path):
    one = train_autoencoder(PAIRS, SMALL, seed=3, folder=tmp_path)
    same = train_autoencoder(PAIRS, SMALL, seed=3, folder=tmp_path, resume=True)
    assert same.history == one.history
    np.testing.assert_array_equal(same(IMAGE), one(IMAGE))
    with pytest.raises(ValueError, match=r"steps=\[10, 20\], schedule=False, resume=True: give"):
        constant = replace(SMALL, schedule=False)
        train_stages(PAIRS, constant, [10, 20], folder=tmp_path, resume=True)


def test_a_network_that_stays_black_is_not_trained_on():
    dark = replace(SMALL, rate=0.0, schedule=False, normalise=False, steps=90, loss="mse")
    dark = replace(dark, patience=30)
    dull = [(0 * IMAGE, LABEL)]  # from the log-odds' bias alone: the labels' mean everywhere
    faint = [(0 * IMAGE, (IMAGE > 0.99).astype(np.float32))]
    assert len(train_autoencoder(dull, dark).history["loss"]) == 9
    stopped = train_autoencoder(faint, dark)
    assert stopped.history["brightness"] == pytest.approx([faint[0][1].mean()] * 3, rel=1e-3)


@pytest.mark.parametrize("patience, loss", [(5, "mse"), (25, "mse"), (-10, "mse"), (20, None)])
def test_a_patience_is_tens_of_steps_of_a_network_with_a_sigmoid(patience, loss):
    with pytest.raises(ValueError, match=f"patience={patience}, loss=.*: give a multiple of 10"):
        Recipe(patience=patience, loss=loss or "cross-entropy")


def test_hidden_maps_are_what_lies_behind_each_relu():
    network = build(PAIRS, replace(SMALL, filters=(2, 3), normalise=False, padding="same"))
    maps = hidden_maps(network, IMAGE)
    assert [name for name in maps if "layer 1" in name] == ["layer 1, map 1", "layer 1, map 2"]
    assert len(maps) == 5 and all(seen.shape == IMAGE.shape for seen in maps.values())
    convolution = next(layer for layer in network.layers if "Conv" in type(layer).__name__)
    kernel, bias = (keras.ops.convert_to_numpy(weight) for weight in convolution.weights)
    patch = IMAGE[4:7, 5:8, 6:9]  # around (5, 6, 7)
    alone = hidden_maps(build(PAIRS, SMALL), IMAGE)
    assert [seen.shape for seen in alone.values()] == [IMAGE.shape] * 2
    by_hand = max(0, np.sum(patch * kernel[..., 0, 1]) + bias[1])
    assert maps["layer 1, map 2"][5, 6, 7] == pytest.approx(by_hand, abs=1e-5)
    blind = keras.Model(network.input, network.input)
    with pytest.raises(ValueError, match="has no ReLU"):
        hidden_maps(blind, IMAGE)
